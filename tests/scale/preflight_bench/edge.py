"""Where a rate stops being carried, narrowed from both sides. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

STEP = 1.15
"""How far the next rate is from the last while the edge is known from one side only."""


@dataclass(frozen=True, slots=True)
class Edge:
    """What is known so far; rates in requests per second."""

    carried: float | None = None
    """The highest rate that kept the promise."""
    missed: float | None = None
    """The lowest rate that did not."""

    def seen(self, rate: float, *, kept: bool) -> Edge:
        """Returns what is known after one more point."""
        if kept:
            return replace(self, carried=max(rate, self.carried or 0.0))
        return replace(self, missed=min(rate, self.missed or math.inf))

    def next_rate(self, width: float) -> float | None:
        """Returns the rate to try next; None once the two sides are within the factor `width`, or contradict.

        Raises:
            ValueError: nothing was seen yet.
        """
        match self.carried, self.missed:
            case None, None:
                raise ValueError("an edge is looked for from a first point")
            case carried, None if carried is not None:
                return carried * STEP
            case None, missed if missed is not None:
                return missed / STEP
            case carried, missed if carried is not None and missed is not None:
                return math.sqrt(carried * missed) if missed > carried * width else None
        raise AssertionError("every case is above")

    @property
    def rate(self) -> float | None:
        """The edge: midway between the two sides, which may contradict by a noisy point; None with one side only."""
        if self.carried is None or self.missed is None:
            return None
        return math.sqrt(self.carried * self.missed)
