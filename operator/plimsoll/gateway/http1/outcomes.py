"""Which outcome an answer is. Here, and not in the exchange, because models say "I failed" in many ways."""

from __future__ import annotations

from typing import Final

import orjson

from plimsoll.core.records.outcome import Outcome
from plimsoll.core.records.triton_errors import is_clients_fault, is_overload

_CLIENT: Final = 400
_SERVER: Final = 500
_NOT_SUPPORTED: Final = 501
_UNAVAILABLE: Final = 503
_SUCCEEDED: Final = Outcome.SUCCEEDED
READ_BYTES: Final = 16 << 10
"""How long an error answer may be to be read. Triton's are a sentence; one with a model's traceback is a few KiB."""


def outcome_of(status: int) -> Outcome:
    """Returns the outcome of a whole answer whose status says the right thing.

    501 is the counterpart of UNIMPLEMENTED: a compression that Triton does not know, `infer` of a decoupled model.
    """
    if status < _CLIENT:
        return _SUCCEEDED
    return Outcome.CLIENT_FAULT if status < _SERVER or status == _NOT_SUPPORTED else Outcome.SERVER_FAULT


def may_be_failure(status: int, *, in_chunks: bool) -> bool:
    """Tells whether only the sentence of an answer tells whose fault it is.

    Besides 5xx that is 400 in chunks: so Triton's `generate` and `generate_stream` say whatever goes wrong after the
    request was accepted, a model that raised included. What was wrong with the request itself it says in one piece.
    """
    return outcome_of(status) is Outcome.SERVER_FAULT or (status == _CLIENT and in_chunks)


def outcome_of_failure(status: int, message: str) -> Outcome:
    """Returns the outcome of an answer for which `may_be_failure` holds, as `grpc_status.outcome_of` does for gRPC.

    Args:
        status: Of HTTP.
        message: What the server says of its error; empty where it says nothing, or nobody read it.
    """
    if status in {_UNAVAILABLE, _CLIENT} and is_overload(message):
        return Outcome.SHED
    if status == _SERVER and is_clients_fault(message):
        return Outcome.CLIENT_FAULT
    return Outcome.SERVER_FAULT


def message_of(body: bytes) -> str:
    """Returns the sentence of an error answer, `{"error": ...}`, by itself, in a chunk or as an event of a stream.

    Empty where there is none, or it is long.
    """
    if len(body) > READ_BYTES:
        return ""
    start, end = body.find(b"{"), body.rfind(b"}") + 1
    if not 0 <= start < end:
        return ""
    try:
        said = orjson.loads(body[start:end])
    except orjson.JSONDecodeError:
        return ""
    message = said.get("error") if isinstance(said, dict) else None
    return message if isinstance(message, str) else ""
