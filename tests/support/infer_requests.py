"""One infer request in every form it can take on the wire, written by Triton's own clients where they have the form."""

from __future__ import annotations

import importlib.util
import json
import math
import struct
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import tritonclient
from hypothesis import strategies as st
from tritonclient.grpc import InferInput as GrpcInput
from tritonclient.grpc import InferRequestedOutput as GrpcOutput
from tritonclient.grpc import service_pb2
from tritonclient.grpc._utils import _get_inference_request as grpc_request
from tritonclient.utils import triton_to_np_dtype

from plimsoll.api.vocabulary import DataType
from plimsoll.core.inference.request import InferRequest, RequestedOutput, Tensor
from plimsoll.core.triton.tensors import ELEMENT_SIZE

IN_JSON = tuple(kind for kind in DataType if kind not in {DataType.FP16, DataType.BF16})
"""Types that JSON has a form for."""
_CODES = dict(zip(IN_JSON, "?BHIQbhiqfd", strict=False))


def _of_http_client(name: str) -> ModuleType:
    """Loads a module of the HTTP client without the package around it, which would need gevent."""
    path = Path(tritonclient.__file__).parent / "http" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"http_client{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_INPUT, _OUTPUT, _UTILS = (_of_http_client(name) for name in ("_infer_input", "_requested_output", "_utils"))


# ---- values ----------------------------------------------------------------------------------------------------------
def elements_of(tensor: Tensor) -> list[Any]:
    """The elements as Python values, flat."""
    if tensor.data_type is DataType.BYTES:
        texts, offset = [], 0
        while offset < len(tensor.data):
            (length,) = struct.unpack_from("<I", tensor.data, offset)
            texts.append(tensor.data[offset + 4 : offset + 4 + length])
            offset += 4 + length
        return texts
    count = math.prod(tensor.shape)
    return list(struct.unpack(f"<{count}{_CODES[tensor.data_type]}", tensor.data))


def nested(flat: list[Any], shape: tuple[int, ...]) -> list[Any]:
    """The same values, nested as the shape says."""
    if len(shape) < 2:
        return flat
    step = len(flat) // shape[0] if shape[0] else 0
    return [nested(flat[row * step : (row + 1) * step], shape[1:]) for row in range(shape[0])]


# ---- on the wire -----------------------------------------------------------------------------------------------------
Spelling = Callable[[Any], str]


def plainly(value: Any) -> str:
    return json.dumps(value)


def with_exponent(value: Any) -> str:
    """1 as 1.0e0: another spelling of the same fraction."""
    return f"{float(value):.17e}" if isinstance(value, int | float) and not isinstance(value, bool) else plainly(value)


def as_json(
    request: InferRequest, *, spelling: Spelling = plainly, flat: bool = False, turned: bool = False, spaces: str = ""
) -> bytes:
    """The request as JSON alone; `turned` writes members and inputs in the opposite order."""

    def ordered(members: dict[str, str]) -> str:
        pairs = [f"{plainly(name)}:{spaces}{value}" for name, value in members.items()]
        return "{" + f",{spaces}".join(reversed(pairs) if turned else pairs) + "}"

    def spelled(values: Any, data_type: DataType) -> str:
        if isinstance(values, list):
            return "[" + f",{spaces}".join(spelled(value, data_type) for value in values) + "]"
        if isinstance(values, bytes):
            values = values.decode()
        fraction = data_type in {DataType.FP32, DataType.FP64}
        return spelling(values) if fraction else plainly(values)

    def tensor(one: Tensor) -> str:
        values = elements_of(one)
        shown = values if flat or not one.shape else nested(values, one.shape)
        return ordered({
            "name": plainly(one.name),
            "shape": plainly(list(one.shape)),
            "datatype": plainly(one.data_type.value),
            "data": spelled(shown, one.data_type),
        })  # fmt: skip

    def output(one: RequestedOutput) -> str:
        parameters = {"parameters": plainly({"classification": one.classes})} if one.classes else {}
        return ordered({"name": plainly(one.name), **parameters})

    inputs = [tensor(one) for one in request.inputs]
    members = {"id": plainly(request.id)} if request.id else {}
    if request.parameters:
        members["parameters"] = ordered({name: plainly(value) for name, value in request.parameters.items()})
    members["inputs"] = "[" + ",".join(reversed(inputs) if turned else inputs) + "]"
    if request.outputs:
        members["outputs"] = "[" + ",".join(output(one) for one in request.outputs) + "]"
    return ordered(members).encode()


def by_http_client(request: InferRequest) -> tuple[bytes, int | None]:
    """What tritonclient's HTTP client sends: the body, and Inference-Header-Content-Length."""
    inputs = []
    for tensor in request.inputs:
        one = _INPUT.InferInput(tensor.name, list(tensor.shape), tensor.data_type.value)
        one.set_data_from_numpy(_array(tensor), binary_data=True)
        inputs.append(one)
    outputs = [
        _OUTPUT.InferRequestedOutput(one.name, binary_data=one.binary, class_count=one.classes)
        for one in request.outputs
    ]
    parameters = dict(request.parameters) or None
    body, size = _UTILS._get_inference_request(  # noqa: SLF001 - what the client sends
        inputs, request.id, outputs, 0, False, False, 0, None, parameters
    )
    return body, size


def by_grpc_client(request: InferRequest) -> bytes:
    """What tritonclient's gRPC client sends, as the message's bytes."""
    inputs = []
    for tensor in request.inputs:
        one = GrpcInput(tensor.name, list(tensor.shape), tensor.data_type.value)
        one.set_data_from_numpy(_array(tensor))
        inputs.append(one)
    outputs = [GrpcOutput(one.name, class_count=one.classes) for one in request.outputs] or None
    message = grpc_request(
        "digits", inputs, request.version, request.id, outputs, 0, False, False, 0, None, dict(request.parameters)
    )
    return bytes(message.SerializeToString())


def by_typed_contents(request: InferRequest) -> bytes:
    """The same over gRPC with typed contents, as clients that were generated from the protocol's file send it."""
    message = service_pb2.ModelInferRequest.FromString(by_grpc_client(request))
    del message.raw_input_contents[:]
    for written, tensor in zip(message.inputs, request.inputs, strict=True):
        getattr(written.contents, _CONTENTS[tensor.data_type]).extend(elements_of(tensor))
    return bytes(message.SerializeToString())


_CONTENTS = {
    DataType.BOOL: "bool_contents",
    **dict.fromkeys((DataType.INT8, DataType.INT16, DataType.INT32), "int_contents"),
    DataType.INT64: "int64_contents",
    **dict.fromkeys((DataType.UINT8, DataType.UINT16, DataType.UINT32), "uint_contents"),
    DataType.UINT64: "uint64_contents",
    DataType.FP32: "fp32_contents",
    DataType.FP64: "fp64_contents",
    DataType.BYTES: "bytes_contents",
}


def _array(tensor: Tensor) -> np.ndarray[Any, Any]:
    values = elements_of(tensor)
    if tensor.data_type is DataType.BYTES:
        array = np.empty(len(values), dtype=np.object_)
        array[:] = values
        return array.reshape(tensor.shape)
    return np.array(values, dtype=triton_to_np_dtype(tensor.data_type.value)).reshape(tensor.shape)


# ---- any request -----------------------------------------------------------------------------------------------------
_NAMES = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=8)
_WORDS = st.text(st.characters(exclude_categories=("Cs",)), max_size=8)


def _data(data_type: DataType, count: int) -> st.SearchStrategy[bytes]:
    if data_type is DataType.BYTES:
        texts = st.lists(_WORDS.map(str.encode), min_size=count, max_size=count)
        return texts.map(lambda values: b"".join(struct.pack("<I", len(value)) + value for value in values))
    one: st.SearchStrategy[Any]
    match data_type:
        case DataType.BOOL:
            one = st.booleans()
        case DataType.FP32 | DataType.FP64:
            width = 32 if data_type is DataType.FP32 else 64
            one = st.floats(width=width, allow_nan=False, allow_infinity=False)  # type: ignore[call-overload]
        case _:
            bits = 8 * ELEMENT_SIZE[data_type]
            low = 0 if data_type.startswith("U") else -(1 << bits - 1)
            one = st.integers(low, low + (1 << bits) - 1)
    values = st.lists(one, min_size=count, max_size=count)
    return values.map(lambda flat: struct.pack(f"<{count}{_CODES[data_type]}", *flat))


@st.composite
def tensors(draw: st.DrawFn, name: str) -> Tensor:
    data_type = draw(st.sampled_from(IN_JSON))
    shape = tuple(draw(st.lists(st.integers(0, 3), min_size=1, max_size=3)))
    return Tensor(name, data_type, shape, draw(_data(data_type, math.prod(shape))))


@st.composite
def infer_requests(draw: st.DrawFn) -> InferRequest:
    names = draw(st.lists(_NAMES, min_size=1, max_size=3, unique=True))
    outputs = draw(st.lists(st.builds(RequestedOutput, _NAMES, st.integers(0, 5)), max_size=3, unique_by=_name_of))
    parameter = st.booleans() | st.integers(-(1 << 63), (1 << 63) - 1) | _WORDS | st.floats(-1e9, 1e9).map(whole)
    return InferRequest(
        draw(_WORDS),
        tuple(draw(tensors(name)) for name in names),
        tuple(outputs),
        draw(st.dictionaries(_NAMES.map("p{}".format), parameter, max_size=3)),
    )


def whole(value: float) -> float:
    """A whole number as it is read."""
    return int(value) if value.is_integer() else value


def _name_of(output: RequestedOutput) -> str:
    return output.name
