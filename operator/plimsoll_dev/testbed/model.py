"""ModelDeployments as the demonstration and the tests use them: made, awaited, asked."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from typing import Any

from plimsoll_dev.cluster.kubectl import Kubectl
from plimsoll_dev.testbed.registry import CA_CONFIG_MAP

CONDITIONS = ("Serving", "Ready", "Reconciling", "Stalled")


def manifest(name: str, namespace: str, uri: str, **spec: Any) -> dict[str, Any]:
    """Returns a ModelDeployment that trusts the in-cluster registry, without a preflight unless `spec` asks for one.

    With `preflight=None` it asks for what a manifest that says nothing gets.
    """
    model = {"uri": uri, "credentials": {"caConfigMapRef": {"name": CA_CONFIG_MAP}}, **spec.pop("model", {})}
    asked = {"model": model, "preflight": {"mode": "Skip"}, **spec}
    return {
        "apiVersion": "plimsoll.dev/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {name: value for name, value in asked.items() if value is not None},
    }


@dataclass(frozen=True, slots=True)
class Served:
    """One ModelDeployment in a cluster."""

    kubectl: Kubectl
    namespace: str
    name: str

    def read(self) -> dict[str, Any]:
        """Returns the object, empty when there is none."""
        try:
            text = self.kubectl.run("-n", self.namespace, "get", "modeldeployment", self.name, "-o", "json")
        except subprocess.CalledProcessError as error:
            if "NotFound" in str(error.stderr):
                return {}
            raise
        found: dict[str, Any] = json.loads(text)
        return found

    def status(self) -> dict[str, Any]:
        """Returns the status, empty before the first."""
        status: dict[str, Any] = self.read().get("status", {})
        return status

    def conditions(self) -> dict[str, str]:
        """Returns the status of each condition, for the newest generation only."""
        found = self.read()
        if found.get("status", {}).get("observedGeneration") != found.get("metadata", {}).get("generation"):
            return {}
        return {entry["type"]: entry["status"] for entry in found["status"].get("conditions", [])}

    def message(self) -> str:
        """Returns what it waits for or why it does not go on, in one sentence."""
        entries = {entry["type"]: entry for entry in self.status().get("conditions", [])}
        told = [entries[kind]["message"] for kind in ("Stalled", "Reconciling", "Ready") if kind in entries]
        return next((message for message in told if message), "the controller has not seen it yet")

    def is_ready(self) -> bool:
        """Tells whether the newest spec is promoted."""
        return self.conditions().get("Ready") == "True"
