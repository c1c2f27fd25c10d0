"""Dividing the time on the accelerator over the phases."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Final

from plimsoll.api.preflight_report import PhaseName

WEIGHTS: Final[Mapping[PhaseName, float]] = MappingProxyType(
    {
        PhaseName.GOLDEN: 10,
        PhaseName.DETERMINISM: 8,
        PhaseName.BATCH_INVARIANCE: 8,
        PhaseName.PROFILE: 34,
        PhaseName.LATENCY: 15,
        PhaseName.MEMORY: 12,
        PhaseName.ACCURACY: 10,
        PhaseName.CALIBRATION: 3,
    }
)
"""Shares of the phases after loading, which has the progress deadline instead."""
_ENFORCED_WEIGHT: Final = 2
"""A phase that may reject gets double: stopping it early leaves a verdict on fewer cases."""


class Budget:
    """What is left, and for whom. A phase that needs less leaves the rest to those after it, in proportion."""

    def __init__(self, total_s: float, phases: Collection[PhaseName], enforced: Collection[PhaseName]) -> None:
        """`phases` are those that will run."""
        self.total_s = total_s
        self.spent_s = 0.0
        self._weights = {phase: WEIGHTS[phase] * (_ENFORCED_WEIGHT if phase in enforced else 1) for phase in phases}

    def share(self, phase: PhaseName) -> float:
        """Returns the seconds that `phase` may use now."""
        left = max(self.total_s - self.spent_s, 0.0)
        return left * self._weights[phase] / sum(self._weights.values())

    def spend(self, phase: PhaseName, seconds: float) -> None:
        """Notes that `phase` is done."""
        self.spent_s += seconds
        del self._weights[phase]
