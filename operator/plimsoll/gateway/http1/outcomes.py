"""Which outcome an answer is. Here, and not in the exchange, because models say "I failed" in many ways."""

from __future__ import annotations

from plimsoll.core.records.outcome import Outcome

_SERVER = 500
_CLIENT = 400


def outcome_of(status: int) -> Outcome:
    """Returns the outcome of a whole answer.

    Triton says 500 also to JSON that is none, which is its client's fault. Whoever reads request bodies can tell, and
    refuses them before a revision is picked; this function sees the status alone.
    """
    if status >= _SERVER:
        return Outcome.SERVER_FAULT
    return Outcome.CLIENT_FAULT if status >= _CLIENT else Outcome.SUCCEEDED


def is_server_fault(status: int) -> bool:
    """Tells whether the server says that it failed."""
    return status >= _SERVER
