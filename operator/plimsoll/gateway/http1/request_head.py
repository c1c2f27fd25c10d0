"""The head of a request: a pure function of its bytes, so equal heads need be read once."""

from __future__ import annotations

import re
from dataclasses import dataclass

from plimsoll.core.routing.headers import CANDIDATE_HEADER, MESH_TIMEOUT_HEADER, TIMEOUT_HEADER
from plimsoll.gateway.http1.addressing import Call, is_host, resolve
from plimsoll.gateway.http1.fields import (
    END,
    HOP_BY_HOP,
    READ_FROM_REQUESTS,
    UNSAID,
    Found,
    bare_line_end,
    body_length,
    keeps_alive,
    passed_on,
    read_fields,
)
from plimsoll.gateway.http1.limits import Limits
from plimsoll.gateway.http1.refusals import Reason, Refusal, Refused, malformed, too_large

_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([\x21-\x7e]+) HTTP/([0-9]\.[0-9])")
_METHODS = frozenset({b"GET", b"HEAD", b"POST"})
_CANDIDATE = CANDIDATE_HEADER.encode()
_TIMEOUT = TIMEOUT_HEADER.encode()
_MESH_TIMEOUT = MESH_TIMEOUT_HEADER.encode()
_READ = READ_FROM_REQUESTS | {_CANDIDATE, _TIMEOUT, _MESH_TIMEOUT}
_MILLISECONDS = re.compile(rb"0*[1-9][0-9]{0,8}")
_DROPPED = HOP_BY_HOP | {b"expect"}


@dataclass(frozen=True, slots=True)
class RequestHead:
    """What the gateway needs of a head.

    Attributes:
        call: What is asked; or why it is refused although the message is sound, so that the connection can go on.
        method, target: As they came.
        length: Of the body, in bytes; `fields.CHUNKED` where its chunks say it.
        keep_alive: The client may send another request after this one.
        expects: It waits for `100 Continue` before it sends the body.
        wants_candidate: It asks for the candidate.
        timeout_s: How long its client waits for the whole answer, in seconds; None when it does not say.
        forward: The head as it goes to the model server.
        as_received: `forward` is what came in, byte for byte.
    """

    call: Call | Refusal
    method: bytes
    target: bytes
    length: int
    keep_alive: bool
    expects: bool
    wants_candidate: bool
    timeout_s: float | None
    forward: bytes
    as_received: bool

    def resized(self, length: int, forward: bytes) -> RequestHead:
        """Returns the same head with another length."""
        return RequestHead(
            self.call,
            self.method,
            self.target,
            length,
            self.keep_alive,
            self.expects,
            self.wants_candidate,
            self.timeout_s,
            forward,
            self.as_received,
        )


def find_end(data: bytes, limits: Limits) -> int:
    """Returns the offset after the head that `data` begins with, or -1 where more bytes are needed.

    Raises:
        Refused: No head that is accepted can begin so.
    """
    end = data.find(END, 0, limits.head_bytes)
    if end >= 0:
        return end + len(END)
    _check_beginning(data, limits)
    if len(data) >= limits.head_bytes:
        raise Refused(Refusal(431, Reason.HEAD_TOO_LARGE, f"A head may have {limits.head_bytes} bytes."))
    return -1


def read_request(head: bytes, limits: Limits) -> RequestHead:
    """Reads a whole head, its empty line included.

    Raises:
        Refused: Where this message ends is not beyond doubt, or it is longer than what is accepted.
    """
    try:
        return _read(head, limits)
    except Refused:
        # Of several faults the one is told that is told as well when the head comes in pieces: the earliest.
        _check_beginning(head, limits)
        raise


def _read(head: bytes, limits: Limits) -> RequestHead:
    method, target, start = _request_line(head, limits)
    found = read_fields(head, start, limits.fields, _READ)
    if not is_host(found.get(b"host", b"?")):
        raise malformed("A request needs one Host field with a name or an address.")
    length = body_length(found)
    if length == UNSAID:
        length = 0
    if length > limits.body_bytes:
        raise Refused(too_large(limits.body_bytes, length))
    forward = head if _DROPPED.isdisjoint(found) else passed_on(head, start, found, _DROPPED)
    return RequestHead(
        call=_call(method, target, found),
        method=method,
        target=target,
        length=length,
        keep_alive=keeps_alive(found),
        expects=b"expect" in found and length != 0,
        wants_candidate=found.get(_CANDIDATE, b"").lower() == b"true",
        timeout_s=_timeout_s(found),
        forward=forward,
        as_received=forward is head,
    )


def _check_beginning(data: bytes, limits: Limits) -> None:
    """Refuses what can be told from a head's first bytes, and by the first of them that is wrong."""
    line = data[: limits.line_bytes]
    if b"\n" not in line and not bare_line_end(line) and len(data) >= limits.line_bytes:
        raise _line_too_long(limits)
    if bare_line_end(data[: limits.head_bytes]):
        raise malformed("A line of the head ends with a bare CR or LF; lines end with CR LF.")


def _request_line(head: bytes, limits: Limits) -> tuple[bytes, bytes, int]:
    end = head.find(b"\r\n")
    if end + 2 > limits.line_bytes:
        raise _line_too_long(limits)
    match = _LINE.fullmatch(head, 0, end)
    if match is None:
        raise malformed("The request line is not METHOD PATH HTTP/1.1 with single spaces.")
    method, target, version = match.groups()
    if version != b"1.1":
        sentence = (
            "This port speaks HTTP/1.1 only; tell the proxy or client in front of it (nginx: proxy_http_version)."
        )
        raise Refused(Refusal(505, Reason.VERSION, sentence))
    if not target.startswith(b"/"):
        raise malformed("The request line has to name a path that starts with a slash.")
    return method, target, end + 2


def _call(method: bytes, target: bytes, found: Found) -> Call | Refusal:
    if method not in _METHODS:
        return Refusal(501, Reason.METHOD, "Use GET, HEAD or POST; the Open Inference Protocol knows no other method.")
    if found.get(b"expect", b"100-continue").lower() != b"100-continue":
        return Refusal(417, Reason.EXPECTATION, "The one expectation that can be met is 100-continue.")
    if _TIMEOUT in found and not _MILLISECONDS.fullmatch(found[_TIMEOUT]):
        return Refusal(
            400, Reason.MALFORMED, f"{TIMEOUT_HEADER} is a whole number of milliseconds, from 1 to 999999999."
        )
    return resolve(target, found[b"host"])


def _timeout_s(found: Found) -> float | None:
    """Returns the least time that anybody grants. A mesh's 0 means that it sets no limit."""
    if _TIMEOUT not in found and _MESH_TIMEOUT not in found:
        return None
    said = [found[name] for name in (_TIMEOUT, _MESH_TIMEOUT) if name in found]
    return min((int(value) / 1000 for value in said if _MILLISECONDS.fullmatch(value)), default=None)


def _line_too_long(limits: Limits) -> Refused:
    return Refused(Refusal(414, Reason.LINE_TOO_LONG, f"A request line may have {limits.line_bytes} bytes."))
