"""Filling in what a request lacks: inputs that are missing, elements that are null or NaN."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import prod

from plimsoll.api.requests_validation import signed_value
from plimsoll.api.vocabulary import DataType
from plimsoll.core.inference.request import InferRequest, Tensor
from plimsoll.core.triton.tensors import ELEMENT_SIZE
from plimsoll.core.validation.elements import first_not_finite, packed, values_of
from plimsoll.core.validation.inputs import SCANNED_BYTES, Nulls
from plimsoll.core.validation.schema import VARIABLE, Checks, Declared, Schema

_MOST_FILLED_BYTES = 1 << 20
"""A missing input with larger dimensions is not filled in: a short request must not become an arbitrarily long one."""


@dataclass(frozen=True, slots=True)
class Imputed:
    """A request after it.

    Attributes:
        request: With what was filled in.
        nulls: Elements that are still without a value: their inputs have no default.
        filled: Names of inputs in which something was, in the model's order.
    """

    request: InferRequest
    nulls: Nulls
    filled: tuple[str, ...] = ()


def imputed(
    request: InferRequest, schema: Schema, checks: Checks, nulls: Nulls, most_bytes: int = SCANNED_BYTES
) -> Imputed:
    """Fills in declared defaults. What has none, or whose default is no value of its type, stays as it is.

    A missing input gets the batch size of the first one that came, 1 without any, and 1 for each variable dimension.

    Args:
        request: What came.
        schema: What the model takes.
        checks: The defaults.
        nulls: Elements without a value.
        most_bytes: How much of each input is looked through for NaN.
    """
    elements = {
        name: element
        for name, declared in schema.inputs.items()
        if (element := element_of(declared.data_type, checks.of(name).default)) is not None
    }
    given = {tensor.name: tensor for tensor in request.inputs}
    result: dict[str, Tensor] = dict(given)
    for name, element in elements.items():
        declared = schema.inputs[name]
        tensor = given.get(name)
        if tensor is None:
            made = None if declared.is_optional else _made(name, declared, element, _batch(request, schema))
            if made is not None:
                result[name] = made
        elif tensor.data_type is declared.data_type:
            places = [*nulls.get(name, ()), *_nans(tensor, checks, most_bytes)]
            if places:
                result[name] = _with(tensor, places, element)
    filled = tuple(name for name in elements if result.get(name) is not given.get(name))
    left = {name: places for name, places in nulls.items() if name not in filled}
    return Imputed(replace(request, inputs=tuple(result.values())), left, filled) if filled else Imputed(request, nulls)


def element_of(data_type: DataType, text: str | None) -> bytes | None:
    """Returns a default as one element of a type; None where there is none, or it is no value of the type."""
    if text is None:
        return None
    if data_type is DataType.BYTES:
        return struct.pack("<I", len(text.encode())) + text.encode()
    if data_type is DataType.BOOL:
        return {"true": b"\1", "false": b"\0"}.get(text)
    try:
        return packed(data_type, signed_value(text))
    except ValueError:
        return None


def _batch(request: InferRequest, schema: Schema) -> int:
    for tensor in request.inputs:
        if schema.max_batch_size and tensor.shape and tensor.name in schema.inputs:
            return min(max(tensor.shape[0], 1), schema.max_batch_size)
    return 1


def _made(name: str, declared: Declared, element: bytes, batch: int) -> Tensor | None:
    """Returns an input that holds one value everywhere."""
    sizes = [1 if size == VARIABLE else size for size in declared.shape]
    if declared.shape[:1] == (VARIABLE,):
        sizes[0] = batch
    count = prod(sizes)
    if count * len(element) > _MOST_FILLED_BYTES:
        return None
    return Tensor(name, declared.data_type, tuple(sizes), element * count)


def _nans(tensor: Tensor, checks: Checks, most_bytes: int) -> Sequence[int]:
    """Returns the places of NaN, which is how binary tensors say null; infinity is a value that is wrong."""
    if checks.of(tensor.name).takes_not_finite:
        return ()
    data = tensor.data[: most_bytes - most_bytes % 8]
    start = first_not_finite(tensor.data_type, data)
    if start < 0:
        return ()
    values = values_of(tensor.data_type, data)[start:]
    return [place for place, value in enumerate(values, start) if value != value]  # noqa: PLR0124 - which only NaN is


def _with(tensor: Tensor, places: Iterable[int], element: bytes) -> Tensor:
    width = ELEMENT_SIZE.get(tensor.data_type)
    if width is None:
        return replace(tensor, data=_texts_with(tensor.data, set(places), element))
    data = bytearray(tensor.data)
    for place in places:
        data[place * width : (place + 1) * width] = element
    return replace(tensor, data=bytes(data))


def _texts_with(data: bytes, places: set[int], element: bytes) -> bytes:
    parts: list[bytes] = []
    at = number = 0
    while at < len(data):
        end = at + 4 + int.from_bytes(data[at : at + 4], "little")
        parts.append(element if number in places else data[at:end])
        at, number = end, number + 1
    return b"".join(parts)
