"""Programs of Debian packages without installing them: no service starts, and nothing on the machine changes.

For programs that only developers run, as what the gateway is measured beside, and the store that gateways share.
"""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from plimsoll.errors import Invalid
from plimsoll_dev.cluster.folders import cache_folder
from plimsoll_dev.cluster.packages import search_path
from plimsoll_dev.cluster.progress import Progress
from plimsoll_dev.images.cache import content_key, obtain
from plimsoll_dev.images.commands import run

# What tests start beside the gateway; installed, a server would run on the machine from then on.
TESTS: Mapping[str, str] = {"redis-server": "redis-server", "redis-cli": "redis-tools"}

_INSTALLS = "Inst "
_FOLDERS = ("usr/sbin", "usr/bin", "sbin", "bin")


@dataclass(frozen=True, slots=True)
class Program:
    """Where a program is.

    Attributes:
        path: Its file.
        environment: What it needs beside this process's.
    """

    path: Path
    environment: Mapping[str, str] = field(default_factory=dict)


def programs(wanted: Mapping[str, str], progress: Progress) -> Mapping[str, Program]:
    """Finds programs on PATH, and unpacks the packages of those that are not there.

    Args:
        wanted: The Debian package of each program, by the program's name.
        progress: Is told of the download.

    Raises:
        Invalid: One is missing, and this machine has no apt or cannot download it.
    """
    there = {name: shutil.which(name, path=search_path(os.environ)) for name in wanted}
    found = {name: Program(Path(path)) for name, path in there.items() if path is not None}
    missing = sorted({package for name, package in wanted.items() if name not in found})
    if missing:
        root = _unpacked(missing, progress)
        libraries = sorted({str(file.parent) for file in root.rglob("lib*.so*")})
        environment = {"LD_LIBRARY_PATH": ":".join(libraries)}
        found |= {name: Program(_program(root, name), environment) for name in wanted if name not in found}
    return found


def _unpacked(packages: list[str], progress: Progress) -> Path:
    if shutil.which("apt-get") is None:
        raise Invalid("PackagesMissing", f"Install these, or run on Debian, where they are unpacked: {packages}.")
    key = content_key([*packages, platform.machine()], {})

    def unpack(unfinished: Path) -> None:
        with progress.step(f"unpacking {', '.join(packages)} (usually 10 seconds)"):
            download = unfinished.parent / "download"
            download.mkdir()
            run(["apt-get", "-o", "APT::Sandbox::User=root", "download", *_with_libraries(packages)], folder=download)
            for archive in sorted(download.glob("*.deb")):
                run(["dpkg", "--extract", archive, unfinished])

    return obtain(cache_folder(os.environ) / "unpacked" / key, unpack, progress)


def _with_libraries(packages: list[str]) -> list[str]:
    """The packages, and those they depend on that this machine lacks."""
    if os.geteuid() == 0:
        run(["apt-get", "update", "--quiet"])
    planned = run(["apt-get", "install", "--simulate", "--no-install-recommends", *packages])
    return [line.split()[1] for line in planned.splitlines() if line.startswith(_INSTALLS)]


def _program(root: Path, name: str) -> Path:
    for folder in _FOLDERS:
        if (root / folder / name).is_file():
            return root / folder / name
    raise Invalid("ProgramMissing", f"The Debian package that should bring '{name}' does not. Install it by hand.")
