"""Where a chunked body ends (RFC 9112 §7.1). Its bytes are not touched: what is read here is passed on as it came.

Chunk extensions and trailers are refused: nothing in the Open Inference Protocol uses them, and readers that disagree
about them disagree about where a message ends.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from plimsoll.gateway.http1.refusals import Reason, Refusal, Refused, malformed

_MAX_DIGITS = 8
"""A chunk of 4 GiB: more than any limit, and no number that overflows somewhere behind us. Leading zeros count."""
_CR: Final = 13
_LF: Final = 10
_HEX: Final = [int(chr(byte), 16) if chr(byte) in "0123456789abcdefABCDEF" else -1 for byte in range(256)]


class _Next(IntEnum):
    """What the next byte has to be."""

    SIZE = 0
    SIZE_LF = 1
    DATA = 2
    DATA_CR = 3
    DATA_LF = 4
    LAST_CR = 5
    LAST_LF = 6


_EXPECTED: Final = {
    _Next.SIZE_LF: (_LF, _Next.DATA),
    _Next.DATA_CR: (_CR, _Next.DATA_LF),
    _Next.DATA_LF: (_LF, _Next.SIZE),
    _Next.LAST_CR: (_CR, _Next.LAST_LF),
}


class Chunks:
    """One chunked body, followed through pieces of any size.

    Args:
        most: Bytes that the chunks may have together.
    """

    __slots__ = ("_digits", "_left", "_most", "_next", "size")

    def __init__(self, most: int) -> None:
        self._most = most
        self._next = _Next.SIZE
        self._digits = 0
        self._left = 0
        self.size = 0

    def end_in(self, data: bytes, start: int = 0) -> int:
        """Returns the offset after the body's last byte in the next piece, or -1 where the body goes on behind it.

        Args:
            data: The piece.
            start: Offset of its first byte that belongs to the body.

        Raises:
            Refused: It is malformed, or larger than `most`.
        """
        position = start
        length = len(data)
        while position < length:
            if self._next is _Next.DATA:
                position += self._skip(length - position)
                continue
            byte = data[position]
            position += 1
            if self._next is _Next.SIZE:
                self._size_byte(byte)
            elif self._next is _Next.LAST_LF and byte == _LF:
                return position
            else:
                self._fixed_byte(byte)
        return -1

    def _skip(self, available: int) -> int:
        if available < self._left:
            self._left -= available
            return available
        skipped, self._left = self._left, 0
        self._next = _Next.DATA_CR
        return skipped

    def _size_byte(self, byte: int) -> None:
        digit = _HEX[byte]
        if digit >= 0:
            self._digits += 1
            self._left = self._left * 16 + digit
            if self._digits > _MAX_DIGITS:
                raise malformed(f"A chunk's size may have {_MAX_DIGITS} digits.")
        elif byte == _CR and self._digits:
            self._next = _Next.SIZE_LF
        else:
            raise malformed(
                "A chunk starts with its size in hexadecimal digits and CR LF; extensions are not accepted."
            )

    def _fixed_byte(self, byte: int) -> None:
        wanted = _EXPECTED.get(self._next)
        if wanted is None or byte != wanted[0]:
            if self._next in {_Next.LAST_CR, _Next.LAST_LF}:
                raise malformed("The last chunk is followed by an empty line; trailers are not accepted.")
            raise malformed("A chunk's size or data is not followed by CR LF.")
        if self._next is _Next.SIZE_LF:
            self._open_chunk()
        else:
            self._next = wanted[1]

    def _open_chunk(self) -> None:
        self._digits = 0
        self.size += self._left
        if self.size > self._most:
            raise Refused(
                Refusal(413, Reason.BODY_TOO_LARGE, f"A body may have {self._most} bytes; this one has more.")
            )
        self._next = _Next.DATA if self._left else _Next.LAST_CR


def unchunked(body: bytes) -> bytes:
    """Returns the data of a whole chunked body that `Chunks` has found no fault with."""
    pieces: list[bytes] = []
    position = 0
    while True:
        end = body.index(b"\r\n", position)
        size = int(body[position:end], 16)
        if not size:
            return b"".join(pieces)
        start = end + 2
        pieces.append(body[start : start + size])
        position = start + size + 2
