"""Proving who we are: TLS with our own authority, client certificates, tokens that are rotated under load."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.support.fakeapi import FakeApi
from tests.support.fakeapi.clocks import HastyClock

from plimsoll.kube.client import Client, ClientSettings
from plimsoll.kube.connection import Connection, Credentials, Endpoint, connect
from plimsoll.kube.errors import ApiError, Unreachable
from plimsoll.kube.resources import CONFIGMAPS


class Authority:
    """A certificate authority of one test."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test authority")])
        basic = x509.BasicConstraints(ca=True, path_length=None)
        self.path = self._write("ca.crt", self._sign(self._name, self._key, basic))

    def issue(self, name: str) -> tuple[Path, Path]:
        """A certificate for 127.0.0.1 and its key, as files."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return self._write(f"{name}.crt", self._sign(subject, key, address)), self._write(f"{name}.key", pem)

    def _sign(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, extension: x509.ExtensionType) -> bytes:
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder(
            issuer_name=self._name,
            subject_name=subject,
            public_key=key.public_key(),
            serial_number=x509.random_serial_number(),
            not_valid_before=now - timedelta(minutes=5),
            not_valid_after=now + timedelta(hours=1),
        )
        signed = builder.add_extension(extension, critical=True).sign(self._key, hashes.SHA256())
        return signed.public_bytes(serialization.Encoding.PEM)

    def _write(self, name: str, content: bytes) -> Path:
        path = self._folder / name
        path.write_bytes(content)
        return path


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def serve_tls(api: FakeApi, authority: Authority) -> None:
    certificate, key = authority.issue("server")
    api.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    api.tls.load_cert_chain(certificate, key)
    api.tls.load_verify_locations(authority.path)
    api.tls.verify_mode = ssl.CERT_REQUIRED


def write_kubeconfig(folder: Path, server: str, ca: Path, certificate: Path, key: Path) -> str:
    path = folder / "config"
    config = {
        "current-context": "x",
        "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
        "clusters": [{"name": "x", "cluster": {"server": server, "certificate-authority": str(ca)}}],
        "users": [{"name": "x", "user": {"client-certificate": str(certificate), "client-key": str(key)}}],
    }
    path.write_text(yaml.safe_dump(config))
    return str(path)


async def test_client_certificates_and_our_own_authority(tmp_path: Path, authority: Authority) -> None:
    api = FakeApi()
    serve_tls(api, authority)
    async with api:
        kubeconfig = write_kubeconfig(tmp_path, api.url, authority.path, *authority.issue("admin"))
        async with Client(await connect({"KUBECONFIG": kubeconfig})) as client:
            assert (await client.server_version()).startswith("v1.")


async def test_a_foreign_authority_is_not_trusted(tmp_path: Path, authority: Authority) -> None:
    api = FakeApi()
    serve_tls(api, authority)
    (tmp_path / "foreign").mkdir()
    foreign = Authority(tmp_path / "foreign")
    async with api:
        kubeconfig = write_kubeconfig(tmp_path, api.url, foreign.path, *authority.issue("admin"))
        settings = ClientSettings(retries=0)
        async with Client(await connect({"KUBECONFIG": kubeconfig}), settings) as client:
            with pytest.raises(Unreachable) as failure:
                await client.server_version()
    assert not failure.value.sent


async def test_a_rotated_authority_is_found_without_a_restart(tmp_path: Path, authority: Authority) -> None:
    api, time = FakeApi(), HastyClock()
    serve_tls(api, authority)
    (tmp_path / "next").mkdir()
    next_authority = Authority(tmp_path / "next")
    async with api:
        kubeconfig = write_kubeconfig(tmp_path, api.url, authority.path, *authority.issue("admin"))
        connection = await connect({"KUBECONFIG": kubeconfig}, time.clock)
        async with Client(connection, clock=time.clock) as client:
            await client.server_version()
            await api.stop()
            serve_tls(api, next_authority)
            await api.start()
            write_kubeconfig(tmp_path, api.url, next_authority.path, *next_authority.issue("admin"))
            time.now += 60
            assert (await client.server_version()).startswith("v1.")


class Rotating:
    """A login whose token file is rotated now and then."""

    def __init__(self, url: str) -> None:
        self.endpoint = Endpoint(url)
        self.file = self.loaded = "first"
        self.loads = 0

    async def authorization(self) -> str | None:
        return f"Bearer {self.loaded}"

    async def load(self) -> Credentials:
        self.loads += 1
        await asyncio.sleep(0.02)
        self.loaded = self.file
        return self


async def test_a_token_rotated_under_load_fails_no_call(api: FakeApi, hasty: HastyClock) -> None:
    api.token = "first"  # noqa: S105 - a test's
    login = Rotating(api.url)
    connection = Connection(login, login.load, hasty.clock)
    api.cluster.add(CONFIGMAPS, {"metadata": {"namespace": "ns", "name": "x"}, "data": {}})
    async with Client(connection, clock=hasty.clock) as client:
        await client.get(CONFIGMAPS, "ns", "x")
        api.token = login.file = "second"  # noqa: S105
        hasty.now += 60
        await asyncio.gather(*(client.get(CONFIGMAPS, "ns", "x") for _ in range(16)))
        assert login.loads == 1
        api.token = "revoked"  # noqa: S105
        hasty.now += 60
        with pytest.raises(ApiError) as refusal:
            await client.get(CONFIGMAPS, "ns", "x")
    assert refusal.value.status == 401
    assert "second" not in str(refusal.value)
