"""The ratio of two programs' figures, measured in turns A B B A, with its confidence interval. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats  # type: ignore[import-untyped]

CONFIDENCE = 0.95
LEAST_ROUNDS = 3
"""An interval of two rounds is as wide as chance has it."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """How many times B's figure A's is."""

    value: float
    low: float
    high: float

    def within(self, share: float) -> bool:
        """Whether the interval reaches less than `share` of the ratio to either side."""
        return max(self.high / self.value - 1, 1 - self.low / self.value) < share

    def figures(self, name: str) -> dict[str, object]:
        """Returns the ratio and its 95 % confidence interval, rounded."""
        return {name: round(self.value, 4), f"{name}_interval": [round(self.low, 4), round(self.high, 4)]}


def ratio(rounds: Sequence[tuple[float, float, float, float]]) -> Ratio:
    """Returns A / B from the figures of rounds (A, B, B, A).

    The geometric mean over the rounds, with Student's interval of the rounds' logarithms: within a round, a machine
    that gets steadily faster or slower favours neither.

    Raises:
        ValueError: fewer rounds than an interval needs.
    """
    if len(rounds) < LEAST_ROUNDS:
        raise ValueError(f"{len(rounds)} rounds are too few for an interval: it needs {LEAST_ROUNDS}.")
    first, second, third, fourth = np.log(np.asarray(rounds, dtype=np.float64)).T
    each = (first + fourth - second - third) / 2
    middle = float(each.mean())
    reach = float(stats.t.ppf((1 + CONFIDENCE) / 2, each.size - 1) * each.std(ddof=1) / math.sqrt(each.size))
    return Ratio(math.exp(middle), math.exp(middle - reach), math.exp(middle + reach))
