"""Which of the waiting requests a free instance executes together: Triton's dynamic batcher, and an ideal one.

Triton's is as its source has it (`dynamic_batch_scheduler.cc`, `rate_limiter.cc`, version 2.51): it makes batches
ahead, while the instances are busy, and that is where waiting comes from that a naive model does not see.

* Without a delay, a batch that reaches a preferred size is closed. With sizes 8 and 32 a busy instance therefore gets 8
  at a time where 20 wait: measured on a real server, the 99th percentile was three times that of taking all.
* With a delay, requests that come after a batch was made do not wake the batcher before a preferred size is full: they
  wait for that batch to start.
* Without preferred sizes the maximum is the only one: with no delay either, a free instance takes all that wait.

Left out: the merging of batches (only with a delay and preferred sizes below the maximum), priorities, timeouts.
Requests hold one item each. Times are milliseconds.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from typing import Protocol

_MADE_AHEAD = 2
"""Batches that Triton keeps ready for each instance."""


class Batcher(Protocol):
    """The waiting requests of one replica. Times never go back from call to call."""

    def add(self, request: int, now: float) -> None:
        """Takes in a request."""

    def take(self, now: float) -> list[int]:
        """Returns what a free instance executes now; nothing where nothing waits or it is worth waiting for more."""

    def due(self) -> float | None:
        """Returns when `take` may give more than now without another request; None where it does not."""


class IdealBatcher:
    """Gives all that wait, at most `max_batch`, once so many wait or the oldest has waited for the delay."""

    __slots__ = ("_delay", "_entered", "_max", "_waiting")

    def __init__(self, max_batch: int, delay_ms: float) -> None:
        self._max = max_batch
        self._delay = delay_ms
        self._waiting: list[int] = []
        self._entered: list[float] = []

    def add(self, request: int, now: float) -> None:
        """Takes in a request."""
        self._waiting.append(request)
        self._entered.append(now)

    def take(self, now: float) -> list[int]:
        """Returns what a free instance executes now."""
        waiting = self._waiting
        if not waiting or (len(waiting) < self._max and self._entered[0] + self._delay > now):
            return []
        batch = waiting[: self._max]
        del waiting[: self._max], self._entered[: self._max]
        return batch

    def due(self) -> float | None:
        """Returns when the oldest request has waited for the delay."""
        return self._entered[0] + self._delay if self._entered else None


class TritonBatcher:
    """Makes batches ahead while there is room for them; only the last one made may still grow."""

    __slots__ = (
        "_batches",
        "_delay",
        "_due",
        "_growing",
        "_max",
        "_most",
        "_preferred",
        "_unmade",
        "_waiting",
        "_wake_at",
    )

    def __init__(self, max_batch: int, delay_ms: float, preferred: Sequence[int], instances: int) -> None:
        self._preferred = sorted({0, *(preferred or (max_batch,))})
        self._max = max_batch
        self._delay = delay_ms
        self._most = _MADE_AHEAD * instances
        self._waiting: deque[int] = deque()
        self._batches: deque[int] = deque()
        """Sizes of the batches made of the first of `_waiting`."""
        self._unmade: deque[float] = deque()
        """When the others came."""
        self._growing = False
        self._wake_at = 0
        """How many must be unmade before one more wakes the batcher while a batch is growing."""
        self._due: float | None = None

    def add(self, request: int, now: float) -> None:
        """Takes in a request."""
        self._catch_up(now)
        self._waiting.append(request)
        self._unmade.append(now)
        if not self._growing or len(self._unmade) >= self._wake_at:
            self._make(now)

    def take(self, now: float) -> list[int]:
        """Returns what a free instance executes now."""
        self._catch_up(now)
        if not self._batches:
            return []
        waiting = self._waiting
        batch = [waiting.popleft() for _ in range(self._batches.popleft())]
        if not self._batches:
            self._growing, self._wake_at = False, 0
        self._make(now)
        return batch

    def due(self) -> float | None:
        """Returns when the batcher wakes by itself."""
        return self._due

    def _catch_up(self, now: float) -> None:
        """Does late what the batcher does when its time is up: nothing that was seen so far depended on it."""
        if self._due is not None and self._due <= now:
            self._make(self._due)

    def _make(self, now: float) -> None:
        """Moves what waits into batches."""
        self._due = None
        batches, unmade = self._batches, self._unmade
        while unmade and len(batches) < self._most:
            before = batches[-1] if self._growing else 0
            size, grows = self._size(before, now)
            if size == 0:
                self._due = unmade[0] + self._delay
                return
            if self._growing:
                batches[-1] = size
            else:
                batches.append(size)
            self._growing = grows
            if not grows:
                self._wake_at = 0
            for _ in range(size - before):
                unmade.popleft()

    def _size(self, before: int, now: float) -> tuple[int, bool]:
        """Returns the new size of a batch that had `before`, 0 for "not yet", and whether it may grow further."""
        reach = min(before + len(self._unmade), self._max)
        next_preferred = bisect_right(self._preferred, reach)
        preferred, largest = self._preferred[next_preferred - 1], self._preferred[-1]
        delayed = self._delay > 0
        late = delayed and self._unmade[0] + self._delay <= now
        if before >= largest:
            return reach, False
        if preferred > before and not late:
            return preferred, delayed
        if late or not delayed:
            return reach, reach < largest
        self._wake_at = self._preferred[next_preferred] - before
        return (reach if before and before != preferred else 0), True
