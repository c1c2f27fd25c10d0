"""An answer over HTTP, read and written: JSON, perhaps with data of outputs in binary form behind it."""

from __future__ import annotations

import math
import struct
from typing import Any

import orjson

from plimsoll.api.vocabulary import DataType
from plimsoll.core.inference import elements, json_parts, parts
from plimsoll.core.inference.answer import InferAnswer
from plimsoll.core.inference.limits import DEFAULT, Limits
from plimsoll.core.inference.request import InferRequest, Tensor
from plimsoll.core.triton.tensors import ELEMENT_CODE


def read_http_answer(body: bytes, header_length: int | None = None, limits: Limits = DEFAULT) -> InferAnswer:
    """Returns what an answer says.

    Args:
        body: After decompression.
        header_length: Value of Inference-Header-Content-Length; None where that header is absent.
        limits: How much is read.

    Raises:
        Malformed: It cannot be read; NaN and infinity in JSON are such a case.
    """
    header = json_parts.header_of(body, header_length, limits)
    document = json_parts.parsed(header)
    binary = json_parts.Binary(body, len(header))
    listed = json_parts.list_of(document, "outputs", limits)
    outputs = tuple(json_parts.tensor_of(tensor, binary, limits) for tensor in listed)
    binary.check_spent()
    parts.distinct(outputs, "Output")
    model, version = (parts.text(document.get(f"model_{part}", ""), part, limits) for part in ("name", "version"))
    parameters = json_parts.values_of(document, limits)
    json_parts.check_members(header, document, listed)
    return InferAnswer(model, version, outputs, parameters)


def write_http_answer(answer: InferAnswer, request: InferRequest) -> tuple[bytes, int | None] | None:
    """Returns the answer as a request wants it, and the value of Inference-Header-Content-Length.

    Args:
        answer: What it says.
        request: Who asks; its id is repeated, and each output is written where it wants it.

    Returns:
        The body, and None for the length where all of it is JSON. None alone where JSON has no form for an output that
        is wanted in it: half precision, text that is not UTF-8, NaN and infinity.
    """
    behind = {output.name: output.binary for output in request.outputs}
    outputs, binary = [], []
    for tensor in answer.outputs:
        written: dict[str, Any] = {"name": tensor.name, "datatype": tensor.data_type, "shape": tensor.shape}
        if behind.get(tensor.name, request.binary):
            written["parameters"] = {"binary_data_size": len(tensor.data)}
            binary.append(tensor.data)
        else:
            values = json_values(tensor)
            if values is None:
                return None
            written["data"] = values
        outputs.append(written)
    document: dict[str, Any] = {"id": request.id} if request.id else {}
    document |= {"model_name": answer.model, "model_version": answer.version}
    if answer.parameters:
        document["parameters"] = dict(answer.parameters)
    header = orjson.dumps(document | {"outputs": outputs})
    return (b"".join((header, *binary)), len(header)) if binary else (header, None)


def json_values(tensor: Tensor) -> list[Any] | None:
    """Returns the elements of a tensor as JSON values, flat; None where JSON has no form for one of them."""
    match tensor.data_type:
        case DataType.BYTES:
            try:
                return [value.decode() for value in elements.split_texts(tensor.data)]
            except UnicodeDecodeError:
                return None
        case DataType.FP16 | DataType.BF16:
            return None
        case _:
            values = list(struct.unpack(f"<{math.prod(tensor.shape)}{ELEMENT_CODE[tensor.data_type]}", tensor.data))
    if tensor.data_type in {DataType.FP32, DataType.FP64} and not all(map(math.isfinite, values)):
        return None
    return values
