"""What requests and answers that are all here ask and say."""

from __future__ import annotations

import re
from typing import Final

from plimsoll.core.inference.answer import InferAnswer
from plimsoll.core.inference.elements import Nulls
from plimsoll.core.inference.encodings import decoded
from plimsoll.core.inference.http_answer import read_http_answer
from plimsoll.core.inference.http_body import read_http
from plimsoll.core.inference.malformed import Fault, Malformed
from plimsoll.core.inference.request import InferRequest
from plimsoll.gateway.http1.answer_head import AnswerHead
from plimsoll.gateway.http1.bodies import unchunked
from plimsoll.gateway.http1.checked_answers import opened
from plimsoll.gateway.http1.fields import CHUNKED
from plimsoll.gateway.http1.refusals import Refusal
from plimsoll.gateway.http1.request_head import RequestHead
from plimsoll.gateway.inspection import READ
from plimsoll.gateway.repeated import Form

_HEADER_LENGTH: Final = re.compile(rb"\r\ninference-header-content-length:[ \t]*([^\r]*?)[ \t]*(?=\r\n)", re.IGNORECASE)
_ENCODING: Final = re.compile(rb"\r\ncontent-encoding:[ \t]*([^\r]*?)[ \t]*(?=\r\n)", re.IGNORECASE)
_READ_BY: Final = re.compile(rb"\r\n(?:inference-header-content-length|content-encoding):[^\r]*", re.IGNORECASE)
_LENGTH: Final = re.compile(rb"[0-9]{1,12}")


def request_in(head: RequestHead, message: bytes, nulls: Nulls | None) -> InferRequest:
    """Returns what a whole request asks; `nulls` as `read_http` takes them.

    Raises:
        Malformed: It cannot be read.
    """
    body = message[len(head.forward) :]
    if head.length == CHUNKED:
        body = unchunked(body)
    sizes = _HEADER_LENGTH.findall(head.forward)
    encodings = _ENCODING.findall(head.forward)
    if len(sizes) > 1 or len(encodings) > 1 or not all(map(_LENGTH.fullmatch, sizes)):
        raise Malformed(Fault.BAD_ENCODING, "Say once how the body is encoded, and how long its JSON is.")
    plain = decoded(body, encodings[0].decode("latin-1") if encodings else "", READ)
    length = int(sizes[0]) if sizes else None
    version = head.call.version if not isinstance(head.call, Refusal) else ""
    return read_http(plain, length, version=version, limits=READ, nulls=nulls)


def answer_in(head: AnswerHead, data: bytes) -> InferAnswer:
    """Returns what a whole success says.

    Raises:
        Malformed: It cannot be read.
    """
    plain, length = opened(head, data)
    return read_http_answer(plain, length, READ)


def form_of(revision: str, version: str, head: RequestHead, message: bytes) -> Form:
    """Returns what decides what a whole request, with a length, asks of this revision and version."""
    return Form(revision, version, b"".join(_READ_BY.findall(head.forward)), message[len(head.forward) :])
