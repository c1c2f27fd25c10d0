"""Whether a request is sent on, waits or is refused, when pods have as many requests as they may.

An arrival that finds n others before it in its line waits (n + 1) / r, where r is how many slots become free a second
while all are taken; and by Little's law a request then spends slots / r at its pod. Both are estimates. When r is not
known nothing is predicted and the request waits: the deadline bounds what an optimist can lose, and nothing bounds what
a pessimist turns away.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from plimsoll.core.routing.limits import RequestLimits

WAIT_S: Final = 5.0
"""Longest wait where neither the spec nor an objective says one."""
MEMORY_S: Final = 10.0
"""What was seen so long ago counts 1/e: longer than a batch takes, shorter than pods take to come and go."""
EVIDENCE: Final = 2.0
"""Freed slots, older ones discounted, below which the pace is not known."""
_MOST_RETRY_AFTER_S: Final = 60


class Pace:
    """How fast slots become free, measured only while all of them are taken: otherwise it is the load that is measured.

    Kept per slot, so that it holds on when pods come and go. Times are those of one monotonic clock, in seconds.
    """

    __slots__ = ("_at", "_freed", "_slot_s", "_slots")

    def __init__(self, now: float) -> None:
        self._at = now
        self._slots = 0
        self._freed = 0.0
        self._slot_s = 0.0

    def crowded(self, now: float, slots: int) -> None:
        """Says that from now on so many slots are all taken; 0: not all are."""
        self._fade(now)
        self._slots = slots

    def freed(self, now: float) -> None:
        """Counts a slot that became free."""
        self._fade(now)
        self._freed += 1

    def rate(self, now: float, slots: int) -> float | None:
        """Returns how many of `slots` become free a second when all are taken; None when that is not known."""
        self._fade(now)
        if self._freed < EVIDENCE or not self._slot_s or not slots:
            return None
        return self._freed / self._slot_s * slots

    def _fade(self, now: float) -> None:
        passed, self._at = max(0.0, now - self._at), max(now, self._at)
        kept = math.exp(-passed / MEMORY_S)
        self._freed *= kept
        # The integral of the slots over the time that has passed, discounted as it passed.
        self._slot_s = self._slot_s * kept + self._slots * MEMORY_S * (1 - kept)


@dataclass(frozen=True, slots=True)
class Found:
    """What an arrival finds.

    Attributes:
        waiting: Requests that wait for the model.
        ahead: Of these, the ones that get a slot before it.
        free: There is a slot that it could have.
        slots: Requests that its revision may have at a time.
        rate: Slots that become free a second; None when not known.
    """

    waiting: int
    ahead: int
    free: bool
    slots: int
    rate: float | None = None


class Verdict(StrEnum):
    """What becomes of an arrival."""

    ADMIT = "admit"
    QUEUE = "queue"
    FULL = "full"
    LATE = "late"


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of an arrival, and why.

    Attributes:
        verdict: Sent on, or waits, or is refused: as many wait as may, or it would wait for too long.
        allowed_s: How long it may wait.
        predicted_s: How long it would; None when not known.
        retry_after_s: When it is worth trying again, in whole seconds.
    """

    verdict: Verdict
    allowed_s: float
    predicted_s: float | None
    retry_after_s: int


def decide(found: Found, limits: RequestLimits, granted_s: float | None = None) -> Decision:
    """Returns what becomes of an arrival.

    Args:
        found: What it finds.
        limits: Of its model.
        granted_s: How long its client still waits for the answer, in seconds; None: no limit is known.
    """
    rate = found.rate
    predicted_s = (found.ahead + 1) / rate if rate else None
    allowed_s = allowed_wait_s(limits, granted_s, found.slots / rate if rate else 0.0)
    if found.free and not found.ahead:
        return Decision(Verdict.ADMIT, allowed_s, 0.0, 0)
    if found.waiting >= limits.max_queue:
        return Decision(Verdict.FULL, allowed_s, predicted_s, whole_seconds(1 / rate if rate else 0.0))
    if allowed_s <= 0 or (predicted_s is not None and predicted_s > allowed_s):
        return Decision(Verdict.LATE, allowed_s, predicted_s, whole_seconds((predicted_s or 0.0) - allowed_s))
    return Decision(Verdict.QUEUE, allowed_s, predicted_s, 0)


def allowed_wait_s(limits: RequestLimits, granted_s: float | None, service_s: float) -> float:
    """Returns how long a request may wait, in seconds: what is stated, or what is promised less the time at the pod.

    Args:
        limits: Of its model.
        granted_s: As for `decide`.
        service_s: What a request spends at its pod; 0 when not known.
    """
    if limits.max_wait_s is not None:
        allowed_s = limits.max_wait_s
    elif limits.promise_s is not None:
        allowed_s = min(limits.promise_s - service_s, WAIT_S)
    else:
        allowed_s = WAIT_S
    if granted_s is not None:
        allowed_s = min(allowed_s, granted_s - service_s)
    return max(0.0, allowed_s)


def whole_seconds(seconds: float) -> int:
    """Returns a Retry-After: rounded up, at least a second, at most a minute."""
    return max(1, min(math.ceil(seconds), _MOST_RETRY_AFTER_S))


def refusal_sentence(model: str, decision: Decision, max_queue: int) -> str:
    """Returns what a client is told whose request may not wait."""
    again = f"Try again in {decision.retry_after_s} s."
    if decision.verdict is Verdict.FULL and not max_queue:
        return f"Every replica of {model} is busy, and spec.overload.maxQueue lets no request wait. {again}"
    if decision.verdict is Verdict.FULL:
        return f"{max_queue} requests wait for {model}, as many as spec.overload.maxQueue lets. {again}"
    if decision.predicted_s is None:
        return f"Every replica of {model} is busy, and this request has no time to wait. {again}"
    return (
        f"Every replica of {model} is busy: this request would wait {decision.predicted_s:.2g} s and has "
        f"{decision.allowed_s:.2g} s. {again}"
    )


def overdue_sentence(model: str, allowed_s: float) -> str:
    """Returns what a client is told whose request has waited for as long as it may."""
    return f"No replica of {model} was free within {allowed_s:.2g} s. Try again in 1 s."
