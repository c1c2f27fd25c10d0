"""How many CPUs this container may use.

`os.cpu_count()` reports the node's CPUs, and ONNX Runtime then starts one thread for each: on a 64-core node a
container limited to 2 CPUs is throttled for most of every period. The limit is in the CFS quota.
"""

import math
import os
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")


def usable_cpus(cgroups: Path = CGROUPS) -> int:
    """The CFS quota in CPUs, rounded up, at least 1; without a quota the CPUs this process may be scheduled on."""
    schedulable = len(os.sched_getaffinity(0))
    quota = _quota_v2(cgroups / "cpu.max") or _quota_v1(cgroups / "cpu")
    return schedulable if quota is None else max(1, min(schedulable, math.ceil(quota)))


def _quota_v2(file: Path) -> float | None:
    if not file.exists():
        return None
    quota, period = file.read_text().split()
    return None if quota == "max" else int(quota) / int(period)


def _quota_v1(folder: Path) -> float | None:
    file = folder / "cpu.cfs_quota_us"
    if not file.exists():
        return None
    quota = int(file.read_text())
    return None if quota <= 0 else quota / int((folder / "cpu.cfs_period_us").read_text())
