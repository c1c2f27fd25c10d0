"""What the C library is told about memory that bodies leave."""

from __future__ import annotations

import os
import subprocess
import sys
from types import SimpleNamespace

from plimsoll.gateway.allocator import KEPT_BYTES, MAPPED_BYTES, keep_freed_memory

# Bodies of 16 clients come and go; each of them is 16 pages.
_FAULTS = """
import resource, sys
from plimsoll.gateway.allocator import keep_freed_memory
if sys.argv[1] == "keeps":
    assert keep_freed_memory()
for turn in range(110):
    if turn == 10:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    bodies = [bytes(64 << 10) for _ in range(16)]
    bodies.clear()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def test_both_bounds_are_told_because_one_alone_freezes_the_other():
    told = {}

    def mallopt(name: int, value: int) -> int:
        told[name] = value
        return 1

    assert keep_freed_memory(SimpleNamespace(mallopt=mallopt))
    assert told == {-1: KEPT_BYTES, -3: MAPPED_BYTES}


def test_a_library_that_cannot_be_told_is_no_failure():
    assert not keep_freed_memory(SimpleNamespace())
    assert not keep_freed_memory(SimpleNamespace(mallopt=lambda _name, _value: 0))


def test_bodies_in_place_of_freed_ones_cost_no_page_faults():
    assert _faults("keeps") < 100
    assert _faults("as it is") > 10_000  # else the C library has learned it, and the module is no longer needed


def _faults(how: str) -> int:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", _FAULTS, how]
    return int(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)
