"""Finds and removes what containers leave on a machine: processes in our cgroup, mounts, cgroups, links.

Everything is recognised by a path that only this cluster uses.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from plimsoll_dev.cluster.configuration import CGROUP
from plimsoll_dev.cluster.network import run

CGROUPS = Path("/sys/fs/cgroup")
# The kubelet's paths for plugins and log links do not follow --root-dir.
KUBELET_SOCKET = Path("/var/lib/kubelet/device-plugins/kubelet.sock")
LOG_LINKS = Path("/var/log/containers")


def create_cgroup() -> None:
    """Makes our cgroup in every hierarchy: the kubelet refuses a root that does not exist."""
    if unified():
        _enable_controllers(CGROUPS)
        (CGROUPS / CGROUP).mkdir(exist_ok=True)
        return
    for hierarchy in _hierarchies():
        folder = hierarchy / CGROUP
        folder.mkdir(exist_ok=True)
        # cgroup v1: a new cpuset is empty, and nothing can run in it until it has processors and memory.
        for name in ("cpuset.cpus", "cpuset.mems"):
            if (folder / name).exists():
                (folder / name).write_text((hierarchy / name).read_text())


def unified() -> bool:
    """Whether the machine uses cgroup v2 only."""
    return (CGROUPS / "cgroup.controllers").exists()


def end_contained_processes(timeout_s: float = 20) -> None:
    """Kills what runs in our cgroup; new processes may appear while shims still live, so it looks again."""
    deadline = time.monotonic() + timeout_s
    while (pids := contained_processes()) and time.monotonic() < deadline:
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.1)


def contained_processes() -> Sequence[int]:
    """The processes of our pods."""
    found: set[int] = set()
    for folder in _our_cgroups():
        try:
            found.update(int(pid) for pid in (folder / "cgroup.procs").read_text().split())
        except OSError:  # the cgroup ended while we looked
            continue
    return sorted(found)


def remove_cgroups() -> None:
    """Removes our empty cgroups, leaves first; one that is still busy stays, and is used again by the next `up`."""
    for folder in _our_cgroups():
        try:
            folder.rmdir()
        except OSError:
            continue


def mounts_below(folder: Path, mountinfo: str) -> Sequence[str]:
    """Mount points in or below a folder, the last mounted first. Pure."""
    points = [line.split()[4].encode().decode("unicode_escape") for line in mountinfo.splitlines()]
    return [point for point in reversed(points) if Path(point).is_relative_to(folder)]


def unmount_below(folder: Path) -> None:
    """Unmounts everything below the folder: a folder removed with a mount in it would remove the mounted files."""
    for point in mounts_below(folder, Path("/proc/self/mountinfo").read_text()):
        run("umount", "--lazy", point, check=False)


def remove_folder(folder: Path) -> None:
    """Removes a state folder.

    Raises:
        OSError: something is still mounted below it; nothing was removed.
    """
    unmount_below(folder)
    still = mounts_below(folder, Path("/proc/self/mountinfo").read_text())
    if still:
        raise OSError(f"{still[0]} is still mounted. Unmount it and try again.")
    shutil.rmtree(folder, ignore_errors=True)


def remove_links(state: Path) -> None:
    """Removes the kubelet's socket, the folders made for it, and the log links that point into our state."""
    KUBELET_SOCKET.unlink(missing_ok=True)
    for folder in (KUBELET_SOCKET.parent, KUBELET_SOCKET.parent.parent):
        with contextlib.suppress(OSError):  # absent, or somebody else's files are in it
            folder.rmdir()
    for link in LOG_LINKS.glob("*.log"):
        if link.is_symlink() and str(link.readlink()).startswith(str(state)):
            link.unlink()


def _hierarchies() -> Iterable[Path]:
    """The mounted cgroup hierarchies, each once (`cpu` can be a link to `cpu,cpuacct`)."""
    if unified():
        return [CGROUPS]
    return sorted({path.resolve() for path in CGROUPS.iterdir() if (path / "cgroup.procs").exists()})


def _our_cgroups() -> Sequence[Path]:
    roots = [hierarchy / CGROUP for hierarchy in _hierarchies()]
    return [Path(folder) for root in roots if root.is_dir() for folder, _, _ in os.walk(root, topdown=False)]


def _enable_controllers(root: Path) -> None:
    """Hands the controllers to child cgroups.

    In a container the root of the hierarchy holds processes, and the kernel refuses (EBUSY): they move into a child.
    """
    wanted = " ".join(f"+{name}" for name in (root / "cgroup.controllers").read_text().split())
    try:
        (root / "cgroup.subtree_control").write_text(wanted)
    except OSError:
        aside = root / "init"
        aside.mkdir(exist_ok=True)
        for pid in (root / "cgroup.procs").read_text().split():
            try:
                (aside / "cgroup.procs").write_text(pid)
            except OSError:  # it ended, or it is a kernel thread
                continue
        (root / "cgroup.subtree_control").write_text(wanted)
