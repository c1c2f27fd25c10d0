"""What the gateway needs to know of a call's head and of its answer's, beside the block that goes on."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from plimsoll.core.records.grpc_status import Status
from plimsoll.core.records.triton_errors import is_clients_fault
from plimsoll.core.routing.headers import CANDIDATE_HEADER
from plimsoll.gateway.http2.headers import Field, Malformed, checked, encode
from plimsoll.gateway.http2.methods import Method, Refused, method_of

_CANDIDATE: Final = CANDIDATE_HEADER.encode()
_TIMEOUT: Final = re.compile(rb"([0-9]{1,8})([HMSmun])")
_UNITS_S: Final = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}
_CONTENT_TYPE: Final = b"application/grpc"
_HTTP_OK: Final = 200
_INTERNAL: Final = str(int(Status.INTERNAL)).encode()
_INVALID_ARGUMENT: Final = str(int(Status.INVALID_ARGUMENT)).encode()
_NOT_FORWARDED: Final = frozenset({b"content-length", b"host"})
"""The length says nothing that END_STREAM does not, and a wrong one would be the gateway's fault; the host is in
`:authority`."""


@dataclass(frozen=True, slots=True)
class RequestHead:
    """A call.

    Attributes:
        method: What becomes of it.
        label: First label of the host that it is addressed to.
        timeout_s: That its caller grants; None without limit.
        wants_candidate: It asks for the candidate revision.
        block: Its head as it goes to the model pod.
        http_status: Set where it is no gRPC call at all: the HTTP status that says so.
    """

    method: Method | Refused
    label: str
    timeout_s: float | None
    wants_candidate: bool
    block: bytes
    http_status: int | None = None

    def time_left_s(self, started_at: float, now: float) -> float | None:
        """Returns how long the caller still waits, in seconds; None without limit."""
        return None if self.timeout_s is None else started_at + self.timeout_s - now


@dataclass(frozen=True, slots=True)
class ResponseHead:
    """The head of an answer, or its trailers.

    Attributes:
        status: Of HTTP; None for trailers.
        grpc_status: None where it is not said.
        message: Of gRPC, percent-encoded as it came.
        block: As it goes to the client.
    """

    status: int | None
    grpc_status: int | None
    message: str
    block: bytes

    @property
    def is_interim(self) -> bool:
        """Whether the real head is still to come."""
        return self.status is not None and self.status < _HTTP_OK


def request_head(fields: list[Field]) -> RequestHead:
    """Reads the head of a call.

    Raises:
        Malformed: It is no request.
    """
    checked(fields)
    known = dict(fields)
    path = known.get(b":path", b"").decode("latin-1")
    extra = {name for name in known if name.startswith(b":")} - {b":method", b":scheme", b":path", b":authority"}
    if not path or b":method" not in known or b":scheme" not in known or extra:
        raise Malformed("a request without method, scheme or path, or with fields that requests do not have")
    authority = known.get(b":authority") or known.get(b"host", b"")
    timeout_s, method = None, method_of(path)
    if b"grpc-timeout" in known:
        timeout_s = _timeout_s(known[b"grpc-timeout"])
        if timeout_s is None:
            method = Refused(Status.INVALID_ARGUMENT, "The value of grpc-timeout is not a time as gRPC writes it.")
    return RequestHead(
        method,
        authority.decode("latin-1").partition(":")[0].partition(".")[0],
        timeout_s,
        known.get(_CANDIDATE, b"").lower() == b"true",
        encode(_forwarded(fields, authority)),
        _http_status(known),
    )


def response_head(fields: list[Field]) -> ResponseHead:
    """Reads the head or the trailers of an answer; a client's fault that is told as the server's is put right.

    Raises:
        Malformed: It is neither.
    """
    checked(fields)
    known = dict(fields)
    text = known.get(b":status")
    if text is not None and not (len(text) == 3 and text.isdigit()):  # noqa: PLR2004 - the digits of a status
        raise Malformed("a status that is none")
    grpc = known.get(b"grpc-status")
    message = known.get(b"grpc-message", b"").decode("latin-1")
    if grpc == _INTERNAL and is_clients_fault(message):
        grpc = _INVALID_ARGUMENT
        fields = [(name, grpc if name == b"grpc-status" else value) for name, value in fields]
    return ResponseHead(
        None if text is None else int(text),
        int(grpc) if grpc is not None and grpc.isdigit() else None,
        message,
        encode(fields),
    )


def _forwarded(fields: list[Field], authority: bytes) -> list[Field]:
    kept = [field for field in fields if field[0] not in _NOT_FORWARDED]
    if authority and all(name != b":authority" for name, _ in kept):
        kept.insert(0, (b":authority", authority))
    return kept


def _timeout_s(text: bytes) -> float | None:
    found = _TIMEOUT.fullmatch(text)
    return int(found[1]) * _UNITS_S[found[2]] if found else None


def _http_status(known: dict[bytes, bytes]) -> int | None:
    """Returns 405 or 415 as gRPC asks for (PROTOCOL-HTTP2, "Requests"), None for a call."""
    if known[b":method"] != b"POST":
        return 405
    if not known.get(b"content-type", b"").startswith(_CONTENT_TYPE):
        return 415
    return None
