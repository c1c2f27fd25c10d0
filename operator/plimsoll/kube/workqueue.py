"""Which owner is planned next.

De-duplicating (a key waits once), serial per key (a key added while running runs once more afterwards), delayed,
rate-limited per key, and fair: namespaces take turns, so one tenant with 5,000 changes delays others by one key each.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
from collections import deque

from plimsoll.kube.clock import SYSTEM_CLOCK, Clock
from plimsoll.kube.resources import Key


class QueueClosed(Exception):  # noqa: N818 - an end, not an error
    """The queue was closed and has nothing more to give."""


class WorkQueue:
    """Keys to be worked on. All methods belong to one event loop.

    Args:
        clock: Monotonic time for delays, randomness for jitter.
        base_delay_s: First back-off of a failing key.
        max_delay_s: Longest back-off.
    """

    def __init__(self, clock: Clock = SYSTEM_CLOCK, *, base_delay_s: float = 0.25, max_delay_s: float = 300.0) -> None:
        self._clock = clock
        self._base_delay_s = base_delay_s
        self._max_delay_s = max_delay_s
        self._ready: dict[str, deque[Key]] = {}
        self._turns: deque[str] = deque()
        self._queued: set[Key] = set()
        self._running: set[Key] = set()
        self._redo: set[Key] = set()
        self._due: dict[Key, float] = {}
        self._heap: list[tuple[float, Key]] = []
        self._failures: dict[Key, int] = {}
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._alarm: asyncio.Task[None] | None = None
        self._alarm_at = 0.0
        self._closed = False

    def add(self, key: Key) -> None:
        """Queues the key now; a pending delay of it is cancelled. A running key is redone when done."""
        self._due.pop(key, None)
        if self._closed or key in self._queued:
            return
        if key in self._running:
            self._redo.add(key)
            return
        self._enqueue(key)
        self._wake_one()

    def add_after(self, key: Key, delay_s: float) -> None:
        """Queues the key after the delay; of several delays the earliest holds. At or below 0 it means `add`."""
        if delay_s <= 0:
            self.add(key)
            return
        due = self._clock.monotonic() + delay_s
        if self._closed or key in self._queued or due >= self._due.get(key, float("inf")):
            return
        self._due[key] = due
        heapq.heappush(self._heap, (due, key))
        self._compact()
        self._set_alarm()

    def add_rate_limited(self, key: Key) -> float:
        """Queues the key after its next back-off: doubled each time, jittered by half. Returns the delay in seconds."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        full = min(self._max_delay_s, self._base_delay_s * 2 ** min(failures, 32))
        delay = self._clock.between(full / 2, full)
        self.add_after(key, delay)
        return delay

    def forget(self, key: Key) -> None:
        """Resets the key's back-off after a success."""
        self._failures.pop(key, None)

    async def get(self) -> Key:
        """Waits for a key and marks it running; the caller owes a `done`. Other tasks get a turn first.

        Raises:
            QueueClosed: No more keys will come.
        """
        # A plan that changes nothing never suspends: 5,000 of them in a row kept the lease from being renewed for 10 s.
        await asyncio.sleep(0)
        while (key := self.get_nowait()) is None:
            if self._closed:
                raise QueueClosed
            await self._wait()
        return key

    def get_nowait(self) -> Key | None:
        """As `get`, but `None` when no key is ready."""
        self._promote()
        if not self._turns or self._closed:
            return None
        namespace = self._turns.popleft()
        keys = self._ready[namespace]
        key = keys.popleft()
        if keys:
            self._turns.append(namespace)
        else:
            del self._ready[namespace]
        self._queued.remove(key)
        self._running.add(key)
        return key

    def done(self, key: Key) -> None:
        """Ends the run of a key; if it was added meanwhile, it is queued again."""
        self._running.discard(key)
        if key in self._redo:
            self._redo.remove(key)
            self.add(key)

    def close(self) -> None:
        """Wakes every waiter; keys not yet taken are dropped."""
        self._closed = True
        if self._alarm:
            self._alarm.cancel()
        while self._waiters:
            self._wake_one()

    @property
    def depth(self) -> int:
        """Keys ready to run now."""
        return len(self._queued)

    def _enqueue(self, key: Key) -> None:
        namespace = key[0]
        if namespace not in self._ready:
            self._ready[namespace] = deque()
            self._turns.append(namespace)
        self._ready[namespace].append(key)
        self._queued.add(key)

    def _promote(self) -> None:
        now = self._clock.monotonic()
        while self._heap and self._heap[0][0] <= now:
            due, key = heapq.heappop(self._heap)
            if self._due.get(key) == due:
                self.add(key)

    def _compact(self) -> None:
        # Cancelled delays stay in the heap until due: at 50 events a second and a resync of 600 s that would be 30,000.
        if len(self._heap) > 2 * len(self._due) + 64:
            self._heap = [(due, key) for key, due in self._due.items()]
            heapq.heapify(self._heap)

    async def _wait(self) -> None:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        self._set_alarm()
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self._wake_one()  # we were chosen and then cancelled: the key must not wait for the next add
            else:
                with contextlib.suppress(ValueError):
                    self._waiters.remove(waiter)
            raise

    def _wake_one(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def _set_alarm(self) -> None:
        if not self._heap or not self._waiters or self._closed:
            return
        at = self._heap[0][0]
        if self._alarm and not self._alarm.done():
            if self._alarm_at <= at:
                return
            self._alarm.cancel()
        self._alarm_at = at
        self._alarm = asyncio.get_running_loop().create_task(self._ring(at))

    async def _ring(self, at: float) -> None:
        await self._clock.sleep(max(0.0, at - self._clock.monotonic()))
        self._alarm = None
        self._promote()
        self._set_alarm()
