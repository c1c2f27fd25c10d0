"""What is a leak, and what only looks like one.

The simulated process answers 3,000 equal requests and is sampled every ten. Its resident memory is counted in pages,
flutters by 32 KiB (buffers of requests in flight), and about twice a run moves by up to 1 MiB for good (an allocator
takes or returns a chunk).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from plimsoll.core.preflight.leak import FLOOR_BYTES_PER_REQUEST, MINIMUM_SAMPLES, memory_slope

KIB, MIB = 1024, 1024**2
REQUESTS = np.arange(0, 3001, 10)
RUNS = 20
"""Raised to 300, at most 2 of each kind are judged wrongly: under 2.1 % at 95 %."""


def process(
    seed: int,
    leak: float = 0.0,
    arena: int = 0,
    cache: int = 0,
    filled_after: float = 0.4,
    *,
    exponential: bool = False,
) -> NDArray[np.int64]:
    """Resident bytes: bytes kept per request, one growth of an arena, a cache full after a share of the run."""
    generator = np.random.default_rng(seed)
    resident = 200 * MIB + leak * REQUESTS + generator.normal(0, 32 * KIB, REQUESTS.size)
    for _ in range(generator.poisson(2)):
        resident[generator.integers(REQUESTS.size) :] += generator.choice([-1024, -128, 128, 256, 1024]) * KIB
    resident[generator.integers(REQUESTS.size) :] += arena
    progress = REQUESTS / REQUESTS[-1] / filled_after
    resident += cache * (1 - np.exp(-progress) if exponential else np.minimum(progress, 1))
    return (resident // 4096 * 4096).astype(np.int64)


def called_leaks(**what: Any) -> int:
    return sum(memory_slope("host", REQUESTS, process(seed, **what)).leaking for seed in range(RUNS))


@pytest.mark.parametrize(
    "besides",
    [
        pytest.param({}, id="alone"),
        pytest.param({"arena": 64 * MIB}, id="beside an arena that grows once"),
        pytest.param({"cache": 20 * MIB}, id="beside a cache that fills"),
    ],
)
def test_a_leak_of_1_kib_a_request_is_caught(besides: dict[str, Any]):
    """20 of 20 prove, at 95 %, that fewer than 15 % of such leaks are missed (rule of three: 3/20)."""
    assert called_leaks(leak=KIB, **besides) == RUNS


@pytest.mark.parametrize(
    "what",
    [
        pytest.param({}, id="clean"),
        pytest.param({"leak": 64}, id="the server's own bookkeeping"),
        pytest.param({"leak": -KIB}, id="shrinking"),
        pytest.param({"arena": 64 * MIB}, id="an arena that grows once"),
        pytest.param({"cache": 50 * MIB}, id="a bounded cache that fills"),
        pytest.param({"cache": 50 * MIB, "filled_after": 0.8}, id="a bounded cache that is full late"),
        pytest.param({"cache": 50 * MIB, "filled_after": 0.2, "exponential": True}, id="a cache of random keys"),
    ],
)
def test_no_leak_is_not_called_one(what: dict[str, Any]):
    """None of 20 proves, at 95 %, fewer than 15 % false alarms (rule of three: 3/20)."""
    assert called_leaks(**what) == 0


@pytest.mark.parametrize("at", [0.1, 0.3, 0.5, 0.6, 0.75, 0.9])
def test_neither_one_step_nor_a_passing_peak_is_growth(at: float):
    first = int(REQUESTS.size * at)
    step = np.full(REQUESTS.size, 200 * MIB)
    step[first:] += 400 * MIB
    peak = np.full(REQUESTS.size, 200 * MIB)
    peak[first : first + 3] += 400 * MIB

    for resident in (step, peak):
        slope = memory_slope("host", REQUESTS, resident)
        assert not slope.leaking
        assert slope.bytes_per_request == 0
        assert slope.second_half == 0


@pytest.mark.parametrize("offset", [0, 17, 50, 99])
def test_a_leak_that_the_allocator_passes_on_in_chunks_is_a_leak(offset: int):
    resident = 200 * MIB + (KIB * (REQUESTS + offset) // (128 * KIB)) * 128 * KIB

    assert memory_slope("host", REQUESTS, resident).leaking


def test_the_figures_of_a_plain_leak():
    slope = memory_slope("host", REQUESTS, 200 * MIB + 4096 * REQUESTS)

    assert slope.model_dump() == {
        "device": "host",
        "requests": 3000,
        "start_bytes": 200 * MIB,
        "end_bytes": 200 * MIB + 4096 * 3000,
        "bytes_per_request": 4096,
        "low": 4096,
        "high": 4096,
        "second_half": 4096,
        "detectable": pytest.approx(FLOOR_BYTES_PER_REQUEST, rel=0.01),
        "leaking": True,
    }


def test_slope_and_bounds_are_theils_and_sens():
    """Without steps, which are taken out here, and without ties, which the reference corrects for."""
    stats = pytest.importorskip("scipy.stats")
    generator = np.random.default_rng(1)
    for samples in (MINIMUM_SAMPLES, 200, 401):
        requests = np.arange(samples) * 10 + generator.integers(0, 4, samples)
        resident = 900 * requests + generator.permutation(samples)
        slope = memory_slope("host", requests, resident)

        theirs = stats.theilslopes(resident, requests, alpha=0.95)
        assert (slope.bytes_per_request, slope.low, slope.high) == pytest.approx(
            (theirs.slope, theirs.low_slope, theirs.high_slope)
        )


@pytest.mark.parametrize("seed", range(10))
def test_a_leak_above_the_detectable_one_would_have_been_found_and_one_below_not(seed: int):
    """Below by a third: it is found in steps of a quarter."""
    resident = process(seed)
    slope = memory_slope("host", REQUESTS, resident)
    clean = resident - slope.second_half * REQUESTS

    def leaking(bytes_per_request: float) -> bool:
        return memory_slope("host", REQUESTS, (clean + bytes_per_request * REQUESTS).astype(np.int64)).leaking

    assert leaking(slope.detectable * 1.01)
    assert not leaking(slope.detectable * 0.67)


def test_noise_raises_what_is_detectable_and_requests_lower_it():
    quiet, noisy = (
        200 * MIB + np.random.default_rng(0).normal(0, sd * KIB, REQUESTS.size).astype(np.int64) for sd in (10, 300)
    )

    detectable = memory_slope("host", REQUESTS, noisy).detectable
    assert detectable > memory_slope("host", REQUESTS, quiet).detectable
    assert detectable > memory_slope("host", REQUESTS * 3, noisy).detectable


@pytest.mark.parametrize(("times", "leaking"), [(1.0, True), (0.2, False)])
def test_device_memory_is_mapped_in_pieces_so_that_less_is_detectable(times: float, leaking: bool):  # noqa: FBT001
    still = memory_slope("gpu0", REQUESTS, np.full(REQUESTS.size, MIB))
    grown = (still.detectable * times * REQUESTS // (2 * MIB)).astype(np.int64) * 2 * MIB

    assert still.detectable > 10 * memory_slope("host", REQUESTS, np.full(REQUESTS.size, MIB)).detectable
    assert memory_slope("gpu0", REQUESTS, grown).leaking == leaking


@settings(max_examples=25, deadline=None)
@given(leak=st.integers(0, 4096), seed=st.integers(0, 50), start=st.integers(0, 2**40))
def test_the_verdict_depends_neither_on_the_level_nor_on_requests_before(leak: int, seed: int, start: int):
    resident = process(seed, leak)
    here, there = memory_slope("host", REQUESTS, resident), memory_slope("host", REQUESTS + start, resident + start)

    assert here.model_dump(exclude={"start_bytes", "end_bytes"}) == there.model_dump(
        exclude={"start_bytes", "end_bytes"}
    )
    assert here.low <= here.bytes_per_request <= here.high
    assert here.detectable >= FLOOR_BYTES_PER_REQUEST


def test_more_samples_than_needed_change_nothing():
    requests = np.arange(20_001)
    slope = memory_slope("host", requests, 1000 * requests)

    assert (slope.bytes_per_request, slope.requests, slope.leaking) == (1000, 20_000, True)


@pytest.mark.parametrize(
    ("requests", "resident", "message"),
    [
        (np.arange(MINIMUM_SAMPLES - 1), np.arange(MINIMUM_SAMPLES - 1), "samples of memory, of"),
        (np.arange(100), np.arange(99), "request counts for"),
        (np.zeros(100, dtype=np.int64), np.arange(100), "no requests"),
    ],
)
def test_what_cannot_be_judged(requests: NDArray[np.int64], resident: NDArray[np.int64], message: str):
    with pytest.raises(ValueError, match=message):
        memory_slope("host", requests, resident)
