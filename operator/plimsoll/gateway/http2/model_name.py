"""The public model name, from the first bytes of a call: no protobuf decoding of the rest.

In the messages of the calls that pass (ModelInferRequest, ModelMetadataRequest, ModelReadyRequest, ModelConfigRequest,
ModelStatisticsRequest) the name is field 1, a string. Encoders write fields by ascending number, so it comes first;
other fields before it are stepped over all the same.
"""

from __future__ import annotations

from typing import Final

PREFIX_BYTES: Final = 5
"""gRPC's head of a message: whether it is compressed, and its length in 4 bytes."""
SEARCHED_BYTES: Final = 4096
"""How far into the message the name is looked for."""
MAX_NAME_BYTES: Final = 256

_NAME_TAG: Final = 0x0A  # field 1, length-delimited
_VERSION_TAG: Final = 0x12  # field 2, length-delimited
_WIRE_VARINT, _WIRE_FIXED64, _WIRE_LENGTH, _WIRE_FIXED32 = 0, 1, 2, 5
_FIELD_ONE: Final = 1
_VARINT_BYTES: Final = 10
_ONE_BYTE: Final = 0x7F


class Unreadable(Exception):  # noqa: N818 - what the message is
    """The name cannot be read. The text completes the sentence "the first message ..."."""


class Compressed(Unreadable):
    """The first message is compressed, so its bytes do not show the name."""


class _Short(Exception):  # noqa: N818 - not an error: more bytes are needed
    pass


def find_model_name(data: bytes, *, ended: bool) -> str | None:
    """Returns the name, or None when more bytes are needed to tell.

    Args:
        data: The call's DATA so far, from its beginning.
        ended: Whether the call's DATA is complete.

    Raises:
        Unreadable: There is no name, or it is not text; `Compressed` when it is hidden.
    """
    size = len(data)
    # The common case first: field 1 leads, and its length takes one byte.
    if size > PREFIX_BYTES + 1 and data[0] == 0 and data[PREFIX_BYTES] == _NAME_TAG:
        length = data[PREFIX_BYTES + 1]
        end = PREFIX_BYTES + 2 + length
        if 0 < length <= _ONE_BYTE and size >= end and PREFIX_BYTES + int.from_bytes(data[1:5], "big") >= end:
            return _text(data[PREFIX_BYTES + 2 : end])
    return _search(data, ended=ended)


def renamed(data: bytes, name: str) -> bytes | None:
    """Returns a call's DATA with another name in its first message, and without a version; None where that is hidden.

    Which version of the first model it asks for means nothing to the other.

    Args:
        data: The call's DATA so far, with the name in it.
        name: The other model's.
    """
    size = int.from_bytes(data[1:PREFIX_BYTES], "big")
    try:
        start, end = _span(data, PREFIX_BYTES + size)
    except (_Short, Unreadable):
        return None
    text = name.encode()
    field = bytes((_NAME_TAG, len(text))) + text
    left = size - (end - start) + len(field)
    return b"\0" + left.to_bytes(PREFIX_BYTES - 1, "big") + data[PREFIX_BYTES:start] + field + data[end:]


def _span(data: bytes, message_end: int) -> tuple[int, int]:
    """Returns where the name's field begins, and where it and the version's after it end."""
    if data[:1] != b"\0":
        raise Compressed("is compressed")
    position = PREFIX_BYTES
    while True:
        start = position
        tag, position = _varint(data, position)
        wire = tag & 7
        if wire == _WIRE_LENGTH:
            length, position = _varint(data, position)
            position += length
            if tag >> 3 == _FIELD_ONE:
                break
        elif wire == _WIRE_VARINT:
            _, position = _varint(data, position)
        elif wire in {_WIRE_FIXED64, _WIRE_FIXED32}:
            position += 8 if wire == _WIRE_FIXED64 else 4
        else:
            raise Unreadable("is not protobuf")
    if position < min(len(data), message_end) and data[position] == _VERSION_TAG:
        length, position = _varint(data, position + 1)
        position += length
    if position > min(len(data), message_end):
        raise _Short
    return start, position


def _search(data: bytes, *, ended: bool) -> str | None:
    if data and data[0] not in {0, 1}:
        raise Unreadable("has a head that gRPC does not know")
    if data and data[0] == 1:
        raise Compressed("is compressed")
    if len(data) < PREFIX_BYTES:
        if ended:
            raise Unreadable("is missing")
        return None
    message_end = PREFIX_BYTES + int.from_bytes(data[1:PREFIX_BYTES], "big")
    whole = ended or len(data) >= message_end
    try:
        return _text(_field_one(data[:message_end], whole=whole))
    except _Short:
        if whole:
            raise Unreadable("is cut off") from None
        if len(data) > SEARCHED_BYTES:
            raise Unreadable(f"has no model name within {SEARCHED_BYTES} bytes") from None
        return None


def _field_one(message: bytes, *, whole: bool) -> bytes:
    """Returns the content of field 1, stepping over others."""
    position = PREFIX_BYTES
    while position < len(message):
        tag, position = _varint(message, position)
        wire = tag & 7
        if wire == _WIRE_LENGTH:
            length, position = _varint(message, position)
            if tag >> 3 == _FIELD_ONE:
                return _content(message, position, length)
            position += length
        elif wire == _WIRE_VARINT:
            _, position = _varint(message, position)
        elif wire in {_WIRE_FIXED64, _WIRE_FIXED32}:
            position += 8 if wire == _WIRE_FIXED64 else 4
        else:
            raise Unreadable("is not protobuf")
    if whole and position == len(message):
        raise Unreadable("names no model")
    raise _Short


def _content(message: bytes, position: int, length: int) -> bytes:
    if length > MAX_NAME_BYTES:
        raise Unreadable(f"has a model name of {length} bytes; at most {MAX_NAME_BYTES} are accepted")
    if position + length > len(message):
        raise _Short
    if not length:
        raise Unreadable("names no model")
    return message[position : position + length]


def _varint(message: bytes, position: int) -> tuple[int, int]:
    value = 0
    for count in range(_VARINT_BYTES):
        if position + count >= len(message):
            raise _Short
        byte = message[position + count]
        value |= (byte & 0x7F) << (7 * count)
        if byte <= _ONE_BYTE:
            return value, position + count + 1
    raise Unreadable("is not protobuf")


def _text(name: bytes) -> str:
    try:
        return name.decode()
    except UnicodeDecodeError:
        raise Unreadable("has a model name that is not UTF-8") from None
