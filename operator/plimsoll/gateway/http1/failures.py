"""Answers that say that something failed: held until they are whole, for their sentence tells whose fault it is."""

from __future__ import annotations

from plimsoll.core.records.outcome import Outcome
from plimsoll.gateway.http1.answer_head import CHUNKED, AnswerHead
from plimsoll.gateway.http1.outcomes import READ_BYTES, may_be_failure, message_of, outcome_of_failure

_BAD_REQUEST = b"HTTP/1.1 400 Bad Request"


class Failure:
    """One such answer. Nothing of it has gone to the client, so that a second attempt is still possible."""

    __slots__ = ("_pieces", "_size", "head")

    def __init__(self, head: AnswerHead) -> None:
        self.head = head
        self._pieces: list[bytes | memoryview] = []
        self._size = 0

    def add(self, piece: bytes | memoryview) -> bool:
        """Takes more of its body; returns False where it is so long that it is held no longer."""
        self._pieces.append(piece)
        self._size += len(piece)
        return max(self._size, self.head.length) <= READ_BYTES

    @property
    def body(self) -> bytes:
        """Its body so far."""
        return b"".join(self._pieces)


def is_failure(head: AnswerHead) -> bool:
    """Tells whether an answer is to be held."""
    return may_be_failure(head.status, in_chunks=head.length == CHUNKED)


def judged(head: AnswerHead, body: bytes) -> tuple[AnswerHead, Outcome]:
    """Returns the head that the client gets for a failure, and the outcome. The client's own fault is told as 400."""
    outcome = outcome_of_failure(head.status, message_of(body))
    if outcome is not Outcome.CLIENT_FAULT:
        return head, outcome
    forward = _BAD_REQUEST + head.forward[head.forward.index(b"\r\n") :]
    return AnswerHead(400, head.length, head.keep_alive, forward, informational=False), outcome
