"""Buckets, and what they say about quantiles."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.core.records.histogram import BOUNDS_S, BUCKETS, RATIO, above, add, bucket_of, quantile, sparse

LATENCIES = st.lists(st.floats(0, 100), min_size=1, max_size=300)


def counted(latencies: list[float]) -> list[int]:
    counts = [0] * BUCKETS
    for latency in latencies:
        counts[bucket_of(latency)] += 1
    return counts


def test_the_bounds_are_those_of_wire_version_1() -> None:
    assert (len(BOUNDS_S), BOUNDS_S[0], BOUNDS_S[1], BOUNDS_S[10], BOUNDS_S[-1]) == (
        BUCKETS - 1,
        0.001,
        0.00125,
        0.009313,
        28.698593,
    )
    assert [upper / lower for lower, upper in pairwise(BOUNDS_S)] == pytest.approx([RATIO] * (BUCKETS - 2), rel=1e-3)


@pytest.mark.parametrize(
    ("latency_s", "bucket"),
    [
        pytest.param(-0.1, 0, id="a clock that was set back"),
        pytest.param(0.0, 0, id="nothing"),
        pytest.param(0.001, 0, id="a bound belongs to the bucket below it"),
        pytest.param(0.0010001, 1, id="just above it"),
        pytest.param(28.698593, 46, id="the last bound"),
        pytest.param(29, 47, id="above it"),
        pytest.param(math.inf, 47, id="never"),
    ],
)
def test_buckets(latency_s: float, bucket: int) -> None:
    assert bucket_of(latency_s) == bucket


@given(LATENCIES, st.sampled_from([0.01, 0.07, 0.5, 0.9, 0.95, 0.99, 0.999, 1.0]))
def test_a_quantile_lies_within_its_bounds(latencies: list[float], q: float) -> None:
    true = sorted(latencies)[max(1, math.ceil(round(q * len(latencies), 9))) - 1]
    found = quantile(counted(latencies), q)
    assert found
    assert found.low_s <= true <= found.high_s
    assert found.low_s <= found.value_s <= found.high_s


@given(st.lists(st.floats(0.001, 28), min_size=1, max_size=300))
def test_and_is_within_a_quarter_of_the_truth(latencies: list[float]) -> None:
    found = quantile(counted(latencies), 0.99)
    assert found
    true = sorted(latencies)[math.ceil(round(0.99 * len(latencies), 9)) - 1]
    assert true / 1.2505 <= found.value_s <= true * 1.2505


def test_nothing_has_no_quantile() -> None:
    assert quantile([0] * BUCKETS, 0.5) is None


def test_what_is_above_the_last_bound_has_no_upper_one() -> None:
    found = quantile(counted([60.0]), 0.5)
    assert found
    assert (found.value_s, found.high_s) == (28.698593, math.inf)


@given(st.lists(LATENCIES, max_size=5))
def test_merging_loses_nothing(parts: list[list[float]]) -> None:
    merged = [0] * BUCKETS
    for part in parts:
        add(merged, sparse(counted(part)))
    assert merged == counted([latency for part in parts for latency in part])


@given(LATENCIES, st.floats(0, 40))
def test_how_many_were_late(latencies: list[float], limit_s: float) -> None:
    least, most = above(counted(latencies), limit_s)
    assert least <= sum(latency > limit_s for latency in latencies) <= most


def test_a_limit_that_is_a_bound_counts_exactly() -> None:
    assert above(counted([0.001, 0.0011, 0.5]), 0.001) == (2, 2)
