"""An infer request over HTTP: JSON, perhaps with the data of inputs in binary form behind it.

Stricter than the protocol where two readers could understand two things: a member that occurs twice is refused, and so
are bytes that no input claims. Members that the protocol does not know are passed over where they are plain values.
"""

from __future__ import annotations

from typing import Any

import orjson

from plimsoll.core.inference import json_parts, parts
from plimsoll.core.inference.elements import Nulls
from plimsoll.core.inference.limits import DEFAULT, Limits
from plimsoll.core.inference.malformed import Fault, Malformed
from plimsoll.core.inference.request import InferRequest, RequestedOutput


def read_http(
    body: bytes,
    header_length: int | None = None,
    *,
    version: str = "",
    limits: Limits = DEFAULT,
    nulls: Nulls | None = None,
) -> InferRequest:
    """Returns what an infer request says.

    Args:
        body: After decompression.
        header_length: Value of Inference-Header-Content-Length: bytes of JSON that the body begins with. None where
            that header is absent and all of it is JSON.
        version: Of the model, where the path names one.
        limits: How much is read.
        nulls: Gets the places of elements that are null; None refuses them.

    Raises:
        Malformed: It cannot be read.
    """
    header = json_parts.header_of(body, header_length, limits)
    document = json_parts.parsed(header)
    binary = json_parts.Binary(body, len(header))
    tensors = json_parts.list_of(document, "inputs", limits)
    inputs = tuple(json_parts.tensor_of(tensor, binary, limits, nulls) for tensor in tensors)
    binary.check_spent()
    if not inputs:
        raise Malformed(Fault.MISSING, "The request has no inputs.")
    parts.distinct(inputs, "Input")
    parameters = json_parts.values_of(document, limits)
    behind = parts.truth(parameters.pop(parts.BINARY_OUTPUT, False), parts.BINARY_OUTPUT)
    asked = json_parts.list_of(document, "outputs", limits)
    outputs = tuple(_output(output, limits, binary=behind) for output in asked)
    parts.distinct(outputs, "Output")
    request_id = parts.text(document.get("id", ""), "id", limits)
    json_parts.check_members(header, document, [*tensors, *asked])
    return InferRequest(request_id, inputs, outputs, parameters, version, behind)


def write_http(request: InferRequest) -> tuple[bytes, int]:
    """Returns a body that says the same, all data in binary form, and the value of Inference-Header-Content-Length.

    The answer to it is written as the answer to the one that was read.
    """
    document: dict[str, Any] = {"id": request.id} if request.id else {}
    parameters = dict(request.parameters) | ({parts.BINARY_OUTPUT: True} if request.binary else {})
    if parameters:
        document["parameters"] = parameters
    document["inputs"] = [
        {
            "name": tensor.name,
            "datatype": tensor.data_type,
            "shape": tensor.shape,
            "parameters": {json_parts.BINARY_SIZE: len(tensor.data)},
        }
        for tensor in request.inputs
    ]
    if request.outputs:
        document["outputs"] = [
            {"name": output.name, "parameters": parts.written_output(output)} for output in request.outputs
        ]
    header = orjson.dumps(document)
    return b"".join((header, *(tensor.data for tensor in request.inputs))), len(header)


def _output(output: json_parts.Json, limits: Limits, *, binary: bool) -> RequestedOutput:
    name = parts.named(output.get("name"), "An output", limits)
    return parts.output(name, json_parts.parameters_of(output, limits), binary=binary)
