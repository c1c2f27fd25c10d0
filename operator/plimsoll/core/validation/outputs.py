"""Rules for what a model gives: is what it calls a success an answer?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from math import prod
from typing import Final, cast

from plimsoll.api.vocabulary import DataType
from plimsoll.core.inference.answer import InferAnswer
from plimsoll.core.triton.tensors import shape_text
from plimsoll.core.validation.elements import FLOATS, count_in, first_not_finite, is_nan
from plimsoll.core.validation.problem import (
    MOST_PROBLEMS,
    Kind,
    Problem,
    fits,
    position_in,
    quoted,
)
from plimsoll.core.validation.schema import Declared, Schema

HELD_BYTES: Final = 256 << 10
"""Largest answer that is held until it has been checked. A longer one passes as it comes and is counted as unchecked:
holding it would delay its first byte by its whole transfer, and cost this much memory for each request under way."""


@dataclass(frozen=True, slots=True)
class Output:
    """One output as the model gave it.

    Attributes:
        name: Its name.
        data_type: Element type; None where it says one that the protocol does not have.
        shape: Size of each dimension.
        data: Elements, little-endian; None where they did not come as bytes.
        values: The same as JSON's numbers, truth values or texts in row-major order; None where they did not come so.
            Where both are None they came in another way, and are not judged.
    """

    name: str
    data_type: DataType | None
    shape: tuple[int, ...]
    data: bytes | None = field(default=None, repr=False)
    values: Sequence[object] | None = field(default=None, repr=False)


def outputs_of(answer: InferAnswer) -> tuple[Output, ...]:
    """Returns the outputs of an answer that is kept."""
    return tuple(Output(one.name, one.data_type, one.shape, one.data) for one in answer.outputs)


def problems_of_answer(
    outputs: Sequence[Output], schema: Schema, asked: Mapping[str, int], batch: int | None
) -> tuple[Problem, ...]:
    """Returns what is wrong with an answer, at most `MOST_PROBLEMS`; nothing where it is one.

    A variable dimension may be 0: a detector that found nothing. Outputs that no preflight listed are not judged.

    Args:
        outputs: What the model gave.
        schema: What it is to give.
        asked: Outputs that the request names, and as how many classes; empty where it asks for all.
        batch: Of the request; None where it is not known, or the model does not batch.
    """
    return tuple(islice(_problems({one.name: one for one in outputs}, schema, asked, batch), MOST_PROBLEMS))


def _problems(
    given: Mapping[str, Output], schema: Schema, asked: Mapping[str, int], batch: int | None
) -> Iterator[Problem]:
    for name, declared in schema.outputs.items():
        if asked and name not in asked:
            continue
        output = given.get(name)
        if output is None:
            yield Problem(Kind.MISSING, name, f"The answer has no output {quoted(name)}.")
        elif not asked.get(name):  # Classes are texts in a shape of their own.
            problem = _misfit(output, declared, batch) or _bad_size(output) or _bad_value(output)
            if problem is not None:
                yield problem


def _misfit(output: Output, declared: Declared, batch: int | None) -> Problem | None:
    name, shape = output.name, output.shape
    if output.data_type is not declared.data_type:
        sentence = f"Output {quoted(name)} is {output.data_type or 'of no known type'} instead of {declared.data_type}."
        return Problem(Kind.DATA_TYPE, name, sentence)
    wanted = declared.shape if batch is None else (batch, *declared.shape[1:])
    if len(shape) != len(wanted):
        kind = Kind.RANK
    elif min(shape, default=0) < 0 or not all(map(fits, shape, wanted)):
        kind = Kind.DIMENSION
    else:
        return None
    sentence = f"Output {quoted(name)} has shape {shape_text(shape)} instead of {shape_text(wanted)}."
    return Problem(kind, name, sentence)


def _bad_size(output: Output) -> Problem | None:
    """Compares what the shape announces with what came."""
    count = prod(output.shape)
    if output.values is not None:
        came = len(output.values)
    elif output.data is not None and output.data_type is not None:
        came = count_in(output.data_type, output.data, count)
    else:
        return None
    if came == count:
        return None
    what = f"{came} elements" if came >= 0 else "another number of elements"
    kind = Kind.EMPTY if not came else Kind.SIZE
    sentence = f"Output {quoted(output.name)} has {what} instead of the {count} of its shape."
    return Problem(kind, output.name, sentence)


def _bad_value(output: Output) -> Problem | None:
    if output.data_type not in FLOATS:
        return None
    if output.data is not None:
        found = first_not_finite(output.data_type, output.data)
        nan = found >= 0 and is_nan(output.data_type, output.data, found)
    else:
        found, nan = _first_not_finite_in(output.values or ())
    if found < 0:
        return None
    position = position_in(output.shape, found)
    sentence = f"Element {shape_text(position)} of output {quoted(output.name)} is {'NaN' if nan else 'infinite'}."
    return Problem(Kind.NOT_FINITE, output.name, sentence, position)


def _first_not_finite_in(values: Sequence[object]) -> tuple[int, bool]:
    """Returns the place of the first value that is none, and whether that is NaN; null and texts count as NaN.

    The sum tells it for all at once, at a tenth of the cost: no sum of finite numbers of FP32 overflows a float.
    """
    try:
        total = sum(cast("Sequence[float]", values))  # what cannot be added up is found below
        if total - total == 0:  # which is not so for NaN and infinity
            return -1, False
    except (TypeError, OverflowError):
        pass
    for place, value in enumerate(values):
        if not isinstance(value, int | float) or value != value:  # noqa: PLR0124 - which only NaN is
            return place, True
        if value in {float("inf"), float("-inf")}:
            return place, False
    return -1, False
