"""What requests and answers over HTTP have in common: JSON, perhaps with data of tensors in binary form behind it."""

from __future__ import annotations

import re
from typing import Any, Final

import orjson

from plimsoll.core.inference import elements, parts
from plimsoll.core.inference.limits import Limits
from plimsoll.core.inference.malformed import Fault, Malformed, shown
from plimsoll.core.inference.not_finite import first_not_finite
from plimsoll.core.inference.request import Parameter, Tensor

BINARY_SIZE: Final = "binary_data_size"
"""Of a tensor whose data stands behind the JSON: its bytes."""
_DATA: Final = "data"
_STRING: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_OF_MESSAGE: Final = frozenset({"inputs", "outputs", "parameters"})
_OF_TENSOR: Final = frozenset({"shape", _DATA, "parameters"})

Json = dict[str, Any]


class Binary:
    """The bytes behind the JSON, taken by one input after the other."""

    __slots__ = ("_body", "_offset")

    def __init__(self, body: bytes, offset: int) -> None:
        self._body = body
        self._offset = offset

    def take(self, size: Any, name: str) -> bytes:
        """Returns the next bytes."""
        left = len(self._body) - self._offset
        if type(size) is not int or not 0 <= size <= left:
            message = f"Input {shown(name)}: {BINARY_SIZE} is {shown(size)}, and {left} bytes are left behind the JSON."
            raise Malformed(Fault.SHAPE_MISMATCH, message, name)
        start = self._offset
        self._offset += size
        return self._body[start : self._offset]

    def check_spent(self) -> None:
        """Refuses bytes that no input has taken."""
        left = len(self._body) - self._offset
        if left:
            raise Malformed(Fault.SHAPE_MISMATCH, f"The body has {left} bytes that belong to no input.")


def header_of(body: bytes, header_length: int | None, limits: Limits) -> bytes:
    """Returns the JSON that a body begins with, or is.

    Raises:
        Malformed: There is none, or the body is too large.
    """
    if len(body) > limits.body_bytes:
        raise Malformed(Fault.TOO_LARGE, f"A body may have {limits.body_bytes} bytes; this one has {len(body)}.")
    length = len(body) if header_length is None else header_length
    if header_length == 0:
        message = "The body has no JSON in front of its binary data, so it does not say what the data is."
        raise Malformed(Fault.UNSUPPORTED, message)
    if not 0 <= length <= len(body):
        message = f"Inference-Header-Content-Length is {length}, and the body has {len(body)} bytes."
        raise Malformed(Fault.SHAPE_MISMATCH, message)
    if length > limits.parsed_bytes:
        message = f"The JSON of a request may have {limits.parsed_bytes} bytes; this one has {length}. Send large "
        raise Malformed(Fault.TOO_LARGE, message + "inputs as binary data.")
    return body if length == len(body) else body[:length]


def parsed(header: bytes) -> Json:
    """Returns a JSON object.

    Raises:
        Malformed: It is none.
    """
    try:
        document = orjson.loads(header)
    except orjson.JSONDecodeError as error:
        found = first_not_finite(header)
        if found is not None:
            name, position = found
            where = f"Input {shown(name)}, element {position}" if name else "The request"
            message = f"{where}: JSON has no NaN and no infinity; send such values as binary data."
            raise Malformed(Fault.NOT_FINITE, message, name, position) from None
        raise Malformed(Fault.NOT_JSON, f"The request is not JSON: {error.msg} at character {error.pos}.") from None
    if not isinstance(document, dict):
        raise Malformed(Fault.WRONG_TYPE, "The request must be a JSON object.")
    return document


def list_of(document: Json, member: str, limits: Limits) -> list[Json]:
    """Returns a list of objects, empty where it is absent.

    Raises:
        Malformed: It is none, or too long.
    """
    values = document.get(member, [])
    if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
        raise Malformed(Fault.WRONG_TYPE, f"{member} must be a list of objects.")
    parts.counted(len(values), member, limits.tensors)
    return values


def tensor_of(tensor: Json, binary: Binary, limits: Limits, nulls: elements.Nulls | None = None) -> Tensor:
    """Returns a tensor with its data, which is in the JSON or behind it; `nulls` as `elements.from_json` takes them.

    Raises:
        Malformed: It is none.
    """
    name = parts.named(tensor.get("name"), "An input", limits)
    data_type = parts.typed(tensor.get("datatype"), name)
    shape = parts.shaped(tensor.get("shape"), name, limits)
    parameters = parameters_of(tensor, limits)
    parts.without_shared_memory(parameters, f"Input {shown(name)}", name)
    if (_DATA in tensor) == (BINARY_SIZE in parameters):
        fault = Fault.DUPLICATE if _DATA in tensor else Fault.MISSING
        raise Malformed(fault, f"Input {shown(name)} must have either data or {BINARY_SIZE}.", name)
    if _DATA in tensor:
        return Tensor(name, data_type, shape, elements.from_json(tensor[_DATA], name, data_type, shape, nulls))
    data = binary.take(parameters[BINARY_SIZE], name)
    return Tensor(name, data_type, shape, elements.checked(data, name, data_type, shape, limits))


def parameters_of(owner: Json, limits: Limits) -> Json:
    """Returns the parameters of an object as they came, empty where there are none.

    Raises:
        Malformed: They are no object, or too many.
    """
    parameters = owner.get("parameters", {})
    if not isinstance(parameters, dict):
        raise Malformed(Fault.WRONG_TYPE, "parameters must be an object.")
    parts.counted(len(parameters), "parameters", limits.parameters)
    return parameters


def values_of(document: Json, limits: Limits) -> dict[str, Parameter]:
    """Returns the parameters of a request or an answer.

    Raises:
        Malformed: One is none.
    """
    return {
        parts.named(name, "A parameter", limits): parts.parameter(name, value, limits)
        for name, value in parameters_of(document, limits).items()
    }


def check_members(header: bytes, document: Json, tensors: list[Json]) -> None:
    """Refuses an object with a member twice, of which orjson keeps the last and others the first.

    Every member has one colon outside strings, so these are as many as the members that were kept. Data holds no
    objects when it has been read, so it is not looked at.

    Args:
        header: The JSON.
        document: What orjson made of it; all that is known of it has been read.
        tensors: The objects in its lists.

    Raises:
        Malformed: There is one.
    """
    kept = _members(document, _OF_MESSAGE) + sum(_members(tensor, _OF_TENSOR) for tensor in tensors)
    if header.count(b":") != kept and _STRING.sub(b"", header).count(b":") != kept:
        raise Malformed(Fault.DUPLICATE, "An object in the request has a member twice.")


def _members(owner: Json, known: frozenset[str]) -> int:
    """Counts members, with those of the parameters. What an unknown object holds would have to be looked at as well."""
    parameters = owner.get("parameters", {})
    for member, value in (*owner.items(), *parameters.items()):
        if isinstance(value, list | dict) and member not in known:
            message = f"Member {shown(member)} is not of the protocol, and no plain value."
            raise Malformed(Fault.UNSUPPORTED, message)
    return len(owner) + len(parameters)
