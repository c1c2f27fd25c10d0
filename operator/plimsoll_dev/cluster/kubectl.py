"""Calls kubectl: the cluster tooling needs a dozen requests, not a client library."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Kubectl:
    """One kubectl for one cluster."""

    program: Path | str
    kubeconfig: Path
    context: str

    @property
    def command(self) -> Sequence[str]:
        """The beginning of every command line."""
        return [str(self.program), f"--kubeconfig={self.kubeconfig}", f"--context={self.context}"]

    def run(self, *arguments: str, stdin: str = "", timeout_s: float = 60) -> str:
        """The output of a command.

        Raises:
            subprocess.CalledProcessError: kubectl failed.
            subprocess.TimeoutExpired: no answer in time.
        """
        command = [*self.command, *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=True, timeout=timeout_s)
        return done.stdout

    def succeeds(self, *arguments: str, answer: str) -> bool:
        """Whether a command succeeds within 5 s and prints exactly `answer`."""
        try:
            return self.run(*arguments, timeout_s=5).strip() == answer
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
            return False

    def ready(self) -> bool:
        """Whether the API server says that it is ready: its port opens seconds before its RBAC roles exist."""
        return self.succeeds("get", "--raw=/readyz", answer="ok")

    def apply(self, document: Mapping[str, Any]) -> None:
        """Server-side apply."""
        self.run("apply", "--server-side", "--field-manager=plimsoll-dev", "-f", "-", stdin=json.dumps(document))
