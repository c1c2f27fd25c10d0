"""HTTP/2 frames as bytes (RFC 9113, sections 4 and 6): read strictly, written plainly. No I/O, no state of streams."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from enum import IntEnum
from typing import Final

from plimsoll.gateway.http2.violations import ConnectionFailure, ErrorCode

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""What a client sends first (RFC 9113, section 3.4)."""

# Plain integers: the frame loop compares them with bytes, and members of an enumeration compare slower.
DATA: Final = 0
HEADERS: Final = 1
PRIORITY: Final = 2
RST_STREAM: Final = 3
SETTINGS: Final = 4
PUSH_PROMISE: Final = 5
PING: Final = 6
GOAWAY: Final = 7
WINDOW_UPDATE: Final = 8
CONTINUATION: Final = 9

END_STREAM: Final = 0x1
ACK: Final = 0x1
END_HEADERS: Final = 0x4
PADDED: Final = 0x8
PRIORITY_FLAG: Final = 0x20

HEAD_BYTES: Final = 9
MIN_FRAME_LIMIT: Final = 1 << 14
MAX_FRAME_LIMIT: Final = (1 << 24) - 1
MAX_STREAM_ID: Final = (1 << 31) - 1

Frame = tuple[int, int, int, bytes]
"""Type, flags, stream id, payload."""


class Setting(IntEnum):
    """Parameters of SETTINGS (RFC 9113, section 6.5.2)."""

    HEADER_TABLE_SIZE = 1
    ENABLE_PUSH = 2
    MAX_CONCURRENT_STREAMS = 3
    INITIAL_WINDOW_SIZE = 4
    MAX_FRAME_SIZE = 5
    MAX_HEADER_LIST_SIZE = 6


_HEAD = struct.Struct(">HBBBL")
_UINT = struct.Struct(">L")
_SETTING = struct.Struct(">HL")
_GOAWAY_HEAD = struct.Struct(">LL")
_FIXED_LENGTHS: Final = {PRIORITY: 5, RST_STREAM: 4, PING: 8, WINDOW_UPDATE: 4}
_ON_A_STREAM: Final = frozenset({DATA, HEADERS, PRIORITY, RST_STREAM, PUSH_PROMISE, CONTINUATION})
_ON_THE_CONNECTION: Final = frozenset({SETTINGS, PING, GOAWAY})
_GOAWAY_LEAST: Final = 8


class FrameReader:
    """Cuts a byte stream into frames, however it arrives.

    Args:
        limit: Longest payload in bytes that is accepted; what this side announces as MAX_FRAME_SIZE.
    """

    __slots__ = ("_limit", "_rest")

    def __init__(self, limit: int = MIN_FRAME_LIMIT) -> None:
        self._limit = limit
        self._rest = b""

    @property
    def waits_for_more(self) -> bool:
        """Whether a frame has begun and is not whole."""
        return bool(self._rest)

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Yields the frames that are whole now. The iterator is read to its end, or the connection is given up.

        Raises:
            ConnectionFailure: A frame is not allowed as it is; those before it were yielded.
        """
        if self._rest:
            data = self._rest + data
            self._rest = b""
        position = 0
        size = len(data)
        while size - position >= HEAD_BYTES:
            high, low, kind, flags, stream = _HEAD.unpack_from(data, position)
            length = high << 8 | low
            stream &= MAX_STREAM_ID
            if length > self._limit:
                raise ConnectionFailure(
                    ErrorCode.FRAME_SIZE_ERROR, f"A frame has {length} bytes; at most {self._limit} are accepted."
                )
            if kind > HEADERS or not stream:
                check(kind, flags, stream, length)
            end = position + HEAD_BYTES + length
            if end > size:
                break
            yield kind, flags, stream, data[position + HEAD_BYTES : end]
            position = end
        self._rest = data[position:]


def check(kind: int, flags: int, stream: int, length: int) -> None:
    """Refuses a frame on the wrong kind of stream, or of a length that its type cannot have.

    Raises:
        ConnectionFailure: PROTOCOL_ERROR or FRAME_SIZE_ERROR.
    """
    if (kind in _ON_A_STREAM and not stream) or (kind in _ON_THE_CONNECTION and stream):
        raise ConnectionFailure(ErrorCode.PROTOCOL_ERROR, f"A frame of type {kind} stands on stream {stream}.")
    fixed = _FIXED_LENGTHS.get(kind, length)
    if kind == SETTINGS:
        fixed = 0 if flags & ACK else length - length % _SETTING.size
    elif kind == GOAWAY:
        fixed = max(length, _GOAWAY_LEAST)
    if fixed != length:
        raise ConnectionFailure(ErrorCode.FRAME_SIZE_ERROR, f"A frame of type {kind} cannot have {length} bytes.")


def unpadded(kind: int, flags: int, payload: bytes) -> bytes:
    """Returns the content of DATA or HEADERS without padding and without the deprecated priority.

    Raises:
        ConnectionFailure: The padding is longer than the frame.
    """
    start, end = 0, len(payload)
    if flags & PADDED:
        start = 1
        end -= payload[0] if payload else 1
    if kind == HEADERS and flags & PRIORITY_FLAG:
        start += 5
    if start > end:
        raise ConnectionFailure(ErrorCode.PROTOCOL_ERROR, "The padding of a frame is longer than the frame.")
    return payload[start:end]


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Returns one frame; `payload` is not longer than the receiver accepts."""
    size = len(payload)
    return _HEAD.pack(size >> 8, size & 0xFF, kind, flags, stream) + payload


def headers(stream: int, block: bytes, *, ended: bool, limit: int = MIN_FRAME_LIMIT) -> bytes:
    """Returns HEADERS, and CONTINUATION where the block is longer than `limit` bytes."""
    flags = END_STREAM if ended else 0
    if len(block) <= limit:
        return frame(HEADERS, flags | END_HEADERS, stream, block)
    parts = [block[start : start + limit] for start in range(0, len(block), limit)]
    first = frame(HEADERS, flags, stream, parts[0])
    middle = [frame(CONTINUATION, 0, stream, part) for part in parts[1:-1]]
    return b"".join([first, *middle, frame(CONTINUATION, END_HEADERS, stream, parts[-1])])


def settings(values: Iterable[tuple[Setting, int]]) -> bytes:
    """Returns SETTINGS with these parameters."""
    return frame(SETTINGS, 0, 0, b"".join(_SETTING.pack(key, value) for key, value in values))


def read_settings(payload: bytes) -> Iterator[tuple[int, int]]:
    """Yields parameters and values, unknown ones too; `check` saw to the length."""
    return _SETTING.iter_unpack(payload)


def window_update(stream: int, increment: int) -> bytes:
    """Returns WINDOW_UPDATE; stream 0 is the connection."""
    return frame(WINDOW_UPDATE, 0, stream, _UINT.pack(increment))


def reset(stream: int, code: int) -> bytes:
    """Returns RST_STREAM."""
    return frame(RST_STREAM, 0, stream, _UINT.pack(code))


def goaway(last_stream: int, code: int, message: str = "") -> bytes:
    """Returns GOAWAY with debug data for whoever reads a trace."""
    return frame(GOAWAY, 0, 0, _GOAWAY_HEAD.pack(last_stream, code) + message.encode())


def read_goaway(payload: bytes) -> tuple[int, int]:
    """Returns the last stream that was or will be processed, and the code."""
    last, code = _GOAWAY_HEAD.unpack_from(payload)
    return last & MAX_STREAM_ID, code


def read_uint(payload: bytes) -> int:
    """Returns the increment of WINDOW_UPDATE (its reserved bit cleared) or the code of RST_STREAM."""
    return int(_UINT.unpack(payload)[0])
