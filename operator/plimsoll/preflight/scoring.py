"""From outputs to classes: which output says the class, and which class does a row's values name?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from plimsoll.api.preflight_report import ServedTensor
from plimsoll.api.vocabulary import DataType
from plimsoll.core.triton.tensors import element_count
from plimsoll.errors import Invalid
from plimsoll.preflight.cases import Label
from plimsoll.preflight.client import Served
from plimsoll.preflight.tensors import FLOATS, Tensor

_HALF: Final = 0.5
_LABEL_NAMES: Final = ("label", "class", "pred")
_SUM_TOLERANCE: Final = 0.01


@dataclass(frozen=True, slots=True)
class Scoring:
    """How a class is read from one output."""

    output: str
    scores: bool
    """True: floats, the largest of which names the class by its index; one alone is the probability of class 1."""


def find_scoring(served: Served, labels: Sequence[Label], named: str | None) -> Scoring:
    """Finds the output that says the class.

    With text labels that is a BYTES output of one value per row; with numbers an integer output of one value per row,
    else floats. Of several that would do, one whose name says so, then the first.

    Raises:
        Invalid: `OutputNotFound`: none will do, or the one that is named in the spec will not.
    """
    texts = isinstance(labels[0], str)
    possible = [output for output in served.outputs if named in (None, output.name) and _possible(output, texts=texts)]
    if not possible:
        kind = "text, and no output has one text per row" if texts else "numbers, and no output has a class or scores"
        which = f"the output '{named}' of spec.preflight.accuracy" if named else "the model's outputs"
        raise Invalid(
            "OutputNotFound",
            f"The labels of the dataset are {kind} among {which}. Name the output in spec.preflight.accuracy.output, "
            f"or write the labels as the model does.",
        )
    best = min(possible, key=_rank)
    return Scoring(best.name, best.data_type in FLOATS)


def classes(scoring: Scoring, values: Tensor, rows: int) -> NDArray[Any]:
    """Returns one class per row, shape (rows,): int64, or text.

    Raises:
        Invalid: `OutputNotFound`: the values are not one class or one set of scores per row.
    """
    if values.size == 0 or (values.shape[0] != rows and rows > 1):
        raise Invalid("OutputNotFound", f"The output '{scoring.output}' does not have one answer per row.")
    by_row = values.reshape(rows, -1)
    if scoring.scores:
        if by_row.shape[1] == 1:
            return np.asarray(by_row[:, 0] >= _HALF, dtype=np.int64)
        return np.asarray(by_row.argmax(axis=1), dtype=np.int64)
    if values.dtype == object:
        return np.array([bytes(value).decode(errors="replace") for value in by_row[:, 0]])
    return np.asarray(by_row[:, 0], dtype=np.int64)


def probabilities(output: str, values: Tensor, rows: int) -> NDArray[np.float64]:
    """Returns one probability per class and row, shape (rows, classes); one alone is that of class 1 of two.

    Raises:
        Invalid: `NoProbabilities`: they are not between 0 and 1, or do not add up to 1.
    """
    if values.size == 0 or values.dtype.kind != "f" or values.size % rows:
        raise Invalid("NoProbabilities", f"The output '{output}' does not have one set of numbers per row.")
    found = values.reshape(rows, -1).astype(np.float64)
    if found.shape[1] == 1:
        found = np.hstack([1 - found, found])
    sums = found.sum(axis=1)
    if not (np.isfinite(found).all() and found.min() >= 0 and np.abs(sums - 1).max() <= _SUM_TOLERANCE):
        raise Invalid(
            "NoProbabilities",
            f"The output '{output}' is no set of probabilities: the values of a row add up to {sums[0]:.4g}, the "
            f"smallest is {found.min():.4g}. Name an output with probabilities in spec.preflight.calibration.",
        )
    return found


def _possible(output: ServedTensor, *, texts: bool) -> bool:
    one_value = element_count(tuple(output.dims)) == 1
    if output.data_type is DataType.BYTES or texts:
        return texts and output.data_type is DataType.BYTES and one_value
    return output.data_type in FLOATS or (one_value and output.data_type is not DataType.BOOL)


def _rank(output: ServedTensor) -> tuple[bool, bool]:
    return output.data_type in FLOATS, not any(word in output.name.lower() for word in _LABEL_NAMES)
