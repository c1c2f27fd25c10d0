"""The token bucket."""

from __future__ import annotations

import asyncio

from tests.support.fakeapi.clocks import HastyClock, ManualClock

from plimsoll.kube.throttle import Throttle


async def test_a_burst_passes_at_once_and_the_rest_at_the_rate() -> None:
    time = HastyClock()
    throttle = Throttle(10, 5, time.clock)
    for _ in range(5):
        await throttle.take()
    assert time.slept == []
    for _ in range(10):
        await throttle.take()
    assert round(time.now, 6) == 1.0


async def test_tokens_come_back_up_to_the_burst() -> None:
    time = HastyClock()
    throttle = Throttle(10, 5, time.clock)
    for _ in range(5):
        await throttle.take()
    time.now += 3600
    for _ in range(5):
        await throttle.take()
    assert time.slept == []
    await throttle.take()
    assert time.slept == [0.1]


async def test_waiters_are_spread_and_served_in_order() -> None:
    time = ManualClock()
    throttle = Throttle(10, 1, time.clock)
    served: list[int] = []

    async def caller(number: int) -> None:
        await throttle.take()
        served.append(number)

    async with asyncio.TaskGroup() as group:
        for number in range(4):
            group.create_task(caller(number))
        await time.advance(0.1)
        assert served == [0, 1]
        await time.advance(0.2)
    assert served == [0, 1, 2, 3]


async def test_a_caller_who_gives_up_gives_its_turn_back() -> None:
    time = ManualClock()
    throttle = Throttle(10, 1, time.clock)
    await throttle.take()
    impatient = asyncio.create_task(throttle.take())
    await time.advance(0)
    impatient.cancel()
    await asyncio.wait([impatient])
    waiting = asyncio.create_task(throttle.take())
    await time.advance(0.1)
    assert waiting.done()
    await waiting
