"""When a store is asked, tried, and left alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.core.cache.breaker import FAILURES, FIRST_S, MOST_S, Breaker, BreakerState

CLOSED = Breaker()
LAST = Breaker(failures=FAILURES - 1)
OPEN = Breaker(BreakerState.OPEN, FAILURES, 1, 10.0)
TRYING = Breaker(BreakerState.TRYING, FAILURES, 1, 10.0)


@pytest.mark.parametrize(
    ("before", "after"),
    [(CLOSED, CLOSED), (LAST, CLOSED), (TRYING, CLOSED), (OPEN, OPEN)],
    ids=["nothing to forget", "failures are forgotten", "a try that worked", "too late"],
)
def test_after_an_answer(before: Breaker, after: Breaker) -> None:
    assert before.answered() == after


@pytest.mark.parametrize(
    ("before", "state", "wait_s"),
    [
        (CLOSED, BreakerState.CLOSED, 0),
        (LAST, BreakerState.OPEN, FIRST_S),
        (TRYING, BreakerState.OPEN, 2 * FIRST_S),
        (Breaker(BreakerState.TRYING, 9, 3), BreakerState.OPEN, 8 * FIRST_S),
        (Breaker(BreakerState.TRYING, 9, 10_000), BreakerState.OPEN, MOST_S),
    ],
)
def test_after_a_failure(before: Breaker, state: BreakerState, wait_s: float) -> None:
    after = before.failed(100.0, 1.0)
    assert (after.state, after.wait_s(100.0)) == (state, wait_s)


def test_a_failure_of_before_does_not_put_off_the_next_try() -> None:
    assert OPEN.failed(9.0, 1.0) == OPEN


@pytest.mark.parametrize(("now", "wait_s"), [(8.0, 2.0), (10.0, 0.0), (11.0, 0.0)])
def test_nobody_tries_before_the_time(now: float, wait_s: float) -> None:
    assert OPEN.wait_s(now) == wait_s
    assert OPEN.tried().state is BreakerState.TRYING
    assert CLOSED.tried() == CLOSED


@given(st.lists(st.booleans(), max_size=60), st.floats(0, 1, exclude_max=True))
def test_whatever_happens(answers: list[bool], toss: float) -> None:
    """So many failures in a row open it, waits are bounded and grow, and one answer closes it."""
    breaker, now, row, waits = Breaker(), 0.0, 0, [0.0]
    for answer in answers:
        now += breaker.wait_s(now)
        breaker = breaker.tried()
        breaker = breaker.answered() if answer else breaker.failed(now, toss)
        row = 0 if answer else row + 1
        assert (breaker.state is BreakerState.OPEN) == (row >= FAILURES)
        if answer:
            assert breaker == CLOSED
            waits = [0.0]
        elif row >= FAILURES:
            waits.append(breaker.wait_s(now))
            assert FIRST_S / 2 - 1e-6 <= waits[-1] <= MOST_S
            assert waits[-1] >= waits[-2] - 1e-6
