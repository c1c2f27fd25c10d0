"""Quantiles of measured latencies with confidence bounds that assume no distribution.

Samples must be independent for the bounds to hold. Requests of an open loop that wait in the same queue are not quite,
so the bounds are somewhat narrow under saturation.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from plimsoll.api.preflight_report import QuantileFigure

QUANTILES = (0.5, 0.9, 0.95, 0.99, 0.999)

_SAMPLES_ABOVE = 10
"""Fewer samples beyond a quantile leave it to luck: with 10 its coefficient of variation is near 5 %, with 1 near 16 %
(lognormal latencies)."""
_SAMPLES_BELOW = 1
_TAIL = 0.025
"""Probability that either bound is missed."""
_ROUNDING_DIGITS = 9
"""100 * (1 - 0.9) is 9.999999999999998 in floating point, and must count as 10."""


def quantile_figure(sorted_ms: NDArray[np.float64], quantile: float) -> QuantileFigure:
    """Returns a quantile of latencies with its 95 % bounds.

    The value interpolates linearly between order statistics (Hyndman and Fan, "Sample quantiles in statistical
    packages", The American Statistician 50, 1996, type 7). The bounds are the order statistics whose ranks leave at
    most 2.5 % of the binomial distribution on either side (David and Nagaraja, "Order Statistics", 3rd edition,
    section 7.1).

    Args:
        sorted_ms: shape (n,), ascending, milliseconds.
        quantile: between 0 and 1, exclusive.

    Returns:
        All three figures None with fewer than 10 samples expected above the quantile or 1 below; a bound alone is
        None where no sample is extreme enough to be one.

    """
    if not enough_samples(sorted_ms.size, quantile):
        return QuantileFigure(quantile=quantile, value_ms=None, low_ms=None, high_ms=None)
    low, high = _bounding_ranks(sorted_ms.size, quantile)
    return QuantileFigure(
        quantile=quantile,
        value_ms=float(np.quantile(sorted_ms, quantile)),
        low_ms=_order_statistic(sorted_ms, low),
        high_ms=_order_statistic(sorted_ms, high),
    )


def enough_samples(samples: int, quantile: float) -> bool:
    """Whether a quantile of that many samples says anything about the distribution they came from."""
    above = round(samples * (1 - quantile), _ROUNDING_DIGITS)
    below = round(samples * quantile, _ROUNDING_DIGITS)
    return above >= _SAMPLES_ABOVE and below >= _SAMPLES_BELOW


def samples_needed(quantile: float) -> int:
    """Fewest samples with which `quantile_figure` gives a value."""
    above = round(_SAMPLES_ABOVE / (1 - quantile), _ROUNDING_DIGITS)
    below = round(_SAMPLES_BELOW / quantile, _ROUNDING_DIGITS)
    return math.ceil(max(above, below))


def _order_statistic(sorted_ms: NDArray[np.float64], rank: int) -> float | None:
    """Returns the sample of this rank, from 1; None outside the samples."""
    return float(sorted_ms[rank - 1]) if 1 <= rank <= sorted_ms.size else None


def _bounding_ranks(samples: int, quantile: float) -> tuple[int, int]:
    """Ranks, from 1, of the samples that bound the quantile; 0 and samples + 1 stand for "none".

    With B the number of samples below the quantile, the sample of rank r lies above it where B < r.
    """
    cumulative = np.cumsum(_binomial(samples, quantile))
    low = int(np.searchsorted(cumulative, _TAIL, side="right"))
    high = int(np.searchsorted(cumulative, 1 - _TAIL, side="left")) + 1
    return low, high


def _binomial(trials: int, probability: float) -> NDArray[np.float64]:
    """Returns the probabilities of 0 to `trials` successes; by logarithms, since n! overflows from 171 on."""
    log_factorial = np.concatenate(([0.0], np.cumsum(np.log(np.arange(1, trials + 1)))))
    successes = np.arange(trials + 1)
    log_choices = log_factorial[-1] - log_factorial - log_factorial[::-1]
    weights: NDArray[np.float64] = np.exp(
        log_choices + successes * math.log(probability) + (trials - successes) * math.log1p(-probability)
    )
    return weights
