"""The protocol of Redis and Valkey (RESP2), as far as a cache speaks it: commands, and replies that are one value.

A reader of its own: the store's common parsers make room for as many elements as an array says it has, and 13 bytes
that say four billion would stop the gateway for 20 s. Here an array is not even begun.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_MOST_LINE: Final = 1024
_KINDS: Final = b"+-:$"
_NUMBER: Final = re.compile(rb"-?[0-9]{1,18}")
_CODE: Final = re.compile(rb"[A-Z]{1,32}")
_END: Final = b"\r\n"


class Garbled(ValueError):  # noqa: N818 - as one says it
    """What came is no reply that was asked for."""


@dataclass(frozen=True, slots=True)
class ErrorReply:
    """The store refuses a command.

    Attributes:
        code: Its first word, as OOM or WRONGPASS. The rest is not repeated: it may name users, and is anybody's text.
    """

    code: str


Reply = bytes | int | ErrorReply | None


def command(*parts: bytes) -> bytes:
    """Returns a command as it is sent: its name and its arguments."""
    return b"".join((b"*%d\r\n" % len(parts), *(b"$%d\r\n%b\r\n" % (len(part), part) for part in parts)))


class ReplyReader:
    """Reads replies from what comes, however it is cut.

    Args:
        most: Bytes of the longest value.
    """

    __slots__ = ("_buffer", "_most")

    def __init__(self, most: int) -> None:
        self._most = most
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Reply]:
        """Takes what came, and returns the replies that are whole now.

        Raises:
            Garbled: It is none; the connection is of no use any more.
        """
        buffer = self._buffer
        buffer += data
        replies: list[Reply] = []
        at = 0
        while (read := self._one(at)) is not None:
            reply, at = read
            replies.append(reply)
        del buffer[:at]
        return replies

    def _one(self, at: int) -> tuple[Reply, int] | None:
        """Returns the reply that begins there and where it ends; None where it is not whole."""
        buffer = self._buffer
        if at == len(buffer):
            return None
        if buffer[at] not in _KINDS:
            raise Garbled("what came is no reply")
        end = buffer.find(_END, at, at + _MOST_LINE)
        if end < 0:
            if len(buffer) - at >= _MOST_LINE:
                raise Garbled("a line of a reply is too long")
            return None
        kind, line, after = buffer[at], bytes(buffer[at + 1 : end]), end + len(_END)
        if kind == ord("+"):
            return line, after
        if kind == ord("-"):
            code = _CODE.match(line)
            return ErrorReply(code[0].decode() if code else "ERR"), after
        if not _NUMBER.fullmatch(line):
            raise Garbled("a number is none")
        return (int(line), after) if kind == ord(":") else self._value(int(line), after)

    def _value(self, size: int, start: int) -> tuple[Reply, int] | None:
        if size == -1:
            return None, start
        if not 0 <= size <= self._most:
            raise Garbled("a value is longer than was asked for")
        end = start + size
        if len(self._buffer) < end + len(_END):
            return None
        if self._buffer[end : end + len(_END)] != _END:
            raise Garbled("a value does not end where it says")
        return bytes(self._buffer[start:end]), end + len(_END)
