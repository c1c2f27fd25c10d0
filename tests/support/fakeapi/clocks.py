"""Clocks that tests own."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from plimsoll.kube.clock import Clock

START = datetime(2026, 1, 1, tzinfo=UTC)

SETTLE_TURNS = 20
"""Turns of the event loop after which everything that follows from a wake-up has happened."""

IDLE_TURNS = 8
"""Turns in a row with nothing to do but this, after which that is so earlier."""


class ManualClock:
    """Time stands still until `advance`. `chance` is every random number."""

    def __init__(self, *, chance: float = 0.0) -> None:
        self.now = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = itertools.count()
        self.clock = Clock(self._monotonic, self._utc_now, self._sleep, lambda: chance)

    async def advance(self, seconds: float) -> None:
        """Moves time, waking sleepers one after the other at their own times."""
        end = self.now + seconds
        await _settle()
        while self._sleepers and self._sleepers[0][0] <= end:
            due, _, sleeper = heapq.heappop(self._sleepers)
            self.now = max(self.now, due)
            if not sleeper.done():
                sleeper.set_result(None)
                await _settle()
        self.now = end
        await _settle()

    def _monotonic(self) -> float:
        return self.now

    def _utc_now(self) -> datetime:
        return START + timedelta(seconds=self.now)

    async def _sleep(self, seconds: float) -> None:
        sleeper: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.now + seconds, next(self._order), sleeper))
        await sleeper


class HastyClock:
    """Sleeping takes no time but moves the clock: outages of minutes pass in milliseconds.

    Attributes:
        now: Seconds since the start.
        slept: Every sleep asked for.
    """

    def __init__(self, *, chance: Callable[[], float] = lambda: 0.5) -> None:
        self.now = 0.0
        self.slept: list[float] = []
        self.clock = Clock(lambda: self.now, lambda: START + timedelta(seconds=self.now), self._sleep, chance)

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0.001)


async def _settle() -> None:
    ready = asyncio.get_running_loop()._ready  # type: ignore[attr-defined]  # noqa: SLF001 - no public name tells it
    idle = 0
    for _ in range(SETTLE_TURNS):
        await asyncio.sleep(0)
        idle = 0 if ready else idle + 1
        if idle == IDLE_TURNS:
            return


async def eventually(met: Callable[[], bool], *, within_s: float = 10.0) -> None:
    """Waits until something is true; the limit only bounds a failing test.

    Raises:
        TimeoutError: It never became true.
    """
    async with asyncio.timeout(within_s):
        while not met():  # noqa: ASYNC110 - what is waited for cannot set an event
            await asyncio.sleep(0.002)
