"""Which Secrets are a certificate, and what is said of the others."""

import ssl
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.support.authority import Authority

from plimsoll.gateway.tls import Application, Unusable, load_certificate

AUTHORITY = Authority()
ISSUED, OTHER = AUTHORITY.issue(), AUTHORITY.issue()


def folder_of(path: Path, files: Mapping[str, bytes]) -> Path:
    for name, content in files.items():
        (path / name).write_bytes(content)
    return path


def test_a_certificate_says_for_whom_and_until_when(tmp_path: Path) -> None:
    certificate = load_certificate(folder_of(tmp_path, ISSUED.files))
    assert certificate.names == "localhost, digits, 127.0.0.1"
    assert certificate.begins_at < datetime.now(UTC) < certificate.ends_at
    assert certificate.fault_at(datetime.now(UTC)) == ""


@pytest.mark.parametrize("application", Application)
def test_nothing_older_than_tls_1_2_and_nothing_without_forward_secrecy(
    application: Application, tmp_path: Path
) -> None:
    context = load_certificate(folder_of(tmp_path, ISSUED.files)).contexts[application]
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.options & ssl.OP_NO_RENEGOTIATION
    of_1_2 = [cipher for cipher in context.get_ciphers() if cipher["protocol"] == "TLSv1.2"]
    assert of_1_2
    assert all(cipher["name"].startswith("ECDHE-") and cipher["aead"] for cipher in of_1_2)
    assert all(cipher["aead"] for cipher in context.get_ciphers())


BROKEN = {
    "no key": ({"tls.crt": ISSUED.certificate}, "no entry tls.key"),
    "no certificate": ({"tls.key": ISSUED.key}, "no entry tls.crt"),
    "nothing": ({}, "no entry tls.crt"),
    "another's key": ({"tls.crt": ISSUED.certificate, "tls.key": OTHER.key}, "tls.key is not the key of tls.crt"),
    "the two exchanged": ({"tls.crt": ISSUED.key, "tls.key": ISSUED.certificate}, "PEM form"),
    "garbage": ({"tls.crt": b"garbage", "tls.key": b"garbage"}, "PEM form"),
    "empty files": ({"tls.crt": b"", "tls.key": b""}, "PEM form"),
    "half a certificate": ({"tls.crt": ISSUED.certificate[:200], "tls.key": ISSUED.key}, "PEM form"),
    "a key with a password": (AUTHORITY.issue(password=b"secret").files, "tls.key is encrypted"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_one_says_what_is_wrong_and_shows_nothing_of_it(case: str, tmp_path: Path) -> None:
    files, said = BROKEN[case]
    with pytest.raises(Unusable, match=said) as caught:
        load_certificate(folder_of(tmp_path, files))
    assert "PRIVATE" not in str(caught.value)


@pytest.mark.parametrize("authorities", [b"", b"garbage", "schlüssel".encode()])
def test_authorities_that_are_none_are_refused(authorities: bytes, tmp_path: Path) -> None:
    with pytest.raises(Unusable, match=r"ca\.crt has no certificates"):
        load_certificate(folder_of(tmp_path, ISSUED.files), authorities)


def test_clients_need_a_certificate_only_where_authorities_are_given(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, ISSUED.files)
    without, with_them = load_certificate(folder), load_certificate(folder, AUTHORITY.pem)
    assert {context.verify_mode for context in without.contexts.values()} == {ssl.CERT_NONE}
    assert {context.verify_mode for context in with_them.contexts.values()} == {ssl.CERT_REQUIRED}


def test_its_time_is_judged(tmp_path: Path) -> None:
    certificate = load_certificate(folder_of(tmp_path, ISSUED.files))
    second = timedelta(seconds=1)
    assert "only from" in certificate.fault_at(certificate.begins_at - second)
    assert certificate.fault_at(certificate.ends_at - second) == ""
    assert "localhost, digits, 127.0.0.1 expired at" in certificate.fault_at(certificate.ends_at)
