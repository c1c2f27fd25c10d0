"""Accuracy against a reference and calibration: what is asked, and what may not pass for a proof."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.support.oip_server import Model, Refuse, Serving, Tensors, serving
from tests.support.preflighting import context, f32, peer, request, served

from plimsoll.api.preflight_report import (
    AccuracyFigures,
    CalibrationFigures,
    InputSource,
    PhaseName,
    PhaseReport,
)
from plimsoll.api.vocabulary import DataType
from plimsoll.errors import Invalid
from plimsoll.preflight.client import Session
from plimsoll.preflight.phases import PeerGoneError, accuracy, calibration
from plimsoll.preflight.request import DataFile
from plimsoll.preflight.scoring import Scoring, classes, find_scoring, probabilities

FP32, INT64, BYTES = DataType.FP32, DataType.INT64, DataType.BYTES
ROWS = 120
ENFORCED = {"accuracy": {"maxLoss": "5%"}}
NAMED = {"accuracy": {"maxLoss": "5%", "reference": {"name": "twin"}}}


def one_hot(wrong_below: int) -> Any:
    """Class n % 3 for a row [n, 0], and the next class for the first `wrong_below` rows."""

    def compute(inputs: Tensors) -> Tensors:
        number = inputs["x"][:, 0].astype(int)
        predicted = (number + (number < wrong_below)) % 3
        return {"y": np.eye(3, dtype="<f4")[predicted] * 0.8 + 0.2 / 3}

    return compute


def dataset(tmp_path: Path, labels: list[Any] | None = None) -> tuple[DataFile, ...]:
    cases = [
        {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [n, 0]}], "label": label}
        for n, label in enumerate(labels if labels is not None else [n % 3 for n in range(ROWS)])
    ]
    file = tmp_path / "dataset.json"
    file.write_text(json.dumps({"cases": cases}))
    return (DataFile(source=InputSource.FILE, location=str(file)),)


@asynccontextmanager
async def session_with(model: Model) -> AsyncIterator[tuple[Session, Serving]]:
    async with serving(model) as server, Session(server.address, "m", 5) as session:
        await session.describe()
        yield session, server


class TestAccuracy:
    async def examined(
        self,
        candidate: Any,
        reference: Any,
        files: tuple[DataFile, ...],
        preflight: dict[str, Any] | None = None,
        *,
        named: bool = False,
        seconds: float = 60,
    ) -> tuple[PhaseReport, AccuracyFigures | None]:
        async with session_with(Model(candidate)) as (ours, server), session_with(Model(reference)) as (theirs, other):
            which: dict[str, Any] = {"reference" if named else "stable": peer(other.address, label="the other")}
            asked = request(server.address, preflight, dataset=files, **which)
            sessions: dict[str, Any] = {"reference" if named else "stable": theirs}
            it = context(asked, PhaseName.ACCURACY, seconds=seconds, **sessions)
            report, figures = await accuracy.examine(ours, it)
        assert figures is None or isinstance(figures, AccuracyFigures)
        return report, figures

    @pytest.mark.parametrize("named", [False, True])
    async def test_each_row_is_asked_of_both(self, tmp_path: Path, *, named: bool) -> None:
        report, figures = await self.examined(one_hot(6), one_hot(0), dataset(tmp_path), named=named)
        assert figures is not None
        assert (figures.rows, figures.accuracy, figures.reference_accuracy) == (ROWS, 1 - 6 / ROWS, 1.0)
        assert (figures.reference, figures.max_loss) == ("the other", None)
        assert report.status != "Failed"

    @pytest.mark.parametrize(("wrong", "status"), [(0, "Passed"), (30, "Failed")])
    async def test_max_loss_decides(self, tmp_path: Path, wrong: int, status: str) -> None:
        report, figures = await self.examined(one_hot(wrong), one_hot(0), dataset(tmp_path), ENFORCED)
        assert report.status == status
        assert figures is not None
        assert figures.max_loss == pytest.approx(0.05)

    async def test_without_time_a_random_batch_is_asked(self, tmp_path: Path) -> None:
        report, figures = await self.examined(one_hot(0), one_hot(0), dataset(tmp_path), seconds=0)
        assert figures is not None
        assert figures.rows == 8
        assert f"8 of {ROWS} rows were asked for lack of time" in report.message

    @pytest.mark.parametrize(
        ("preflight", "labels", "verdict"),
        [
            (None, [], ("Warned", "FileMismatch")),
            (ENFORCED, [], ("Failed", "FileMismatch")),
            (None, ["cat", "dog"], ("Warned", "OutputNotFound")),
            (ENFORCED, ["cat", "dog"], ("Failed", "OutputNotFound")),
            ({"accuracy": {"output": "z"}}, None, ("Warned", "OutputNotFound")),
            ({"accuracy": {"output": "z", "maxLoss": "1%"}}, None, ("Failed", "OutputNotFound")),
        ],
    )
    async def test_a_dataset_that_cannot_be_used_rejects_only_where_a_proof_was_asked(
        self, tmp_path: Path, preflight: dict[str, Any] | None, labels: list[Any] | None, verdict: tuple[str, str]
    ) -> None:
        report, figures = await self.examined(one_hot(0), one_hot(0), dataset(tmp_path, labels), preflight)
        assert (report.status, report.reason) == verdict
        assert figures is None

    @pytest.mark.parametrize(
        ("preflight", "verdict"), [(None, ("Skipped", "NoDataset")), (ENFORCED, ("Failed", "DatasetMissing"))]
    )
    async def test_without_a_dataset(self, preflight: dict[str, Any] | None, verdict: tuple[str, str]) -> None:
        report, _ = await self.examined(one_hot(0), one_hot(0), (), preflight)
        assert (report.status, report.reason) == verdict

    @pytest.mark.parametrize(
        ("preflight", "verdict"), [(None, ("Warned", "AnsweredWithError")), (ENFORCED, ("Failed", "AnsweredWithError"))]
    )
    async def test_labelled_rows_that_are_refused(
        self, tmp_path: Path, preflight: dict[str, Any] | None, verdict: tuple[str, str]
    ) -> None:
        def refuses(_inputs: Tensors) -> Tensors:
            raise Refuse("index out of bounds")

        report, _ = await self.examined(refuses, one_hot(0), dataset(tmp_path), preflight)
        assert (report.status, report.reason) == verdict

    async def test_a_first_revision_has_nothing_to_be_compared_with(self, tmp_path: Path) -> None:
        async with session_with(Model(one_hot(0))) as (session, server):
            asked = request(server.address, ENFORCED, dataset=dataset(tmp_path))
            report, _ = await accuracy.examine(session, context(asked, PhaseName.ACCURACY))
        assert (report.status, report.reason) == ("Skipped", "NoReference")

    @pytest.mark.parametrize("fields", [{"preflight": NAMED}, {"preflight": ENFORCED, "stable": peer("127.0.0.1:1")}])
    async def test_a_reference_that_is_gone_is_an_outage_where_it_decides(
        self, tmp_path: Path, fields: dict[str, Any]
    ) -> None:
        async with session_with(Model(one_hot(0))) as (session, server):
            asked = request(server.address, dataset=dataset(tmp_path), **fields)
            with pytest.raises(PeerGoneError):
                await accuracy.examine(session, context(asked, PhaseName.ACCURACY))

    @pytest.mark.parametrize(
        "fields",
        [{"preflight": {"accuracy": {"reference": {"name": "twin"}}}}, {"stable": peer("127.0.0.1:1")}],
    )
    async def test_and_a_phase_skipped_where_it_does_not(self, tmp_path: Path, fields: dict[str, Any]) -> None:
        async with session_with(Model(one_hot(0))) as (session, server):
            asked = request(server.address, dataset=dataset(tmp_path), **fields)
            report, _ = await accuracy.examine(session, context(asked, PhaseName.ACCURACY))
        assert (report.status, report.reason) == ("Skipped", "ReferenceGone")

    async def test_a_reference_that_fails_on_the_way_is_gone(self, tmp_path: Path) -> None:
        def dead(_inputs: Tensors) -> Tensors:
            raise Refuse("Stub process 'm_0_0' is not healthy.")

        with pytest.raises(PeerGoneError, match="not healthy"):
            await self.examined(one_hot(0), dead, dataset(tmp_path), ENFORCED)


class TestCalibration:
    async def examined(
        self, files: tuple[DataFile, ...], output: str = "y", compute: Any = None
    ) -> tuple[PhaseReport, Any]:
        async with session_with(Model(compute or one_hot(24))) as (session, server):
            asked = request(server.address, {"calibration": {"output": output}}, dataset=files)
            return await calibration.examine(session, context(asked, PhaseName.CALIBRATION))

    async def test_stated_confidence_is_held_against_the_share_of_right_answers(self, tmp_path: Path) -> None:
        """Always 87 % sure, and right in 80 % of the rows."""
        report, figures = await self.examined(dataset(tmp_path))
        assert isinstance(figures, CalibrationFigures)
        assert (figures.output, figures.rows) == ("y", ROWS)
        assert figures.ece == pytest.approx(0.2 - 0.4 / 3, abs=1e-3)
        assert report.status in ("Passed", "Warned")

    async def test_wild_overconfidence_warns(self, tmp_path: Path) -> None:
        def sure(_inputs: Tensors) -> Tensors:
            return {"y": f32(*[[0.999, 0.0005, 0.0005]] * len(_inputs["x"]))}

        report, _ = await self.examined(dataset(tmp_path), compute=sure)
        assert (report.status, report.reason) == ("Warned", "Miscalibrated")

    async def test_it_has_to_be_asked_for(self) -> None:
        async with session_with(Model(one_hot(0))) as (session, server):
            report, figures = await calibration.examine(
                session, context(request(server.address), PhaseName.CALIBRATION)
            )
        assert (report.status, report.reason, figures) == ("Skipped", "NotAsked", None)

    async def test_without_labelled_rows_it_is_skipped(self) -> None:
        report, _ = await self.examined(())
        assert (report.status, report.reason) == ("Skipped", "NoDataset")

    @pytest.mark.parametrize(
        ("labels", "output", "reason"),
        [
            ([0, 1, 3], "y", "LabelsUnusable"),
            ([0, -1], "y", "LabelsUnusable"),
            (["cat"], "y", "LabelsUnusable"),
            ([0, 1], "z", "OutputNotFound"),
        ],
    )
    async def test_what_cannot_be_used_is_named(
        self, tmp_path: Path, labels: list[Any], output: str, reason: str
    ) -> None:
        with pytest.raises(Invalid) as error:
            await self.examined(dataset(tmp_path, labels), output)
        assert error.value.reason == reason


class TestScoring:
    @pytest.mark.parametrize(
        ("outputs", "labels", "named", "found"),
        [
            ([("y", FP32, [3])], [0, 1], None, Scoring("y", scores=True)),
            ([("y", FP32, [3]), ("label", INT64, [1])], [0, 1], None, Scoring("label", scores=False)),
            ([("y", FP32, [3]), ("label", INT64, [1])], [0, 1], "y", Scoring("y", scores=True)),
            ([("ids", INT64, [1]), ("label", INT64, [1])], [0, 1], None, Scoring("label", scores=False)),
            ([("word", BYTES, [1]), ("y", FP32, [3])], ["cat"], None, Scoring("word", scores=False)),
        ],
    )
    def test_the_output_that_says_the_class(
        self, outputs: Any, labels: list[Any], named: str | None, found: Scoring
    ) -> None:
        assert find_scoring(served(outputs=outputs), labels, named) == found

    @pytest.mark.parametrize(
        ("outputs", "labels", "named"),
        [
            ([("y", FP32, [3])], ["cat"], None),
            ([("word", BYTES, [1])], [0], None),
            ([("boxes", INT64, [4])], [0], None),
            ([("y", FP32, [3])], [0], "z"),
        ],
    )
    def test_no_output_will_do(self, outputs: Any, labels: list[Any], named: str | None) -> None:
        with pytest.raises(Invalid) as error:
            find_scoring(served(outputs=outputs), labels, named)
        assert error.value.reason == "OutputNotFound"

    @pytest.mark.parametrize(
        ("scoring", "values", "expected"),
        [
            (Scoring("y", scores=True), f32([0.1, 0.9], [0.6, 0.4]), [1, 0]),
            (Scoring("y", scores=True), f32([0.4], [0.6]), [0, 1]),
            (Scoring("y", scores=False), np.array([[7], [3]]), [7, 3]),
            (Scoring("y", scores=False), np.array([[b"cat"], [b"dog"]], dtype=object), ["cat", "dog"]),
        ],
    )
    def test_classes(self, scoring: Scoring, values: Any, expected: list[Any]) -> None:
        assert classes(scoring, values, 2).tolist() == expected

    @pytest.mark.parametrize("values", [np.empty((0, 2), "<f4"), f32([1, 2], [3, 4], [5, 6])])
    def test_answers_that_are_not_one_per_row(self, values: Any) -> None:
        with pytest.raises(Invalid):
            classes(Scoring("y", scores=True), values, 2)

    def test_one_probability_is_that_of_the_second_class(self) -> None:
        assert probabilities("y", f32([0.25], [1.0]), 2).tolist() == [[0.75, 0.25], [0.0, 1.0]]

    @pytest.mark.parametrize(
        "values", [f32([2, 3]), f32([-0.5, 1.5]), f32([float("nan"), 1]), f32([0.5, 0.2]), np.array([[1, 0]])]
    )
    def test_what_is_no_probability_is_refused(self, values: Any) -> None:
        with pytest.raises(Invalid) as error:
            probabilities("y", values, 1)
        assert error.value.reason == "NoProbabilities"
