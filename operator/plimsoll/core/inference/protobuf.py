"""The wire format of protobuf, as far as an infer request needs it: fields of a message, and packed numbers.

Readers of protobuf differ in what they do with a field that occurs twice and with numbers that are too large. Here both
are refused, so that what is read is what any other reader understands.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from plimsoll.core.inference.malformed import Fault, Malformed

_WIRE_VARINT, _WIRE_FIXED64, _WIRE_LENGTH, _WIRE_FIXED32 = 0, 1, 2, 5
_FIXED: Final = {_WIRE_FIXED64: 8, _WIRE_FIXED32: 4}
_MORE: Final = 0x80
_VARINT_BYTES: Final = 10
_WORD: Final = 1 << 64
_MOST_FIELD: Final = (1 << 29) - 1

Value = int | bytes | memoryview
"""An unsigned varint, the 4 or 8 bytes of a fixed number, or a content with a length."""


def fields(message: memoryview, most: int) -> Iterator[tuple[int, Value]]:
    """Yields the fields of a message, in the order they were written.

    Raises:
        Malformed: It is not protobuf, or has more than `most` fields.
    """
    position, end = 0, len(message)
    for _ in range(most):
        if position == end:
            return
        tag, position = _varint(message, position)
        number, wire = tag >> 3, tag & 7
        if not 0 < number <= _MOST_FIELD:
            raise broken()
        if wire == _WIRE_VARINT:
            value, position = _varint(message, position)
            yield number, value
            continue
        size, position = _varint(message, position) if wire == _WIRE_LENGTH else (_FIXED.get(wire, -1), position)
        if not 0 <= size <= end - position:
            raise broken()
        part = message[position : position + size]
        yield number, part if wire == _WIRE_LENGTH else bytes(part)
        position += size
    if position != end:
        raise _too_many(most)


def gathered(message: memoryview, bounds: Mapping[int, int], most: int) -> dict[int, list[Value]]:
    """Returns the values of the fields that are wanted, by number; others are passed over.

    Args:
        message: A message.
        bounds: How often each field that is wanted may occur.
        most: Fields of the message.

    Raises:
        Malformed: It is not protobuf, or a field occurs more often.
    """
    values: dict[int, list[Value]] = {number: [] for number in bounds}
    for number, value in fields(message, most):
        if number not in bounds:
            continue
        values[number].append(value)
        if len(values[number]) > bounds[number]:
            if bounds[number] > 1:
                raise _too_many(bounds[number])
            raise Malformed(Fault.DUPLICATE, f"Field {number} of a message occurs twice.")
    return values


def varints(packed: memoryview, most: int) -> list[int]:
    """Returns unsigned varints that stand one behind the other.

    Raises:
        Malformed: The last one is cut off, one has more than 64 bits, or there are more than `most`.
    """
    found: list[int] = []
    position, end = 0, len(packed)
    while position < end:
        value, position = _varint(packed, position)
        found.append(value)
        if len(found) > most:
            raise _too_many(most)
    return found


def signed(value: int) -> int:
    """Returns an unsigned varint as the signed number of 64 bits that it stands for."""
    return value - _WORD if value >= _WORD >> 1 else value


def whole(value: Value) -> int:
    """Returns a varint.

    Raises:
        Malformed: The field is not one.
    """
    if not isinstance(value, int):
        raise broken()
    return value


def content(value: Value) -> memoryview:
    """Returns a content with a length.

    Raises:
        Malformed: The field is a number.
    """
    if not isinstance(value, memoryview):
        raise broken()
    return value


def fixed(value: Value, size: int) -> bytes:
    """Returns the bytes of a fixed number.

    Raises:
        Malformed: The field is not one of `size` bytes.
    """
    if not isinstance(value, bytes) or len(value) != size:
        raise broken()
    return value


def string(value: Value) -> str:
    """Returns a text.

    Raises:
        Malformed: It is none, or not UTF-8.
    """
    try:
        return str(content(value), "utf-8")
    except UnicodeDecodeError:
        raise Malformed(Fault.NOT_PROTOBUF, "The request has a text that is not UTF-8.") from None


def broken() -> Malformed:
    """Returns the refusal of what is not protobuf."""
    return Malformed(Fault.NOT_PROTOBUF, "The request is not a ModelInferRequest.")


def varint(number: int) -> bytes:
    """Returns a number of up to 64 bits as a varint; negative ones as two's complement."""
    rest = number & (_WORD - 1)
    data = bytearray()
    while rest >= _MORE:
        data.append(rest & ~_MORE & 0xFF | _MORE)
        rest >>= 7
    data.append(rest)
    return bytes(data)


def written(number: int, data: bytes) -> bytes:
    """Returns a field with a length."""
    return varint(number << 3 | _WIRE_LENGTH) + varint(len(data)) + data


def written_number(number: int, value: int) -> bytes:
    """Returns a field that is a varint."""
    return varint(number << 3 | _WIRE_VARINT) + varint(value)


def _too_many(most: int) -> Malformed:
    return Malformed(Fault.TOO_LARGE, f"A part of the request has more than {most} fields.")


def _varint(data: memoryview, position: int) -> tuple[int, int]:
    value = shift = 0
    for byte in data[position : position + _VARINT_BYTES]:
        value |= (byte & ~_MORE) << shift
        shift += 7
        if byte < _MORE:
            if value >= _WORD:
                break
            return value, position + shift // 7
    raise broken()
