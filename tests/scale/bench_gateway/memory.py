"""Ten million requests through one gateway: what its memory and its descriptors do meanwhile."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
from tests.scale.bench_gateway.arms import Arm
from tests.scale.bench_gateway.loads import Load
from tests.scale.saying import say

from plimsoll.core.preflight.leak import memory_slope

_TURN_S = 1
_REST_S = 25
"""Unused connections to model servers are closed after 15 s."""
_WARM_SHARE = 0.1
"""Of the requests: caches, pools and the allocator fill first."""


def memory(arm: Arm, loads: Sequence[Load], requests: int) -> dict[str, object]:
    """Loads a gateway, in turns, until it has answered so many requests, and returns how its memory grew.

    The slope is that by which preflight judges model servers, with its 95 % bounds, over what follows the first tenth.
    Every turn opens connections of its own. Descriptors are counted when those to model servers have been closed, too.
    """
    warm, done = requests * _WARM_SHARE, 0
    while done < warm:
        done += _turn(arm, loads)
    descriptors = _at_rest(arm)
    sent, resident = [done], [arm.resident_bytes()]
    while done < requests:
        done += _turn(arm, loads)
        sent.append(done)
        resident.append(arm.resident_bytes())
        say(f"{done} requests, {resident[-1] / 1e6:.1f} MB, {arm.descriptors()} descriptors")
    left = _at_rest(arm)
    slope = memory_slope("host", np.array(sent), np.array(resident))
    return {
        "memory_requests": done,
        "memory_start_bytes": slope.start_bytes,
        "memory_end_bytes": slope.end_bytes,
        "memory_growth_bytes": slope.end_bytes - slope.start_bytes,
        "memory_most_bytes": max(resident),
        "memory_bytes_per_million": round(slope.bytes_per_request * 1e6),
        "memory_bytes_per_million_interval": [round(slope.low * 1e6), round(slope.high * 1e6)],
        "memory_bytes_per_million_second_half": round(slope.second_half * 1e6),
        "memory_leaking": slope.leaking,
        "descriptors_before": descriptors,
        "descriptors_after": left,
        "descriptors_leaked": max(0, left - descriptors),
    }


def _at_rest(arm: Arm) -> int:
    """Returns what an unused gateway has open: the fewest in the time in which it closes what it does not use."""
    counts = [arm.descriptors()]
    for _ in range(_REST_S):
        time.sleep(1)
        counts.append(arm.descriptors())
    return min(counts)


def _turn(arm: Arm, loads: Sequence[Load]) -> int:
    return sum(load.run(arm, _TURN_S).requests for load in loads)
