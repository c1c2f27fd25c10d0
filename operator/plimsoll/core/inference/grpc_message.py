"""A `ModelInferRequest` of the Open Inference Protocol: the fields that say what is asked, and no others."""

from __future__ import annotations

from plimsoll.core.inference import grpc_parts, parts, protobuf
from plimsoll.core.inference.limits import DEFAULT, Limits
from plimsoll.core.inference.malformed import Fault, Malformed
from plimsoll.core.inference.request import InferRequest, RequestedOutput

_MODEL, _VERSION, _ID, _PARAMETERS, _INPUTS, _OUTPUTS, _RAW = 1, 2, 3, 4, 5, 6, 7
_NAME, _OUTPUT_PARAMETERS = 1, 2


def read_grpc(message: bytes, limits: Limits = DEFAULT) -> InferRequest:
    """Returns what a `ModelInferRequest` says.

    Args:
        message: After decompression, without gRPC's frame.
        limits: How much is read.

    Raises:
        Malformed: It cannot be read.
    """
    if len(message) > limits.body_bytes:
        raise Malformed(Fault.TOO_LARGE, f"A message may have {limits.body_bytes} bytes; it has {len(message)}.")
    repeated = dict.fromkeys((_INPUTS, _OUTPUTS, _RAW), limits.tensors)
    bounds = {_MODEL: 1, _VERSION: 1, _ID: 1, _PARAMETERS: limits.parameters, **repeated}
    values = protobuf.gathered(memoryview(message), bounds, limits.fields)
    grpc_parts.text_of(values[_MODEL], "name of the model", limits)
    request_id = grpc_parts.text_of(values[_ID], "id", limits)
    version = grpc_parts.text_of(values[_VERSION], "version", limits)
    if not values[_INPUTS]:
        raise Malformed(Fault.MISSING, "The request has no inputs.")
    inputs = grpc_parts.tensors_of(values[_INPUTS], values[_RAW], limits)
    outputs = tuple(_output(protobuf.content(output), limits) for output in values[_OUTPUTS])
    parts.distinct(outputs, "Output")
    return InferRequest(request_id, inputs, outputs, grpc_parts.values_of(values[_PARAMETERS], limits), version)


def _output(message: memoryview, limits: Limits) -> RequestedOutput:
    values = protobuf.gathered(message, {_NAME: 1, _OUTPUT_PARAMETERS: limits.parameters}, limits.fields)
    name = parts.named(grpc_parts.string_of(values[_NAME]), "An output", limits)
    return parts.output(name, grpc_parts.map_of(values[_OUTPUT_PARAMETERS], limits), binary=False)
