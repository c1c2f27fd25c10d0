"""A real OCI registry on loopback: Debian's `docker-registry`, with TLS from a private authority.

Use it as a context manager, or wrap it in a fixture of the scope a test file needs:

    @pytest.fixture(scope="module")
    def registry(tmp_path_factory):
        with running_registry(tmp_path_factory.mktemp("registry")) as running:
            yield running
"""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.certificates import LoopbackCertificate, issue_loopback_certificate

USER = "sailor"
PASSWORD = "plimsoll-line"  # noqa: S105 - protects nothing: a registry that lives as long as one test
# The registry accepts bcrypt only, which the standard library cannot compute: PASSWORD hashed at cost 5.
PASSWORD_HASH = "$2y$05$abcdefghijklmnopqrstuuTKkw5yepxef4pKtqb.ZLXLwnj//BygG"  # noqa: S105 - as above

EXECUTABLE = "docker-registry"
START_TIMEOUT_S = 30.0

needs_registry = pytest.mark.skipif(
    shutil.which(EXECUTABLE) is None and not os.environ.get("CI"),
    reason="the Debian package docker-registry is not installed",
)


@dataclass
class Registry:
    """A registry process and its files; `stop` and `start` again keep both port and content."""

    folder: Path
    certificate: LoopbackCertificate | None
    with_login: bool
    port: int = 0
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def host(self) -> str:
        """What a model URI names: `localhost:PORT`."""
        return f"localhost:{self.port}"

    @property
    def url(self) -> str:
        return f"{'https' if self.certificate else 'http'}://{self.host}"

    @property
    def ca_file(self) -> Path:
        """The authority's certificate; only with TLS."""
        assert self.certificate is not None, "this registry speaks plain HTTP"
        return self.certificate.ca_file

    @property
    def docker_config(self) -> dict[str, Any]:
        """Content of a `.dockerconfigjson` that logs in here."""
        return {"auths": {self.host: {"username": USER, "password": PASSWORD}}}

    def blob_file(self, digest: str) -> Path:
        """Where the registry keeps a blob or manifest, for tests that corrupt or remove it behind its back."""
        algorithm, _, value = digest.partition(":")
        return self.folder / "storage/docker/registry/v2/blobs" / algorithm / value[:2] / value / "data"

    def start(self) -> None:
        """Start serving; returns when the socket listens."""
        assert self._process is None, "already running"
        config = self.folder / "config.yaml"
        config.write_text(yaml.safe_dump(self._config()))
        log = self.folder / "registry.log"
        with log.open("wb") as sink:
            self._process = subprocess.Popen([EXECUTABLE, "serve", str(config)], stdout=sink, stderr=sink)
        self.port = _listening_port(self._process, log)

    def stop(self) -> None:
        """Stop serving; a stopped registry may be stopped again."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def _config(self) -> dict[str, Any]:
        http: dict[str, Any] = {"addr": f"127.0.0.1:{self.port}", "secret": "one-process"}
        if self.certificate:
            http["tls"] = {
                "certificate": str(self.certificate.certificate_file),
                "key": str(self.certificate.key_file),
            }
        config: dict[str, Any] = {
            "version": 0.1,
            "log": {"level": "info", "formatter": "json", "accesslog": {"disabled": False}},
            "storage": {
                "filesystem": {"rootdirectory": str(self.folder / "storage")},
                "delete": {"enabled": True},
                # Removes abandoned uploads by a timer; a test does not live long enough to need it.
                "maintenance": {"uploadpurging": {"enabled": False}},
            },
            "http": http,
        }
        if self.with_login:
            passwords = self.folder / "htpasswd"
            passwords.write_text(f"{USER}:{PASSWORD_HASH}\n")
            config["auth"] = {"htpasswd": {"realm": "plimsoll tests", "path": str(passwords)}}
        return config


@contextmanager
def running_registry(folder: Path, *, tls: bool = True, login: bool = False) -> Iterator[Registry]:
    """Run a registry on a free loopback port with its files under `folder`; it ends with the block."""
    folder.mkdir(parents=True, exist_ok=True)
    certificate = issue_loopback_certificate(folder / "tls") if tls else None
    registry = Registry(folder=folder, certificate=certificate, with_login=login)
    try:
        registry.start()
        yield registry
    finally:
        registry.stop()


def _listening_port(process: subprocess.Popen[bytes], log: Path) -> int:
    """Read the port from the registry's log: it was asked for port 0, so two tests never race for one."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        for line in log.read_text().splitlines():
            message = str(json.loads(line).get("msg", "")) if line.startswith("{") and line.endswith("}") else ""
            if message.startswith("listening on "):
                return int(message.removeprefix("listening on ").split(",")[0].rpartition(":")[2])
        time.sleep(0.02)
    process.kill()
    process.wait()
    raise AssertionError(f"{EXECUTABLE} did not listen within {START_TIMEOUT_S:.0f} s:\n{log.read_text()}")
