"""Installs the programs that come from Debian: only those that are missing, and only with the machine's own apt."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from plimsoll.errors import Invalid
from plimsoll_dev.cluster.progress import Progress

# Program (name, or path where it is not on PATH) -> the Debian package that brings it.
CONTROL_PLANE: Mapping[str, str] = {"etcd": "etcd-server"}
ONE_NODE: Mapping[str, str] = {
    **CONTROL_PLANE,
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "/usr/lib/cni/ptp": "containernetworking-plugins",
    "iptables": "iptables",
    "conntrack": "conntrack",
    "ip": "iproute2",
    "mount": "mount",
}
# What the tests start on this machine beside the cluster.
TESTS: Mapping[str, str] = {**CONTROL_PLANE, "docker-registry": "docker-registry", "buildah": "buildah"}
ATTEMPTS = 3
SYSTEM_FOLDERS = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def search_path(environment: Mapping[str, str]) -> str:
    """PATH, with the system folders that a user's PATH lacks on Debian."""
    return f"{environment.get('PATH', '')}:{SYSTEM_FOLDERS}"


def missing_packages(wanted: Mapping[str, str]) -> Sequence[str]:
    """The packages whose programs are not on this machine, sorted, each once."""
    return sorted({package for program, package in wanted.items() if not _present(program)})


def install(wanted: Mapping[str, str], progress: Progress) -> None:
    """Installs what is missing.

    Raises:
        Invalid: it cannot be installed from here; the message says what to install.
    """
    packages = missing_packages(wanted)
    if not packages:
        return
    command = f"apt-get install --no-install-recommends {' '.join(packages)}"
    if shutil.which("apt-get") is None:
        raise Invalid("PackagesMissing", f"These Debian packages, or what they contain, are needed: {packages}.")
    if os.geteuid() != 0:
        raise Invalid("PackagesMissing", f"{len(packages)} packages are missing. Run as root: {command}")
    with progress.step(f"installing {', '.join(packages)} (usually 1 minute)"):
        _apt(["update", "--quiet"])
        _apt(["install", "--yes", "--quiet", "--no-install-recommends", *packages])


def _present(program: str) -> bool:
    if program.startswith("/"):
        return Path(program).exists()
    return shutil.which(program, path=search_path(os.environ)) is not None


def _apt(arguments: Sequence[str]) -> None:
    """Mirrors fail now and then, and another apt may hold the lock: apt waits for the lock, we try thrice."""
    command = ["apt-get", "-o", "DPkg::Lock::Timeout=300", "-o", "Acquire::Retries=3", *arguments]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for attempt in range(1, ATTEMPTS + 1):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return
        if attempt < ATTEMPTS:
            time.sleep(5 * attempt)
    last = "\n".join((done.stderr or done.stdout).strip().splitlines()[-10:])
    raise Invalid("PackagesMissing", f"'{' '.join(command)}' failed {ATTEMPTS} times:\n{last}")
