"""What requests and answers over gRPC have in common: tensors, parameters and texts as protobuf writes them."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from plimsoll.core.inference import elements, parts, protobuf
from plimsoll.core.inference.limits import Limits
from plimsoll.core.inference.malformed import Fault, Malformed, shown
from plimsoll.core.inference.protobuf import written, written_number
from plimsoll.core.inference.request import Parameter, Tensor
from plimsoll.core.inference.typed_contents import from_contents

_NAME, _TYPE, _SHAPE, _PARAMETERS, _CONTENTS = 1, 2, 3, 4, 5
_KEY, _VALUE = 1, 2
_BOOL, _INT64, _STRING, _DOUBLE, _UINT64 = 1, 2, 3, 4, 5

_ENTRY: Final = MappingProxyType({_KEY: 1, _VALUE: 1})
_CHOICE: Final = MappingProxyType(dict.fromkeys((_BOOL, _INT64, _STRING, _DOUBLE, _UINT64), 1))
_DOUBLE_FORM: Final = struct.Struct("<d")
_MOST_INT64: Final = (1 << 63) - 1


def fields_of(message: bytes, bounds: Mapping[int, int], limits: Limits) -> dict[int, list[protobuf.Value]]:
    """Returns the fields of a request or an answer that are wanted, by number.

    Args:
        message: After decompression, without gRPC's frame.
        bounds: How often each may occur.
        limits: How much is read.

    Raises:
        Malformed: It is too long or no protobuf, or a field occurs more often.
    """
    if len(message) > limits.body_bytes:
        raise Malformed(Fault.TOO_LARGE, f"A message may have {limits.body_bytes} bytes; it has {len(message)}.")
    return protobuf.gathered(memoryview(message), bounds, limits.fields)


def tensors_of(values: list[protobuf.Value], raw: list[protobuf.Value], limits: Limits) -> tuple[Tensor, ...]:
    """Returns tensors with their data.

    Args:
        values: Their messages.
        raw: Data of each, or nothing where they hold it themselves.
        limits: How much is read.

    Raises:
        Malformed: They are none.
    """
    if raw and len(raw) != len(values):
        message = f"There are {len(values)} tensors, and raw contents of {len(raw)}."
        raise Malformed(Fault.SHAPE_MISMATCH, message)
    contents = iter([protobuf.content(data) for data in raw])
    inputs = tuple(_input(protobuf.content(value), next(contents, None), limits) for value in values)
    parts.distinct(inputs, "Input")
    return inputs


def _input(message: memoryview, raw: memoryview | None, limits: Limits) -> Tensor:
    bounds = {
        _NAME: 1,
        _TYPE: 1,
        _SHAPE: limits.dimensions,
        _PARAMETERS: limits.parameters,
        _CONTENTS: 1,
    }
    values = protobuf.gathered(message, bounds, limits.fields)
    name = parts.named(string_of(values[_NAME]), "An input", limits)
    data_type = parts.typed(string_of(values[_TYPE]), name)
    shape = parts.shaped(_shape(values[_SHAPE], limits), name, limits)
    parts.without_shared_memory(map_of(values[_PARAMETERS], limits), f"Input {shown(name)}", name)
    contents = protobuf.content(values[_CONTENTS][0]) if values[_CONTENTS] else memoryview(b"")
    if raw is None:
        return Tensor(name, data_type, shape, from_contents(contents, name, data_type, shape, limits))
    if contents:
        message_text = f"Input {shown(name)} has contents beside raw_input_contents."
        raise Malformed(Fault.DUPLICATE, message_text, name)
    return Tensor(name, data_type, shape, elements.checked(bytes(raw), name, data_type, shape, limits))


def sizes_of(message: memoryview, limits: Limits) -> list[int]:
    """Returns the shape of a tensor, whatever else is said of it.

    Raises:
        Malformed: It cannot be read.
    """
    return _shape(protobuf.gathered(message, {_SHAPE: limits.dimensions}, limits.fields)[_SHAPE], limits)


def _shape(values: list[protobuf.Value], limits: Limits) -> list[int]:
    """Packed, or a field for each number."""
    sizes: list[int] = []
    for value in values:
        packed = [value] if isinstance(value, int) else protobuf.varints(protobuf.content(value), limits.dimensions)
        sizes += map(protobuf.signed, packed)
    return sizes


def map_of(entries: list[protobuf.Value], limits: Limits) -> dict[str, Any]:
    """Returns parameters as they came.

    Raises:
        Malformed: They are none, or one occurs twice.
    """
    parameters: dict[str, Any] = {}
    for entry in entries:
        values = protobuf.gathered(protobuf.content(entry), _ENTRY, limits.fields)
        name = parts.named(string_of(values[_KEY]), "A parameter", limits)
        if name in parameters:
            raise Malformed(Fault.DUPLICATE, f"Parameter {shown(name)} occurs twice.")
        choice = protobuf.content(values[_VALUE][0]) if values[_VALUE] else memoryview(b"")
        parameters[name] = _choice(choice, name, limits)
    return parameters


def _choice(message: memoryview, name: str, limits: Limits) -> Parameter:
    values = protobuf.gathered(message, _CHOICE, limits.fields)
    chosen = [(number, value) for number, found in values.items() for value in found]
    if len(chosen) != 1:
        raise Malformed(Fault.WRONG_TYPE, f"Parameter {shown(name)} must have one value; it has {len(chosen)}.")
    number, value = chosen[0]
    if number == _BOOL:
        return bool(protobuf.whole(value))
    if number == _STRING:
        return protobuf.string(value)
    if number == _DOUBLE:
        return float(_DOUBLE_FORM.unpack(protobuf.fixed(value, _DOUBLE_FORM.size))[0])
    return protobuf.signed(protobuf.whole(value)) if number == _INT64 else protobuf.whole(value)


def string_of(values: list[protobuf.Value]) -> str:
    """Returns a text, empty where it is absent.

    Raises:
        Malformed: It is none.
    """
    return protobuf.string(values[0]) if values else ""


def text_of(values: list[protobuf.Value], what: str, limits: Limits) -> str:
    """Returns an id or a version, empty where it is absent.

    Raises:
        Malformed: It is none, or too long.
    """
    return parts.text(string_of(values), what, limits)


def values_of(entries: list[protobuf.Value], limits: Limits) -> dict[str, Parameter]:
    """Returns the parameters of a request or an answer.

    Raises:
        Malformed: One is none.
    """
    return {name: parts.parameter(name, value, limits) for name, value in map_of(entries, limits).items()}


def written_tensor(tensor: Tensor) -> bytes:
    """Returns what is said of a tensor whose data is among the raw contents."""
    shape = b"".join(map(protobuf.varint, tensor.shape))
    sizes = written(_SHAPE, shape) if shape else b""
    return written(_NAME, tensor.name.encode()) + written(_TYPE, tensor.data_type.encode()) + sizes


def written_parameter(name: str, value: Parameter) -> bytes:
    """Returns a parameter as an entry of a map."""
    match value:
        case bool():
            choice = written_number(_BOOL, int(value))
        case int() if value > _MOST_INT64:
            choice = written_number(_UINT64, value)
        case int():
            choice = written_number(_INT64, value)
        case float():
            choice = bytes([_DOUBLE << 3 | 1]) + _DOUBLE_FORM.pack(value)
        case _:
            choice = written(_STRING, value.encode())
    return written(_KEY, name.encode()) + written(_VALUE, choice)
