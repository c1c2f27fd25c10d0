"""The three ways something can fail, as one small tree.

`Invalid`: the user must act; shown as `Stalled`, never retried by itself.
`NotYet`: not an error; shown as `Reconciling`, tried again.
Anything else is a bug or an outage: counted and retried with backoff.

Messages are sentences that name the object, the field and the next step. They hold no secrets, no random names and no
timestamps: a message that changes on every attempt would be written to status on every attempt.
"""

from __future__ import annotations


class PlimsollError(Exception):
    """An outcome with a CamelCase `reason` for machines and a `message` for people."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class Invalid(PlimsollError):  # noqa: N818 - reads as the outcome it is, beside NotYet
    """Nothing changes until the user acts."""


class NotYet(PlimsollError):  # noqa: N818 - waiting is not an error
    """Expected to pass by itself; tried again."""
