"""Rules that hold for a request however it was written: names, shapes, types, parameters, and no name twice."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Final

from plimsoll.api.vocabulary import DataType
from plimsoll.core.inference.limits import Limits
from plimsoll.core.inference.malformed import Fault, Malformed, shown
from plimsoll.core.inference.request import Parameter, RequestedOutput, Tensor

BINARY_OUTPUT: Final = "binary_data_output"
"""Of a request over HTTP: how outputs are written that do not say it themselves."""
_BINARY: Final = "binary_data"
CLASSES: Final = "classification"
"""Of a requested output: as how many classes it is to be written."""
_SHARED_MEMORY: Final = "shared_memory_region"
_DATA_TYPES: Final = {data_type.value: data_type for data_type in DataType}
_MOST_SIZE: Final = (1 << 63) - 1
_MOST_CLASSES: Final = (1 << 31) - 1


def named(name: Any, what: str, limits: Limits) -> str:
    """Returns the name of a tensor or parameter.

    Raises:
        Malformed: It is none.
    """
    if not isinstance(name, str) or not name:
        fault = Fault.MISSING if name is None or name == "" else Fault.WRONG_TYPE
        raise Malformed(fault, f"{what} must have a name, which is a string.")
    if len(name) > limits.name_bytes or len(name.encode()) > limits.name_bytes:
        message = f"A name may have {limits.name_bytes} bytes; {shown(name)} has more."
        raise Malformed(Fault.TOO_LARGE, message)
    return name


def typed(data_type: Any, name: str) -> DataType:
    """Returns the data type of an input.

    Raises:
        Malformed: There is none, or it is not known.
    """
    known = _DATA_TYPES.get(data_type) if isinstance(data_type, str) else None
    if known is None:
        fault = Fault.MISSING if data_type is None or data_type == "" else Fault.UNKNOWN_DATA_TYPE
        message = f"Input {shown(name)}: its datatype must be one of {', '.join(_DATA_TYPES)}, not {shown(data_type)}."
        raise Malformed(fault, message, name)
    return known


def shaped(shape: Any, name: str, limits: Limits) -> tuple[int, ...]:
    """Returns the shape of an input.

    Raises:
        Malformed: It is none.
    """
    if not isinstance(shape, list):
        raise Malformed(Fault.MISSING, f"Input {shown(name)}: its shape must be a list of sizes.", name)
    if len(shape) > limits.dimensions:
        message = f"Input {shown(name)} has {len(shape)} dimensions; at most {limits.dimensions} are read."
        raise Malformed(Fault.TOO_LARGE, message, name)
    for axis, size in enumerate(shape):
        if type(size) is not int or not 0 <= size <= _MOST_SIZE:
            message = f"Input {shown(name)}: dimension {axis} must be a whole number from 0, not {shown(size)}."
            raise Malformed(Fault.WRONG_TYPE, message, name)
    return tuple(shape)


def counted(count: int, what: str, most: int) -> None:
    """Checks a number of things.

    Raises:
        Malformed: There are too many.
    """
    if count > most:
        raise Malformed(Fault.TOO_LARGE, f"A request may have {most} {what}; this one has {count} or more.")


def text(value: Any, what: str, limits: Limits) -> str:
    """Returns an id or a version.

    Raises:
        Malformed: It is no string, or too long.
    """
    if not isinstance(value, str):
        raise Malformed(Fault.WRONG_TYPE, f"The {what} must be a string.")
    if len(value) > limits.text_bytes:
        raise Malformed(Fault.TOO_LARGE, f"The {what} may have {limits.text_bytes} characters; it has {len(value)}.")
    return value


def parameter(name: str, value: Any, limits: Limits) -> Parameter:
    """Returns the value of a parameter; a whole number as `int`, for 1 and 1.0 are one value.

    Raises:
        Malformed: It is no number, text or truth.
    """
    match value:
        case bool() | int():
            return value
        case float() if math.isfinite(value):
            return int(value) if value.is_integer() else value
        case str():
            return text(value, f"parameter {shown(name)}", limits)
        case _:
            raise Malformed(
                Fault.WRONG_TYPE, f"Parameter {shown(name)} must be a finite number, a string, true or false."
            )


def output(name: str, parameters: dict[str, Any], *, binary: bool) -> RequestedOutput:
    """Returns a requested output.

    Args:
        name: Its name.
        parameters: As they came.
        binary: How it is written unless they say it.

    Raises:
        Malformed: They cannot be followed.
    """
    without_shared_memory(parameters, f"Output {shown(name)}")
    classes, behind = parameters.get(CLASSES, 0), parameters.get(_BINARY, binary)
    if type(classes) is not int or not 0 <= classes <= _MOST_CLASSES:
        raise Malformed(Fault.WRONG_TYPE, f"Output {shown(name)}: {CLASSES} must be a whole number from 0.")
    return RequestedOutput(name, classes, truth(behind, f"Output {shown(name)}: {_BINARY}"))


def written_output(output: RequestedOutput) -> dict[str, Parameter]:
    """Returns the parameters of a requested output over HTTP."""
    classes: dict[str, Parameter] = {CLASSES: output.classes} if output.classes else {}
    return classes | {_BINARY: output.binary}


def truth(value: Any, what: str) -> bool:
    """Returns true or false.

    Raises:
        Malformed: It is neither.
    """
    if not isinstance(value, bool):
        raise Malformed(Fault.WRONG_TYPE, f"{what} must be true or false.")
    return value


def without_shared_memory(parameters: dict[str, Any], what: str, name: str = "") -> None:
    """Checks that a tensor's data is in the request, or goes into the answer.

    Raises:
        Malformed: It is in shared memory.
    """
    if _SHARED_MEMORY in parameters:
        raise Malformed(Fault.UNSUPPORTED, f"{what}: shared memory does not reach through the gateway.", name)


def distinct(tensors: Iterable[Tensor | RequestedOutput], what: str) -> None:
    """Checks that no name occurs twice.

    Raises:
        Malformed: One does.
    """
    seen: set[str] = set()
    for tensor in tensors:
        if tensor.name in seen:
            where = tensor.name if isinstance(tensor, Tensor) else ""
            raise Malformed(Fault.DUPLICATE, f"{what} {shown(tensor.name)} occurs twice.", where)
        seen.add(tensor.name)
