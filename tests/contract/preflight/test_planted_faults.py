"""The measuring phases against a real Triton that serves models with known faults."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from tests.support.planted_models import plant
from tests.support.preflighting import context, golden, request

from plimsoll.api.preflight_report import (
    CliffKind,
    LatencyFigures,
    MemoryFigures,
    PhaseName,
    PhaseStatus,
    ProfileFigures,
)
from plimsoll.preflight.client import Session
from plimsoll.preflight.event_loop import run_precisely
from plimsoll.preflight.failures import NoAnswerError, ServerGoneError
from plimsoll.preflight.inputs import Case
from plimsoll.preflight.phases import InterruptedPhaseError, Outcome, Phase, latency, memory, profile
from plimsoll_dev.images.local_triton import LocalTriton, running_triton

pytestmark = [pytest.mark.triton, pytest.mark.xdist_group("measuring")]  # one at a time: they share two cores


@contextmanager
def serving(tmp_path: Path, *models: str) -> Iterator[LocalTriton]:
    for model in models:
        plant(tmp_path, model)
    with running_triton(tmp_path) as server:
        yield server


def run_phase(
    server: LocalTriton, model: str, phase: Phase, name: PhaseName, seconds: float, **asked: object
) -> Outcome:
    async def work() -> Outcome:
        async with Session(server.grpc, model, timeout_s=5) as session:
            await session.describe()
            rows = np.random.default_rng(1).normal(size=(32, 4)).astype("f4")
            cases = [Case(number + 1, {"x": rows[number : number + 1]}) for number in range(32)]
            wanted = request(server.grpc, model=model, **asked)
            return await phase(session, context(wanted, name, golden(cases), seconds=seconds))

    return run_precisely(work())


def profiled(server: LocalTriton, model: str, seconds: float = 30, **asked: object) -> Outcome:
    return run_phase(server, model, profile.examine, PhaseName.PROFILE, seconds, **asked)


def remembered(server: LocalTriton, model: str, seconds: float = 60) -> tuple[str, MemoryFigures]:
    examiner = {"process_id": server.process_id}
    report, figures = run_phase(server, model, memory.examine, PhaseName.MEMORY, seconds, examiner=examiner)
    assert isinstance(figures, MemoryFigures), report.message
    return report.reason, figures


def test_a_cliff_at_64_is_located(tmp_path: Path) -> None:
    with serving(tmp_path, "cliff") as server:
        report, figures = profiled(server, "cliff")
    assert isinstance(figures, ProfileFigures)
    # The tail of a small, busy machine may look like a cliff at other sizes too; an item's time does not.
    slower = [cliff.batch for cliff in figures.cliffs if cliff.kind is CliffKind.ITEM_TIME]
    assert slower == [64]
    assert report.status is PhaseStatus.WARNED
    assert report.reason == "BatchCliff"


@pytest.mark.parametrize(("model", "error"), [("crashing", ServerGoneError), ("hanging", NoAnswerError)])
def test_a_model_that_ends_or_hangs_at_64_leaves_the_sizes_below(
    tmp_path: Path, model: str, error: type[Exception]
) -> None:
    with serving(tmp_path, model) as server, pytest.raises(InterruptedPhaseError) as caught:
        profiled(server, model)
    assert isinstance(caught.value.cause, error)
    assert caught.value.cause.rows == 64
    assert isinstance(caught.value.figures, ProfileFigures)
    assert [row.batch for row in caught.value.figures.rows if row.failure] == [64]
    assert [row.batch for row in caught.value.figures.rows if row.median_ms] == [1, 2, 4, 8, 16, 32]


def test_a_model_that_refuses_64_is_measured_at_the_other_sizes(tmp_path: Path) -> None:
    with serving(tmp_path, "raising") as server:
        report, figures = profiled(server, "raising")
    assert (report.status, report.reason) == (PhaseStatus.FAILED, "BatchFails")
    assert "A batch of 64 fails" in report.message
    assert "out of memory while allocating 12 GiB" in report.message
    assert isinstance(figures, ProfileFigures)
    assert [row.batch for row in figures.rows if row.failure] == [64, 128]


def test_latency_at_a_stated_rate_is_at_least_the_models_own(tmp_path: Path) -> None:
    asked = {"preflight": {"requestsPerSecond": "20"}, "objective": {"latency": [{"percentile": "50", "max": "5s"}]}}
    with serving(tmp_path, "constant") as server:
        report, figures = run_phase(server, "constant", latency.examine, PhaseName.LATENCY, 10, **asked)
    assert isinstance(figures, LatencyFigures), report.message
    assert figures.failed == 0
    median = figures.quantiles[0].value_ms
    assert median is not None
    assert median >= 10
    assert [one.value_ms is None for one in figures.quantiles[-2:]] == [True, True]  # 180 requests are too few


def test_a_native_leak_of_a_kilobyte_a_request_is_caught(tmp_path: Path) -> None:
    with serving(tmp_path, "leaking") as server:
        reason, figures = remembered(server, "leaking")
    assert reason == "MemoryLeak"
    host = figures.slopes[0]
    assert host.low - 256 <= 1024 <= host.high + 256  # malloc's own bookkeeping and the server's


@pytest.mark.parametrize("model", ["clean", "caching", "arena"])
def test_growth_that_ends_is_no_leak(tmp_path: Path, model: str) -> None:
    with serving(tmp_path, model) as server:
        reason, figures = remembered(server, model)
    assert reason == "MemoryStable"
    assert figures.slopes[0].detectable < 1024
