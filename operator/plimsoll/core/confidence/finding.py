"""Is an answer sure enough? By what the model itself says of it, in one of its outputs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from fractions import Fraction
from math import isfinite, isnan, nan, prod
from typing import Final, cast

from plimsoll.api.vocabulary import DataType
from plimsoll.core.confidence.policy import ConfidencePolicy
from plimsoll.core.triton.tensors import ELEMENT_SIZE
from plimsoll.core.validation.elements import FLOATS, packed, values_of
from plimsoll.core.validation.outputs import Output


class Finding(StrEnum):
    """What was found: label values of a metric, so few and fixed."""

    SURE = "sure"
    LOW = "low"
    ABSENT = "absent"
    """There is no such output: the model has none, or the client asked for others."""
    TYPE = "type"
    """It has no floating-point numbers: labels, counts, or classes because the client asked for classes."""
    SHAPE = "shape"
    """One axis of several elements, of a model whose interface is not known: they may be classes, or rows."""
    EMPTY = "empty"
    """It has no element: a detector that found nothing."""
    UNREADABLE = "unreadable"


UNKNOWN: Final = frozenset(Finding) - {Finding.SURE, Finding.LOW}
"""Nothing is known of the answer's confidence."""


def found_in(outputs: Iterable[Output], policy: ConfidencePolicy, *, batches: bool | None) -> Finding:
    """Returns whether an answer is sure enough.

    Its confidence is the smallest over its rows of the largest element of `policy.output` along the last axis: the
    least sure decision in it. Where a row is a single number, it is that number. What is not a number is not sure.

    Args:
        outputs: Of the answer.
        policy: What is enough.
        batches: The model's first axis is the batch, so that an output of one axis has a number for each row; False:
            it has the classes of the one row. None: not known.
    """
    output = next((one for one in outputs if one.name == policy.output), None)
    if output is None:
        return Finding.ABSENT
    kind = output.data_type
    if kind is None or kind not in FLOATS:
        return Finding.TYPE
    shape = output.shape
    if min(shape, default=1) == 0:
        return Finding.EMPTY
    elements = _elements(output, kind)
    if elements is None or min(shape, default=1) < 0 or len(elements) != prod(shape):
        return Finding.UNREADABLE
    if len(shape) == 1 and shape[0] > 1 and batches is None:
        return Finding.SHAPE
    width = 1 if not shape or (len(shape) == 1 and batches) else shape[-1]
    confidence = confidence_of(elements, width)
    if output.data is None:
        confidence = _rounded(confidence, kind)
    return Finding.SURE if confidence >= policy.least[kind] else Finding.LOW


def confidence_of(elements: Sequence[float], width: int) -> float:
    """Returns the smallest of the largest elements of each `width` in a row; NaN where one of them is NaN."""
    # The sum tells it for all at once; infinities of both signs add up to NaN, too.
    if isnan(sum(elements)) and any(map(isnan, elements)):
        return nan
    if width == 1:
        return min(elements)
    if width * width < len(elements):  # More rows than classes: element by element of all rows at once is faster.
        best: Iterator[float] = map(max, *(elements[place::width] for place in range(width)))
        return min(best)
    return min(max(elements[start : start + width]) for start in range(0, len(elements), width))


def _elements(output: Output, kind: DataType) -> Sequence[float] | None:
    """Returns the elements as numbers; None where they cannot be read as such."""
    if output.data is not None:
        return list(values_of(kind, output.data)) if len(output.data) % ELEMENT_SIZE[kind] == 0 else None
    values = output.values
    if values is None or not all(value is None or isinstance(value, int | float) for value in values):
        return None
    try:
        # Some servers write NaN as null.
        return [nan if value is None else float(cast("float", value)) for value in values]
    except OverflowError:
        return None


def _rounded(confidence: float, kind: DataType) -> float:
    """Returns a number that came as text as the output's type has it: 0.1 as FP32 is not below 0.1 as FP32."""
    data = packed(kind, Fraction(confidence)) if isfinite(confidence) else None
    return confidence if data is None else float(values_of(kind, data)[0])
