"""Are two answers the same? Bit for bit, within a tolerance, or not.

Tensors have Triton's element types as numpy holds them: text as objects (bytes or str), BF16 as float32.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from plimsoll.api.preflight_report import DeterminismLevel
from plimsoll.api.vocabulary import DataType

Tensor: TypeAlias = NDArray[Any]

_SHOWN_CHARACTERS = 60
"""Of a text in `detail`: the report holds many of them and fits a ConfigMap."""
_KINDS = {"f": "float", "i": "integer", "u": "integer", "b": "boolean", "O": "text", "S": "text", "U": "text"}


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How much a value may differ: within `absolute`, or within `relative` times the expected value. Either is enough.

    `exact`: not at all, and the other two do not count. NaN equals NaN.
    """

    absolute: float
    relative: float
    exact: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """What comparing two tensors said.

    `equal`: the same bits, shape and type. `within`: tolerated, which equal tensors always are.

    `absolute` and `relative` belong to one element, the one that goes furthest beyond its tolerance (or comes nearest
    to it). They are None where there is no such number: another shape or kind, text, a value that is not finite, and
    for `relative` an expected zero. `detail` is for people, empty when equal.
    """

    equal: bool
    within: bool
    absolute: float | None
    relative: float | None
    detail: str


_EXACTLY = Tolerance(absolute=0.0, relative=0.0, exact=True)
_FLOATS = Tolerance(absolute=1e-5, relative=1e-3, exact=False)
_BY_TYPE = {
    DataType.FP64: _FLOATS,
    DataType.FP32: _FLOATS,
    DataType.FP16: replace(_FLOATS, relative=2**-9),
    DataType.BF16: replace(_FLOATS, relative=2**-6),
}


def default_tolerance(data_type: DataType) -> Tolerance:
    """Returns the tolerance of an output for which the user states none.

    1e-5 or a thousandth for floats; integers, booleans and text exactly. FP16 and BF16 have 10 and 7 fraction bits
    (IEEE 754 binary16; bfloat16 of the oneDNN and TensorFlow documentation), so that one unit in the last place is up
    to 0.1 % and 0.8 % of a value: they get two units.
    """
    return _BY_TYPE.get(data_type, _EXACTLY)


def compare(expected: Tensor, actual: Tensor, tolerance: Tolerance, *, scores: bool = False) -> Comparison:
    """Compares two tensors of any shape.

    With `scores` the last axis holds one score per class, and another best class is not within any tolerance.
    """
    if expected.shape != actual.shape:
        return _unlike(f"shape {list(actual.shape)} instead of {list(expected.shape)}")
    if _kind(expected) != _kind(actual):
        return _unlike(f"{_kind(actual)} values instead of {_kind(expected)}")
    comparison = (
        _compare_texts(expected, actual) if _kind(expected) == "text" else _compare_numbers(expected, actual, tolerance)
    )
    if scores and comparison.within and not labels_equal(expected, actual):
        return replace(comparison, within=False, detail=f"another best class: {comparison.detail}")
    return comparison


def labels_equal(expected: Tensor, actual: Tensor) -> bool:
    """Whether two answers of one shape name the same classes.

    Floats are scores: what counts is the largest along the last axis, and a lone score names no class, so it never
    differs. Anything else is the label itself.
    """
    if _kind(expected) == "text":
        return bool(np.all(_as_bytes(expected) == _as_bytes(actual)))
    if _kind(expected) != "float":
        return bool(np.array_equal(expected, actual))
    if expected.size == 0 or expected.ndim == 0 or expected.shape[-1] == 1:
        return True
    return bool(np.array_equal(expected.argmax(axis=-1), actual.argmax(axis=-1)))


def level_of(comparisons: Iterable[Comparison]) -> DeterminismLevel:
    """Returns the weakest equality among the comparisons.

    Raises:
        ValueError: no comparison. Nothing compared must not read as exactly equal.

    """
    compared = list(comparisons)
    if not compared:
        raise ValueError("no answers were compared")
    if all(comparison.equal for comparison in compared):
        return DeterminismLevel.EXACT
    if all(comparison.within for comparison in compared):
        return DeterminismLevel.TOLERANCE
    return DeterminismLevel.NONDETERMINISTIC


def invalid(answer: Tensor) -> str:
    """Returns why a tensor is no answer whatever was expected, as a sentence; empty where it is one."""
    if answer.size == 0:
        return f"The answer is empty: its shape is {list(answer.shape)}."
    if _kind(answer) != "float":
        return ""
    wrong = ~np.isfinite(answer)
    if not wrong.any():
        return ""
    first = np.unravel_index(int(wrong.argmax()), answer.shape)
    return f"{int(wrong.sum())} of {answer.size} values are not finite; the first is {answer[first]}{_position(first)}."


def _compare_numbers(expected: Tensor, actual: Tensor, tolerance: Tolerance) -> Comparison:
    if _bits_equal(expected, actual):
        return Comparison(equal=True, within=True, absolute=0.0, relative=0.0, detail="")
    same = (expected == actual) | _both_nan(expected, actual)
    if same.all():
        return Comparison(
            equal=False, within=True, absolute=0.0, relative=0.0, detail="equal values of other type, sign or NaN bits"
        )
    difference = np.where(same, 0.0, _difference(expected, actual))
    magnitude = np.abs(expected.astype(np.float64))
    allowed = (
        np.zeros_like(difference)
        if tolerance.exact
        else np.maximum(tolerance.absolute, tolerance.relative * np.where(np.isfinite(magnitude), magnitude, 0.0))
    )
    worst = _worst(difference, allowed)
    return Comparison(
        equal=False,
        within=bool(np.all(same | (difference <= allowed))),
        absolute=_finite(float(difference[worst])),
        relative=_share(float(difference[worst]), float(magnitude[worst])),
        detail=f"{actual[worst]} instead of {expected[worst]}{_position(worst)}",
    )


def _bits_equal(expected: Tensor, actual: Tensor) -> bool:
    """Tells 0.0 from -0.0, and holds a NaN equal to itself, as `==` does not."""
    return expected.dtype == actual.dtype and expected.tobytes() == actual.tobytes()


def _both_nan(expected: Tensor, actual: Tensor) -> NDArray[np.bool_]:
    both: NDArray[np.bool_] = (expected != expected) & (actual != actual)  # noqa: PLR0124 - only NaN differs from itself
    return both


def _difference(expected: Tensor, actual: Tensor) -> NDArray[np.float64]:
    """Absolute differences of unequal values; infinite where one of them is not finite.

    Integers that share a float64 count as 1 apart, never as 0. The entries of equal values mean nothing.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        difference = np.abs(actual.astype(np.float64) - expected.astype(np.float64))
    at_least = 1.0 if _kind(expected) == "integer" else 0.0
    return np.where(np.isfinite(difference), np.maximum(difference, at_least), np.inf)


def _worst(difference: NDArray[np.float64], allowed: NDArray[np.float64]) -> tuple[np.intp, ...]:
    """Index of the element that is furthest beyond its tolerance; of two without any tolerance, the more different."""
    with np.errstate(divide="ignore", invalid="ignore"):
        excess = np.where(difference > 0, difference / allowed, 0.0)
    candidates = excess == excess.max()
    return np.unravel_index(int(np.where(candidates, difference, -1.0).argmax()), difference.shape)


def _compare_texts(expected: Tensor, actual: Tensor) -> Comparison:
    wanted, got = _as_bytes(expected), _as_bytes(actual)
    differs = np.asarray(wanted != got, dtype=bool)
    if not differs.any():
        return Comparison(equal=True, within=True, absolute=0.0, relative=0.0, detail="")
    first = np.unravel_index(int(differs.argmax()), differs.shape)
    return _unlike(f"{_shown(got[first])} instead of {_shown(wanted[first])}{_position(first)}")


def _as_bytes(texts: Tensor) -> NDArray[np.object_]:
    """Golden files hold str, the server sends bytes: both as objects of bytes."""
    encoded = np.empty(texts.shape, dtype=np.object_)
    for index, text in np.ndenumerate(texts):
        encoded[index] = bytes(text) if isinstance(text, bytes) else str(text).encode()
    return encoded


def _kind(tensor: Tensor) -> str:
    return _KINDS.get(tensor.dtype.kind, str(tensor.dtype))


def _unlike(detail: str) -> Comparison:
    return Comparison(equal=False, within=False, absolute=None, relative=None, detail=detail)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _share(difference: float, magnitude: float) -> float | None:
    if magnitude == 0 or not math.isfinite(magnitude):
        return None
    return _finite(difference / magnitude)


def _position(index: tuple[np.intp, ...]) -> str:
    """` at [2, 0]`, counted from 0 as in code; empty for a scalar."""
    return f" at {[int(axis) for axis in index]}" if index else ""


def _shown(text: bytes) -> str:
    shown = text.decode(errors="replace")
    return repr(shown if len(shown) <= _SHOWN_CHARACTERS else f"{shown[:_SHOWN_CHARACTERS]}…")
