"""Reading what a model answered over gRPC: the fields of a `ModelInferResponse` that rules are about."""

from __future__ import annotations

from typing import Final

from plimsoll.api.vocabulary import DataType
from plimsoll.core.inference import protobuf
from plimsoll.core.inference.malformed import Malformed
from plimsoll.core.validation.answers import Unreadable
from plimsoll.core.validation.outputs import Output

_OUTPUTS, _RAW = 5, 6
_NAME, _TYPE, _SHAPE, _CONTENTS = 1, 2, 3, 5
_PACKED: Final = {DataType.FP32: 6, DataType.FP64: 7}
"""Typed contents whose packed form is the elements' own bytes."""
_MOST_FIELDS = 1024
_MOST_DIMS = 64


def read_grpc_answer(message: bytes) -> tuple[Output, ...]:
    """Returns the outputs of a `ModelInferResponse`, without gRPC's frame and not compressed.

    Raises:
        Unreadable: It is none.
    """
    try:
        values = protobuf.gathered(memoryview(message), {_OUTPUTS: _MOST_FIELDS, _RAW: _MOST_FIELDS}, _MOST_FIELDS)
        raw = [bytes(protobuf.content(one)) for one in values[_RAW]]
        outputs = [protobuf.content(one) for one in values[_OUTPUTS]]
        if raw and len(raw) != len(outputs):
            raise Unreadable(f"has {len(outputs)} outputs and the data of {len(raw)}")
        return tuple(_output(one, raw[at] if raw else None) for at, one in enumerate(outputs))
    except Malformed as malformed:
        raise Unreadable("is no ModelInferResponse") from malformed


def _output(message: memoryview, data: bytes | None) -> Output:
    bounds = {_NAME: 1, _TYPE: 1, _SHAPE: _MOST_DIMS, _CONTENTS: 1}
    values = protobuf.gathered(message, bounds, _MOST_FIELDS)
    name = protobuf.string(values[_NAME][0]) if values[_NAME] else ""
    kind = protobuf.string(values[_TYPE][0]) if values[_TYPE] else ""
    data_type = DataType(kind) if kind in DataType.__members__ else None
    shape = tuple(size for one in values[_SHAPE] for size in _sizes(one))
    if data is None and values[_CONTENTS]:
        return Output(name, data_type, shape, _floats(protobuf.content(values[_CONTENTS][0]), data_type))
    return Output(name, data_type, shape, data or b"")


def _sizes(value: protobuf.Value) -> list[int]:
    if isinstance(value, int):
        return [protobuf.signed(value)]
    return [protobuf.signed(size) for size in protobuf.varints(protobuf.content(value), _MOST_DIMS)]


def _floats(contents: memoryview, data_type: DataType | None) -> bytes | None:
    field = _PACKED.get(data_type) if data_type is not None else None
    if field is None:
        return None
    return b"".join(bytes(protobuf.content(one)) for one in protobuf.gathered(contents, {field: 1024}, 1024)[field])
