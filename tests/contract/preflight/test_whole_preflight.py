"""Whole preflights against a real Triton: ordinary models pass with nothing said about them, planted faults are named.

The budgets are small, so the measuring phases see few samples; what they say is tested elsewhere.
"""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.support.onnx_models import choosy, linear
from tests.support.planted_models import plant

from plimsoll.api.preflight_report import InputSource, Outcome, PhaseName, PhaseReport, PreflightReport
from plimsoll.preflight.event_loop import run_precisely
from plimsoll.preflight.progress import LineProgress
from plimsoll.preflight.request import DataFile, Examiner, Peer, Request
from plimsoll.preflight.run import run_preflight
from plimsoll_dev.images.local_triton import LocalTriton, running_triton

pytestmark = [pytest.mark.triton, pytest.mark.xdist_group("measuring")]  # one at a time: they share two cores

LINEAR_CONFIG = """
backend: "onnxruntime"
max_batch_size: 16
input [{ name: "x" data_type: TYPE_FP32 dims: [4] }]
output [
  { name: "label" data_type: TYPE_INT64 dims: [1] reshape { shape: [] } },
  { name: "y" data_type: TYPE_FP32 dims: [3] }
]
dynamic_batching { }
"""
CHOOSY_CONFIG = """
backend: "onnxruntime"
max_batch_size: 8
input [{ name: "ids" data_type: TYPE_INT64 dims: [2] }]
output [{ name: "y" data_type: TYPE_FP32 dims: [2] }]
"""
ROWS = 40


@contextmanager
def serving(tmp_path: Path, *planted: str) -> Iterator[LocalTriton]:
    """Serves `linear` and `choosy` besides the planted models."""
    repository = tmp_path / "repository"
    for name, model, config in (
        ("linear", linear(label=True), LINEAR_CONFIG),
        ("choosy", choosy(), CHOOSY_CONFIG),
    ):
        (repository / name / "1").mkdir(parents=True)
        (repository / name / "1" / "model.onnx").write_bytes(model)
        (repository / name / "config.pbtxt").write_text(config)
    for name in planted:
        plant(repository, name)
    with running_triton(repository) as server:
        yield server


def examine(server: LocalTriton, model: str, budget: str = "6s", **fields: Any) -> PreflightReport:
    asked = Request.model_validate(
        {
            "model": model,
            "target": server.grpc,
            "request_timeout_s": 5.0,
            "progress_deadline_s": 20.0,
            "examiner": Examiner(process_id=server.process_id),
            **fields,
            "preflight": {"budget": budget, **fields.get("preflight", {})},
        }
    )
    return run_precisely(run_preflight(asked, LineProgress(print)))


def of(report: PreflightReport, name: PhaseName) -> PhaseReport:
    return next(phase for phase in report.phases if phase.name is name)


def expected(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return x @ (np.arange(12, dtype="f4").reshape(4, 3) / 10) + 1


def json_file(path: Path, content: Any) -> tuple[DataFile, ...]:
    path.write_text(json.dumps(content))
    return (DataFile(source=InputSource.FILE, location=str(path)),)


def tensor(name: str, datatype: str, values: np.ndarray[Any, Any]) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": list(values.shape), "data": values.ravel().tolist()}


def rows() -> np.ndarray[Any, Any]:
    return np.random.default_rng(7).normal(size=(ROWS, 4)).astype("f4")


def golden(path: Path, off: float = 0.0) -> tuple[DataFile, ...]:
    cases = [
        {
            "inputs": [tensor("x", "FP32", x[None])],
            "outputs": [
                tensor("y", "FP32", expected(x[None]) + off),
                tensor("label", "INT64", expected(x[None]).argmax(axis=1)[:, None]),
            ],
        }
        for x in rows()
    ]
    return json_file(path / "golden.json", {"cases": cases})


def dataset(path: Path) -> tuple[DataFile, ...]:
    cases = [
        {"inputs": [tensor("x", "FP32", x[None])], "label": int(expected(x[None]).argmax())}
        for x in np.tile(rows(), (10, 1))
    ]
    return json_file(path / "dataset.json", {"cases": cases})


def test_ordinary_models_with_files_and_without(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        peer = Peer(address=server.grpc, model="linear", label="stable")
        nothing_said = examine(server, "linear")
        proved = examine(
            server,
            "linear",
            golden=golden(tmp_path),
            dataset=dataset(tmp_path),
            stable=peer,
            same_model=True,
            preflight={"accuracy": {"maxLoss": "2%"}},
        )
        wrong = examine(server, "linear", golden=golden(tmp_path, off=0.5), dataset=dataset(tmp_path))
        refuses_generated = examine(server, "choosy", preflight={"enforce": list(PhaseName)})

    assert nothing_said.outcome is Outcome.PASSED
    assert nothing_said.figures.golden is not None
    assert nothing_said.figures.golden.source is InputSource.GENERATED
    assert of(nothing_said, PhaseName.DETERMINISM).reason == "BitEqual"
    assert of(nothing_said, PhaseName.BATCH_INVARIANCE).status == "Passed"

    assert proved.outcome is Outcome.PASSED
    assert of(proved, PhaseName.GOLDEN).reason == "AsExpected"
    assert proved.figures.golden is not None
    assert (proved.figures.golden.expected, proved.figures.golden.stable_agreement) == (ROWS, 1.0)
    assert of(proved, PhaseName.ACCURACY).reason == "WithinMaxLoss"
    assert proved.figures.accuracy is not None
    assert proved.figures.accuracy.accuracy == 1.0

    assert (wrong.outcome, wrong.reason) == (Outcome.REJECTED, "UnexpectedAnswers")
    assert "40 of 40 answers are not the expected ones" in wrong.message

    assert refuses_generated.outcome is Outcome.PASSED
    assert of(refuses_generated, PhaseName.GOLDEN).reason == "InputsRefused"


def test_faults_in_answers_are_named_and_reject_only_where_the_spec_says(tmp_path: Path) -> None:
    strict = {"preflight": {"enforce": ["Determinism", "BatchInvariance"]}}
    with serving(tmp_path, "nondeterministic", "neighbours", "raising") as server:
        random = examine(server, "nondeterministic", **strict)
        neighbours = examine(server, "neighbours", **strict)
        raising = examine(server, "raising")
    assert (random.outcome, random.reason) == (Outcome.REJECTED, "Nondeterministic")
    assert random.figures.determinism is not None
    assert not random.figures.determinism.cacheable
    assert neighbours.outcome is Outcome.REJECTED
    assert of(neighbours, PhaseName.BATCH_INVARIANCE).reason == "DependsOnNeighbours"
    assert of(neighbours, PhaseName.DETERMINISM).reason in ("BitEqual", "DiffersConcurrently")  # if they met in a batch
    assert (raising.outcome, of(raising, PhaseName.PROFILE).reason) == (Outcome.PASSED, "BatchFails")
    assert "A batch of 64" in of(raising, PhaseName.PROFILE).message
    invariance = of(raising, PhaseName.BATCH_INVARIANCE)  # a slow machine may not come to 64 in its half a second
    assert invariance.reason == "BatchRefused" or "left out for lack of time" in invariance.message


@pytest.mark.parametrize(("model", "reason"), [("crashing", "ServerDied"), ("hanging", "ModelHangs")])
def test_what_brings_the_server_down_rejects_with_the_size(tmp_path: Path, model: str, reason: str) -> None:
    with serving(tmp_path, model) as server:
        report = examine(server, model)
    assert (report.outcome, report.reason) == (Outcome.REJECTED, reason)
    assert "batch of 64" in report.message


def test_a_server_that_is_killed_is_named(tmp_path: Path) -> None:
    async def killed(server: LocalTriton) -> PreflightReport:
        asked = Request(
            model="clean",
            target=server.grpc,
            examiner=Examiner(process_id=server.process_id),
            request_timeout_s=5.0,
            progress_deadline_s=20.0,
        )

        class Kills(LineProgress):
            def begins(self, phase: PhaseName, seconds: float) -> None:
                super().begins(phase, seconds)
                if phase is PhaseName.DETERMINISM:
                    os.kill(server.process_id, signal.SIGKILL)

        return await run_preflight(asked, Kills(print))

    with serving(tmp_path, "clean") as server:
        report = run_precisely(killed(server))
    assert (report.outcome, report.reason) == (Outcome.REJECTED, "ServerDied")
    assert [phase.status for phase in report.phases][2:] == ["Failed", *["Skipped"] * 6]


def test_a_model_that_is_not_there_is_not_ready(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        report = examine(server, "nobody", progress_deadline_s=1.0)
    assert (report.outcome, report.reason) == (Outcome.REJECTED, "NotReady")
