"""Decides which Kubernetes development and tests use, and gives all of them one face.

In this order: the one that the environment names (KUBECONFIG or CONTEXT), kind where a Docker engine answers, else the
one-node cluster.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from plimsoll.errors import Invalid
from plimsoll_dev.cluster.archive import image_digest, repository_of
from plimsoll_dev.cluster.folders import Layout, cache_folder, state_folder
from plimsoll_dev.cluster.images import import_image
from plimsoll_dev.cluster.onenode import CONTEXT, OneNode
from plimsoll_dev.cluster.progress import Progress

KIND_CLUSTER = "plimsoll"
KIND_PREFIX = "kind-"


class Kind(StrEnum):
    """The kinds of cluster."""

    GIVEN = "Given"
    KIND = "Kind"
    ONE_NODE = "OneNode"


class Target(Protocol):
    """A running cluster."""

    @property
    def kubeconfig(self) -> Path:
        """The kubeconfig file."""

    @property
    def context(self) -> str:
        """The context in it."""

    @property
    def kubectl(self) -> Path:
        """The kubectl to use."""

    @property
    def helm(self) -> Path:
        """The helm to use."""

    def load_image(self, archive: Path, reference: str) -> str:
        """Makes an image (an OCI archive) usable by pods and gives the reference they must use, by digest."""

    def down(self) -> None:
        """Removes the cluster if it was made here; a given cluster is left alone."""


def choose_kind(environment: Mapping[str, str], *, docker_answers: bool, kind_installed: bool) -> Kind:
    """The decision. Pure.

    A KUBECONFIG that is our own one-node cluster's, which people export to use it, still means that cluster.
    """
    named, context = environment.get("KUBECONFIG"), environment.get("CONTEXT")
    if named == str(Layout(state_folder(environment)).kubeconfig) and context in {None, "", CONTEXT}:
        return Kind.ONE_NODE
    if named or context:
        return Kind.GIVEN
    return Kind.KIND if docker_answers and kind_installed else Kind.ONE_NODE


def up(environment: Mapping[str, str], progress: Progress) -> Target:
    """Starts the cluster if it is ours to start, and gives it.

    Raises:
        Invalid: the cluster cannot be had; the message says what to do.
        NotYet: it did not become ready.
    """
    match kind_of(environment):
        case Kind.GIVEN:
            return given_target(environment)
        case Kind.KIND:
            return kind_target(environment, progress)
        case Kind.ONE_NODE:
            node = one_node(environment, progress)
            node.up()
            return OneNodeTarget(node)


def down(environment: Mapping[str, str], progress: Progress) -> None:
    """Removes what `up` would have made, without starting anything first."""
    match kind_of(environment):
        case Kind.GIVEN:
            progress.say("The cluster was given by KUBECONFIG or CONTEXT: left as it is.")
        case Kind.KIND:
            _run("kind", "delete", "cluster", "--name", KIND_CLUSTER)
        case Kind.ONE_NODE:
            one_node(environment, progress).down()


def one_node(environment: Mapping[str, str], progress: Progress) -> OneNode:
    """The one-node cluster of this user, running or not."""
    return OneNode(Layout(state_folder(environment)), cache_folder(environment), progress)


@dataclass(frozen=True, slots=True)
class OneNodeTarget:
    """The one-node cluster."""

    node: OneNode
    context: str = CONTEXT

    @property
    def kubeconfig(self) -> Path:
        """The kubeconfig file."""
        return self.node.layout.kubeconfig

    @property
    def kubectl(self) -> Path:
        """The kubectl of the cluster's own version."""
        return self.node.program("kubectl")

    @property
    def helm(self) -> Path:
        """The helm built with the cluster."""
        return self.node.program("helm")

    def load_image(self, archive: Path, reference: str) -> str:
        """Imports into the node's containerd."""
        return self.node.load_image(archive, reference)

    def down(self) -> None:
        """Removes the cluster."""
        self.node.down()


@dataclass(frozen=True, slots=True)
class KindTarget:
    """A cluster that kind runs in Docker."""

    kubeconfig: Path
    name: str
    ours: bool

    @property
    def context(self) -> str:
        """The context that kind writes."""
        return f"{KIND_PREFIX}{self.name}"

    @property
    def kubectl(self) -> Path:
        """The installed kubectl."""
        return _installed("kubectl")

    @property
    def helm(self) -> Path:
        """The installed helm."""
        return _installed("helm")

    def load_image(self, archive: Path, reference: str) -> str:
        """Imports into the containerd of every node: `kind load` makes no name that carries the digest."""
        nodes = _run("kind", "get", "nodes", "--name", self.name).split()
        commands = [["docker", "exec", "--interactive", node, "ctr"] for node in nodes]
        return [import_image(command, archive, reference) for command in commands][-1]

    def down(self) -> None:
        """Removes the cluster if it was made here."""
        if self.ours:
            _run("kind", "delete", "cluster", "--name", self.name)


@dataclass(frozen=True, slots=True)
class GivenTarget:
    """Somebody's cluster: images reach it through a registry that it can read, PLIMSOLL_REGISTRY."""

    kubeconfig: Path
    context: str
    registry: str

    @property
    def kubectl(self) -> Path:
        """The installed kubectl."""
        return _installed("kubectl")

    @property
    def helm(self) -> Path:
        """The installed helm."""
        return _installed("helm")

    def load_image(self, archive: Path, reference: str) -> str:
        """Pushes to the registry with skopeo, which keeps the digest.

        Raises:
            Invalid: no registry is named, or skopeo is missing or failed.
        """
        if not self.registry:
            message = (
                "The given cluster gets images from a registry. Set PLIMSOLL_REGISTRY=HOST/PATH, where you may push."
            )
            raise Invalid("RegistryMissing", message)
        repository = f"{self.registry}/{repository_of(reference).rpartition('/')[2]}"
        tag = image_digest(archive).removeprefix("sha256:")[:12]
        copy = ["copy", "--preserve-digests", f"oci-archive:{archive}", f"docker://{repository}:{tag}"]
        _run(str(_installed("skopeo")), *copy)
        return f"{repository}@{image_digest(archive)}"

    def down(self) -> None:
        """Leaves it alone."""


def given_target(environment: Mapping[str, str]) -> Target:
    """The cluster that KUBECONFIG and CONTEXT name, recognised if it is a kind cluster."""
    kubeconfig = Path(environment.get("KUBECONFIG") or Path(environment.get("HOME", "/root")) / ".kube" / "config")
    if not kubeconfig.is_file():
        raise Invalid("KubeconfigMissing", f"KUBECONFIG or CONTEXT is set, but {kubeconfig} is not a file.")
    context = environment.get("CONTEXT") or _current_context(kubeconfig)
    if context.startswith(KIND_PREFIX):
        return KindTarget(kubeconfig, context.removeprefix(KIND_PREFIX), ours=False)
    return GivenTarget(kubeconfig, context, environment.get("PLIMSOLL_REGISTRY", ""))


def kind_target(environment: Mapping[str, str], progress: Progress) -> Target:
    """The kind cluster `plimsoll`, made if it is not there; its kubeconfig is ours, the user's is not touched."""
    kubeconfig = state_folder(environment).with_name("kind.kubeconfig")
    kubeconfig.parent.mkdir(parents=True, exist_ok=True)
    if KIND_CLUSTER in _run("kind", "get", "clusters").split():
        _run("kind", "export", "kubeconfig", "--name", KIND_CLUSTER, "--kubeconfig", str(kubeconfig))
    else:
        with progress.step("creating a kind cluster (usually 1 minute)"):
            _run("kind", "create", "cluster", "--name", KIND_CLUSTER, "--kubeconfig", str(kubeconfig), "--wait", "3m")
    return KindTarget(kubeconfig, KIND_CLUSTER, ours=True)


def kind_of(environment: Mapping[str, str]) -> Kind:
    """The kind of cluster that this environment means."""
    return choose_kind(environment, docker_answers=_docker_answers(), kind_installed=shutil.which("kind") is not None)


def _docker_answers() -> bool:
    """A client without an engine is common; one whose engine is on a lost network would wait for minutes."""
    try:
        return subprocess.run(["docker", "info"], capture_output=True, check=False, timeout=10).returncode == 0
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return False


def _current_context(kubeconfig: Path) -> str:
    return _run(str(_installed("kubectl")), f"--kubeconfig={kubeconfig}", "config", "current-context").strip()


def _installed(program: str) -> Path:
    found = shutil.which(program)
    if found is None:
        raise Invalid("ProgramMissing", f"{program} is needed for this cluster and is not on PATH. Install it.")
    return Path(found)


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        message = f"'{' '.join(command[:3])}' ended with {done.returncode}: {done.stderr.strip()[-500:]}"
        raise Invalid("CommandFailed", message)
    return done.stdout
