"""Accuracy of a candidate against a reference on the same labelled rows.

Only rows on which exactly one of the two is right carry information about the difference: *lost* rows, which only the
reference answers rightly, and *won* ones.

The bounds of the loss are the score bounds for the difference of paired proportions (Tango, "Equivalence test and
confidence interval for the difference in proportions for the paired-sample design", Statistics in Medicine 17, 1998):
unlike the normal approximation, one lost row does not look better than none. `low` belongs to the two-sided 95 %
interval, `high` is the one-sided 95 % bound. Where no row is lost or won, `high` is 3/n (Hanley and Lippman-Hand, "If
nothing goes wrong, is everything all right?", JAMA 249, 1983).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from plimsoll.api.preflight_report import AccuracyFigures, ClassLoss, PhaseStatus

Labels: TypeAlias = NDArray[Any]

WORST_CLASSES: Final = 5

_Z_ONE_SIDED = 1.644854
_Z_TWO_SIDED = 1.959964
_RULE_OF_THREE = 3.0
_BISECTIONS = 60
"""Halvings of an interval no longer than 2: to the last bit of a float64."""
_ROUNDING_DIGITS = 9
"""3 / 0.01 is 300 and not a little more, which would be rounded up to 310."""
_CAUTION_ROWS = 5
"""Rows without loss that are added to each class for ranking, so that a class of one row does not lead."""


def accuracy_figures(
    reference: str,
    labels: Labels,
    candidate: Labels,
    reference_predictions: Labels,
    max_loss: float | None,
    class_names: Sequence[str] | None = None,
) -> AccuracyFigures:
    """Compares predicted with true labels, row by row.

    Args:
        reference: what it is compared with, for people: `stable`, or a name.
        labels: shape (n,), the truth: integers or text.
        candidate: shape (n,), labels of the candidate.
        reference_predictions: shape (n,), labels of the reference.
        max_loss: as a fraction; None: nothing is enforced.
        class_names: names of the classes that integer labels count, from 0.

    Raises:
        ValueError: no rows, or arrays of different length.

    """
    _check(labels, candidate, reference_predictions)
    right, reference_right = candidate == labels, reference_predictions == labels
    lost, won = int(np.sum(reference_right & ~right)), int(np.sum(right & ~reference_right))
    low, high = _bounds(lost, won, labels.size)
    return AccuracyFigures(
        reference=reference,
        rows=labels.size,
        accuracy=float(np.mean(right)),
        reference_accuracy=float(np.mean(reference_right)),
        loss=(lost - won) / labels.size,
        low=low,
        high=high,
        max_loss=max_loss,
        agreement=float(np.mean(candidate == reference_predictions)),
        worst_classes=_worst_classes(labels, right, reference_right, class_names),
    )


def _check(labels: Labels, candidate: Labels, reference: Labels) -> None:
    if not labels.shape == candidate.shape == reference.shape or labels.ndim != 1 or labels.size == 0:
        raise ValueError(f"{labels.shape} labels, {candidate.shape} and {reference.shape} predictions to compare")


def accuracy_status(figures: AccuracyFigures) -> tuple[PhaseStatus, str, str]:
    """Returns status, reason and message. Passes when the *bound* of the loss is within `max_loss`.

    Without `max_loss` a loss that is certain at 95 % warns.
    """
    compared = (
        f"On {figures.rows} rows accuracy is {_percent(figures.accuracy)}, that of {figures.reference}"
        f" {_percent(figures.reference_accuracy)}: a loss of {_points(figures.loss)} percentage points, at most"
        f" {_points(figures.high)} with 95 % confidence"
    )
    limit = figures.max_loss
    if limit is None:
        if figures.low > 0:
            advice = f"This is not chance{_worst(figures)}: set preflight.accuracy.maxLoss to what you accept."
            return PhaseStatus.WARNED, "AccuracyLost", f"{compared}. {advice}"
        return PhaseStatus.PASSED, "AccuracyCompared", f"{compared}. No maxLoss is set, so nothing is enforced."
    if figures.high <= limit:
        return PhaseStatus.PASSED, "WithinMaxLoss", f"{compared}; maxLoss is {_percent(limit)}."
    if figures.loss >= limit:
        advice = (
            f"More rows would not help{_worst(figures)}: correct the model, or raise maxLoss if that is acceptable."
        )
        return PhaseStatus.FAILED, "AccuracyLost", f"{compared}; maxLoss is {_percent(limit)}. {advice}"
    advice = (
        f"These rows are too few to show that: about {_rows_needed(figures, limit)} that come out alike would. Add"
        " labelled rows, or raise maxLoss."
    )
    return PhaseStatus.FAILED, "AccuracyUnproven", f"{compared}; maxLoss is {_percent(limit)}. {advice}"


def _bounds(lost: int, won: int, rows: int) -> tuple[float, float]:
    """Two-sided lower and one-sided upper 95 % bound of the loss."""
    low = -_score_bound(won, lost, rows, _Z_TWO_SIDED)
    high = _score_bound(lost, won, rows, _Z_ONE_SIDED)
    if lost + won == 0:
        high = max(high, min(_RULE_OF_THREE / rows, 1.0))
    return low, high


def _score_bound(lost: int, won: int, rows: int, z: float) -> float:
    """Upper bound: the largest loss that the score test does not reject; bisected, for it rejects all above."""
    accepted, rejected = (lost - won) / rows, 1.0
    for _ in range(_BISECTIONS):
        middle = (accepted + rejected) / 2
        if _score(lost, won, rows, middle) >= -z:
            accepted = middle
        else:
            rejected = middle
    return accepted


def _score(lost: int, won: int, rows: int, loss: float) -> float:
    """Tango's statistic: measured less assumed loss in standard deviations under the assumption."""
    a, b, c = 2 * rows, (2 * rows - lost + won) * loss - lost - won, -won * loss * (1 - loss)
    share_won = (math.sqrt(max(b * b - 4 * a * c, 0.0)) - b) / (2 * a)
    variance = rows * (2 * share_won + loss * (1 - loss))
    difference = lost - won - rows * loss
    return difference / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, difference)


def _rows_needed(figures: AccuracyFigures, limit: float) -> int:
    """Rows, to two digits, with which the same loss would be within `limit`, which must be above it.

    A bound comes nearer with the square root of the rows; where nothing was lost or won, with the rows.
    """
    narrower = (figures.high - figures.loss) / (limit - figures.loss)
    all_agree = math.isclose(figures.high * figures.rows, _RULE_OF_THREE)
    return _round_up(figures.rows * (narrower if all_agree else narrower**2))


def _round_up(rows: float) -> int:
    """To two digits: more would claim a precision that there is not."""
    unit: int = 10 ** max(math.floor(math.log10(rows)) - 1, 0)
    return math.ceil(round(rows / unit, _ROUNDING_DIGITS)) * unit


def _worst_classes(
    labels: Labels, right: NDArray[np.bool_], reference_right: NDArray[np.bool_], class_names: Sequence[str] | None
) -> list[ClassLoss]:
    """Classes that lost rows, the worst first."""
    ranked = []
    for label in np.unique(labels):
        of_class = labels == label
        rows, kept, had = int(of_class.sum()), int(right[of_class].sum()), int(reference_right[of_class].sum())
        if kept < had:
            name = _class_name(label, class_names)
            loss = ClassLoss(label=name, rows=rows, accuracy=kept / rows, reference_accuracy=had / rows)
            ranked.append(((kept - had) / (rows + _CAUTION_ROWS), loss))
    return [loss for _, loss in sorted(ranked, key=lambda entry: entry[0])[:WORST_CLASSES]]


def _class_name(label: Any, class_names: Sequence[str] | None) -> str:
    if isinstance(label, bytes):
        return label.decode(errors="replace")
    if class_names is not None and isinstance(label, np.integer) and 0 <= label < len(class_names):
        return class_names[int(label)]
    return str(label)


def _worst(figures: AccuracyFigures) -> str:
    if not figures.worst_classes:
        return ""
    worst = figures.worst_classes[0]
    return (
        f" (class {worst.label} fell from {_percent(worst.reference_accuracy)} to {_percent(worst.accuracy)} on"
        f" {worst.rows} rows)"
    )


def _percent(share: float) -> str:
    return f"{100 * share:.4g} %"


def _points(loss: float) -> str:
    return f"{100 * loss:.3g}"
