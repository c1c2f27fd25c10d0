"""What several phases ask of answers: are they any, and how far are they from others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from plimsoll.api.preflight import OutputTolerance
from plimsoll.api.preflight_report import WorstDifference
from plimsoll.core.preflight.comparison import Comparison, Tolerance, compare, default_tolerance
from plimsoll.core.triton.tensors import DYNAMIC, shape_text
from plimsoll.errors import Invalid
from plimsoll.preflight.client import Served
from plimsoll.preflight.tensors import NUMPY_TYPES, Tensors

Tolerances = Mapping[str, Tolerance]
"""By output."""


@dataclass(frozen=True, slots=True)
class Difference:
    """What comparing one output of one case said."""

    output: str
    case: int
    comparison: Comparison


def tolerances(served: Served, stated: Iterable[OutputTolerance] | None) -> Tolerances:
    """Returns the tolerance of every output.

    Raises:
        Invalid: `UnknownOutput`: the spec names one that the model does not have.
    """
    found = {output.name: default_tolerance(output.data_type) for output in served.outputs}
    for one in stated or ():
        if one.output not in found:
            raise Invalid(
                "UnknownOutput",
                f"spec.preflight.tolerance names the output '{one.output}', the model gives {', '.join(found)}.",
            )
        if one.absolute is not None or one.relative is not None:
            found[one.output] = Tolerance(float(one.absolute or 0), float(one.relative or 0), exact=False)
    return found


def differences(
    case: int, expected: Tensors, actual: Tensors, allowed: Tolerances, *, scores: bool = False
) -> Iterator[Difference]:
    """Compares the outputs that are expected. With `scores` the best of several floats has to stay the best."""
    for output, wanted in expected.items():
        if output not in actual:
            missing = Comparison(equal=False, within=False, absolute=None, relative=None, detail="not answered")
            yield Difference(output, case, missing)
            continue
        ranked = scores and wanted.dtype.kind == "f"
        yield Difference(output, case, compare(wanted, actual[output], allowed[output], scores=ranked))


def worst_of(found: Iterable[Difference]) -> WorstDifference | None:
    """Returns the largest difference: first what is not tolerated, and what has no number before what has one."""
    unequal = [one for one in found if not one.comparison.equal]
    if not unequal:
        return None
    worst = max(unequal, key=_size)
    return WorstDifference(
        output=worst.output,
        case=worst.case,
        absolute=worst.comparison.absolute,
        relative=worst.comparison.relative,
        detail=worst.comparison.detail,
    )


def in_words(worst: WorstDifference) -> str:
    """Describes a difference in half a sentence."""
    return f"output '{worst.output}' of case {worst.case}: {worst.detail}"


def misshapen(answer: Tensors, served: Served, rows: int) -> str:
    """Returns what is wrong with names, types and shapes of an answer to `rows` items; empty where nothing is."""
    for output in served.outputs:
        values = answer.get(output.name)
        if values is None:
            return f"The output '{output.name}' is not answered."
        if values.dtype != NUMPY_TYPES[output.data_type]:
            return f"The output '{output.name}' has values of type {values.dtype}, not {output.data_type}."
        wanted = (rows, *output.dims) if served.batches else tuple(output.dims)
        if values.size and not _fits(values.shape, wanted):
            return f"The output '{output.name}' has the shape {shape_text(values.shape)}, not {shape_text(wanted)}."
    return ""


def _fits(shape: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    return len(shape) == len(wanted) and all(want in (DYNAMIC, have) for have, want in zip(shape, wanted, strict=True))


def _size(one: Difference) -> tuple[bool, float]:
    absolute = one.comparison.absolute
    return not one.comparison.within, float("inf") if absolute is None else absolute
