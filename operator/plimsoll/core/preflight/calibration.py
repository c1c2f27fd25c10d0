"""Is the confidence that a classifier states the share of its answers that are right?

Confidence is the largest probability of a row. Expected calibration error and temperature scaling: Guo, Pleiss, Sun and
Weinberger, "On calibration of modern neural networks", ICML 2017. The noise floor simulates which answers are right
from the confidences themselves, as in the consistency resampling of Bröcker and Smith, "Increasing the reliability of
reliability diagrams", Weather and Forecasting 22, 2007.

The temperature is fitted on half the rows and judged on the other half; there is none where it does not lower the log
loss there with 95 % confidence. The error after it is of all rows, to be compared with that before; a single parameter
hardly fits noise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from plimsoll.api.preflight_report import CalibrationFigures

Floats: TypeAlias = NDArray[np.float64]

BINS: Final = 15

_DRAWS = 200
_NOISE_QUANTILE = 0.95
_Z_ONE_SIDED = 1.644854
_AXES = 2
_SMALLEST_PROBABILITY = 1e-12
"""Stands for 0, whose logarithm is not finite."""
_SHARPEST, _FLATTEST = 0.05, 20.0
"""Temperatures; outside, answers are all but certain or all but uniform."""
_BISECTIONS = 40
_MINIMUM_HALF = 20
"""Rows. Fewer tell nothing about a temperature."""


@dataclass(frozen=True, slots=True)
class _Rows:
    """Probabilities of shape (n, k), each row summing to 1, and the class of each row from 0."""

    probabilities: Floats
    labels: NDArray[np.intp]

    @property
    def confidences(self) -> Floats:
        confidences: Floats = self.probabilities.max(axis=1)
        return confidences

    @property
    def right(self) -> NDArray[np.bool_]:
        right: NDArray[np.bool_] = self.probabilities.argmax(axis=1) == self.labels
        return right

    def take(self, rows: NDArray[np.intp]) -> _Rows:
        return _Rows(self.probabilities[rows], self.labels[rows])

    def at(self, temperature: float) -> _Rows:
        """Divides the logarithms of the probabilities, which are logits, by the temperature."""
        scaled = np.log(np.maximum(self.probabilities, _SMALLEST_PROBABILITY)) / temperature
        weights = np.exp(scaled - scaled.max(axis=1, keepdims=True))
        return _Rows(weights / weights.sum(axis=1, keepdims=True), self.labels)

    def losses(self) -> Floats:
        """Negative log likelihood of each row."""
        of_label = self.probabilities[np.arange(self.labels.size), self.labels]
        losses: Floats = -np.log(np.maximum(of_label, _SMALLEST_PROBABILITY))
        return losses


def calibration_figures(
    output: str,
    probabilities: NDArray[np.floating],
    labels: NDArray[np.integer],
    error_rate: float,
    rng: np.random.Generator,
) -> CalibrationFigures:
    """Compares stated confidence with the share of right answers.

    Args:
        output: name of the output, for people.
        probabilities: shape (n, k), not negative, each row summing to 1.
        labels: shape (n,), classes from 0.
        error_rate: accepted share of wrong answers above the threshold.
        rng: draws the simulated answers and the halves.

    Raises:
        ValueError: no rows, another number of labels, or a label that is no class.

    """
    rows = _checked(probabilities.astype(np.float64), labels.astype(np.intp))
    temperature = _temperature(rows, rng)
    threshold, coverage = _threshold(rows, error_rate)
    return CalibrationFigures(
        output=output,
        rows=rows.labels.size,
        ece=_calibration_error(rows.confidences, rows.right),
        noise_floor=_noise_floor(rows.confidences, rng),
        temperature=temperature,
        ece_after=_error_at(rows, temperature),
        error_rate=error_rate,
        threshold=threshold,
        coverage=coverage,
    )


def _checked(probabilities: Floats, labels: NDArray[np.intp]) -> _Rows:
    if probabilities.ndim != _AXES or probabilities.size == 0 or labels.shape != probabilities.shape[:1]:
        raise ValueError(f"{labels.shape} labels for {probabilities.shape} probabilities")
    if labels.min() < 0 or labels.max() >= probabilities.shape[1]:
        raise ValueError(f"labels from {labels.min()} to {labels.max()} for {probabilities.shape[1]} classes")
    return _Rows(probabilities, labels)


def _calibration_error(confidences: Floats, right: NDArray[np.bool_]) -> float:
    """Mean difference of accuracy and confidence over bins of equal width, weighted by their rows."""
    bins = np.clip(np.ceil(confidences * BINS).astype(np.intp) - 1, 0, BINS - 1)
    surplus = np.bincount(bins, weights=right - confidences, minlength=BINS)
    return float(np.abs(surplus).sum() / confidences.size)


def _noise_floor(confidences: Floats, rng: np.random.Generator) -> float:
    """The error that a perfectly calibrated model exceeds once in twenty times with these confidences."""
    draws = [_calibration_error(confidences, rng.random(confidences.size) < confidences) for _ in range(_DRAWS)]
    return float(np.quantile(draws, _NOISE_QUANTILE))


def _temperature(rows: _Rows, rng: np.random.Generator) -> float | None:
    order = rng.permutation(rows.labels.size)
    half = order.size // 2
    if half < _MINIMUM_HALF:
        return None
    temperature = _fitted_temperature(rows.take(order[:half]))
    held_out = rows.take(order[half:])
    gains = held_out.losses() - held_out.at(temperature).losses()
    certain_gain = gains.mean() - _Z_ONE_SIDED * gains.std(ddof=1) / math.sqrt(gains.size)
    return temperature if certain_gain > 0 else None


def _fitted_temperature(rows: _Rows) -> float:
    """Temperature of least log loss, which is convex in its inverse: bisects for the zero of the derivative."""
    logits = np.log(np.maximum(rows.probabilities, _SMALLEST_PROBABILITY))
    of_label = float(np.mean(logits[np.arange(rows.labels.size), rows.labels]))
    sharp, flat = _SHARPEST, _FLATTEST
    for _ in range(_BISECTIONS):
        middle = math.sqrt(sharp * flat)
        expected = float(np.mean(np.sum(rows.at(middle).probabilities * logits, axis=1)))
        if expected > of_label:
            sharp = middle
        else:
            flat = middle
    return math.sqrt(sharp * flat)


def _error_at(rows: _Rows, temperature: float | None) -> float | None:
    if temperature is None:
        return None
    cooled = rows.at(temperature)
    return _calibration_error(cooled.confidences, cooled.right)


def _threshold(rows: _Rows, error_rate: float) -> tuple[float | None, float | None]:
    """Smallest confidence such that answers at or above it are right often enough, and the share of those answers.

    Often enough: at the one-sided 95 % lower bound (Wilson, "Probable inference, the law of succession, and statistical
    inference", Journal of the American Statistical Association 22, 1927). As the smallest of many thresholds is taken,
    the true error rate is above the wanted one in up to 7 % of data sets, by simulation, instead of 5 %.
    """
    order = np.argsort(-rows.confidences, kind="stable")
    confidences = rows.confidences[order]
    accepted = np.arange(1, confidences.size + 1)
    bounds = _wilson_lower(np.cumsum(rows.right[order]), accepted)
    last_of_equals = np.append(confidences[:-1] != confidences[1:], True)
    suffices = np.flatnonzero(last_of_equals & (bounds >= 1 - error_rate))
    if suffices.size == 0:
        return None, None
    last = int(suffices[-1])
    return float(confidences[last]), (last + 1) / confidences.size


def _wilson_lower(right: NDArray[np.integer], rows: NDArray[np.integer]) -> Floats:
    share, z2 = right / rows, _Z_ONE_SIDED**2
    spread = _Z_ONE_SIDED * np.sqrt(share * (1 - share) / rows + z2 / (4 * rows**2))
    lower: Floats = (share + z2 / (2 * rows) - spread) / (1 + z2 / rows)
    return lower
