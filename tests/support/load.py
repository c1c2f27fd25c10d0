"""Requests from inside a cluster for as long as a test wants, and what became of them. For ring 4."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

SCRIPT = Path(__file__).with_name("load_script.py")
PYTHON = "/opt/plimsoll/bin/python"
_WRITE = "import sys; from pathlib import Path; Path(sys.argv[1] + '.new').write_text(sys.argv[2]); "
_WRITE += "Path(sys.argv[1] + '.new').rename(sys.argv[1])"
_AWAIT = """
import json, sys, time
from pathlib import Path
phase, wanted = sys.argv[1], int(sys.argv[2])
while True:
    now, ended = json.loads(Path("/tmp/progress").read_text())
    if now == phase and ended >= wanted:
        break
    time.sleep(0.05)
"""


@dataclass(frozen=True)
class Asking:
    """What is asked, and how.

    Attributes:
        body: Of each request.
        urls: Of models, asked in turn.
        kinds: Of clients, as load_script.py has them; two of each.
        at_least: Requests that are sent before it stops.
        pause_s: Between the requests of a client.
        headers: Of each request.
        authority: The certificate that servers are trusted by, as PEM; empty where they speak plain text.
    """

    body: Mapping[str, Any]
    urls: Sequence[str]
    kinds: Sequence[str] = ("new",)
    at_least: int = 0
    pause_s: float = 0.04
    headers: Mapping[str, str] = field(default_factory=dict)
    authority: str = ""


@dataclass(frozen=True)
class Phase:
    """What clients saw of requests that began in one phase.

    Attributes:
        answers: Who answered, as `NAME VERSION`; or what came instead: an HTTP status, a gRPC code, `broken` where a
            request was lost, `unreached` where none was sent because nobody took the connection.
        certificates: Connections opened, by the serial number of the server's certificate.
        began_at: When it began, in seconds since 1970 by the node's clock.
        first_s, last_s: Seconds after the phase began at which each of the answers was first and last seen.
    """

    answers: dict[str, int]
    certificates: dict[str, int]
    began_at: float
    first_s: dict[str, float]
    last_s: dict[str, float]

    @property
    def sent(self) -> int:
        return sum(self.answers.values())


@dataclass(frozen=True)
class Traffic:
    """What the clients inside the cluster saw.

    Attributes:
        sent: Requests.
        by_kind: Requests by the kind of client.
        failures: What went wrong, with the second and the phase in which it happened; the first 200 of each client.
        versions: Answers by Triton model version.
        cache: Answers over HTTP by what the cache of a gateway did, empty where none is told.
        phases: The same by phase; the first one has no name.
    """

    sent: int
    by_kind: dict[str, int]
    failures: list[str]
    versions: dict[str, int]
    cache: dict[str, int]
    phases: dict[str, Phase]


class Load:
    """A pod that sends requests.

    Args:
        kubectl: Runs kubectl in the namespace.
        asking: What it sends.
    """

    name = "load"

    def __init__(self, kubectl: Callable[..., str], asking: Asking) -> None:
        self._kubectl = kubectl
        self._asking = asking
        self._phase = ""

    def phase(self, name: str) -> None:
        """Requests from now on belong to this phase."""
        self._python(_WRITE, "/tmp/phase", name)  # noqa: S108 - in the pod
        self._phase = name
        self.until_ended(0)

    def until_ended(self, requests: int) -> None:
        """Waits until so many requests of the present phase have ended."""
        self._python(_AWAIT, self._phase, str(requests))

    def __call__(self) -> Traffic:
        """Stops and counts."""
        self._python(_WRITE, "/tmp/stop", str(self._asking.at_least))  # noqa: S108 - in the pod
        done = ("wait", "--for=jsonpath={.status.phase}=Succeeded", f"pod/{self.name}", "--timeout=300s")
        self._kubectl(*done, timeout_s=310)
        said = json.loads(self._kubectl("logs", self.name).splitlines()[-1])
        phases = {name: Phase(**seen) for name, seen in said.pop("phases").items()}
        return Traffic(**said, phases=phases)

    def _python(self, program: str, *arguments: str) -> None:
        self._kubectl("exec", self.name, "--", PYTHON, "-c", program, *arguments, timeout_s=150)

    def pod(self, namespace: str, image: str) -> dict[str, Any]:
        given = {**asdict(self._asking), "body": json.dumps(self._asking.body)}
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": self.name, "namespace": namespace},
            "spec": {
                "restartPolicy": "Never",
                "securityContext": {
                    "runAsNonRoot": True,
                    "runAsUser": 10001,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "containers": [
                    {
                        "name": "load",
                        "image": image,
                        "imagePullPolicy": "IfNotPresent",
                        "command": [PYTHON, "-c", SCRIPT.read_text(encoding="utf-8"), json.dumps(given)],
                        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                    }
                ],
            },
        }
