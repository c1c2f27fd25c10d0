"""What was chosen for a cluster and changed on the machine.

Written before the change is made, so that `down` can undo it, also after an interrupted `up`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from ipaddress import IPv4Network
from pathlib import Path

from plimsoll_dev.cluster import components
from plimsoll_dev.cluster.addresses import AddressPlan


@dataclass(frozen=True, slots=True)
class Settings:
    """The facts of one cluster."""

    boot: str
    """The machine's boot in which it was started."""
    block: str
    programs: Mapping[str, str]
    """Component name -> folder of its programs."""
    snapshotter: str
    etcd_ports: Sequence[int]
    """For clients, for peers."""
    sysctls: Mapping[str, int]
    """The values before they were raised."""
    complete: bool = False
    """Whether it was ready once: only then can it be repaired."""

    @property
    def addresses(self) -> AddressPlan:
        """The cluster's addresses."""
        return AddressPlan(IPv4Network(self.block))

    def program(self, name: str) -> Path:
        """The path of a program that was built for this cluster."""
        owner = next(component for component in components.ONE_NODE if name in component.programs)
        return Path(self.programs[owner.name]) / name


def read_settings(path: Path) -> Settings | None:
    """The settings; None where no cluster is, or one that another version of this program made."""
    try:
        return Settings(**json.loads(path.read_text()))
    except (FileNotFoundError, TypeError, ValueError):
        return None


def write_settings(path: Path, settings: Settings) -> None:
    """Writes them at once or not at all."""
    unfinished = path.with_suffix(".new")
    unfinished.write_text(json.dumps(asdict(settings), indent=2))
    unfinished.rename(path)
