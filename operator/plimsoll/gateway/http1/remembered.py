"""The last head of a connection. Who sends many requests sends the same head, or one that differs in its length alone.

What a head means is a function of its bytes, so what was read of equal bytes stays true; and of a head whose
Content-Length has other digits everything stays true but the length.
"""

from __future__ import annotations

import re
from typing import Final, Generic, TypeVar, cast

from plimsoll.gateway.http1.answer_head import AnswerHead
from plimsoll.gateway.http1.request_head import RequestHead

_MOST_BYTES: Final = 4096
"""Longer heads are read each time, so that idle connections cost little memory."""
_LENGTH: Final = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]+)\r\n", re.IGNORECASE)
_DIGITS: Final = re.compile(rb"[0-9]{1,15}")

Head = TypeVar("Head", bound=RequestHead | AnswerHead)


class Remembered(Generic[Head]):
    """One head, and the bytes it was read from.

    Args:
        most: Longest body in bytes that may be told by other digits; a longer one is for the reader to judge.
    """

    __slots__ = ("_after", "_before", "_forward_after", "_forward_before", "_head", "_most", "_whole")

    def __init__(self, most: int) -> None:
        self._most = most
        self._head: Head | None = None
        self._whole = b""
        self._before = b""
        self._after = b""
        self._forward_before = b""
        self._forward_after = b""

    def remember(self, head: Head, whole: bytes, *, varies: bool) -> None:
        """Remembers what was read of a whole head.

        Args:
            head: What was read.
            whole: Its bytes.
            varies: It has a Content-Length, on which nothing depends but its `length` and `forward`.
        """
        if len(whole) > _MOST_BYTES:
            return
        self._head = head
        self._whole = whole
        self._before = b""
        if varies:
            self._before, self._after = _around_digits(whole)
            self._forward_before, self._forward_after = _around_digits(head.forward)

    def recall(self, data: bytes) -> tuple[Head, int] | None:
        """Returns the head that `data` begins with and the offset after it; None where it is another one."""
        head = self._head
        if head is None:
            return None
        if data.startswith(self._whole):
            return head, len(self._whole)
        if not self._before or not data.startswith(self._before):
            return None
        digits = _DIGITS.match(data, len(self._before))
        if digits is None or not data.startswith(self._after, digits.end()):
            return None
        length = int(digits[0])
        if length > self._most:
            return None
        forward = self._forward_before + digits[0] + self._forward_after
        told = cast("Head", head.resized(length, forward))
        return told, digits.end() + len(self._after)


def _around_digits(head: bytes) -> tuple[bytes, bytes]:
    length = _LENGTH.search(head)
    return (head[: length.start(1)], head[length.end(1) :]) if length is not None else (b"", b"")
