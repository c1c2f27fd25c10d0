"""Elements of tensors as bytes: how wide they are, which of them are no numbers, which is the largest.

Everything here runs on the gateway's event loop, so nothing looks at elements one by one in Python unless it has found
something. Not-a-number and infinity are found by their exponent's bits, which are all set (IEEE 754-2019, 3.4): 1.2 ns
for an element of FP32, measured, where `math.isfinite` of each would cost 18.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, Literal, cast

from plimsoll.api.vocabulary import DataType
from plimsoll.core.triton.tensors import ELEMENT_SIZE

FLOATS: Final = frozenset({DataType.FP16, DataType.BF16, DataType.FP32, DataType.FP64})

_LENGTH_BYTES = 4
_Code = Literal["B", "b", "H", "h", "I", "i", "f", "Q", "q", "d"]
_CODES: Final[Mapping[DataType, _Code]] = {
    DataType.UINT8: "B",
    DataType.INT8: "b",
    DataType.UINT16: "H",
    DataType.INT16: "h",
    DataType.UINT32: "I",
    DataType.INT32: "i",
    DataType.FP32: "f",
    DataType.UINT64: "Q",
    DataType.INT64: "q",
    DataType.FP64: "d",
}
_SCANNED_AT_ONCE = 1 << 18
"""Bytes: what the scan makes of them, another half as much, stays in the second-level cache."""


@dataclass(frozen=True, slots=True)
class _Exponent:
    """Where the exponent's bits are: in the element's last byte, below the sign, and at the top of the one before."""

    high: bytes
    low: bytes


def _marks(wanted: int) -> bytes:
    """A table for `bytes.translate`: 1 for a byte that has all these bits, 0 for others."""
    return bytes(byte & wanted == wanted for byte in range(256))


_EXPONENTS: Final = {
    DataType.FP16: _Exponent(_marks(0x7C), _marks(0)),
    DataType.BF16: _Exponent(_marks(0x7F), _marks(0x80)),
    DataType.FP32: _Exponent(_marks(0x7F), _marks(0x80)),
    DataType.FP64: _Exponent(_marks(0x7F), _marks(0xF0)),
}


def first_not_finite(data_type: DataType, data: bytes) -> int:
    """Returns the position of the first NaN or infinity among the elements, -1 where there is none.

    Args:
        data_type: A type that has neither never has one.
        data: Whole elements, little-endian.
    """
    exponent = _EXPONENTS.get(data_type)
    if exponent is None:
        return -1
    width = ELEMENT_SIZE[data_type]
    for start in range(0, len(data), _SCANNED_AT_ONCE):
        piece = data if len(data) <= _SCANNED_AT_ONCE else data[start : start + _SCANNED_AT_ONCE]
        found = _first_marked(exponent, width, piece)
        if found >= 0:
            return start // width + found
    return -1


def _first_marked(exponent: _Exponent, width: int, data: bytes) -> int:
    """Looks at two bytes of each element, for all elements at once."""
    high = data[width - 1 :: width].translate(exponent.high)
    if 1 not in high:
        return -1
    # Ordinary data ends above: with FP32, only numbers of more than 1.7e38 come this far.
    low = data[width - 2 :: width].translate(exponent.low)
    both = int.from_bytes(high, "little") & int.from_bytes(low, "little")
    return ((both & -both).bit_length() - 1) // 8 if both else -1


def is_nan(data_type: DataType, data: bytes, position: int) -> bool:
    """Tells whether an element that is not finite is no number at all, rather than an infinity."""
    value = values_of(data_type, data[position * ELEMENT_SIZE[data_type] : (position + 1) * ELEMENT_SIZE[data_type]])[0]
    return value != value  # noqa: PLR0124 - which only NaN is


def values_of(data_type: DataType, data: bytes) -> Sequence[int | float]:
    """Returns the elements as numbers, without a copy where the machine's own types allow it.

    Raises:
        KeyError: They are no numbers: BOOL, BYTES.
    """
    if data_type is DataType.FP16:
        return struct.unpack(f"<{len(data) // 2}e", data)
    if data_type is DataType.BF16:
        widened = bytearray(2 * len(data))  # BF16 is the upper half of FP32.
        widened[2::4], widened[3::4] = data[::2], data[1::2]
        data, data_type = bytes(widened), DataType.FP32
    return cast("Sequence[int | float]", memoryview(data).cast(_CODES[data_type]))


def has_order(data_type: DataType) -> bool:
    """Tells whether elements of a type can be too small or too large."""
    return data_type in FLOATS or data_type in _CODES


def packed(data_type: DataType, value: Fraction) -> bytes | None:
    """Returns a number as one element, rounded to the nearest that the type has; None where it has none for it."""
    if data_type not in FLOATS and value.denominator != 1:
        return None
    try:
        if data_type is DataType.BF16:
            return _rounded_bf16(struct.unpack("<I", struct.pack("<f", float(value)))[0])
        if data_type is DataType.FP16:
            return struct.pack("<e", float(value))
        if data_type in FLOATS:
            return struct.pack("<" + _CODES[data_type], float(value))
        return int(value).to_bytes(ELEMENT_SIZE[data_type], "little", signed=data_type.startswith("INT"))
    except OverflowError:
        return None


def _rounded_bf16(bits: int) -> bytes | None:
    upper = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16  # to the nearest, ties to even
    return None if upper & 0x7F80 == 0x7F80 else struct.pack("<H", upper)  # noqa: PLR2004 - rounded up to infinity


def count_in(data_type: DataType, data: bytes, most: int) -> int:
    """Returns how many elements `data` holds; -1 where it does not hold whole elements, or more than `most`.

    Of BYTES no more than `most` lengths are followed, so that a count costs no more than what was announced.
    """
    width = ELEMENT_SIZE.get(data_type)
    if width is not None:
        count, rest = divmod(len(data), width)
        return -1 if rest else count
    at = count = 0
    while at < len(data):
        if count == most or at + _LENGTH_BYTES > len(data):
            return -1
        at += _LENGTH_BYTES + int.from_bytes(data[at : at + _LENGTH_BYTES], "little")
        count += 1
    return count if at == len(data) else -1
