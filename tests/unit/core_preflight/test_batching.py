"""Which requests a free instance gets, and when."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.core.preflight.batching import Batcher, IdealBatcher, TritonBatcher


def with_waiting(batcher: Batcher, times: list[float]) -> Batcher:
    for request, now in enumerate(times):
        batcher.add(request, now)
    return batcher


def triton(max_batch: int = 32, delay_ms: float = 0, preferred: tuple[int, ...] = (), instances: int = 1) -> Batcher:
    return TritonBatcher(max_batch, delay_ms, preferred, instances)


def sizes_taken(batcher: Batcher, now: float) -> list[int]:
    """Sizes of the batches that one instance gets, one after another, when nothing more comes."""
    taken = []
    while batch := batcher.take(now):
        taken.append(len(batch))
    return taken


@pytest.mark.parametrize("batcher", [IdealBatcher(8, 0), triton(max_batch=8), triton(max_batch=8, preferred=(8,))])
def test_without_delay_and_smaller_preferred_sizes_a_free_instance_takes_all_up_to_the_maximum(batcher: Batcher):
    assert sizes_taken(with_waiting(batcher, [0.0] * 19), 1.0) == [8, 8, 3]


@pytest.mark.parametrize(
    ("preferred", "waiting", "expected"),
    [
        ((8, 32), 7, [7]),
        ((8, 32), 8, [8]),
        # The first 8 close a batch and the ninth opens the second; the rest waits until the first has started, and
        # then fills the second up to the largest size within reach.
        ((8, 32), 20, [8, 8, 4]),
        ((8, 32), 50, [8, 32, 8, 2]),
        ((4,), 20, [4, 4, 4, 4, 4]),
        ((2, 4), 7, [2, 4, 1]),
    ],
)
def test_without_delay_a_batch_that_reaches_a_preferred_size_is_closed(
    preferred: tuple[int, ...], waiting: int, expected: list[int]
):
    assert sizes_taken(with_waiting(triton(preferred=preferred), [0.0] * waiting), 1.0) == expected


def test_more_instances_have_more_batches_made_ahead():
    assert sizes_taken(with_waiting(triton(preferred=(2, 8), instances=2), [0.0] * 20), 1.0) == [2, 2, 2, 8, 2, 2, 2]


def test_the_ideal_batcher_waits_for_company_until_the_delay_or_the_maximum():
    batcher = IdealBatcher(3, 5.0)
    batcher.add(0, 10.0)
    assert batcher.take(14.9) == []
    assert batcher.due() == 15.0
    assert batcher.take(15.0) == [0]

    with_waiting(batcher, [20.0, 20.0, 20.0])
    assert batcher.take(20.0) == [0, 1, 2]
    assert batcher.due() is None


def test_triton_waits_for_company_until_the_delay_or_a_preferred_size():
    batcher = triton(delay_ms=5.0, preferred=(2, 8))
    batcher.add(0, 10.0)
    assert batcher.take(14.9) == []
    assert batcher.due() == 15.0
    assert batcher.take(15.0) == [0]

    with_waiting(batcher, [20.0, 20.0])
    assert batcher.take(20.0) == [0, 1]
    assert batcher.due() is None


def test_with_a_delay_triton_leaves_out_who_comes_after_the_batch_was_made():
    """Nothing wakes the batcher before a preferred size is full; an ideal one would take all three."""
    times = [10.0, 12.0, 17.0]
    assert sizes_taken(with_waiting(triton(delay_ms=5.0), times), 40.0) == [2, 1]
    assert sizes_taken(with_waiting(IdealBatcher(32, 5.0), times), 40.0) == [3]


def test_with_a_delay_a_full_batch_wakes_the_batcher():
    times = [10.0, 17.0, 18.0, 19.0, 20.0]
    assert sizes_taken(with_waiting(triton(max_batch=4, delay_ms=5.0), times), 40.0) == [4, 1]


@given(
    st.lists(st.tuples(st.booleans(), st.floats(0, 10)), max_size=80),
    st.integers(1, 12),
    st.sampled_from([0.0, 3.0]),
    st.sets(st.integers(1, 12), max_size=3),
    st.integers(1, 3),
)
def test_every_request_is_given_once_in_order_and_no_batch_is_too_large(
    steps: list[tuple[bool, float]], max_batch: int, delay_ms: float, preferred: set[int], instances: int
):
    allowed = tuple(size for size in preferred if size <= max_batch)
    for batcher in (TritonBatcher(max_batch, delay_ms, allowed, instances), IdealBatcher(max_batch, delay_ms)):
        now, added, given_out = 0.0, 0, []
        for adds, gap in steps:
            now += gap
            if adds:
                batcher.add(added, now)
                added += 1
            else:
                batch = batcher.take(now)
                assert len(batch) <= max_batch
                given_out += batch
        while batch := batcher.take(now + delay_ms):
            given_out += batch
        assert given_out == list(range(added))
