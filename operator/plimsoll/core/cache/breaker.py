"""When a store beside the gateway is asked: a circuit breaker, as a value.

closed ── too many failures in a row ─▶ open ── its time has come ─▶ trying ── an answer ─▶ closed
                                          ▲                            │
                                          └─────── a failure ──────────┘
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

FAILURES: Final = 5
"""In a row, until nobody is asked: so many requests at most wait for nothing."""
FIRST_S: Final = 0.5
MOST_S: Final = 30.0
"""Bounds of the time that nobody is asked, in seconds; it doubles with each try that fails."""


class BreakerState(StrEnum):
    """What becomes of a question: also label values of a metric."""

    CLOSED = "closed"
    TRYING = "trying"
    """It is asked, if no other one is: on its answer depends what becomes of the next ones."""
    OPEN = "open"
    """It is not asked."""


@dataclass(frozen=True, slots=True)
class Breaker:
    """What is known of one store.

    Attributes:
        state: What becomes of the next question.
        failures: In a row.
        openings: In a row, without an answer between them.
        retry_at: When it is tried again, on the monotonic clock in seconds; of a meaning only while it is open.
    """

    state: BreakerState = BreakerState.CLOSED
    failures: int = 0
    openings: int = 0
    retry_at: float = 0.0

    def answered(self) -> Breaker:
        """Returns what is known after an answer; one that comes late, while it is open, changes nothing."""
        return self if self.state is BreakerState.OPEN else Breaker()

    def failed(self, now: float, toss: float) -> Breaker:
        """Returns what is known after a failure.

        Args:
            now: Monotonic time in seconds.
            toss: A random number from 0 to 1: gateways that lost a store together must not come back to it together.
        """
        match self.state:
            case BreakerState.OPEN:
                return self
            case BreakerState.CLOSED if self.failures + 1 < FAILURES:
                return replace(self, failures=self.failures + 1)
            case BreakerState.CLOSED | BreakerState.TRYING:
                # The exponent is bounded, or years of failures would overflow a float.
                wait_s = min(MOST_S, FIRST_S * 2 ** min(self.openings, 16)) * (1 + toss) / 2
                return Breaker(BreakerState.OPEN, self.failures + 1, self.openings + 1, now + wait_s)

    def tried(self) -> Breaker:
        """Returns what is known when it is tried again; the caller has waited for `wait_s`."""
        return replace(self, state=BreakerState.TRYING) if self.state is BreakerState.OPEN else self

    def wait_s(self, now: float) -> float:
        """Returns how long nobody is to try, in seconds."""
        return max(0.0, self.retry_at - now) if self.state is BreakerState.OPEN else 0.0
