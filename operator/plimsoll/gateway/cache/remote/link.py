"""A connection to the store that is kept up, behind a circuit breaker."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Final

from plimsoll.core.cache.breaker import Breaker, BreakerState
from plimsoll.gateway.cache.remote.login import Unreachable
from plimsoll.gateway.cache.remote.wire import Wire

_log = logging.getLogger(__name__)

_SETTLED_S: Final = 1.0
"""A connection that lived so long and was not used may be closed by the store, which does that with idle ones."""
_PAUSE_S: Final = 0.05
"""Between two connections, so that a store that closes each at once costs next to nothing until it is left alone."""
_MOST_SAID: Final = 16

Dial = Callable[[Callable[[str, bool], None]], Awaitable[Wire]]


class Direction(StrEnum):
    """What a link is for: label values of metrics."""

    READ = "read"
    WRITE = "write"


class Link:
    """One of the two.

    Args:
        direction: What it is for.
        address: Where it leads, for messages.
        dial: Makes a connection; raises `Unreachable`.
        clock: Monotonic time in seconds.
        toss: Returns a random number from 0 to 1.
    """

    def __init__(
        self,
        direction: Direction,
        address: str,
        dial: Dial,
        clock: Callable[[], float],
        toss: Callable[[], float],
    ) -> None:
        self.direction = direction
        self._address = address
        self._dial = dial
        self._clock = clock
        self._toss = toss
        self._breaker = Breaker()
        self._wire: Wire | None = None
        self._ended = asyncio.Event()
        self._since = 0.0
        self._said: list[str] = []

    @property
    def state(self) -> BreakerState:
        """The breaker's."""
        return self._breaker.state

    @property
    def connected(self) -> bool:
        """There is a connection."""
        return self._wire is not None

    def ready(self, most: int, most_bytes: int) -> Wire | None:
        """Returns the connection; None where there is none, it must not be used now, or has too much under way."""
        wire = self._wire
        if wire is None or self._breaker.state is BreakerState.OPEN:
            return None
        count, size = wire.under_way
        trying = self._breaker.state is BreakerState.TRYING
        return None if count >= (1 if trying else most) or size >= most_bytes else wire

    def answered(self) -> None:
        """Takes note of an answer."""
        self._breaker = self._breaker.answered()
        if self._said:
            self._said.clear()
            _log.info("cache.remote_back", extra={"store": self._address, "direction": self.direction.value})

    async def run(self) -> None:
        """Keeps the connection up until cancelled."""
        try:
            while True:
                await asyncio.sleep(self._breaker.wait_s(self._clock()))
                self._breaker = self._breaker.tried()
                await self._once()
                await asyncio.sleep(_PAUSE_S)
        finally:
            wire, self._wire = self._wire, None
            if wire is not None:
                wire.fail("the gateway ends")

    async def _once(self) -> None:
        self._ended.clear()
        try:
            wire = await self._dial(self._lost)
        except Unreachable as unreachable:
            self._failed(str(unreachable))
            return
        self._since = self._clock()
        self._wire = wire
        await self._ended.wait()

    def _lost(self, why: str, idle: bool) -> None:  # noqa: FBT001 - as `Wire` calls it
        self._wire = None
        self._ended.set()
        if not (idle and self._clock() - self._since >= _SETTLED_S):
            self._failed(why)

    def _failed(self, why: str) -> None:
        self._breaker = self._breaker.failed(self._clock(), self._toss())
        if why not in self._said and len(self._said) < _MOST_SAID:
            self._said.append(why)
            told = {"store": self._address, "direction": self.direction.value, "why": why}
            _log.warning("cache.remote_failed", extra=told)
