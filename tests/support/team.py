"""A namespace of a real cluster as a team uses it: apply, wait, ask, look. For ring 4."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plimsoll_dev.testbed.harness import Harness
from plimsoll_dev.testbed.model import Served, manifest

LOAD_SCRIPT = Path(__file__).with_name("load_script.py")
Object = dict[str, Any]


@dataclass(frozen=True)
class Traffic:
    """What the clients inside the cluster saw.

    Attributes:
        sent: Requests.
        by_kind: Requests by the kind of client.
        failures: What went wrong, with the second it happened.
        versions: Answers by Triton model version.
    """

    sent: int
    by_kind: dict[str, int]
    failures: list[str]
    versions: dict[str, int]


@dataclass(frozen=True)
class Team:
    """One namespace."""

    testbed: Harness
    namespace: str

    # ---- writing ----
    def kubectl(self, *arguments: str, stdin: str = "", timeout_s: float = 60) -> str:
        """Runs kubectl in the namespace and returns what it printed."""
        return self.testbed.kubectl.run("-n", self.namespace, *arguments, stdin=stdin, timeout_s=timeout_s)

    def refused(self, *arguments: str, stdin: str = "") -> str:
        """Runs kubectl, which must fail, and returns what it said."""
        try:
            said = self.kubectl(*arguments, stdin=stdin)
        except subprocess.CalledProcessError as error:
            return str(error.stderr)
        raise AssertionError(f"kubectl {' '.join(arguments)} was not refused: {said}")

    def apply(self, obj: Object) -> None:
        """`kubectl apply`, as a person does."""
        self.kubectl("apply", "-f", "-", stdin=json.dumps(obj))

    def deploy(self, name: str, uri: str, **spec: Any) -> Served:
        """Applies a ModelDeployment."""
        self.apply(manifest(name, self.namespace, uri, **spec))
        return Served(self.testbed.kubectl, self.namespace, name)

    def patch(self, kind: str, name: str, patch: Object) -> None:
        """`kubectl patch --type=merge`."""
        self.kubectl("patch", kind, name, "--type=merge", "-p", json.dumps(patch))

    # ---- reading ----
    def get(self, kind: str, name: str) -> Object:
        """One object."""
        found: Object = json.loads(self.kubectl("get", kind, name, "-o", "json"))
        return found

    def all(self, kind: str, selector: str = "") -> list[Object]:
        """All objects of a kind."""
        chosen = ["-l", selector] if selector else []
        items: list[Object] = json.loads(self.kubectl("get", kind, *chosen, "-o", "json"))["items"]
        return items

    def names(self, kind: str) -> set[str]:
        """Their names."""
        return {item["metadata"]["name"] for item in self.all(kind)}

    def events(self, name: str) -> dict[str, str]:
        """Messages of the Events about a ModelDeployment, by reason."""
        return {
            event["reason"]: event["message"]
            for event in self.all("events")
            if event["involvedObject"]["kind"] == "ModelDeployment" and event["involvedObject"]["name"] == name
        }

    # ---- waiting ----
    def until(self, what: str, holds: Callable[[], bool], timeout_s: float = 120) -> None:
        """Waits until something holds."""
        deadline = time.monotonic() + timeout_s
        while not holds():
            if time.monotonic() > deadline:
                raise AssertionError(f"after {timeout_s:.0f} s still not: {what}\n{self.report()}")
            time.sleep(0.5)

    def until_ready(self, served: Served, timeout_s: float = 180) -> None:
        """Waits until the newest spec is promoted."""
        self.until(f"{served.name} is Ready", served.is_ready, timeout_s)

    def until_reason(self, served: Served, reason: str, timeout_s: float = 120) -> str:
        """Waits until the Ready condition has a reason, and returns its message."""
        self.until(
            f"{served.name} has reason {reason}", lambda: _ready_condition(served)["reason"] == reason, timeout_s
        )
        return str(_ready_condition(served)["message"])

    def report(self) -> str:
        """What a person would look at first."""
        return self.kubectl("get", "mdep,deploy,pods,svc,events", "-o", "wide")

    def evict(self, pod: str) -> None:
        """Asks for an eviction, as draining a node does."""
        eviction = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": pod, "namespace": self.namespace},
        }
        path = f"/api/v1/namespaces/{self.namespace}/pods/{pod}/eviction"
        self.testbed.kubectl.run("create", "--raw", path, "-f", "-", stdin=json.dumps(eviction))

    # ---- traffic ----
    @contextmanager
    def traffic(
        self,
        body: Object,
        *served: Served,
        kinds: Sequence[str] = ("new",),
        at_least: int = 0,
        pause_s: float = 0.04,
    ) -> Iterator[Callable[[], Traffic]]:
        """Sends requests from inside the cluster through stable Services; call what is yielded to stop and count.

        Args:
            body: Of each request.
            served: What is asked, in turn.
            kinds: Of clients, as load_script.py has them.
            at_least: Requests that are sent before it stops.
            pause_s: Between the requests of a client.
        """
        pod = "load"
        urls = (f"{one.status()['urls']['http']}/infer" for one in served)
        arguments = [json.dumps(body), ",".join(kinds), str(pause_s), *urls]
        self.apply(self._load_pod(pod, arguments))
        self.kubectl("wait", "--for=condition=Ready", f"pod/{pod}", "--timeout=60s", timeout_s=70)
        time.sleep(2)

        def stop() -> Traffic:
            program = f"from pathlib import Path; Path('/tmp/stop.new').write_text('{at_least}')"
            program += "; Path('/tmp/stop.new').rename('/tmp/stop')"
            self.kubectl("exec", pod, "--", "/opt/plimsoll/bin/python", "-c", program)
            self.kubectl(
                "wait", "--for=jsonpath={.status.phase}=Succeeded", f"pod/{pod}", "--timeout=300s", timeout_s=310
            )
            return Traffic(**json.loads(self.kubectl("logs", pod).splitlines()[-1]))

        try:
            yield stop
        finally:
            self.kubectl("delete", "pod", pod, "--grace-period=0", "--force", "--ignore-not-found")

    def _load_pod(self, name: str, arguments: Sequence[str]) -> Object:
        script = LOAD_SCRIPT.read_text(encoding="utf-8")
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": self.namespace},
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
                        "image": self.testbed.images["operator"],
                        "imagePullPolicy": "IfNotPresent",
                        "command": ["/opt/plimsoll/bin/python", "-c", script, *arguments],
                        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                    }
                ],
            },
        }


def _ready_condition(served: Served) -> dict[str, str]:
    found = served.read()
    conditions = found.get("status", {}).get("conditions", [])
    none = {"reason": "", "message": ""}
    return next((entry for entry in conditions if entry["type"] == "Ready"), none)
