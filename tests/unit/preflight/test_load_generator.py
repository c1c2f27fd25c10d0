"""Open-loop load in virtual time: what counts as late, and from when."""

import asyncio

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.virtual_time import VirtualLoop, run_virtually

from plimsoll.preflight.failures import RefusedError, ServerGoneError
from plimsoll.preflight.load import Abandon, LoadResult, Send, open_loop, poisson, uniform


def drive(due_s: list[float] | np.ndarray, send: Send, **options: object) -> LoadResult:
    return run_virtually(open_loop(np.asarray(due_s, dtype=float), send, **options))  # type: ignore[arg-type]


def one_at_a_time(seconds: float) -> Send:
    """A server that answers one request after the other, each in so many seconds."""
    free_at = 0.0

    async def send(_number: int) -> None:
        nonlocal free_at
        loop = asyncio.get_running_loop()
        free_at = max(free_at, loop.time()) + seconds
        await asyncio.sleep(free_at - loop.time())

    return send


def stalling(at: int, seconds: float) -> Send:
    """Answers at once, but stands still for so long from the request with that number on."""
    stands_until = 0.0

    async def send(number: int) -> None:
        nonlocal stands_until
        loop = asyncio.get_running_loop()
        if number == at:
            stands_until = loop.time() + seconds
        await asyncio.sleep(max(stands_until - loop.time(), 0))

    return send


def test_latency_counts_from_the_due_time_while_a_queue_grows() -> None:
    result = drive(uniform(10, 5), one_at_a_time(0.15))
    assert result.latencies_ms == pytest.approx([150, 200, 250, 300, 350])
    assert result.invalid() == ""


def test_a_stall_is_felt_by_everyone_who_came_during_it() -> None:
    result = drive(uniform(100, 300), stalling(at=100, seconds=1))
    # A client that waits for its answer before it asks again would have seen one late request.
    assert result.late(limit_ms=500) == pytest.approx(50, abs=1)


def test_requests_are_sent_on_time_whatever_became_of_earlier_ones() -> None:
    sent: list[float] = []

    async def never_answers(_number: int) -> None:
        sent.append(asyncio.get_running_loop().time())
        await asyncio.sleep(60)

    result = drive(uniform(10, 20), never_answers)
    assert np.diff(sent) == pytest.approx(np.full(19, 0.1))
    assert result.lag_ms == pytest.approx(0)


def test_what_exceeds_the_bound_in_flight_is_shed_and_a_miss() -> None:
    result = drive(uniform(100, 50), one_at_a_time(1.0), max_in_flight=3)
    assert (result.shed, result.failed, result.requests) == (47, 0, 50)
    assert result.late(limit_ms=1e9) == 47
    assert result.sorted_ms(lost_ms=5000)[-1] == 5000


def test_an_error_is_a_miss_and_its_first_words_are_kept() -> None:
    async def refuses_odd(number: int) -> None:
        if number % 2:
            raise RefusedError(f"no {number}")

    result = drive(uniform(10, 10), refuses_odd)
    assert (result.failed, result.failure, result.late(1000)) == (5, "no 1", 5)


@pytest.mark.parametrize("error", [ServerGoneError("gone"), ZeroDivisionError()])
def test_what_is_no_answer_of_the_model_ends_the_run(error: Exception) -> None:
    calls = 0

    async def breaks(number: int) -> None:
        nonlocal calls
        calls += 1
        if number == 3:
            raise error

    with pytest.raises(type(error)):
        drive(uniform(10, 100), breaks)
    assert calls < 10


def test_a_run_is_given_up_once_it_is_decided() -> None:
    result = drive(uniform(10, 1000), one_at_a_time(0.2), abandon=Abandon(limit_ms=1000, allowed=10))
    assert result.late(1000) > 10
    assert result.requests < 100
    assert result.planned == 1000


def test_a_client_that_cannot_keep_up_says_so() -> None:
    def busy_client() -> Send:
        async def send(_number: int) -> None:
            loop = asyncio.get_running_loop()
            assert isinstance(loop, VirtualLoop)
            loop.now += 0.02  # the client computes, and cannot send meanwhile
            await asyncio.sleep(0.001)

        return send

    result = drive(uniform(100, 200), busy_client())
    assert "The client itself was the bottleneck" in result.invalid()


def test_latency_is_never_below_the_servers_own() -> None:
    result = drive(poisson(50, 500, np.random.default_rng(3)), one_at_a_time(0.01))
    assert result.latencies_ms.min() >= 10 - 1e-6


@given(st.floats(0.5, 500), st.integers(2000, 4000), st.integers(0, 5))
def test_schedules_have_the_rate_that_was_asked_for(rate: float, requests: int, seed: int) -> None:
    random = poisson(rate, requests, np.random.default_rng(seed))
    assert (np.diff(random) >= 0).all()
    assert requests / random[-1] == pytest.approx(rate, rel=0.12)  # five standard deviations
    assert requests / uniform(rate, requests)[-1] == pytest.approx(rate)
