"""Runs the command line in this process, with its files."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from plimsoll.cli.main import main

NOW = "2026-01-31T12:00:00Z"
DIGEST = "sha256:" + "a1" * 32


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str


@dataclass
class Shell:
    """A folder with files, and what the program prints there."""

    folder: Path
    capsys: pytest.CaptureFixture[str]

    def file(self, name: str, content: Any) -> str:
        """Writes a file: text as it is, a list of objects as YAML documents."""
        text = content if isinstance(content, str) else yaml.safe_dump_all(content)
        (self.folder / name).write_text(text, encoding="utf-8")
        return str(self.folder / name)

    def run(self, *words: str) -> Ended:
        try:
            code = main(words)
        except SystemExit as error:
            code = int(error.code or 0)
        captured = self.capsys.readouterr()
        hide = f"{self.folder}/"
        return Ended(code, captured.out.replace(hide, ""), captured.err.replace(hide, ""))


def model_deployment(**metadata: Any) -> dict[str, Any]:
    """The smallest manifest of a revision that serves as soon as it is ready."""
    return {
        "apiVersion": "plimsoll.dev/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": {"name": "digits", **metadata},
        "spec": {
            "model": {"uri": f"oci://registry.example.com/models/digits@{DIGEST}"},
            "preflight": {"mode": "Skip"},
        },
    }
