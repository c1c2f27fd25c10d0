"""gRPC's status codes, and what each says about the request that ended with it."""

from __future__ import annotations

from enum import IntEnum

from plimsoll.core.records.outcome import Outcome
from plimsoll.core.records.triton_errors import is_overload


class Status(IntEnum):
    """Status codes of gRPC (grpc.io/docs/guides/status-codes)."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


_OUTCOMES = {
    Status.OK: Outcome.SUCCEEDED,
    # The gateway's own cancellations never come here: the server, or something in it, gave up on the caller's behalf.
    Status.CANCELLED: Outcome.CANCELLED,
    Status.UNKNOWN: Outcome.SERVER_FAULT,
    Status.INVALID_ARGUMENT: Outcome.CLIENT_FAULT,
    Status.DEADLINE_EXCEEDED: Outcome.TIMED_OUT,
    Status.NOT_FOUND: Outcome.CLIENT_FAULT,
    Status.ALREADY_EXISTS: Outcome.CLIENT_FAULT,
    Status.PERMISSION_DENIED: Outcome.CLIENT_FAULT,
    # A message larger than the server takes; the counterpart of 413 and 429.
    Status.RESOURCE_EXHAUSTED: Outcome.CLIENT_FAULT,
    Status.FAILED_PRECONDITION: Outcome.CLIENT_FAULT,
    Status.ABORTED: Outcome.CLIENT_FAULT,
    Status.OUT_OF_RANGE: Outcome.CLIENT_FAULT,
    # The wrong call for this model: ModelInfer for a decoupled one.
    Status.UNIMPLEMENTED: Outcome.CLIENT_FAULT,
    Status.INTERNAL: Outcome.SERVER_FAULT,
    Status.UNAVAILABLE: Outcome.SERVER_FAULT,
    Status.DATA_LOSS: Outcome.SERVER_FAULT,
    Status.UNAUTHENTICATED: Outcome.CLIENT_FAULT,
}

_WORTH_ANOTHER_REVISION = frozenset({Status.UNAVAILABLE, Status.INTERNAL, Status.UNKNOWN, Status.DATA_LOSS})


def outcome_of(status: int | None, message: str = "") -> Outcome:
    """Returns the class of a request that a server ended so.

    Args:
        status: The value of `grpc-status`; None when the server sent none, which gRPC reads as UNKNOWN.
        message: The value of `grpc-message`.
    """
    if status == Status.UNAVAILABLE and is_overload(message):
        return Outcome.SHED
    return Outcome.SERVER_FAULT if status is None else _OUTCOMES.get(status, Outcome.SERVER_FAULT)  # type: ignore[call-overload]


def may_succeed_elsewhere(status: int | None) -> bool:
    """Tells whether a request that a candidate ended so is sent to the stable revision: gRPC's counterparts of 5xx."""
    return status is None or status in _WORTH_ANOTHER_REVISION
