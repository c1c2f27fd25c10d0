"""A `ModelInferRequest` of the Open Inference Protocol: the fields that say what is asked, and no others."""

from __future__ import annotations

from plimsoll.core.inference import grpc_parts, parts, protobuf
from plimsoll.core.inference.limits import DEFAULT, Limits
from plimsoll.core.inference.malformed import Fault, Malformed
from plimsoll.core.inference.protobuf import written
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
    repeated = dict.fromkeys((_INPUTS, _OUTPUTS, _RAW), limits.tensors)
    bounds = {_MODEL: 1, _VERSION: 1, _ID: 1, _PARAMETERS: limits.parameters, **repeated}
    values = grpc_parts.fields_of(message, bounds, limits)
    grpc_parts.text_of(values[_MODEL], "name of the model", limits)
    request_id = grpc_parts.text_of(values[_ID], "id", limits)
    version = grpc_parts.text_of(values[_VERSION], "version", limits)
    if not values[_INPUTS]:
        raise Malformed(Fault.MISSING, "The request has no inputs.")
    inputs = grpc_parts.tensors_of(values[_INPUTS], values[_RAW], limits)
    outputs = tuple(_output(protobuf.content(output), limits) for output in values[_OUTPUTS])
    parts.distinct(outputs, "Output")
    return InferRequest(request_id, inputs, outputs, grpc_parts.values_of(values[_PARAMETERS], limits), version)


def first_size(message: bytes, limits: Limits = DEFAULT) -> int | None:
    """Returns the first dimension of the first input, without a look at anything else; None where it has none.

    Raises:
        Malformed: It cannot be read so far.
    """
    for number, value in protobuf.fields(memoryview(message), limits.fields):
        if number == _INPUTS:
            return next(iter(grpc_parts.sizes_of(protobuf.content(value), limits)), None)
    return None


def write_grpc(request: InferRequest, model: str) -> bytes:
    """Returns a message that says the same, with raw contents; the answer to it is the answer to the one that was read.

    Args:
        request: What is asked.
        model: Name of the model.
    """
    texts = ((_MODEL, model), (_VERSION, request.version), (_ID, request.id))
    return b"".join((
        *(written(number, text.encode()) for number, text in texts if text),
        *(written(_PARAMETERS, grpc_parts.written_parameter(*item)) for item in request.parameters.items()),
        *(written(_INPUTS, grpc_parts.written_tensor(tensor)) for tensor in request.inputs),
        *(written(_OUTPUTS, _written_output(output)) for output in request.outputs),
        *(written(_RAW, tensor.data) for tensor in request.inputs),
    ))  # fmt: skip


def _written_output(output: RequestedOutput) -> bytes:
    name = written(_NAME, output.name.encode())
    if not output.classes:
        return name
    return name + written(_OUTPUT_PARAMETERS, grpc_parts.written_parameter(parts.CLASSES, output.classes))


def _output(message: memoryview, limits: Limits) -> RequestedOutput:
    values = protobuf.gathered(message, {_NAME: 1, _OUTPUT_PARAMETERS: limits.parameters}, limits.fields)
    name = parts.named(grpc_parts.string_of(values[_NAME]), "An output", limits)
    return parts.output(name, grpc_parts.map_of(values[_OUTPUT_PARAMETERS], limits), binary=False)
