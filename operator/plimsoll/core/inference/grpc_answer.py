"""A `ModelInferResponse` of the Open Inference Protocol, read and written."""

from __future__ import annotations

import struct
from collections.abc import Iterable

from plimsoll.core.inference import grpc_parts, protobuf
from plimsoll.core.inference.answer import InferAnswer
from plimsoll.core.inference.limits import DEFAULT, Limits
from plimsoll.core.inference.malformed import Fault, Malformed
from plimsoll.core.inference.protobuf import written, written_number
from plimsoll.core.inference.request import Parameter, Tensor

_MODEL, _VERSION, _ID, _PARAMETERS, _OUTPUTS, _RAW = 1, 2, 3, 4, 5, 6
_NAME, _TYPE, _SHAPE = 1, 2, 3
_KEY, _VALUE = 1, 2
_BOOL, _INT64, _STRING, _DOUBLE, _UINT64 = 1, 2, 3, 4, 5
_MOST_INT64 = (1 << 63) - 1


def read_grpc_answer(message: bytes, limits: Limits = DEFAULT) -> InferAnswer:
    """Returns what a `ModelInferResponse` says.

    Args:
        message: After decompression, without gRPC's frame.
        limits: How much is read.

    Raises:
        Malformed: It cannot be read.
    """
    if len(message) > limits.body_bytes:
        raise Malformed(Fault.TOO_LARGE, f"A message may have {limits.body_bytes} bytes; it has {len(message)}.")
    bounds = {_MODEL: 1, _VERSION: 1, _PARAMETERS: limits.parameters, _OUTPUTS: limits.tensors, _RAW: limits.tensors}
    values = protobuf.gathered(memoryview(message), bounds, limits.fields)
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
        *(written(_PARAMETERS, _parameter(name, value)) for name, value in answer.parameters.items()),
        *(written(_OUTPUTS, _output(tensor)) for tensor in answer.outputs),
        *(written(_RAW, tensor.data) for tensor in answer.outputs),
    ))  # fmt: skip


def _output(tensor: Tensor) -> bytes:
    shape = _packed(tensor.shape)
    sizes = written(_SHAPE, shape) if shape else b""
    return written(_NAME, tensor.name.encode()) + written(_TYPE, tensor.data_type.encode()) + sizes


def _packed(numbers: Iterable[int]) -> bytes:
    return b"".join(map(protobuf.varint, numbers))


def _parameter(name: str, value: Parameter) -> bytes:
    match value:
        case bool():
            choice = written_number(_BOOL, int(value))
        case int() if value > _MOST_INT64:
            choice = written_number(_UINT64, value)
        case int():
            choice = written_number(_INT64, value)
        case float():
            choice = bytes([_DOUBLE << 3 | 1]) + struct.pack("<d", value)
        case _:
            choice = written(_STRING, value.encode())
    return written(_KEY, name.encode()) + written(_VALUE, choice)
