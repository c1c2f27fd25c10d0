"""The queue of one model, in virtual time: against the theory of queues, and under any sequence of events."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.queued import House, Request
from tests.support.virtual_time import run_virtually

from plimsoll.api.routing import Traffic
from plimsoll.core.routing.limits import RequestLimits
from plimsoll.gateway.queue import Why

ONE_EACH = RequestLimits(outstanding=1, max_queue=100_000, max_wait_s=30)
SERVICE_S = 0.01


def virtually(limits: RequestLimits, work: Callable[[House], Coroutine[Any, Any, None]], **house: Any) -> House:
    async def run() -> House:
        made = House(limits, **house)
        await work(made)
        return made

    return run_virtually(run())


def poisson(load: float, requests: int, seed: int = 1) -> Callable[[House], Coroutine[Any, Any, None]]:
    """Requests with exponential gaps: `load` of what one pod can answer."""

    async def work(house: House) -> None:
        draw = random.Random(seed)  # noqa: S311 - the same requests every time
        for _ in range(requests):
            await asyncio.sleep(draw.expovariate(load / SERVICE_S))
            house.arrive()
        await asyncio.sleep(60)

    return work


def waits(requests: list[Request]) -> list[float]:
    return [request.waited_s for request in requests if request.waited_s is not None]


# ---- against the theory ----
def test_one_pod_is_the_queue_m_d_1_request_by_request() -> None:
    """Lindley's recursion is what a line is that is served in order of arrival and never idle while anybody waits."""
    house = virtually(ONE_EACH, poisson(0.8, 3000), service_s=SERVICE_S)
    wait = 0.0
    for before, request in pairwise([*house.came, None]):
        assert before is not None
        assert before.waited_s == pytest.approx(wait, abs=1e-9)
        if request is not None:
            wait = max(0.0, wait + SERVICE_S - (request.arrived_at - before.arrived_at))
    # Pollaczek and Khinchine: load * service / (2 * (1 - load)).
    assert sum(waits(house.came)) / 3000 == pytest.approx(2 * SERVICE_S, rel=0.25)


def test_an_overload_keeps_the_pods_busy_and_nobody_waits_for_too_long() -> None:
    limits = RequestLimits(outstanding=1, max_queue=1000, max_wait_s=0.2)
    house = virtually(limits, poisson(1.5, 6000), service_s=SERVICE_S)
    lasted_s = house.came[-1].arrived_at
    assert max(waits(house.came)) <= limits.max_wait_s + 1e-9  # type: ignore[operator]
    assert len(house.admitted) * SERVICE_S >= 0.98 * lasted_s
    waited_in_vain = [
        each for each in house.came if each.rejected_at is not None and each.rejected_at > each.arrived_at
    ]
    assert len(waited_in_vain) < 0.02 * len(house.came), "who will not be served in time is told at once"


def test_a_short_queue_is_full_before_it_is_late() -> None:
    house = virtually(RequestLimits(outstanding=1, max_queue=5), poisson(3.0, 1000), service_s=SERVICE_S)
    assert max(waits(house.came)) <= 6 * SERVICE_S
    assert len(house.admitted) * SERVICE_S >= 0.98 * house.came[-1].arrived_at


def test_the_promise_is_kept_by_those_that_are_let_in() -> None:
    """Four at a pod and ten a second: a request that waits spends 0.4 s there, which leaves 0.6 s of the promise."""
    limits = RequestLimits(outstanding=4, max_queue=1000, promise_s=1.0)

    async def work(house: House) -> None:
        for _ in range(400):
            house.arrive()
            await asyncio.sleep(0.05)

    house = virtually(limits, work, service_s=0.4)
    late = [wait for wait in waits(house.came) if wait > 0.65]
    assert len(late) < 0.05 * len(house.admitted), "but for the time until the pace is known"
    assert sum(each.rejection is not None for each in house.came) > 150


# ---- one thing at a time ----
async def _full(house: House) -> tuple[Request, Request]:
    """One request at the only pod, and one that waits."""
    return house.arrive(), house.arrive()


def test_who_goes_away_is_not_served() -> None:
    async def work(house: House) -> None:
        first, second = await _full(house)
        third = house.arrive()
        second.withdraw()
        first.finish()
        assert (second.waited_s, third.waited_s, house.queue.length) == (None, 0.0, 0)

    virtually(ONE_EACH, work)


def test_who_has_waited_for_as_long_as_it_may_is_told() -> None:
    async def work(house: House) -> None:
        _, second = await _full(house)
        await asyncio.sleep(0.4)
        assert second.rejection is None
        await asyncio.sleep(0.2)
        assert second.rejection is not None
        assert (second.rejection.why, second.rejection.retry_after_s) == (Why.OVERLOADED, 1)
        assert second.rejection.sentence.startswith("No replica of digits was free within 0.5 s.")
        assert house.records["r1"].queued == 0

    virtually(RequestLimits(outstanding=1, max_wait_s=0.5), work)


def test_who_grants_little_time_waits_no_longer() -> None:
    async def work(house: House) -> None:
        house.arrive()
        hasty, patient = house.arrive(granted_s=0.3), house.arrive()
        await asyncio.sleep(0.4)
        assert (hasty.rejection is None, patient.rejection is None) == (False, True)

    virtually(ONE_EACH, work)


@pytest.mark.parametrize("comes", ["a pod", "pods again", "a higher limit"])
def test_room_that_routes_make_wakes_the_queue(comes: str) -> None:
    async def work(house: House) -> None:
        _, second = await _full(house)
        match comes:
            case "a pod":
                house.route(2)
            case "pods again":
                house.route(0)
                assert second.waited_s is None
                house.route(1)
            case _:
                house.route(1, limits=RequestLimits(outstanding=2))
        assert second.waited_s == 0.0

    virtually(ONE_EACH, work)


def test_a_revision_that_leaves_takes_nobody_with_it() -> None:
    async def work(house: House) -> None:
        house.route(1, candidate=1)
        candidate = house.model.candidate
        house.arrive(candidate)
        waits_for_candidate = house.arrive(candidate)
        house.route(1)
        assert waits_for_candidate.rejection is not None
        assert (waits_for_candidate.rejection.why, house.queue.length) == (Why.LEFT, 0)

    virtually(ONE_EACH, work)


def test_traffic_that_is_stopped_lets_nobody_wait() -> None:
    async def work(house: House) -> None:
        _, second = await _full(house)
        house.route(1, traffic=Traffic.STOPPED)
        assert second.rejection is not None
        assert second.rejection.why is Why.STOPPED

    virtually(ONE_EACH, work)


def test_a_line_that_cannot_move_does_not_hold_up_the_other() -> None:
    async def work(house: House) -> None:
        house.route(1, candidate=1)
        at_stable, _ = await _full(house)
        candidate = house.model.candidate
        at_candidate = house.arrive(candidate)
        assert at_candidate.waited_s == 0.0, "there is room for it, whoever waits for stable"
        second = house.arrive(candidate)
        at_candidate.finish()
        assert (second.waited_s, at_stable.endpoint is not None) == (0.0, True)

    virtually(ONE_EACH, work)


def test_the_limit_of_all_pods_together_is_handed_out_in_the_order_of_arrival() -> None:
    async def work(house: House) -> None:
        house.route(4, candidate=4)
        first, second = house.arrive(), house.arrive()
        third = house.arrive(house.model.candidate)
        fourth = house.arrive()
        first.finish()
        assert (third.waited_s, fourth.waited_s) == (0.0, None)
        second.finish()
        assert (fourth.waited_s, house.queue.in_service) == (0.0, 2)

    virtually(RequestLimits(max_concurrent=2), work)


def test_among_many_pods_the_one_with_room_is_found() -> None:
    async def work(house: House) -> None:
        requests = [house.arrive() for _ in range(101)]
        requests[50].finish()
        assert [each.waited_s for each in requests] == [0.0] * 101

    virtually(ONE_EACH, work, pods=100)


# ---- whatever happens ----
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("arrive"), st.integers(0, 1)),
        st.tuples(st.just("finish"), st.integers(0, 99)),
        st.tuples(st.just("withdraw"), st.integers(0, 99)),
        st.tuples(st.just("pass"), st.integers(1, 20)),
        st.tuples(st.just("pods"), st.integers(0, 3)),
        st.tuples(st.just("limit"), st.integers(1, 5)),
    ),
    max_size=80,
)


async def take(house: House, step: str, number: int, limits: Callable[[int], RequestLimits]) -> None:
    at_pods = [each for each in house.came if each.endpoint]
    waiting = [each for each in house.came if each.ticket]
    match step:
        case "arrive":
            house.arrive(house.model.candidate if number else None)
        case "finish" if at_pods:
            at_pods[number % len(at_pods)].finish()
        case "withdraw" if waiting:
            waiting[number % len(waiting)].withdraw()
        case "pass":
            await asyncio.sleep(number / 10)
        case "pods":
            house.route(number, candidate=1)
        case "limit":
            house.route(1, candidate=1, limits=limits(number))


def check(house: House) -> None:
    queue, limits = house.queue, house.limits
    waiting = [each for each in house.came if each.ticket]
    assert queue.length == len(waiting) <= limits.max_queue
    assert sum(record.queued for record in house.records.values()) == queue.length
    assert queue.in_service == sum(each.endpoint is not None for each in house.came)
    assert all(house.now - each.arrived_at <= 1.0 + 1e-6 for each in waiting)
    for revision in (house.model.stable, house.model.candidate):
        assert revision is not None
        idle = queue.in_service < (limits.max_concurrent or 1000) and revision.below(limits.outstanding)
        assert not (idle and any(each.revision is revision for each in waiting)), "a slot is free and someone waits"
        served = [each.number for each in house.admitted if each.revision is revision]
        assert served == sorted(served), "in the order of arrival"


@settings(max_examples=200, deadline=None)
@given(STEPS, st.integers(0, 4), st.sampled_from([None, 1, 3]))
def test_what_always_holds(steps: list[tuple[str, int]], max_queue: int, max_concurrent: int | None) -> None:
    def limits(outstanding: int) -> RequestLimits:
        return RequestLimits(outstanding, max_concurrent, max_queue=max_queue, max_wait_s=1.0)

    async def work(house: House) -> None:
        house.route(1, candidate=1)
        for step, number in steps:
            await take(house, step, number, limits)
            check(house)

    virtually(limits(1), work)
