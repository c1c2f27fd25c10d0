"""Answers that the gateway gives itself: a status, a sentence with the next step, and a reason to count by."""

from __future__ import annotations

import json
from enum import StrEnum
from http import HTTPStatus
from typing import Final, NamedTuple

_CHALLENGE: Final = b'www-authenticate: Bearer realm="plimsoll"'


class Reason(StrEnum):
    """Why a request was not forwarded, or not answered by a model: label values of a metric, so few and fixed."""

    MALFORMED = "malformed"
    LINE_TOO_LONG = "line_too_long"
    HEAD_TOO_LARGE = "head_too_large"
    BODY_TOO_LARGE = "body_too_large"
    VERSION = "version"
    METHOD = "method"
    EXPECTATION = "expectation"
    ADMINISTRATIVE = "administrative"
    UNKNOWN_PATH = "unknown_path"
    UNKNOWN_MODEL = "unknown_model"
    STOPPED = "stopped"
    NO_FALLBACK = "no_fallback"
    NO_ENDPOINT = "no_endpoint"
    OVERLOADED = "overloaded"
    BROKEN = "broken"
    INVALID = "invalid"
    INVALID_OUTPUT = "invalid_output"
    TIMED_OUT = "timed_out"
    SLOW_CLIENT = "slow_client"
    CONNECTIONS = "connections"
    NO_KEY = "no_key"
    UNREADABLE_KEY = "unreadable_key"
    UNKNOWN_KEY = "unknown_key"
    PLAIN_TEXT = "plain_text"


class Refusal(NamedTuple):
    """One such answer. `retry_after_s` of 0 means that trying again is no advice."""

    status: int
    reason: Reason
    sentence: str
    retry_after_s: int = 0


class Refused(Exception):  # noqa: N818 - the outcome of reading what a client sent
    """What has come in cannot be told into requests any further: answered with `refusal`, then the connection ends."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.sentence)
        self.refusal = refusal


def malformed(sentence: str) -> Refused:
    """Returns the refusal of bytes that are not the HTTP/1.1 that the gateway accepts."""
    return Refused(Refusal(400, Reason.MALFORMED, sentence))


def too_large(most: int, length: int) -> Refusal:
    """Returns the answer to a request whose body has `length` bytes, of which `most` are taken."""
    return Refusal(413, Reason.BODY_TOO_LARGE, f"A body may have {most} bytes; this one would have {length}.")


def written(refusal: Refusal, more: bytes, *, bodiless: bool = False) -> bytes:
    """Returns a whole answer.

    Args:
        refusal: What to say.
        more: Further header lines, each with its line end.
        bodiless: It answers HEAD: the length is said, the body is not sent.
    """
    body = json.dumps({"error": refusal.sentence}).encode() + b"\n"
    phrase = HTTPStatus(refusal.status).phrase
    head = (
        f"HTTP/1.1 {refusal.status} {phrase}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
    ).encode()
    if refusal.retry_after_s:
        head += b"retry-after: %d\r\n" % refusal.retry_after_s
    if refusal.status == HTTPStatus.UNAUTHORIZED:
        head += _CHALLENGE + (b', error="invalid_token"\r\n' if refusal.reason is Reason.UNKNOWN_KEY else b"\r\n")
    return head + more + b"\r\n" + (b"" if bodiless else body)


TLS_WANTED: Final = written(
    Refusal(400, Reason.PLAIN_TEXT, "This port speaks TLS: begin the URL with https://."), b"connection: close\r\n"
)
"""What a client gets that speaks plain text where TLS is wanted."""
