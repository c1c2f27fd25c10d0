"""Rules for what a client sends: is it what the model takes?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import islice
from typing import Final

from plimsoll.api.preflight_status import MAX_DIMS
from plimsoll.api.vocabulary import DataType
from plimsoll.core.inference.request import InferRequest, Tensor
from plimsoll.core.triton.tensors import shape_text
from plimsoll.core.validation.elements import FLOATS, first_not_finite, has_order, is_nan, packed, values_of
from plimsoll.core.validation.problem import (
    MOST_PROBLEMS,
    Kind,
    Problem,
    fits,
    position_in,
    quoted,
)
from plimsoll.core.validation.schema import Check, Checks, Declared, Schema

SCANNED_BYTES: Final = 1 << 20
"""How much of a request's values is looked at: 0.3 ms for NaN and 9 ms for ranges, measured, in which nobody else is
served. What is behind is the model's to judge."""

Nulls = Mapping[str, Sequence[int]]
"""Elements that came as null, by input and in row-major order; the tensor holds zeros, or empty texts, for them."""


def problems_of_request(
    request: InferRequest, schema: Schema, checks: Checks, nulls: Nulls, most_bytes: int = SCANNED_BYTES
) -> tuple[Problem, ...]:
    """Returns what is wrong, at most `MOST_PROBLEMS`: missing inputs first, then in the request's order.

    Of each input that one thing is told that has to be put right first: name, type, shape, values.

    Args:
        request: What came.
        schema: What the model takes.
        checks: What its owner says of the values.
        nulls: Elements without a value.
        most_bytes: How much of the values is looked at.
    """
    return tuple(islice(_problems(request, schema, checks, nulls, most_bytes), MOST_PROBLEMS))


def brings_not_finite(request: InferRequest, checks: Checks, most_bytes: int = SCANNED_BYTES) -> bool:
    """Tells whether a request has NaN or infinity where its owner does not say that they are values.

    What a model makes of these says nothing about the model.

    Args:
        request: What came.
        checks: What its owner says of the values.
        most_bytes: How much of each input is looked at.
    """
    return any(
        first_not_finite(tensor.data_type, tensor.data[: most_bytes - most_bytes % 8]) >= 0
        for tensor in request.inputs
        if tensor.data_type in FLOATS and not checks.of(tensor.name).takes_not_finite
    )


def _problems(
    request: InferRequest, schema: Schema, checks: Checks, nulls: Nulls, most_bytes: int
) -> Iterator[Problem]:
    given = {tensor.name for tensor in request.inputs}
    for name, declared in schema.inputs.items():
        if name not in given and not declared.is_optional:
            yield _missing(name, declared)
    first: Tensor | None = None
    for tensor in request.inputs:
        declared_ = schema.inputs.get(tensor.name)
        if declared_ is None:
            if schema.knows_all_inputs:
                yield _unknown(tensor.name, schema)
            continue
        problem = _misfit(tensor, declared_, schema.max_batch_size)
        if problem is None:
            first = first or tensor
            problem = (_other_batch(tensor, first) if schema.max_batch_size else None) or _bad_value(
                tensor, checks.of(tensor.name), nulls, most_bytes
            )
        most_bytes -= min(len(tensor.data), most_bytes)
        if problem is not None:
            yield problem


def _missing(name: str, declared: Declared) -> Problem:
    wanted = f"{declared.data_type} {shape_text(declared.shape)}"
    return Problem(Kind.MISSING, name, f"Input {quoted(name)} is missing; send it as {wanted}.")


def _unknown(name: str, schema: Schema) -> Problem:
    known = ", ".join(quoted(one) for one in islice(schema.inputs, MOST_PROBLEMS))
    more = ", ..." if len(schema.inputs) > MOST_PROBLEMS else ""
    return Problem(Kind.UNKNOWN, name, f"The model has no input {quoted(name)}; it takes {known}{more}.")


def _misfit(tensor: Tensor, declared: Declared, max_batch_size: int) -> Problem | None:
    """Compares type and shape."""
    name, shape, wanted = tensor.name, tensor.shape, declared.shape
    if tensor.data_type is not declared.data_type:
        sentence = f"Input {quoted(name)} is {tensor.data_type}; the model takes {declared.data_type}."
        return Problem(Kind.DATA_TYPE, name, sentence)
    if len(shape) != len(wanted):
        batch = ", the batch first" if max_batch_size else ""
        shown = shape_text(shape[:MAX_DIMS])
        sentence = f"Input {quoted(name)} has shape {shown}; the model takes {shape_text(wanted)}{batch}."
        return Problem(Kind.RANK, name, sentence)
    if max_batch_size and shape[0] > max_batch_size:
        sentence = (
            f"Input {quoted(name)} has a batch of {shape[0]}; the model takes at most {max_batch_size}. "
            f"Send it in parts."
        )
        return Problem(Kind.BATCH, name, sentence)
    for axis, (size, declared_size) in enumerate(zip(shape, wanted, strict=True)):
        if not fits(size, declared_size):
            sentence = (
                f"Dimension {axis} of input {quoted(name)} is {size}; the model takes {declared_size}, "
                f"in all {shape_text(wanted)}."
            )
            return Problem(Kind.DIMENSION, name, sentence)
    if 0 in shape:
        sentence = f"Input {quoted(name)} has shape {shape_text(shape)}, so no element; send at least one."
        return Problem(Kind.EMPTY, name, sentence)
    return None


def _other_batch(tensor: Tensor, first: Tensor) -> Problem | None:
    if tensor.shape[0] == first.shape[0]:
        return None
    sentence = (
        f"Input {quoted(tensor.name)} has a batch of {tensor.shape[0]}, input {quoted(first.name)} one of "
        f"{first.shape[0]}; send the same for all."
    )
    return Problem(Kind.BATCH, tensor.name, sentence)


def _bad_value(tensor: Tensor, check: Check, nulls: Nulls, most_bytes: int) -> Problem | None:
    without = nulls.get(tensor.name)
    if without:
        return _at(Kind.NULL, tensor, without[0], "is null; send a value.")
    data = tensor.data[: most_bytes - most_bytes % 8]
    if not check.takes_not_finite:
        found = first_not_finite(tensor.data_type, data)
        if found >= 0:
            what = "NaN" if is_nan(tensor.data_type, data, found) else "infinite"
            return _at(Kind.NOT_FINITE, tensor, found, f"is {what}; send a finite number.")
    if data and has_order(tensor.data_type) and (check.least is not None or check.most is not None):
        return _out_of_range(tensor, data, check)
    return None


def _out_of_range(tensor: Tensor, data: bytes, check: Check) -> Problem | None:
    values = values_of(tensor.data_type, data)
    # NaN compares with nothing and would hide what comes after it.
    known = [value for value in values if value == value] if check.takes_not_finite else values  # noqa: PLR0124
    if not known:
        return None
    least, most = min(known), max(known)
    if check.least is not None and least < _as_element(tensor.data_type, check.least):
        bad, bound = least, f"the least that is declared is {_number(check.least)}"
    elif check.most is not None and most > _as_element(tensor.data_type, check.most):
        bad, bound = most, f"the most that is declared is {_number(check.most)}"
    else:
        return None
    at = next(index for index, value in enumerate(values) if value == bad)
    return _at(Kind.RANGE, tensor, at, f"is {bad}; {bound}.")


def _as_element(data_type: DataType, bound: Fraction) -> int | float | Fraction:
    """Rounds a bound as the client's numbers are: 0.1 as FP32 is more than 0.1, and must not be above it."""
    element = packed(data_type, bound) if data_type in FLOATS else None
    return bound if element is None else values_of(data_type, element)[0]


def _at(kind: Kind, tensor: Tensor, index: int, what: str) -> Problem:
    position = position_in(tensor.shape, index)
    return Problem(kind, tensor.name, f"Element {shape_text(position)} of input {quoted(tensor.name)} {what}", position)


def _number(value: Fraction) -> str:
    return str(value.numerator) if value.denominator == 1 else str(float(value))
