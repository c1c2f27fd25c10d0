"""Tensor values in the protocol's binary form: little-endian elements in row-major order."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from typing import Any, Final

from plimsoll.api.vocabulary import DataType
from plimsoll.core.triton.tensors import ELEMENT_CODE, ELEMENT_SIZE

# Small, different values: constant inputs can make a normalisation divide by zero.
_FLOAT_PATTERN: Final = tuple(step / 100 for step in range(1, 98))


def encode(values: Any, data_type: DataType) -> bytes:
    """Encode nested or flat JSON values.

    Raises:
        ValueError: A value does not fit the type, in words for people.
    """
    flat = list(_flatten(values))
    if data_type is DataType.BYTES:
        return b"".join(_prefixed(value) for value in flat)
    try:
        if data_type is DataType.BF16:
            return b"".join(struct.pack("<f", _number(value))[2:] for value in flat)
        return struct.pack(f"<{len(flat)}{ELEMENT_CODE[data_type]}", *(_element(value, data_type) for value in flat))
    except (struct.error, OverflowError) as error:
        raise ValueError(f"a value does not fit {data_type} ({error})") from error


def count(values: Any) -> int:
    """Count the elements of nested or flat JSON values."""
    return sum(1 for _ in _flatten(values))


def generated(elements: int, data_type: DataType) -> bytes:
    """Make input values nothing is known about: zeros for integers, small fractions for floats, spaces for BYTES."""
    if data_type is DataType.BYTES:
        return _prefixed(" ") * elements
    if data_type in (DataType.FP16, DataType.FP32, DataType.FP64, DataType.BF16):
        pattern = encode(list(_FLOAT_PATTERN), data_type)
        repeats = math.ceil(elements / len(_FLOAT_PATTERN))
        return (pattern * repeats)[: elements * ELEMENT_SIZE[data_type]]
    return bytes(elements * ELEMENT_SIZE[data_type])


def first_elements(raw: bytes, elements: int, data_type: DataType) -> bytes:
    """Cut the first elements off encoded values, which is the first row of a batch."""
    if data_type is not DataType.BYTES:
        return raw[: elements * ELEMENT_SIZE[data_type]]
    offset = 0
    for _ in range(elements):
        (length,) = struct.unpack_from("<I", raw, offset)
        offset += 4 + length
    return raw[:offset]


def _flatten(values: Any) -> Iterator[Any]:
    """Yield leaves depth first with a stack: nesting from a file must not exhaust the interpreter's."""
    stack = [values]
    while stack:
        value = stack.pop()
        if isinstance(value, list):
            stack.extend(reversed(value))
        else:
            yield value


def _prefixed(value: Any) -> bytes:
    if not isinstance(value, str):
        raise ValueError(f"a BYTES value must be a string, not {type(value).__name__}")  # noqa: TRY004 - one error type
    data = value.encode("utf-8", "surrogatepass")
    return struct.pack("<I", len(data)) + data


def _element(value: Any, data_type: DataType) -> Any:
    if data_type is DataType.BOOL:
        if not isinstance(value, bool | int):
            raise ValueError(f"a BOOL value must be true or false, not {value!r:.40}")
        return bool(value)
    if data_type in (DataType.FP16, DataType.FP32, DataType.FP64):
        return _number(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"a {data_type} value must be a whole number, not {value!r:.40}")  # noqa: TRY004 - one error type
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"a floating-point value must be a number, not {value!r:.40}")  # noqa: TRY004 - one error type
    return float(value)
