"""The head of a model server's answer, read as strictly as a client's: a doubtful one is a broken answer."""

from __future__ import annotations

import re
from dataclasses import dataclass

from plimsoll.gateway.http1.fields import (
    CHUNKED,
    END,
    HOP_BY_HOP,
    READ_FROM_ANSWERS,
    UNSAID,
    body_length,
    keeps_alive,
    passed_on,
    read_fields,
)
from plimsoll.gateway.http1.limits import Limits
from plimsoll.gateway.http1.refusals import Refused

_LINE = re.compile(rb"HTTP/1\.1 ([1-5][0-9][0-9]) [\t\x20-\x7e\x80-\xff]*")
_SWITCHING = 101
_FINAL = 200
_NO_CONTENT = 204
_NOT_MODIFIED = 304


class BrokenAnswer(Exception):  # noqa: N818 - what the server sent
    """The server did not send an answer that can be told from what follows it."""


@dataclass(frozen=True, slots=True)
class AnswerHead:
    """What the gateway needs of a head.

    Attributes:
        status: As a number.
        length: Of the body, in bytes; `fields.CHUNKED` where its chunks say it.
        keep_alive: The server may be sent another request on this connection.
        forward: The head as it goes to the client, with our own fields.
        informational: A final answer is yet to come.
    """

    status: int
    length: int
    keep_alive: bool
    forward: bytes
    informational: bool

    def resized(self, length: int, forward: bytes) -> AnswerHead:
        """Returns the same head with another length."""
        return AnswerHead(self.status, length, self.keep_alive, forward, self.informational)


def find_end(data: bytes, limits: Limits) -> int:
    """Returns the offset after the head that `data` begins with, or -1 where more bytes are needed.

    Raises:
        BrokenAnswer: It is longer than an answer's head may be.
    """
    end = data.find(END, 0, limits.head_bytes)
    if end < 0 and len(data) >= limits.head_bytes:
        raise BrokenAnswer(f"its head is longer than {limits.head_bytes} bytes")
    return end + len(END) if end >= 0 else -1


def read_answer(head: bytes, signature: bytes, limits: Limits, *, to_head: bool) -> AnswerHead:
    """Reads a whole head, its empty line included.

    Args:
        head: As it came.
        signature: Header lines of ours, each with its line end.
        limits: How large it may be.
        to_head: It answers a HEAD request, so that no body follows whatever the fields say.

    Raises:
        BrokenAnswer: It is not HTTP/1.1 in the one form that is accepted, or does not say how long the body is.
    """
    start = head.find(b"\r\n") + 2
    line = _LINE.fullmatch(head, 0, start - 2)
    if line is None:
        raise BrokenAnswer("its status line is malformed")
    status = int(line[1])
    if status == _SWITCHING:
        raise BrokenAnswer("it switches the protocol, which nobody asked for")
    try:
        found = read_fields(head, start, limits.fields, READ_FROM_ANSWERS)
        length = body_length(found)
        forward = passed_on(head, start, found, HOP_BY_HOP)
    except Refused as refused:
        raise BrokenAnswer(f"its head is malformed: {refused}") from refused
    informational = status < _FINAL
    if informational or to_head or status in {_NO_CONTENT, _NOT_MODIFIED}:
        if status != _NOT_MODIFIED and not to_head and length not in {0, UNSAID}:
            raise BrokenAnswer(f"{status} has no body, and it announces one")
        length = 0
    if length == UNSAID:
        raise BrokenAnswer("it does not say how long its body is")
    return AnswerHead(
        status,
        length,
        keeps_alive(found),
        forward if informational else forward[:-2] + signature + b"\r\n",
        informational,
    )


__all__ = ["CHUNKED", "AnswerHead", "BrokenAnswer", "find_end", "read_answer"]
