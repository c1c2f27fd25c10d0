"""A namespace of a real cluster as a team uses it: apply, wait, ask, look. For ring 4."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.support.load import Asking, Load

from plimsoll_dev.testbed.harness import Harness
from plimsoll_dev.testbed.model import Served, manifest

Object = dict[str, Any]


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
        """Their names, but for what gateways consist of."""
        return {item["metadata"]["name"] for item in self.all(kind, "plimsoll.dev/component!=gateway")}

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

    # ---- inside the cluster ----
    def admin(self, pod: str, path: str) -> str:
        """What the admin port of a gateway's pod answers."""
        return self.testbed.kubectl.run(
            "get", "--raw", f"/api/v1/namespaces/{self.namespace}/pods/{pod}:8080/proxy{path}"
        )

    @contextmanager
    def traffic(self, body: Object, *served: Served, **how: Any) -> Iterator[Load]:
        """Sends requests from inside the cluster through stable Services; call what is yielded to stop and count.

        Args:
            body: Of each request.
            served: What is asked, in turn.
            how: As fields of `Asking`.
        """
        urls = [f"{one.status()['urls']['http']}/infer" for one in served]
        load = Load(self.kubectl, Asking(body, urls, **how))
        self.apply(load.pod(self.namespace, self.testbed.images["operator"]))
        try:
            self.kubectl("wait", "--for=condition=Ready", f"pod/{load.name}", "--timeout=60s", timeout_s=70)
            time.sleep(2)
            yield load
        finally:
            self.kubectl("delete", "pod", load.name, "--grace-period=0", "--force", "--ignore-not-found")


def _ready_condition(served: Served) -> dict[str, str]:
    found = served.read()
    conditions = found.get("status", {}).get("conditions", [])
    none = {"reason": "", "message": ""}
    return next((entry for entry in conditions if entry["type"] == "Ready"), none)
