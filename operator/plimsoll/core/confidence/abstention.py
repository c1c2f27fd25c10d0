"""The answer of a model that is not sure enough: a success of the protocol that says so, and has no outputs.

It names the model and the request as the model's own answer does. Nothing else of that is in it: its parameters may
tell what its outputs do.
"""

from __future__ import annotations

from typing import Any, Final, cast

from plimsoll.core.inference import grpc_parts, protobuf
from plimsoll.core.inference.answer import InferAnswer
from plimsoll.core.inference.grpc_answer import write_grpc_answer
from plimsoll.core.inference.http_answer import write_http_answer
from plimsoll.core.inference.malformed import Malformed
from plimsoll.core.inference.request import InferRequest

ABSTAINED: Final = "abstained"
"""The parameter that is true."""
_TEXTS: Final = (1, 2, 3)
"""Numbers of the model's name, its version and the request's id."""
_MOST_FIELDS: Final = 1024


def abstention(model: str, version: str) -> InferAnswer:
    """Returns it, in the form that all transports share."""
    return InferAnswer(model, version, (), {ABSTAINED: True})


def written_http(answer: InferAnswer, request_id: str) -> bytes:
    """Returns an abstention as JSON."""
    # None stands for an output that JSON has no form for.
    return cast("tuple[bytes, None]", write_http_answer(answer, InferRequest(request_id, ())))[0]


def instead_of_http(document: Any) -> bytes:
    """Returns the abstention for an answer of a model.

    Args:
        document: Its JSON, read.
    """
    model, version, request_id = (_text(document.get(name)) for name in ("model_name", "model_version", "id"))
    return written_http(abstention(model, version), request_id)


def instead_of_grpc(message: bytes) -> bytes:
    """Returns the abstention for a `ModelInferResponse` of a model, without gRPC's frame, in the same form."""
    try:
        values = protobuf.gathered(memoryview(message), dict.fromkeys(_TEXTS, 1), _MOST_FIELDS)
        model, version, request_id = (grpc_parts.string_of(values[number]) for number in _TEXTS)
    except Malformed:
        model = version = request_id = ""  # Its outputs could be read, and are withheld in any case.
    return write_grpc_answer(abstention(model, version), request_id)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
