"""Determinism and batch invariance, against models with one planted fault each."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
from tests.support.oip_server import Model, Refuse, Serving, Tensors, serving
from tests.support.preflighting import context, f32, golden, request

from plimsoll.api.preflight_report import (
    BatchInvarianceFigures,
    DeterminismFigures,
    DeterminismLevel,
    Figures,
    InputSource,
    PhaseName,
    PhaseReport,
)
from plimsoll.preflight.client import Session
from plimsoll.preflight.inputs import Case
from plimsoll.preflight.phases import batch_invariance, determinism

EXACT, TOLERANCE, NONDETERMINISTIC = DeterminismLevel
ROWS = [Case(number, {"x": f32([number, 1])}) for number in range(1, 13)]


def plain(inputs: Tensors) -> np.ndarray[Any, Any]:
    """Scores of three classes from a row alone."""
    x = inputs["x"]
    return np.stack([x[:, 0], 2 * x[:, 0] + x[:, 1], -x[:, 1]], axis=1).astype("<f4")


@asynccontextmanager
async def session_with(model: Model) -> AsyncIterator[tuple[Session, Serving]]:
    async with serving(model) as server, Session(server.address, "m", 5) as session:
        await session.describe()
        yield session, server


class Noise:
    """Adds noise of a size to each answer."""

    def __init__(self, size: float) -> None:
        self._size = size
        self._rng = np.random.default_rng(1)

    def __call__(self, inputs: Tensors) -> Tensors:
        values = plain(inputs)
        return {"y": (values + self._size * self._rng.normal(size=values.shape)).astype("<f4")}


class SwapsNearTies:
    """Two classes are as good as equal, and which is better changes: tiny differences, other labels."""

    def __init__(self) -> None:
        self._calls = 0

    def __call__(self, inputs: Tensors) -> Tensors:
        self._calls += 1
        best = [1.0, 1.0 + 1e-6] if self._calls % 5 else [1.0 + 1e-6, 1.0]
        return {"y": np.array([[*best, 0.0]] * len(inputs["x"]), "<f4")}


class TestDeterminism:
    async def examined(self, compute: Any, **preflight: Any) -> tuple[PhaseReport, DeterminismFigures, list[int]]:
        async with session_with(Model(compute)) as (session, server):
            it = context(request(server.address, preflight), PhaseName.DETERMINISM, golden(ROWS))
            report, figures = await determinism.examine(session, it)
        assert isinstance(figures, DeterminismFigures)
        return report, figures, server.asked

    @pytest.mark.parametrize(
        ("compute", "level", "status"),
        [
            (lambda inputs: {"y": plain(inputs)}, EXACT, "Passed"),
            (Noise(1e-7), TOLERANCE, "Passed"),
            (Noise(0.1), NONDETERMINISTIC, "Failed"),
            (SwapsNearTies(), NONDETERMINISTIC, "Failed"),
        ],
    )
    async def test_levels(self, compute: Any, level: DeterminismLevel, status: str) -> None:
        report, figures, _ = await self.examined(compute, repeats=4)
        assert (figures.level, report.status) == (level, status)
        assert figures.cacheable is (level is not NONDETERMINISTIC)
        assert (figures.worst is None) is (level is EXACT)

    async def test_each_case_is_asked_as_often_as_the_spec_says(self) -> None:
        _, figures, asked = await self.examined(lambda inputs: {"y": plain(inputs)}, repeats=6)
        assert (figures.cases, figures.repeats, figures.concurrency) == (12, 6, 8)
        assert len(asked) == 12 * 6

    async def test_some_requests_overlap(self) -> None:
        """A model that mixes up requests in flight is right as long as they come one by one."""
        inside = 0

        async def mixes_up(inputs: Tensors) -> Tensors:
            nonlocal inside
            inside += 1
            crowd = inside
            await asyncio.sleep(0.01)
            inside -= 1
            return {"y": plain(inputs) + (crowd > 1)}

        _, figures, _ = await self.examined(mixes_up, repeats=2)
        assert (figures.level, figures.alone) == (NONDETERMINISTIC, None)
        report, figures, _ = await self.examined(mixes_up, repeats=4)
        assert (report.reason, figures.level, figures.alone) == ("DiffersConcurrently", NONDETERMINISTIC, EXACT)
        assert "only while others are being answered" in report.message

    async def test_without_time_two_rounds_are_compared(self) -> None:
        async with session_with(Model(lambda inputs: {"y": plain(inputs)})) as (session, server):
            it = context(request(server.address), PhaseName.DETERMINISM, golden(ROWS), seconds=0)
            _, figures = await determinism.examine(session, it)
        assert isinstance(figures, DeterminismFigures)
        assert figures.repeats == 2

    async def test_without_usable_inputs_it_is_skipped(self) -> None:
        async with session_with(Model(lambda inputs: {"y": plain(inputs)})) as (session, server):
            inputs = golden(ROWS, InputSource.GENERATED)
            inputs.refused.update(case.number for case in ROWS)
            report, figures = await determinism.examine(
                session, context(request(server.address), PhaseName.DETERMINISM, inputs)
            )
        assert (report.status, report.reason, figures) == ("Skipped", "InputsRefused", None)


def scaled_by_batch(inputs: Tensors) -> Tensors:
    """As dynamic quantisation: rounds to a step that the largest value in the batch decides."""
    values = plain(inputs)
    step = np.abs(values).max() / 16
    return {"y": (np.round(values / step) * step).astype("<f4")}


def wrong_from(size: int) -> Any:
    """Another kernel for batches of `size` and more, with another result."""
    return lambda inputs: {"y": plain(inputs) + (0.25 if len(inputs["x"]) >= size else 0)}


def other_bits_from(size: int) -> Any:
    return lambda inputs: {"y": (plain(inputs) * (1 + (1e-6 if len(inputs["x"]) >= size else 0))).astype("<f4")}


def refuses_from(size: int) -> Any:
    def compute(inputs: Tensors) -> Tensors:
        if len(inputs["x"]) >= size:
            raise Refuse("CUDA out of memory")
        return {"y": plain(inputs)}

    return compute


def drops_rows(inputs: Tensors) -> Tensors:
    return {"y": plain(inputs)[:4]}


class TestBatchInvariance:
    async def examined(
        self, compute: Any, max_batch_size: int = 16, *, seconds: float = 60, figures: Figures | None = None
    ) -> tuple[PhaseReport, BatchInvarianceFigures | None]:
        async with session_with(Model(compute, max_batch_size=max_batch_size)) as (session, server):
            inputs = golden(ROWS)
            it = context(request(server.address), PhaseName.BATCH_INVARIANCE, inputs, seconds=seconds, figures=figures)
            report, found = await batch_invariance.examine(session, it)
        assert found is None or isinstance(found, BatchInvarianceFigures)
        return report, found

    @pytest.mark.parametrize(
        ("compute", "level", "verdict", "size"),
        [
            (lambda inputs: {"y": plain(inputs)}, EXACT, ("Passed", "BitEqual"), None),
            (other_bits_from(8), TOLERANCE, ("Passed", "WithinTolerance"), 8),
            (wrong_from(8), NONDETERMINISTIC, ("Failed", "DependsOnBatchSize"), 8),
            (scaled_by_batch, NONDETERMINISTIC, ("Failed", "DependsOnNeighbours"), None),
            (drops_rows, NONDETERMINISTIC, ("Failed", "DependsOnBatchSize"), 8),
        ],
    )
    async def test_levels(
        self, compute: Any, level: DeterminismLevel, verdict: tuple[str, str], size: int | None
    ) -> None:
        report, figures = await self.examined(compute)
        assert figures is not None
        assert (report.status, report.reason) == verdict
        assert (figures.sizes, figures.level) == ([2, 4, 8, 16], level)
        assert (figures.worst is None) is (level is EXACT)
        if size is not None:
            assert figures.size == size
            assert f"the largest difference is at {size}" in report.message

    async def test_a_size_that_is_refused_is_named(self) -> None:
        report, figures = await self.examined(refuses_from(8))
        assert (report.status, report.reason) == ("Failed", "BatchRefused")
        assert "A batch of 8 is answered with an error" in report.message
        assert figures is not None
        assert figures.sizes == [2, 4]

    async def test_a_first_size_that_is_refused_has_no_figures(self) -> None:
        report, figures = await self.examined(refuses_from(2))
        assert (report.reason, figures) == ("BatchRefused", None)

    @pytest.mark.parametrize("max_batch_size", [0, 1])
    async def test_without_batches_there_is_nothing_to_compare(self, max_batch_size: int) -> None:
        report, figures = await self.examined(lambda inputs: {"y": plain(inputs)}, max_batch_size)
        assert (report.status, report.reason, figures) == ("Skipped", "NotBatching", None)

    async def test_a_nondeterministic_model_differs_without_neighbours(self) -> None:
        known = Figures(
            determinism=DeterminismFigures(
                level=NONDETERMINISTIC, alone=NONDETERMINISTIC, cases=1, repeats=3, concurrency=1, cacheable=False
            )
        )
        report, _ = await self.examined(Noise(1.0), figures=known)
        assert (report.status, report.reason) == ("Skipped", "Nondeterministic")

    @pytest.mark.parametrize("alone", [EXACT, None])
    async def test_a_model_that_differs_only_in_company_is_asked_whether_neighbours_are_why(
        self, alone: DeterminismLevel | None
    ) -> None:
        known = Figures(
            determinism=DeterminismFigures(
                level=NONDETERMINISTIC, alone=alone, cases=1, repeats=3, concurrency=1, cacheable=False
            )
        )
        report, _ = await self.examined(lambda inputs: {"y": plain(inputs)}, figures=known)
        assert report.status == "Passed"

    async def test_without_time_the_sizes_left_out_are_counted(self) -> None:
        report, figures = await self.examined(lambda inputs: {"y": plain(inputs)}, seconds=0)
        assert figures is not None
        assert figures.sizes == [2]
        assert "3 sizes were left out for lack of time" in report.message

    @pytest.mark.parametrize(
        ("largest", "sizes"),
        [(2, [2]), (3, [2, 3]), (8, [2, 4, 8]), (100, [2, 4, 8, 16, 32, 64, 100])],
    )
    def test_sizes(self, largest: int, sizes: list[int]) -> None:
        assert batch_invariance.sizes_up_to(largest) == sizes
