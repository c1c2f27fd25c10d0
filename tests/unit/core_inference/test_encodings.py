"""Compressed bodies are unpacked within bounds; a frame holds exactly one message."""

from __future__ import annotations

import gzip
import zlib

import pytest

from plimsoll.core.inference.encodings import decoded, message_of
from plimsoll.core.inference.limits import Limits
from plimsoll.core.inference.malformed import Fault, Malformed

BODY = b'{"inputs":[]}'
SMALL = Limits(body_bytes=1000)


def framed(message: bytes, *, compressed: int = 0) -> bytes:
    return bytes([compressed]) + len(message).to_bytes(4, "big") + message


@pytest.mark.parametrize(
    ("body", "encoding", "fault"),
    [
        (BODY, "br", Fault.UNSUPPORTED),
        (BODY, "gzip, gzip", Fault.UNSUPPORTED),
        (BODY, "gzip", Fault.BAD_ENCODING),
        (b"", "gzip", Fault.BAD_ENCODING),
        (gzip.compress(BODY, mtime=0)[:-1], "gzip", Fault.BAD_ENCODING),
        (gzip.compress(BODY, mtime=0)[:-8] + bytes(8), "gzip", Fault.BAD_ENCODING),
        (gzip.compress(BODY, mtime=0) * 2, "gzip", Fault.BAD_ENCODING),
        (gzip.compress(BODY, mtime=0) + b"x", "gzip", Fault.BAD_ENCODING),
        (zlib.compress(BODY), "gzip", Fault.BAD_ENCODING),
        (zlib.compress(BODY)[2:-4], "deflate", Fault.BAD_ENCODING),
        (gzip.compress(bytes(1001), mtime=0), "gzip", Fault.TOO_LARGE),
        (zlib.compress(bytes(100_000_000)), "deflate", Fault.TOO_LARGE),
        (bytes(1001), "", Fault.TOO_LARGE),
    ],
)
def test_refused(body: bytes, encoding: str, fault: Fault) -> None:
    with pytest.raises(Malformed) as caught:
        decoded(body, encoding, SMALL)
    assert caught.value.fault is fault


@pytest.mark.parametrize(
    ("data", "encoding", "fault"),
    [
        (b"", "", Fault.BAD_ENCODING),
        (b"\0\0\0\0", "", Fault.BAD_ENCODING),
        (framed(b"abc")[:-1], "", Fault.BAD_ENCODING),
        (framed(b"abc") * 2, "", Fault.BAD_ENCODING),
        (framed(b"abc", compressed=2), "", Fault.BAD_ENCODING),
        (framed(b"abc", compressed=1), "", Fault.BAD_ENCODING),
        (framed(b"abc", compressed=1), "gzip", Fault.BAD_ENCODING),
        (framed(b"abc", compressed=1), "snappy", Fault.UNSUPPORTED),
        (framed(gzip.compress(bytes(5000), mtime=0), compressed=1), "gzip", Fault.TOO_LARGE),
    ],
)
def test_frames_that_are_refused(data: bytes, encoding: str, fault: Fault) -> None:
    with pytest.raises(Malformed) as caught:
        message_of(data, encoding, SMALL)
    assert caught.value.fault is fault


def test_a_message_may_be_plain_in_a_call_that_may_compress() -> None:
    assert message_of(framed(b"abc"), "gzip") == b"abc"


def test_a_body_as_large_as_the_bound_is_read() -> None:
    assert decoded(gzip.compress(bytes(1000)), "gzip", SMALL) == bytes(1000)
