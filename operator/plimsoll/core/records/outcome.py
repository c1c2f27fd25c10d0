"""What became of a request. Every arrival ends in exactly one class, so the classes add up to the arrivals."""

from __future__ import annotations

from enum import IntEnum


class Outcome(IntEnum):
    """One class. The numbers index counters and are part of the wire format: never reused, new ones at the end.

    Which of them speak against a revision is `is_failure`'s to say. A malformed request is the client's fault and a
    full queue is the load's: neither says anything about the revision.
    """

    SUCCEEDED = 0
    """Answered; for streams: to the end."""
    SERVER_FAULT = 1
    """The server said that it failed: a 5xx, or gRPC INTERNAL, UNKNOWN, UNAVAILABLE or DATA_LOSS."""
    BROKEN = 2
    """The connection could not be made, or broke before the answer was whole."""
    TIMED_OUT = 3
    """No answer by the request's deadline."""
    INVALID_OUTPUT = 4
    """Answered as a success with what is none: not a number, empty, of the wrong shape."""
    ABSTAINED = 5
    """Answered, but the model was not sure enough."""
    CLIENT_FAULT = 6
    """Refused because of what the client sent: a 4xx or its gRPC counterpart, whoever refused it."""
    SHED = 7
    """Not forwarded: overload, no endpoint, traffic stopped."""
    CANCELLED = 8
    """The client went away before it was answered."""


def is_failure(outcome: Outcome) -> bool:
    """Tells whether an outcome speaks against the revision that was tried."""
    return outcome in _FAILURES


def is_judged(outcome: Outcome) -> bool:
    """Tells whether an outcome says anything about the revision, good or bad."""
    return outcome in _FAILURES or outcome in _ANSWERED


def is_timed(outcome: Outcome) -> bool:
    """Tells whether the time it took belongs among the latencies.

    Answers, and timeouts, whose deadline is the least they would have taken: without them a revision that hangs looks
    fast. A fault says nothing about the time of an answer, and one that comes at once would look fast too.
    """
    return outcome in _ANSWERED or outcome in {Outcome.INVALID_OUTPUT, Outcome.TIMED_OUT}


_FAILURES = frozenset({Outcome.SERVER_FAULT, Outcome.BROKEN, Outcome.TIMED_OUT, Outcome.INVALID_OUTPUT})
_ANSWERED = frozenset({Outcome.SUCCEEDED, Outcome.ABSTAINED})
