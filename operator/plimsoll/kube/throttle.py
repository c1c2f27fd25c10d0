"""A token bucket, so that a restart does not hit the API server with everything at once."""

from __future__ import annotations

import asyncio

from plimsoll.kube.clock import SYSTEM_CLOCK, Clock


class Throttle:
    """Lets `burst` callers through at once and `qps` a second after that, in the order they came."""

    def __init__(self, qps: float, burst: int, clock: Clock = SYSTEM_CLOCK) -> None:
        self._qps = qps
        self._burst = burst
        self._clock = clock
        self._tokens = float(burst)
        self._at = clock.monotonic()

    async def take(self) -> None:
        """Waits for its turn. The token is reserved at once, so waiters are served in order and never all together."""
        now = self._clock.monotonic()
        self._tokens = min(float(self._burst), self._tokens + (now - self._at) * self._qps)
        self._at = now
        self._tokens -= 1
        if self._tokens >= 0:
            return
        try:
            await self._clock.sleep(-self._tokens / self._qps)
        except asyncio.CancelledError:
            self._tokens += 1
            raise
