"""Plimsoll in a cluster, by its chart."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from plimsoll.errors import Invalid
from plimsoll_dev.cluster.kubectl import Kubectl

CHART = Path(__file__).parents[3] / "helm" / "plimsoll"
RELEASE = "plimsoll"
NAMESPACE = "plimsoll-system"


@dataclass(frozen=True, slots=True)
class Installation:
    """One release of the chart.

    Attributes:
        kubectl: The cluster.
        helm: The helm program.
        operator_image, triton_image: By digest (`name@sha256:...`); needed to install.
    """

    kubectl: Kubectl
    helm: Path
    operator_image: str = ""
    triton_image: str = ""

    def install(self, values: Mapping[str, str] | None = None) -> None:
        """Installs or upgrades, and waits until the controllers are ready.

        Raises:
            Invalid: helm refused, with its last words.
        """
        repository, _, digest = self.operator_image.partition("@")
        given = {
            "image.repository": repository,
            "image.digest": digest,
            "triton.image": self.triton_image,
            "defaults.accelerator": "None",
            "defaults.resources.requests.cpu": "20m",
            "defaults.resources.requests.memory": "96Mi",
            "defaults.resources.requests.ephemeral-storage": "16Mi",
            "defaults.resources.limits.memory": "1Gi",
            "defaults.resources.limits.ephemeral-storage": "1Gi",
            "resources.requests.cpu": "50m",
            "gateway.resources.requests.cpu": "100m",
            **(values or {}),
        }
        sets = [part for name, value in given.items() for part in (_flag(value), f"{name}={value}")]
        chart = ["upgrade", "--install", RELEASE, str(CHART), "--create-namespace", "--wait", "--timeout=5m"]
        self._helm(*chart, *sets)

    def uninstall(self) -> None:
        """Removes the release; the CRD and every ModelDeployment stay."""
        self._helm("uninstall", RELEASE, "--ignore-not-found", "--wait")

    def test(self) -> str:
        """Runs `helm test` and returns what it printed."""
        return self._helm("test", RELEASE, "--timeout=2m")

    def _helm(self, *arguments: str) -> str:
        where = ["-n", NAMESPACE, f"--kubeconfig={self.kubectl.kubeconfig}", f"--kube-context={self.kubectl.context}"]
        done = subprocess.run([str(self.helm), *arguments, *where], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            last = "\n".join(done.stderr.strip().splitlines()[-10:])
            raise Invalid("HelmFailed", f"helm {arguments[0]} ended with {done.returncode}:\n{last}")
        return done.stdout


def _flag(value: str) -> str:
    """Numbers and resources are text in the chart's values; a switch is not."""
    return "--set" if value in {"true", "false"} else "--set-string"
