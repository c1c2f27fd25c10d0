"""Bodies that came compressed, and messages in gRPC's frame. No more is ever unpacked than may be read."""

from __future__ import annotations

import zlib
from types import MappingProxyType
from typing import Final

from plimsoll.core.inference.limits import DEFAULT, Limits
from plimsoll.core.inference.malformed import Fault, Malformed, shown

_WINDOWS: Final = MappingProxyType({"gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS})
"""`deflate` is the zlib format (RFC 9110 §8.4.1.2)."""
_PREFIX: Final = 5
"""gRPC's head of a message: whether it is compressed, and its length in 4 bytes."""


def decoded(body: bytes, encoding: str = "", limits: Limits = DEFAULT) -> bytes:
    """Returns a body as it was before it was compressed.

    Args:
        body: As it came.
        encoding: Value of Content-Encoding (of `grpc-encoding`), empty where there was none.
        limits: It may be that large.

    Raises:
        Malformed: It is too large, damaged, or in another encoding.
    """
    coding = encoding.strip().lower()
    if coding in {"", "identity"}:
        if len(body) > limits.body_bytes:
            raise _too_large(limits)
        return body
    if coding not in _WINDOWS:
        message = f"A body may be sent as gzip or deflate, not as {shown(encoding)}."
        raise Malformed(Fault.UNSUPPORTED, message)
    return _inflated(body, coding, limits)


def message_of(data: bytes, encoding: str = "", limits: Limits = DEFAULT) -> bytes:
    """Returns the one message of a unary gRPC call, without its frame.

    Args:
        data: All DATA of the request.
        encoding: Value of `grpc-encoding`, empty where there was none.
        limits: It may be that large.

    Raises:
        Malformed: There is not exactly one whole message, or it cannot be unpacked.
    """
    if len(data) < _PREFIX or data[0] > 1 or int.from_bytes(data[1:_PREFIX], "big") != len(data) - _PREFIX:
        raise Malformed(Fault.BAD_ENCODING, "The call must have one whole message.")
    message = data[_PREFIX:]
    if data[0] and encoding.strip().lower() in {"", "identity"}:
        raise Malformed(Fault.BAD_ENCODING, "The message is compressed, but grpc-encoding does not say how.")
    return decoded(message, encoding if data[0] else "", limits)


def _inflated(body: bytes, coding: str, limits: Limits) -> bytes:
    unpacker = zlib.decompressobj(_WINDOWS[coding])
    try:
        data = unpacker.decompress(body, limits.body_bytes + 1)
    except zlib.error:
        raise Malformed(Fault.BAD_ENCODING, f"The body is no valid {coding}.") from None
    if len(data) > limits.body_bytes:
        raise _too_large(limits)
    if not unpacker.eof or unpacker.unused_data:
        what = "has something behind its end" if unpacker.eof else "ends too early"
        raise Malformed(Fault.BAD_ENCODING, f"The body's {coding} {what}.")
    return data


def _too_large(limits: Limits) -> Malformed:
    return Malformed(Fault.TOO_LARGE, f"A body may have {limits.body_bytes} bytes, unpacked; this one has more.")
