"""Time and chance as values, so that tests own both."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Clock:
    """What the parts of this package may know about time.

    Attributes:
        monotonic: Seconds from an arbitrary point; never goes back. Used for every interval.
        utc_now: Wall time, aware, UTC. Written into objects for people, never compared.
        sleep: Waits that many seconds.
        random: Uniform in [0, 1), for jitter.
    """

    monotonic: Callable[[], float] = time.monotonic
    utc_now: Callable[[], datetime] = _utc_now
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    random: Callable[[], float] = random.random

    def between(self, low: float, high: float) -> float:
        """A random number in [low, high)."""
        return low + (high - low) * self.random()


SYSTEM_CLOCK = Clock()
