"""Latency at a stated rate, against an objective, in virtual time."""

import numpy as np
import pytest
from tests.support.timed_session import TimedSession, measuring, objective
from tests.support.virtual_time import run_virtually

from plimsoll.api.preflight_report import (
    Capacity,
    Figures,
    LatencyFigures,
    PhaseName,
    PhaseReport,
    PhaseStatus,
    ProfileFigures,
)
from plimsoll.core.preflight.promise import Promise
from plimsoll.preflight.failures import RefusedError
from plimsoll.preflight.load import LoadResult
from plimsoll.preflight.phases import latency
from plimsoll.preflight.phases.latency import latency_figures, verdict


def examine(session: TimedSession, seconds: float = 60.0, **asked: object) -> tuple[PhaseReport, LatencyFigures | None]:
    async def work() -> tuple[PhaseReport, LatencyFigures | None]:
        report, figures = await latency.examine(session, measuring(PhaseName.LATENCY, seconds, **asked))  # type: ignore[arg-type]
        assert figures is None or isinstance(figures, LatencyFigures)
        return report, figures

    return run_virtually(work())


def ten_ms(_batch: int) -> float:
    return 10.0


def at(rate: int) -> dict[str, object]:
    return {"preflight": {"requestsPerSecond": str(rate)}}


@pytest.mark.parametrize(
    ("promised_ms", "status", "reason"),
    [
        (200, PhaseStatus.PASSED, "WithinBudget"),
        (30, PhaseStatus.WARNED, "HeadroomUsed"),
        (12, PhaseStatus.FAILED, "LatencyBroken"),
    ],
)
def test_the_objective_decides(promised_ms: int, status: PhaseStatus, reason: str) -> None:
    promised = objective(promised_ms, "90", headroom="50%")
    report, figures = examine(TimedSession(ten_ms, max_batch=1), objective=promised, **at(40))
    assert (report.status, report.reason) == (status, reason)
    assert figures is not None
    assert (figures.requests_per_s, figures.failed) == (40, 0)
    (line,) = figures.objective
    assert (line.max_ms, line.budget_ms, line.status) == (promised_ms, promised_ms / 2, status)
    assert "at 40 requests/s (as stated)" in report.message


def test_a_quantile_with_too_few_samples_is_unknown() -> None:
    report, figures = examine(TimedSession(ten_ms), seconds=10, objective=objective(100, "99.9"), **at(20))
    assert figures is not None
    assert [one.value_ms is None for one in figures.quantiles] == [False, False, True, True, True]
    assert figures.objective[0].status is PhaseStatus.SKIPPED
    assert (report.status, report.reason) == (PhaseStatus.WARNED, "TooFewRequests")


def test_without_a_stated_rate_it_is_half_the_capacity() -> None:
    profile = ProfileFigures(
        rows=[],
        fit=None,
        knee=None,
        recommended_max_batch=None,
        cliffs=[],
        objective_ms=100,
        objective_quantile=0.9,
        capacity=[Capacity(replicas=1, requests_per_s=80, confirmed=True)],
        attainable=True,
    )
    report, figures = examine(TimedSession(ten_ms), figures=Figures(profile=profile))
    assert figures is not None
    assert figures.requests_per_s == 40
    assert "half the capacity of one replica" in report.message


def test_without_a_capacity_it_is_half_of_one_request_after_the_other() -> None:
    report, figures = examine(TimedSession(ten_ms))
    assert figures is not None
    assert figures.requests_per_s == pytest.approx(50)
    assert (report.status, report.reason) == (PhaseStatus.PASSED, "Measured")


def test_a_rate_beyond_the_capacity_is_felt_in_full() -> None:
    report, figures = examine(TimedSession(ten_ms, max_batch=1), seconds=10, objective=objective(200, "50"), **at(150))
    assert figures is not None
    # After 9 s of 150 requests/s at a capacity of 100, 450 requests wait; half of all came after 2.25 s of waiting.
    assert figures.objective[0].value_ms == pytest.approx(2000, rel=0.1)  # what is not answered in 2 s counts as 2 s
    assert (report.status, report.reason) == (PhaseStatus.FAILED, "LatencyBroken")
    assert "requests were not answered" in report.message


def test_errors_are_told_even_where_the_quantile_is_kept() -> None:
    numbers = iter(range(10_000))

    def one_in_a_hundred(_rows: int) -> None:
        if next(numbers) % 100 == 99:
            raise RefusedError("no")

    report, _ = examine(TimedSession(ten_ms, fails=one_in_a_hundred), objective=objective(100, "50"), **at(50))
    assert (report.status, report.reason) == (PhaseStatus.WARNED, "RequestsFailed")
    assert "First error: no" in report.message


def test_a_slow_rate_and_little_time_are_a_reason_to_skip() -> None:
    report, figures = examine(TimedSession(ten_ms), seconds=5, **at(1))
    assert figures is None
    assert (report.status, report.reason) == (PhaseStatus.SKIPPED, "TooFewRequests")


def test_a_client_that_was_the_bottleneck_judges_nobody() -> None:
    slow = LoadResult(np.full(1000, 500.0), np.full(1000, 490.0), 1000, 0, 0, "")
    figures = latency_figures(slow, 100, [Promise(0.9, 100, 50)], 2000)
    assert verdict(slow, figures, "as stated")[:2] == (PhaseStatus.WARNED, "ClientTooSlow")
