"""Elements of a tensor: from JSON values or raw bytes to little-endian bytes that fit type and shape exactly."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from types import MappingProxyType
from typing import Any, Final

from plimsoll.api.vocabulary import DataType
from plimsoll.core.inference.limits import DEFAULT, Limits
from plimsoll.core.inference.malformed import Fault, Malformed, shown
from plimsoll.core.triton.tensors import ELEMENT_CODE, ELEMENT_SIZE, shape_text

_LENGTH: Final = struct.Struct("<I")

_NUMBERS: Final = frozenset({int, float})
_NOTHING: Final = MappingProxyType[DataType, Any]({DataType.BOOL: False, DataType.BYTES: ""})

Nulls = dict[str, list[int]]
"""Places of elements that are null, in row-major order and by input."""


def from_json(values: Any, name: str, data_type: DataType, shape: tuple[int, ...], nulls: Nulls | None = None) -> bytes:
    """Returns the elements of an input whose data is JSON, flat or nested as its shape says.

    As in Triton whole numbers are not spelled as fractions, and half precision has no form in JSON.

    Args:
        values: The data.
        name: Of the input.
        data_type: Its element type.
        shape: Its shape.
        nulls: Gets the places of elements that are null, which are read as zeros or empty texts; None refuses them.

    Raises:
        Malformed: They do not fit.
    """
    flat = _flat(values, name, shape)
    if nulls is not None and None in flat:
        nulls[name] = [place for place, value in enumerate(flat) if value is None]
        nothing = _NOTHING.get(data_type, 0)
        flat = [nothing if value is None else value for value in flat]
    match data_type:
        case DataType.FP32 | DataType.FP64:
            return _fractions(flat, name, data_type)
        case DataType.BOOL:
            _expect(flat, frozenset({bool}), name, "true or false")
            return bytes(flat)
        case DataType.BYTES:
            _expect(flat, frozenset({str}), name, "a string")
            return texts(value.encode() for value in flat)
        case DataType.FP16 | DataType.BF16:
            message = f"Input {shown(name)} is of type {data_type}, which has no form in JSON; send it as binary data."
            raise Malformed(Fault.UNSUPPORTED, message, name)
        case _:
            _expect(flat, frozenset({int}), name, "a whole number, without point or exponent")
            return whole_numbers(flat, name, data_type)


def whole_numbers(values: Sequence[int], name: str, data_type: DataType) -> bytes:
    """Returns whole numbers as elements.

    Raises:
        Malformed: One is out of range.
    """
    try:
        return struct.pack(f"<{len(values)}{ELEMENT_CODE[data_type]}", *values)
    except struct.error:
        least, most = _range(data_type)
        position, value = next((at, value) for at, value in enumerate(values) if not least <= value <= most)
        message = f"Input {shown(name)}, element {position}: {value} is not from {least} to {most}, as {data_type} is."
        raise Malformed(Fault.OUT_OF_RANGE, message, name, position) from None


def _range(data_type: DataType) -> tuple[int, int]:
    bits = 8 * ELEMENT_SIZE[data_type]
    return (0, (1 << bits) - 1) if data_type.startswith("U") else (-(1 << bits - 1), (1 << bits - 1) - 1)


def texts(values: Iterable[bytes]) -> bytes:
    """Returns texts as elements: each after its length."""
    return b"".join(_LENGTH.pack(len(value)) + value for value in values)


def split_texts(data: bytes) -> Iterator[bytes]:
    """Yields the elements that `texts` has joined."""
    offset = 0
    while offset < len(data):
        start = offset + _LENGTH.size
        offset = start + int.from_bytes(data[offset:start], "little")
        yield data[start:offset]


def checked(data: bytes, name: str, data_type: DataType, shape: tuple[int, ...], limits: Limits = DEFAULT) -> bytes:
    """Returns raw elements, after a look at whether they are as many as the shape says.

    NaN and infinity are values like any other here.

    Raises:
        Malformed: They are not, or one of BOOL is neither 0 nor 1.
    """
    count = math.prod(shape)
    if data_type is DataType.BYTES:
        if count > limits.looked_at:
            message = f"Input {shown(name)}: at most {limits.looked_at} elements of BYTES are read; it has {count}."
            raise Malformed(Fault.TOO_LARGE, message, name)
        _check_texts(data, name, shape, count)
        return data
    size = ELEMENT_SIZE[data_type]
    if len(data) != count * size:
        raise _misfit(name, shape, f"that is {count * size} bytes of {data_type}, and {len(data)} were sent")
    if data_type is DataType.BOOL and data.translate(None, b"\0\1"):
        position = next(at for at, value in enumerate(data) if value > 1)
        message = f"Input {shown(name)}, element {position}: a BOOL is 0 or 1, not {data[position]}."
        raise Malformed(Fault.OUT_OF_RANGE, message, name, position)
    return data


def _check_texts(data: bytes, name: str, shape: tuple[int, ...], count: int) -> None:
    offset = found = 0
    end = len(data)
    while offset < end and found <= count:
        if offset + _LENGTH.size > end:
            break
        offset += _LENGTH.size + int.from_bytes(data[offset : offset + _LENGTH.size], "little")
        found += 1
    if offset != end and found <= count:
        position = found - 1 if offset > end else found
        message = f"Input {shown(name)}, element {position}: its data ends within the element."
        raise Malformed(Fault.SHAPE_MISMATCH, message, name, position)
    if found != count:
        more = "more" if found > count else str(found)
        raise _misfit(name, shape, f"that is {count} elements, and {more} were sent")


def _fractions(flat: list[Any], name: str, data_type: DataType) -> bytes:
    _expect(flat, _NUMBERS, name, "a number")
    try:
        return struct.pack(f"<{len(flat)}{ELEMENT_CODE[data_type]}", *flat)
    except OverflowError:
        position = next(at for at, value in enumerate(flat) if not _fits_single(value))
        message = f"Input {shown(name)}, element {position}: {flat[position]:.6g} is beyond the range of {data_type}."
        raise Malformed(Fault.OUT_OF_RANGE, message, name, position) from None


def _fits_single(value: float) -> bool:
    try:
        struct.pack("<f", value)
    except OverflowError:
        return False
    return True


def _flat(values: Any, name: str, shape: tuple[int, ...]) -> list[Any]:
    """Level by level, without recursion: the depth is that of the shape, whatever was sent."""
    if not isinstance(values, list):
        raise Malformed(Fault.WRONG_TYPE, f"Input {shown(name)}: data must be a list.", name)
    count = math.prod(shape)
    rows = values
    if len(shape) > 1 and values and isinstance(values[0], list):
        for axis, size in enumerate(shape):
            if axis:
                rows = _opened(rows, name, shape, axis)
            elif len(rows) != size:
                raise _misfit(name, shape, f"its data has {len(rows)} rows")
        return rows
    if len(rows) != count:
        raise _misfit(name, shape, f"that is {count} elements, and {len(rows)} were sent")
    return rows


def _opened(rows: list[Any], name: str, shape: tuple[int, ...], axis: int) -> list[Any]:
    size = shape[axis]
    if not rows:
        return rows
    if set(map(type, rows)) != {list} or set(map(len, rows)) != {size}:
        at = next(at for at, row in enumerate(rows) if not isinstance(row, list) or len(row) != size)
        found = f"{len(rows[at])} values" if isinstance(rows[at], list) else "no list"
        raise _misfit(name, shape, f"row {at} of dimension {axis} has {found}", at * math.prod(shape[axis:]))
    return list(chain.from_iterable(rows))


def _expect(flat: list[Any], kinds: frozenset[type], name: str, what: str) -> None:
    if not set(map(type, flat)) <= kinds:
        position = next(at for at, value in enumerate(flat) if type(value) not in kinds)
        value = flat[position]
        fault = Fault.NULL if value is None else Fault.WRONG_TYPE
        found = "null" if value is None else shown(value)
        raise Malformed(fault, f"Input {shown(name)}, element {position}: must be {what}, not {found}.", name, position)


def _misfit(name: str, shape: tuple[int, ...], what: str, position: int = -1) -> Malformed:
    message = f"Input {shown(name)}: its shape is {shape_text(shape)}; {what}."
    return Malformed(Fault.SHAPE_MISMATCH, message, name, position)
