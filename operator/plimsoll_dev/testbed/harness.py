"""From nothing to a cluster with Plimsoll in it; again in seconds when all of it is there."""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from plimsoll_dev.cluster import target
from plimsoll_dev.cluster.folders import state_folder
from plimsoll_dev.cluster.kubectl import Kubectl
from plimsoll_dev.cluster.progress import Progress
from plimsoll_dev.cluster.target import Target
from plimsoll_dev.images.build import build
from plimsoll_dev.testbed.installation import Installation
from plimsoll_dev.testbed.logins import ANYBODY, Login
from plimsoll_dev.testbed.registry import InClusterRegistry

IMAGES = ("operator", "triton-cpu", "registry")


@dataclass(frozen=True, slots=True)
class Harness:
    """A cluster, what is installed in it, and the images by name, as pods must write them."""

    target: Target
    kubectl: Kubectl
    installation: Installation
    images: Mapping[str, str]
    archives: Mapping[str, tuple[Path, str]]
    pki: Path

    @staticmethod
    def prepare(progress: Progress, environment: Mapping[str, str] = os.environ) -> Harness:
        """Starts the cluster and gives it the images; the chart is not installed yet.

        The images are built while the cluster starts: both wait for the network more than for the processor.
        """
        with ThreadPoolExecutor(1) as pool:
            archives = pool.submit(lambda: {name: build(name) for name in IMAGES})
            cluster = target.up(environment, progress)
            with progress.step("building the images (from empty caches: 5 minutes)"):
                built = archives.result()
        with progress.step("loading the images into the cluster"):
            images = {name: cluster.load_image(archive, reference) for name, (archive, reference) in built.items()}
        kubectl = Kubectl(cluster.kubectl, cluster.kubeconfig, cluster.context)
        installation = Installation(kubectl, cluster.helm, images["operator"], images["triton-cpu"])
        return Harness(cluster, kubectl, installation, images, built, state_folder(environment).parent / "pki")

    def load_as(self, name: str, repository: str) -> str:
        """Gives an image a second name, as the next release would have, and returns that."""
        archive, _ = self.archives[name]
        return self.target.load_image(archive, f"localhost/plimsoll/{repository}:next")

    def registry(self, namespace: str, name: str = "registry", login: Login = ANYBODY) -> InClusterRegistry:
        """Returns a registry in `namespace`, not installed yet."""
        pki = self.pki / namespace / name
        return InClusterRegistry(self.kubectl, namespace, self.images["registry"], pki, name, login)

    def create_namespace(self, name: str) -> None:
        """Makes a namespace that admits only restricted pods."""
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        self.kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
