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


_FAILURES = frozenset({Outcome.SERVER_FAULT, Outcome.BROKEN, Outcome.TIMED_OUT, Outcome.INVALID_OUTPUT})
