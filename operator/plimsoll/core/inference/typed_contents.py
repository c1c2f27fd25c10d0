"""`InferTensorContents`: elements as protobuf's own numbers. Clients that care for speed send raw ones."""

from __future__ import annotations

import math
from types import MappingProxyType
from typing import Final

from plimsoll.api.vocabulary import DataType
from plimsoll.core.inference import elements, protobuf
from plimsoll.core.inference.limits import Limits
from plimsoll.core.inference.malformed import Fault, Malformed, shown
from plimsoll.core.triton.tensors import ELEMENT_SIZE, shape_text

_BOOL, _INT, _INT64, _UINT, _UINT64, _FP32, _FP64, _BYTES = 1, 2, 3, 4, 5, 6, 7, 8

_FIELD: Final = MappingProxyType(
    {
        DataType.BOOL: _BOOL,
        DataType.INT8: _INT,
        DataType.INT16: _INT,
        DataType.INT32: _INT,
        DataType.INT64: _INT64,
        DataType.UINT8: _UINT,
        DataType.UINT16: _UINT,
        DataType.UINT32: _UINT,
        DataType.UINT64: _UINT64,
        DataType.FP32: _FP32,
        DataType.FP64: _FP64,
        DataType.BYTES: _BYTES,
    }
)
"""Where elements of a type stand. Half precision has no place."""
_SIGNED: Final = frozenset({_INT, _INT64})


def from_contents(
    contents: memoryview, name: str, data_type: DataType, shape: tuple[int, ...], limits: Limits
) -> bytes:
    """Returns the elements of an input.

    Raises:
        Malformed: They do not fit type or shape.
    """
    wanted = _FIELD.get(data_type)
    if wanted is None:
        message = f"Input {shown(name)} is of type {data_type}, which has no typed contents; send raw_input_contents."
        raise Malformed(Fault.UNSUPPORTED, message, name)
    values = _values(contents, wanted, name, data_type, limits)
    match data_type:
        case DataType.FP32 | DataType.FP64:
            data = b"".join(_fractions(value, ELEMENT_SIZE[data_type]) for value in values)
            return elements.checked(data, name, data_type, shape, limits)
        case DataType.BYTES:
            data = elements.texts(bytes(protobuf.content(value)) for value in values)
            return elements.checked(data, name, data_type, shape, limits)
        case _:
            return _numbers(_unpacked(values, limits), name, data_type, shape)


def _values(contents: memoryview, wanted: int, name: str, data_type: DataType, limits: Limits) -> list[protobuf.Value]:
    values = []
    for number, value in protobuf.fields(contents, limits.looked_at):
        if number != wanted:
            message = f"Input {shown(name)} is of type {data_type}; its contents must stand in field {wanted}."
            raise Malformed(Fault.WRONG_TYPE, message, name)
        values.append(value)
    return values


def _fractions(value: protobuf.Value, size: int) -> bytes:
    """Packed, or a field for each number."""
    if not isinstance(value, memoryview):
        return protobuf.fixed(value, size)
    if len(value) % size:
        raise protobuf.broken()
    return bytes(value)


def _unpacked(values: list[protobuf.Value], limits: Limits) -> list[int]:
    """Packed, or a field for each number."""
    numbers: list[int] = []
    for value in values:
        if isinstance(value, int):
            numbers.append(value)
        else:
            numbers += protobuf.varints(protobuf.content(value), limits.looked_at - len(numbers))
    return numbers


def _numbers(values: list[int], name: str, data_type: DataType, shape: tuple[int, ...]) -> bytes:
    count = math.prod(shape)
    if len(values) != count:
        message = f"Input {shown(name)}: its shape is {shape_text(shape)}; that is {count} elements, and {len(values)} "
        raise Malformed(Fault.SHAPE_MISMATCH, message + "were sent.", name)
    if data_type is DataType.BOOL:
        return bytes(map(bool, values))
    if _FIELD[data_type] in _SIGNED:
        values = list(map(protobuf.signed, values))
    return elements.whole_numbers(values, name, data_type)
