"""Run fetch the way the pod does, with folders of the test's own and waits short enough for tests."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from plimsoll.fetch.limits import Patience
from plimsoll.fetch.main import main
from plimsoll.fetch.request import REQUEST_VARIABLE

IMPATIENT = Patience(connect=2, read=2, stall=5, first_backoff=0.01, longest_backoff=0.05, report_every=0)
HOPELESS_STALL = 0.2
"""Seconds; a few attempts. Of use only where no attempt can succeed: else a slow machine would decide."""
GIB = 2**30


@dataclass
class Pod:
    """The folders of one model pod."""

    root: Path
    monkeypatch: pytest.MonkeyPatch
    patience: Patience = IMPATIENT

    def __post_init__(self) -> None:
        self.models.mkdir(parents=True)
        self.monkeypatch.setenv("NO_PROXY", "localhost,127.0.0.1")  # a developer's proxy must not stand in between

    @property
    def models(self) -> Path:
        return self.root / "models"

    @property
    def repository(self) -> Path:
        return self.models / "repository"

    @property
    def message_file(self) -> Path:
        return self.root / "termination-log"

    def message(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.message_file.read_bytes())
        return content

    def arguments(self) -> list[str]:
        options = {
            "models": self.models,
            "credentials": self.root / "credentials",
            "ca": self.root / "ca",
            "source": self.root / "source",
            "termination-log": self.message_file,
        }
        return [part for name, path in options.items() for part in (f"--{name}", str(path))]

    def trust(self, ca_file: Path) -> None:
        (self.root / "ca").mkdir(exist_ok=True)
        (self.root / "ca" / "test.crt").write_bytes(ca_file.read_bytes())

    def mount_secret(self, **keys: str) -> None:
        (self.root / "credentials").mkdir(exist_ok=True)
        for key, value in keys.items():
            (self.root / "credentials" / key).write_text(value)

    def mount_docker_config(self, content: dict[str, Any]) -> None:
        self.mount_secret(**{".dockerconfigjson": json.dumps(content)})

    def fetch(self, uri: str, digest: str, **overrides: Any) -> int:
        """Run fetch once and return its exit code."""
        self.monkeypatch.setenv(REQUEST_VARIABLE, json.dumps(request(uri, digest, **overrides)))
        return main(self.arguments(), self.patience)

    def fetch_in_vain(self, uri: str, digest: str) -> int:
        """As `fetch`, of what cannot be had: gives up after a few attempts instead of seconds."""
        patience, self.patience = self.patience, replace(self.patience, stall=HOPELESS_STALL)
        try:
            return self.fetch(uri, digest)
        finally:
            self.patience = patience

    def files(self) -> list[str]:
        return sorted(
            path.relative_to(self.repository).as_posix() for path in self.repository.rglob("*") if path.is_file()
        )


def request(uri: str, digest: str, **overrides: Any) -> dict[str, Any]:
    """A request for a model named digits, version 7."""
    return {"name": "digits", "version": 7, "uri": uri, "digest": digest, "storageLimitBytes": GIB, **overrides}
