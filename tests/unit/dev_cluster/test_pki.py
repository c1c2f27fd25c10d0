"""Certificates: who trusts whom."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from plimsoll_dev.cluster.pki import Pair
from plimsoll_dev.cluster.preparation import write_certificates, write_kubeconfig


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("state") / "pki"
    write_certificates(folder, "10.244.255.1", "10.244.128.1")
    return folder


def certificate(pki: Path, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((pki / f"{name}.crt").read_bytes())


def handshake(pki: Path, server: str, authority: str, hostname: str) -> None:
    """A TLS handshake in memory, with the checks that Python 3.13 makes by default."""
    ours = ssl.create_default_context(cafile=str(pki / f"{authority}.crt"))
    ours.verify_flags |= ssl.VERIFY_X509_STRICT
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.load_cert_chain(pki / f"{server}.crt", pki / f"{server}.key")
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ours.wrap_bio(to_client, to_server, server_hostname=hostname)
    answering = theirs.wrap_bio(to_server, to_client, server_side=True)
    for side in (client, answering, client, answering):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue


@pytest.mark.parametrize(
    ("server", "authority", "hostname"),
    [
        ("apiserver", "ca", "10.244.255.1"),
        ("apiserver", "ca", "10.244.128.1"),
        ("apiserver", "ca", "kubernetes.default.svc"),
        ("kubelet", "ca", "10.244.255.1"),
        ("etcd", "etcd-ca", "127.0.0.1"),
    ],
)
def test_servers_are_trusted_under_their_names(pki: Path, server: str, authority: str, hostname: str):
    handshake(pki, server, authority, hostname)


@pytest.mark.parametrize(
    ("server", "authority", "hostname"),
    [
        ("etcd", "ca", "127.0.0.1"),
        ("apiserver", "etcd-ca", "10.244.255.1"),
        ("apiserver", "ca", "192.0.2.1"),
        ("scheduler", "ca", "10.244.255.1"),
    ],
    ids=["etcd's authority is another", "and the reverse", "another address", "a client is no server"],
)
def test_others_are_not(pki: Path, server: str, authority: str, hostname: str):
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(pki, server, authority, hostname)


@pytest.mark.parametrize(
    ("name", "common_name", "organization"),
    [
        ("admin", "plimsoll-admin", "system:masters"),
        ("kubelet", "system:node:plimsoll", "system:nodes"),
        ("scheduler", "system:kube-scheduler", None),
        ("controller-manager", "system:kube-controller-manager", None),
        ("kube-proxy", "system:kube-proxy", None),
        ("coredns", "system:coredns", None),
    ],
)
def test_clients_carry_the_names_that_kubernetes_gives_rights_to(
    pki: Path, name: str, common_name: str, organization: str | None
):
    subject = certificate(pki, name).subject
    assert [a.value for a in subject.get_attributes_for_oid(NameOID.COMMON_NAME)] == [common_name]
    expected = [organization] if organization else []
    assert [a.value for a in subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)] == expected


def test_keys_are_readable_by_their_owner_only(pki: Path, tmp_path: Path):
    write_kubeconfig(tmp_path / "kubeconfig", "https://10.244.255.1:6443", pki, "admin")
    for path in (*pki.glob("*.key"), tmp_path / "kubeconfig"):
        assert path.stat().st_mode & 0o077 == 0, path.name


def test_a_pair_names_two_files():
    assert Pair(Path("a.key"), Path("a.crt")).certificate == Path("a.crt")
