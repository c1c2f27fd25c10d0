"""Where the cluster keeps things. Nothing is ever kept in the checkout.

The cache may be deleted at any time (it is built again); the state only while no cluster runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


def cache_folder(environment: Mapping[str, str]) -> Path:
    """What is built once per machine and addressed by content."""
    given = environment.get("PLIMSOLL_CACHE")
    return Path(given) if given else Path(environment.get("HOME", "/root")) / ".cache" / "plimsoll"


def state_folder(environment: Mapping[str, str]) -> Path:
    """What a running cluster needs and `down` removes."""
    given = environment.get("PLIMSOLL_STATE")
    base = Path(given) if given else Path(environment.get("HOME", "/root")) / ".local" / "state" / "plimsoll"
    return base / "cluster"


@dataclass(frozen=True, slots=True)
class Layout:
    """The files of one cluster's state folder."""

    root: Path

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig, readable by its owner only."""
        return self.root / "kubeconfig"

    @property
    def pki(self) -> Path:
        """Keys and certificates."""
        return self.root / "pki"

    @property
    def logs(self) -> Path:
        """One log file per process."""
        return self.root / "logs"

    @property
    def processes(self) -> Path:
        """One record per process that was started."""
        return self.root / "processes"

    @property
    def configuration(self) -> Path:
        """Configuration files of the processes."""
        return self.root / "configuration"

    @property
    def containerd_socket(self) -> Path:
        """The container runtime's socket; its path also tells our shims from those of other runtimes."""
        return self.root / "containerd.sock"

    @property
    def settings(self) -> Path:
        """What was chosen or changed on the machine, so that `down` can undo it: written before the change is made."""
        return self.root / "settings.json"

    @property
    def lock(self) -> Path:
        """Held by `up` and `down`; beside the state folder, because `down` removes that."""
        return self.root.with_suffix(".lock")
