"""The gateway's own answers: a gRPC status and a sentence, as a head that is the whole answer ("trailers-only")."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from plimsoll.core.records.grpc_status import Status
from plimsoll.core.routing.headers import (
    ATTEMPT_HEADER,
    CACHE_HEADER,
    CONFIDENCE_HEADER,
    DEGRADED_HEADER,
    QUEUED_HEADER,
    REVISION_HEADER,
)
from plimsoll.core.routing.ladder import degraded
from plimsoll.core.validation.problem import INVALID_HEADER
from plimsoll.gateway.http2 import frames
from plimsoll.gateway.http2.headers import Field, encode
from plimsoll.gateway.http2.violations import ErrorCode

TLS_WANTED: Final = frames.goaway(0, ErrorCode.INADEQUATE_SECURITY, "This port speaks TLS: make a secure channel.")
"""What a client gets that speaks plain text where TLS is wanted. Without SETTINGS before it: with them a gRPC client
takes the connection for a good one, and its call goes round in circles instead of failing."""

_OK: Final = (b":status", b"200")
_GRPC: Final = (b"content-type", b"application/grpc")


def trailers_only(status: Status, message: str, extra: Sequence[Field] = ()) -> bytes:
    """Returns the block of an answer that consists of its status."""
    return encode([_OK, _GRPC, *_said(status, message), *extra])


HEAD: Final = encode([_OK, _GRPC])
"""The head of a success."""
SUCCESS: Final = encode([(b"grpc-status", b"0")])
"""The trailers of one."""


def trailers(status: Status, message: str) -> bytes:
    """Returns the block that ends an answer which had begun."""
    return encode(_said(status, message))


def http_answer(status: int) -> bytes:
    """Returns the block that answers what is no gRPC call."""
    return encode([(b":status", str(status).encode())])


def about_the_way(revision: str, attempt: int) -> bytes:
    """Returns what is appended to an answer's head: who answered, and the number of the attempt beyond the first."""
    fields = [(REVISION_HEADER.encode(), revision.encode())]
    if attempt > 1:
        fields.append((ATTEMPT_HEADER.encode(), str(attempt).encode()))
    return encode(fields)


def about_the_wait(waited_s: float) -> bytes:
    """Returns what is appended to the head of an answer whose call waited for a pod, in seconds."""
    return encode([(QUEUED_HEADER.encode(), str(math.ceil(waited_s * 1000)).encode())])


def about_the_stand_in(model: str, because: str) -> bytes:
    """Returns what is appended to the head of an answer that this model gave in another one's place."""
    return encode([(DEGRADED_HEADER.encode(), degraded(model, because).encode())])


def about_the_look(cache: str, invalid: str, confidence: str) -> bytes:
    """Returns what is appended to an answer's head: what the cache did, what was wrong and let pass, how sure it is."""
    said = ((CACHE_HEADER, cache), (INVALID_HEADER, invalid), (CONFIDENCE_HEADER, confidence))
    return encode([(name.encode(), value.encode()) for name, value in said if value])


def retry_pushback(seconds: int) -> Field:
    """Returns gRPC's Retry-After: clients with a retry policy wait as long."""
    return b"grpc-retry-pushback-ms", str(seconds * 1000).encode()


def percent_encoded(message: str) -> bytes:
    """Returns a message as `grpc-message` carries it (PROTOCOL-HTTP2, "Percent-Encoded")."""
    return b"".join(
        bytes((byte,)) if 0x20 <= byte <= 0x7E and byte != 0x25 else b"%%%02X" % byte  # noqa: PLR2004 - printable, not %
        for byte in message.encode()
    )


def _said(status: Status, message: str) -> list[Field]:
    return [(b"grpc-status", str(int(status)).encode()), (b"grpc-message", percent_encoded(message))]
