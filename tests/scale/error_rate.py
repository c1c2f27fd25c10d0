"""What a count of errors proves about their rate."""

from __future__ import annotations

import math

CONFIDENCE = 0.95
_HALVINGS = 50


def highest_rate(errors: int, runs: int, confidence: float = CONFIDENCE) -> float:
    """Returns the one-sided upper bound of the rate of errors: with a higher one, so few are too unlikely.

    Exact (Clopper and Pearson, "The use of confidence or fiducial limits illustrated in the case of the binomial",
    Biometrika 26, 1934). Without errors it is 1 - (1 - confidence)^(1/runs), about 3 / runs: 13.9 % for 20 runs.

    Raises:
        ValueError: No runs, or more errors than runs.
    """
    if not 0 <= errors <= runs or runs == 0:
        raise ValueError(f"{errors} errors in {runs} runs")
    low, high = errors / runs, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if _so_few(errors, runs, middle) > 1 - confidence else (low, middle)
    return high


def _so_few(errors: int, runs: int, rate: float) -> float:
    """Probability of at most so many errors."""
    return sum(math.comb(runs, k) * rate**k * (1 - rate) ** (runs - k) for k in range(errors + 1))
