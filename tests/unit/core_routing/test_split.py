"""The split is exact in every block and resonates with no client."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plimsoll.core.routing.split import Split, permutation

BLOCK = 1000


def tosses(key: bytes, weight: int, number: int) -> list[bool]:
    split = Split(key)
    return [split.toss(weight) for _ in range(number)]


@pytest.mark.parametrize("weight", [0, 10, 50, 250, 500, 1000])
def test_the_share_is_exact_in_every_block(weight: int) -> None:
    tossed = tosses(b"key", weight, 20 * BLOCK)
    assert [sum(tossed[start : start + BLOCK]) for start in range(0, len(tossed), BLOCK)] == [weight] * 20


@settings(max_examples=25)
@given(st.binary(min_size=1, max_size=32), st.integers(0, 2**63))
def test_a_block_is_a_permutation(key: bytes, block: int) -> None:
    assert sorted(permutation(key, block)) == list(range(BLOCK))


@pytest.mark.parametrize("period", [2, 3, 7, 10])
@pytest.mark.parametrize("weight", [10, 50, 250, 500])
def test_a_client_with_a_period_gets_its_share(period: int, weight: int) -> None:
    """Every `period`-th request is a poison input: the candidate gets no more of them than its weight says."""
    blocks = 200
    tossed = tosses(b"periodic", weight, blocks * BLOCK)
    for offset in range(period):
        hers = tossed[offset::period]
        # Five standard deviations of as many independent tosses; a split that resonates is hundreds off.
        spread = 5 * (len(hers) * weight / BLOCK * (1 - weight / BLOCK)) ** 0.5
        assert sum(hers) == pytest.approx(len(hers) * weight / BLOCK, abs=spread)


def test_keys_and_blocks_differ() -> None:
    assert permutation(b"a", 0) != permutation(b"b", 0)
    assert permutation(b"a", 0) != permutation(b"a", 1)


def test_a_new_weight_counts_from_the_next_toss_and_keeps_what_was_the_candidates() -> None:
    ranks = permutation(b"key", 0)
    split = Split(b"key")
    tossed = [split.toss(100) for _ in range(500)] + [split.toss(300) for _ in range(500)]
    assert tossed == [rank < 100 for rank in ranks[:500]] + [rank < 300 for rank in ranks[500:]]
