"""Successes that the gateway writes itself: kept ones, and those that say that the model's is withheld."""

from __future__ import annotations

from plimsoll.core.confidence.abstention import abstention, written_http
from plimsoll.core.inference.request import InferRequest
from plimsoll.core.routing.headers import REVISION_HEADER
from plimsoll.core.routing.table import RevisionRoute
from plimsoll.gateway.cache.store import Answer
from plimsoll.gateway.http1.answer_head import AnswerHead


def withheld(revision: RevisionRoute, answer: Answer, request: InferRequest) -> tuple[AnswerHead, bytes]:
    """Returns what is given in place of a kept answer of this revision that is not sure enough."""
    value = answer.value
    body = written_http(abstention(value.model, value.version), request.id)
    return head_of(revision, body, None), body


def head_of(revision: RevisionRoute, body: bytes, length: int | None) -> AnswerHead:
    """Returns the head of a success with this body; `length` of its JSON where data comes behind that."""
    kind = b"application/json" if length is None else b"application/octet-stream"
    head = b"HTTP/1.1 200 OK\r\ncontent-type: %s\r\ncontent-length: %d\r\n" % (kind, len(body))
    if length is not None:
        head += b"inference-header-content-length: %d\r\n" % length
    head += f"{REVISION_HEADER}: {revision.name}\r\n\r\n".encode()
    return own_head(head, len(body))


def own_head(head: bytes, length: int) -> AnswerHead:
    """Returns the head of a success that is written already, before a body of so many bytes."""
    return AnswerHead(200, length, keep_alive=True, forward=head, informational=False)
