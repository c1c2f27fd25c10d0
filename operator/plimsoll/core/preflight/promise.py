"""The latency objective in numbers: what was promised, and what is aimed at so that the promise holds."""

from __future__ import annotations

from dataclasses import dataclass

from plimsoll.api.base import parse_duration
from plimsoll.api.preflight import Objective


@dataclass(frozen=True, slots=True)
class Promise:
    """One line of the objective."""

    quantile: float
    """0.99 for the 99th percentile."""
    max_ms: float
    """Longest latency at that quantile."""
    budget_ms: float
    """`max_ms` less the headroom: what the preflight and the scaler aim at."""


def allowed_late(requests: int, quantile: float) -> int:
    """Returns how many of `requests` may be late while the quantile is in time."""
    return int(requests * (1 - quantile) + 1e-9)  # 1 - 0.99 is a little less than 0.01


def promises(objective: Objective | None) -> tuple[Promise, ...]:
    """Returns the lines of an objective, none where nothing is promised."""
    if objective is None or not objective.latency:
        return ()
    kept_free = float(objective.headroom.removesuffix("%")) / 100
    return tuple(
        Promise(float(line.percentile) / 100, max_ms, max_ms * (1 - kept_free))
        for line in objective.latency
        for max_ms in (parse_duration(line.max).total_seconds() * 1000,)
    )
