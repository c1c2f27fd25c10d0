"""Threads follow the container's quota, not the node's CPUs."""

import os
from pathlib import Path

import pytest
from cpu_limit import usable_cpus

SCHEDULABLE = 16


@pytest.fixture(autouse=True)
def _sixteen_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(SCHEDULABLE)))


@pytest.mark.parametrize(
    ("files", "cpus"),
    [
        pytest.param({"cpu.max": "200000 100000\n"}, 2, id="v2, two CPUs"),
        pytest.param({"cpu.max": "150000 100000\n"}, 2, id="v2, rounded up"),
        pytest.param({"cpu.max": "5000 100000\n"}, 1, id="v2, never none"),
        pytest.param({"cpu.max": "max 100000\n"}, SCHEDULABLE, id="v2, no quota"),
        pytest.param({"cpu.max": "6400000 100000\n"}, SCHEDULABLE, id="v2, more than there are"),
        pytest.param({"cpu/cpu.cfs_quota_us": "250000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 3, id="v1"),
        pytest.param({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, SCHEDULABLE, id="v1, none"),
        pytest.param({}, SCHEDULABLE, id="no cgroups"),
    ],
)
def test_usable_cpus(files: dict[str, str], cpus: int, tmp_path: Path) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    assert usable_cpus(tmp_path) == cpus
