"""A `ModelInferResponse` of the Open Inference Protocol, read and written."""

from __future__ import annotations

from plimsoll.core.inference import grpc_parts
from plimsoll.core.inference.answer import InferAnswer
from plimsoll.core.inference.limits import DEFAULT, Limits
from plimsoll.core.inference.protobuf import written

_MODEL, _VERSION, _ID, _PARAMETERS, _OUTPUTS, _RAW = 1, 2, 3, 4, 5, 6


def read_grpc_answer(message: bytes, limits: Limits = DEFAULT) -> InferAnswer:
    """Returns what a `ModelInferResponse` says.

    Args:
        message: After decompression, without gRPC's frame.
        limits: How much is read.

    Raises:
        Malformed: It cannot be read.
    """
    bounds = {_MODEL: 1, _VERSION: 1, _PARAMETERS: limits.parameters, _OUTPUTS: limits.tensors, _RAW: limits.tensors}
    values = grpc_parts.fields_of(message, bounds, limits)
    outputs = grpc_parts.tensors_of(values[_OUTPUTS], values[_RAW], limits)
    model, version = (grpc_parts.text_of(values[part], "model", limits) for part in (_MODEL, _VERSION))
    return InferAnswer(model, version, outputs, grpc_parts.values_of(values[_PARAMETERS], limits))


def write_grpc_answer(answer: InferAnswer, request_id: str) -> bytes:
    """Returns an answer as a message, with raw contents, as Triton writes it.

    Args:
        answer: What it says.
        request_id: Of the request that asks, which is repeated.
    """
    texts = ((_MODEL, answer.model), (_VERSION, answer.version), (_ID, request_id))
    return b"".join((
        *(written(number, text.encode()) for number, text in texts if text),
        *(written(_PARAMETERS, grpc_parts.written_parameter(name, value)) for name, value in answer.parameters.items()),
        *(written(_OUTPUTS, grpc_parts.written_tensor(tensor)) for tensor in answer.outputs),
        *(written(_RAW, tensor.data) for tensor in answer.outputs),
    ))  # fmt: skip
