"""One pod and one misbehaving server per test; the server's authority is made once."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.certificates import LoopbackCertificate, issue_loopback_certificate
from tests.support.faulty_https import FaultyServer, faulty_https
from tests.support.fetching import Pod


@pytest.fixture
def pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, certificate: LoopbackCertificate) -> Pod:
    made = Pod(tmp_path / "pod", monkeypatch)
    made.trust(certificate.ca_file)
    return made


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> LoopbackCertificate:
    return issue_loopback_certificate(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def server(tmp_path: Path, certificate: LoopbackCertificate) -> Iterator[FaultyServer]:
    with faulty_https(tmp_path / "server", certificate) as running:
        yield running


@pytest.fixture
def other_server(tmp_path: Path, certificate: LoopbackCertificate) -> Iterator[FaultyServer]:
    with faulty_https(tmp_path / "other", certificate) as running:
        yield running
