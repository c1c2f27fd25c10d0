"""`plimsoll resolve`: how credentials reach the resolver. The resolver itself is tested with real registries."""

import io
import json
import stat
from pathlib import Path

import pytest
from tests.unit.cli.running import DIGEST, Shell

from plimsoll.errors import Invalid, NotYet


class Recorder:
    """Stands in for the resolver and remembers what it was given, while it exists."""

    def __init__(self, error: Exception | None = None) -> None:
        self.files: dict[str, str] = {}
        self.modes: set[int] = set()
        self.credentials = Path()
        self._error = error

    def __call__(self, uri: str, credentials: Path, authorities: Path) -> str:
        self.credentials = credentials
        for folder in (credentials, authorities):
            if folder.is_dir():
                self.modes.add(stat.S_IMODE(folder.parent.stat().st_mode))
                self.files |= {path.name: path.read_text() for path in folder.iterdir()}
        if self._error:
            raise self._error
        return f"{DIGEST} of {uri}"


def recording(monkeypatch: pytest.MonkeyPatch, error: Exception | None = None) -> Recorder:
    recorder = Recorder(error)
    monkeypatch.setattr("plimsoll.cli.resolve.resolve", recorder)
    return recorder


URI = "oci://registry.example.com/digits:latest"


def test_the_digest_is_the_only_thing_printed(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    recording(monkeypatch)
    ended = shell.run("resolve", URI)
    assert (ended.code, ended.out, ended.err) == (0, f"{DIGEST} of {URI}\n", "")


def test_a_password_comes_from_standard_input_and_is_seen_by_this_user_alone(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = recording(monkeypatch)
    monkeypatch.setattr("sys.stdin", io.StringIO("open sesame\n"))
    assert shell.run("resolve", URI, "--username", "ali", "--password-stdin").code == 0
    assert recorder.files == {"username": "ali", "password": "open sesame"}
    assert recorder.modes == {0o700}
    assert not recorder.credentials.exists()


def test_a_private_authority(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = recording(monkeypatch)
    assert shell.run("resolve", URI, "--ca", shell.file("our.pem", "CERTIFICATE")).code == 0
    assert recorder.files == {"ca.crt": "CERTIFICATE"}


def test_the_users_own_docker_configuration_is_used(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = recording(monkeypatch)
    monkeypatch.setenv("DOCKER_CONFIG", str(shell.folder))
    shell.file("config.json", json.dumps({"auths": {}}))
    assert shell.run("resolve", URI).code == 0
    assert recorder.credentials == shell.folder / "config.json"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--username", "ali"], "given together"),
        (["--password-stdin"], "given together"),
        (["--ca", "/nonexistent/ca.pem"], "Cannot be read"),
        (["--docker-config", "/nonexistent/config.json"], "Cannot be read"),
    ],
)
def test_what_cannot_be_asked(shell: Shell, monkeypatch: pytest.MonkeyPatch, words: list[str], said: str) -> None:
    recording(monkeypatch)
    ended = shell.run("resolve", URI, *words)
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err


@pytest.mark.parametrize(
    "error", [Invalid("Unauthorized", "The registry refuses."), NotYet("RegistryUnavailable", "It does not answer.")]
)
def test_a_source_that_refuses(shell: Shell, monkeypatch: pytest.MonkeyPatch, error: Invalid | NotYet) -> None:
    recording(monkeypatch, error)
    ended = shell.run("resolve", URI)
    assert (ended.code, ended.out, ended.err) == (1, "", f"{error.message} ({error.reason})\n")


def test_a_claim_can_only_be_read_in_a_pod(shell: Shell) -> None:
    ended = shell.run("resolve", "pvc://claim/digits")
    assert ended.code == 1
    assert "sha256sum" in ended.err
