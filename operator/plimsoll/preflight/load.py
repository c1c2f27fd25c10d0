"""Open-loop load: requests are sent when they are due, whether or not earlier ones are answered.

Latency counts from the moment a request was *due*. A client that waits for answers before it sends more asks a slow
server fewer questions, and a client that counts from the moment of sending forgets how late it was; both hide the
stalls that users feel (coordinated omission).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from plimsoll.preflight.failures import CallError, ServerGoneError

Floats = NDArray[np.float64]
Send = Callable[[int], Awaitable[object]]
"""Sends the request of that number (from 0) and returns when it is answered.

A CallError makes it a failed one, but ServerGoneError ends the run: what follows would say nothing about latency.
"""

MAX_IN_FLIGHT: Final = 1024
_LEAD_S: Final = 0.02
"""Between the start and the first due time, so that the first request is not late by setting up."""
_LAG_QUANTILE: Final = 0.99
_LAG_FLOOR_MS: Final = 1.0
"""Lag that is the operating system's timer rather than a client that cannot keep up."""
_LAG_SHARE: Final = 0.1
"""Of the latency at the same quantile: more of it would be about the client."""


def poisson(requests_per_s: float, requests: int, rng: np.random.Generator) -> Floats:
    """Due times in seconds of a Poisson stream, ascending, shape (requests,): users who know nothing of each other."""
    return np.cumsum(rng.exponential(1 / requests_per_s, requests))


def uniform(requests_per_s: float, requests: int) -> Floats:
    """Due times in seconds at equal distances, shape (requests,)."""
    return np.arange(1, requests + 1) / requests_per_s


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What became of the requests that were due; arrays are in their order.

    Attributes:
        latencies_ms: From the due time to the answer; infinite for a request without one.
        lags_ms: From the due time to the moment of sending: the client's own share of the latency. Shape (sent,).
        planned: Length of the schedule.
        failed: Requests that ended with an error.
        shed: Requests that were not sent because too many were in flight; misses, as far as users are concerned.
        failure: The first error.
    """

    latencies_ms: Floats
    lags_ms: Floats
    planned: int
    failed: int
    shed: int
    failure: str

    @property
    def requests(self) -> int:
        """Requests that were due; fewer than `planned` where the run was given up."""
        return len(self.latencies_ms)

    def late(self, limit_ms: float) -> int:
        """Returns how many were not answered within `limit_ms`."""
        return int((self.latencies_ms > limit_ms).sum())

    def sorted_ms(self, lost_ms: float) -> Floats:
        """Returns the latencies in ascending order, with `lost_ms` for requests without an answer."""
        return np.sort(np.where(np.isinf(self.latencies_ms), lost_ms, self.latencies_ms))

    @property
    def lag_ms(self) -> float:
        """The client's own lag at p99; 0 when nothing was sent."""
        return float(np.quantile(self.lags_ms, _LAG_QUANTILE)) if self.lags_ms.size else 0.0

    def invalid(self) -> str:
        """Says in one sentence why these latencies are not the server's; empty when they are."""
        answered = self.latencies_ms[np.isfinite(self.latencies_ms)]
        latency = float(np.quantile(answered, _LAG_QUANTILE)) if answered.size else np.inf
        if self.lag_ms <= max(_LAG_FLOOR_MS, _LAG_SHARE * latency):
            return ""
        return (
            f"The client itself was the bottleneck: it sent requests {self.lag_ms:.1f} ms late at p99, of a latency of "
            f"{latency:.1f} ms. Give it more CPU or ask for a lower rate."
        )


@dataclass(frozen=True, slots=True)
class Abandon:
    """When a run is decided before its end: more than `allowed` requests slower than `limit_ms`."""

    limit_ms: float
    allowed: int


async def open_loop(
    due_s: Floats, send: Send, *, max_in_flight: int = MAX_IN_FLIGHT, abandon: Abandon | None = None
) -> LoadResult:
    """Sends one request at each due time and returns when all of them are answered or failed.

    Args:
        due_s: Seconds from the start, ascending.
        send: Must return or raise within a bounded time.
        max_in_flight: Requests without an answer beyond which further ones are shed.
        abandon: Stop sending once the run is decided; what is in flight is still waited for.

    Raises:
        ServerGoneError: And whatever else `send` raises that is not a CallError.
    """
    run = _Run(due_s, send, max_in_flight, abandon)
    await run.schedule()
    return run.result()


@dataclass(slots=True)
class _Run:
    due_s: Floats
    send: Send
    max_in_flight: int
    abandon: Abandon | None
    clock: Callable[[], float] = field(default_factory=lambda: asyncio.get_running_loop().time)
    start: float = 0.0
    sent: int = 0
    failed: int = 0
    shed: int = 0
    late: int = 0
    failure: str = ""
    in_flight: set[asyncio.Task[None]] = field(default_factory=set)
    latencies_s: Floats = field(init=False)
    lags_s: list[float] = field(default_factory=list)
    broken: BaseException | None = None

    async def schedule(self) -> None:
        self.latencies_s = np.full(len(self.due_s), np.inf)
        self.start = self.clock() + _LEAD_S
        try:
            for number, due in enumerate(self.due_s.tolist()):
                # A sleep of 0 where we are late: answers that came must be seen before more is sent.
                await asyncio.sleep(max(self.start + due - self.clock(), 0))
                if self.decided:
                    break
                self.issue(number)
            while self.in_flight:
                await asyncio.wait(self.in_flight)
        finally:
            for task in self.in_flight:
                task.cancel()
        if self.broken is not None:
            raise self.broken

    @property
    def decided(self) -> bool:
        return self.broken is not None or (self.abandon is not None and self.late > self.abandon.allowed)

    def issue(self, number: int) -> None:
        self.sent = number + 1
        if len(self.in_flight) >= self.max_in_flight:
            self.shed += 1
            self.late += 1
            return
        task = asyncio.ensure_future(self.one(number))
        self.in_flight.add(task)
        task.add_done_callback(self.in_flight.discard)

    async def one(self, number: int) -> None:
        due = self.start + self.due_s[number]
        self.lags_s.append(max(self.clock() - due, 0.0))
        try:
            await self.send(number)
        except ServerGoneError as error:
            self.broken = self.broken or error
            return
        except CallError as error:
            self.failed += 1
            self.late += 1
            self.failure = self.failure or error.message
            return
        except Exception as error:  # noqa: BLE001 - a task's error would be lost; schedule() raises it
            self.broken = self.broken or error
            return
        self.latencies_s[number] = latency = self.clock() - due
        if self.abandon is not None and latency * 1000 > self.abandon.limit_ms:
            self.late += 1

    def result(self) -> LoadResult:
        return LoadResult(
            self.latencies_s[: self.sent] * 1000,
            np.asarray(self.lags_s) * 1000,
            len(self.due_s),
            self.failed,
            self.shed,
            self.failure,
        )
