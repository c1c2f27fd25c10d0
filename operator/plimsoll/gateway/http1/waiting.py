"""The stage between revision and endpoint: a place in the queue, and the time that the client grants."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from time import monotonic

from plimsoll.core.routing.headers import QUEUED_HEADER
from plimsoll.gateway.http1.refusals import Reason, Refusal
from plimsoll.gateway.queue import Queue, Rejection, Ticket, Waiting, Why
from plimsoll.gateway.targets import RevisionTarget

_REASONS = {
    Why.OVERLOADED: Reason.OVERLOADED,
    Why.LEFT: Reason.NO_ENDPOINT,
    Why.STOPPED: Reason.STOPPED,
    Why.NO_FALLBACK: Reason.NO_FALLBACK,
}


class Patience:
    """What one request waits for, one request after the other. Most wait for nothing and touch nothing of it.

    Attributes:
        held: There is something to end.
    """

    __slots__ = ("_due", "_queue", "_ticket", "_timer", "held")

    def __init__(self) -> None:
        self._due = math.inf
        self._timer: asyncio.TimerHandle | None = None
        self._queue: Queue | None = None
        self._ticket: Ticket | None = None
        self.held = False

    @property
    def queues(self) -> bool:
        """The request waits in the queue."""
        return self._ticket is not None

    def grant(self, timeout_s: float, started: float, expired: Callable[[str], None]) -> None:
        """Calls `expired` with a sentence when the time that the client grants is over, unless `end` comes before.

        Args:
            timeout_s: How long that is, in seconds.
            started: When the request's first byte came in, on the monotonic clock.
            expired: What happens then.
        """
        self.held = True
        self._due = started + timeout_s
        sentence = f"No whole answer came within the {timeout_s:g} s that the client grants."
        self._timer = asyncio.get_running_loop().call_later(max(0.0, self._due - monotonic()), expired, sentence)

    def queue(self, queue: Queue, waiter: Waiting, revision: RevisionTarget) -> None:
        """Waits for an endpoint of the revision; `waiter` is told, perhaps at once."""
        left_s = self.time_left_s()
        joined = queue.join(waiter, revision, left_s if left_s < math.inf else None)
        if isinstance(joined, Rejection):
            waiter.turned_away(joined)
        elif joined is not None:
            self.held = True
            self._queue, self._ticket = queue, joined

    def time_left_s(self) -> float:
        """Returns what is left of the time that the client grants, in seconds; infinite where it does not say."""
        return self._due - monotonic() if self._due < math.inf else math.inf

    def left(self) -> None:
        """Takes note that the wait is over."""
        self._queue = self._ticket = None

    def waited(self, seconds: float) -> bytes:
        """Takes note that the wait is over, and returns the header line about it, none where it took no time."""
        self.left()
        return b"%s: %d\r\n" % (QUEUED_HEADER.encode(), math.ceil(seconds * 1000)) if seconds > 0 else b""

    def end(self) -> None:
        """Forgets everything: the request is over."""
        if self._timer is not None:
            self._timer.cancel()
        if self._queue is not None and self._ticket is not None:
            self._queue.withdraw(self._ticket)
        self._timer = self._queue = self._ticket = None
        self._due = math.inf
        self.held = False


def refusal_of(rejection: Rejection) -> Refusal:
    """Returns the answer to a request that got no place."""
    return Refusal(503, _REASONS[rejection.why], rejection.sentence, rejection.retry_after_s)
