"""The fake API server as a process: its processor time must not count as the controller's."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from tests.support.fakeapi.control import PREFIX

ROOT = Path(__file__).parents[2]
_NOT_OURS = ("Lease", "Event")


@dataclass(frozen=True)
class FakeApiProcess:
    """A running fake API server."""

    url: str
    kubeconfig: Path
    process: subprocess.Popen[str]

    def freeze_workloads(self) -> None:
        """Deployments and pods stay as they are from now on: pretending to run them is most of the fake's work."""
        self.process.send_signal(signal.SIGUSR1)

    def post(self, what: str) -> None:
        """Tells it to do something (`reset`, `compact`, `cut-watches`)."""
        httpx.post(f"{self.url}{PREFIX}/{what}", json={}, trust_env=False).raise_for_status()

    def counters(self) -> dict[str, Any]:
        """What was asked so far."""
        counters: dict[str, Any] = httpx.get(f"{self.url}{PREFIX}/counters", trust_env=False).json()
        return counters

    def writes(self) -> int:
        """Write requests about ModelDeployments and their children; the Lease and Events are not counted."""
        asked: dict[str, int] = self.counters()["requests"]
        verbs = ("create", "update", "patch", "apply", "delete")
        return sum(n for what, n in asked.items() if what.startswith(verbs) and not what.endswith(_NOT_OURS))


@contextmanager
def fake_api(folder: Path, *, load: int, ready_after_s: float = 0.1) -> Iterator[FakeApiProcess]:
    """Runs the fake with that many ModelDeployments, whose pods become ready."""
    kubeconfig = folder / "fake.kubeconfig"
    command = [sys.executable, "-m", "tests.support.fakeapi", "--load", str(load), "--kubeconfig", str(kubeconfig)]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'operator'}:{ROOT}"}
    with subprocess.Popen(
        [*command, "--workloads", str(ready_after_s)], stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT
    ) as process:
        try:
            assert process.stdout
            line = process.stdout.readline()
            yield FakeApiProcess(line.rsplit(" ", 1)[1].strip(), kubeconfig, process)
        finally:
            process.terminate()
