"""Which HTTP answers are held until they have been checked, and what is wrong with them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final

from plimsoll.core.confidence.abstention import instead_of_http
from plimsoll.core.inference.encodings import decoded
from plimsoll.core.inference.limits import Limits
from plimsoll.core.inference.malformed import Fault, Malformed
from plimsoll.core.validation.answers import Unreadable, parsed, read_answer
from plimsoll.core.validation.outputs import HELD_BYTES, Output, problems_of_answer
from plimsoll.core.validation.problem import Kind, Problem
from plimsoll.core.validation.schema import Schema
from plimsoll.gateway.http1.answer_head import AnswerHead

_HEADER_LENGTH: Final = re.compile(rb"\r\ninference-header-content-length:[ \t]*([0-9]{1,12})[ \t]*\r\n", re.IGNORECASE)
_ENCODING: Final = re.compile(rb"\r\ncontent-encoding:[ \t]*([!-~]{1,32})[ \t]*\r\n", re.IGNORECASE)
_KNOWN: Final = frozenset({"", "identity", "gzip", "deflate"})
_OPENED: Final = Limits(body_bytes=HELD_BYTES)
_OK: Final = 200


class Unchecked(StrEnum):
    """Why an answer passes without a look: label values of a metric."""

    LONG = "long"
    CHUNKED = "chunked"
    ENCODING = "encoding"
    BUSY = "busy"
    """As many bytes as may be are held for others."""


def unchecked(head: AnswerHead, most: int = HELD_BYTES) -> Unchecked | None:
    """Returns why an answer is not held; None where it is.

    A stream comes in chunks and must pass as it comes.

    Args:
        head: Of a success.
        most: Bytes of the largest body that is held.
    """
    if head.length < 0:
        return Unchecked.CHUNKED
    if head.length > most:
        return Unchecked.LONG
    return None if _encoding(head) in _KNOWN else Unchecked.ENCODING


def problems_in(
    head: AnswerHead, body: bytes, schema: Schema, asked: Mapping[str, int], batch: int | None
) -> tuple[Problem, ...] | Unchecked:
    """Returns what is wrong with a whole success of `infer` that was held; nothing where it is an answer.

    Compressed ones are opened as far as `HELD_BYTES`: what many clients in Python ask for unasked.

    Args:
        head: Its head.
        body: All of it.
        schema: What the model is to give.
        asked: Outputs that the request names, and as how many classes; empty where it asks for all.
        batch: Of the request; None where it is not known, or the model does not batch.
    """
    if head.status != _OK:
        return ()
    try:
        outputs = read_answer(*opened(head, body))
    except Malformed as malformed:
        if malformed.fault is Fault.TOO_LARGE:
            return Unchecked.LONG
        return (Problem(Kind.UNREADABLE, "", "The answer is damaged: it is not compressed as it says."),)
    except Unreadable as unreadable:
        return (Problem(Kind.UNREADABLE, "", f"The answer {unreadable}."),)
    return problems_of_answer(outputs, schema, asked, batch)


def outputs_in(head: AnswerHead, body: bytes) -> Sequence[Output]:
    """Returns the outputs of a whole success of `infer` that was held.

    Raises:
        Malformed: It cannot be opened, or is more than `HELD_BYTES` then.
        Unreadable: It is no answer.
    """
    return read_answer(*opened(head, body))


def abstention_for(head: AnswerHead, body: bytes) -> bytes:
    """Returns the JSON that is given in place of an answer of which `outputs_in` returns the outputs."""
    plain, length = opened(head, body)
    return instead_of_http(parsed(plain if length is None else plain[:length]))


def opened(head: AnswerHead, body: bytes) -> tuple[bytes, int | None]:
    """Returns the body as it was before it was compressed, and how many bytes of it are JSON; None: all.

    Raises:
        Malformed: It cannot be opened, or is more than `HELD_BYTES` then.
    """
    announced = _HEADER_LENGTH.search(head.forward)
    return decoded(body, _encoding(head), _OPENED), int(announced[1]) if announced else None


def _encoding(head: AnswerHead) -> str:
    found = _ENCODING.search(head.forward)
    return found[1].decode("ascii").lower() if found else ""
