"""What was promised, in numbers."""

import pytest

from plimsoll.api.preflight import LatencyObjective, Objective
from plimsoll.core.preflight.promise import Promise, allowed_late, promises


def test_the_headroom_is_taken_off_every_line() -> None:
    lines = [LatencyObjective(percentile="99", max="1s"), LatencyObjective(percentile="99.9", max="1m500ms")]
    assert promises(Objective(latency=lines)) == (
        Promise(quantile=0.99, max_ms=1000, budget_ms=500),
        Promise(quantile=pytest.approx(0.999), max_ms=60_500, budget_ms=30_250),
    )
    assert promises(Objective(latency=lines, headroom="12.5%"))[0].budget_ms == 875


@pytest.mark.parametrize("objective", [None, Objective()])
def test_nothing_promised(objective: Objective | None) -> None:
    assert promises(objective) == ()


@pytest.mark.parametrize(
    ("requests", "quantile", "late"), [(1000, 0.99, 10), (1000, 0.999, 1), (999, 0.999, 0), (100, 0.9, 10), (7, 0.5, 3)]
)
def test_late_requests_that_leave_the_quantile_in_time(requests: int, quantile: float, late: int) -> None:
    assert allowed_late(requests, quantile) == late
