"""`status.preflight`: what was said, or nothing where it cannot be shown."""

from typing import Any

import pytest
from tests.support.builders import digits, revision_of, verdict_of

from plimsoll.api.preflight_report import Outcome, PhaseName, PhaseStatus, ServedTensor
from plimsoll.api.vocabulary import DataType
from plimsoll.core.preflight.summary import preflight_status

REVISION = revision_of(digits("a"))
TENSOR = ServedTensor(name="x", data_type=DataType.FP32, dims=[-1, 64])


def test_a_verdict_in_short() -> None:
    status = preflight_status(
        verdict_of(
            REVISION,
            "f" * 64,
            Outcome.REJECTED,
            message="37 of 100 answers differ.",
            phases=((PhaseName.LOAD, PhaseStatus.PASSED), (PhaseName.GOLDEN, PhaseStatus.FAILED)),
            inputs=(TENSOR,),
            max_batch_size=0,
        )
    )
    assert status
    assert status.model_dump(mode="json", by_alias=True, exclude_none=True) == {
        "revision": REVISION.name,
        "outcome": "Rejected",
        "reason": "Told",
        "message": "37 of 100 answers differ.",
        "key": "f" * 64,
        "at": "2026-03-01T11:59:55Z",
        "phases": [{"name": "Load", "status": "Passed"}, {"name": "Golden", "status": "Failed"}],
        "inputs": [{"name": "x", "dataType": "FP32", "dims": [-1, 64]}],
        "maxBatchSize": 0,
    }


def test_an_input_that_may_be_left_out() -> None:
    inputs = (TENSOR, TENSOR.model_copy(update={"name": "y", "optional": True}))
    status = preflight_status(verdict_of(REVISION, "k", inputs=inputs))
    assert status
    assert [(one.name, one.optional) for one in status.inputs or ()] == [("x", None), ("y", True)]


@pytest.mark.parametrize(
    "edited",
    [
        {"key": ""},
        {"key": "k" * 65},
        {"message": "m" * 1025},
        {"reason": "r" * 129},
        {"max_batch_size": -1},
        {"inputs": (TENSOR,) * 65},
        {"outputs": (TENSOR.model_copy(update={"name": "n" * 257}),)},
        {"outputs": (TENSOR.model_copy(update={"dims": [1] * 17}),)},
    ],
    ids=lambda edited: str(edited)[:40],
)
def test_what_the_api_would_refuse_is_not_shown(edited: dict[str, Any]) -> None:
    assert preflight_status(verdict_of(REVISION, **{"key": "k", **edited})) is None


def test_a_phase_is_shown_once() -> None:
    """The list is a map by name: the API server refuses the whole status otherwise."""
    twice = ((PhaseName.LOAD, PhaseStatus.PASSED), (PhaseName.LOAD, PhaseStatus.FAILED))
    status = preflight_status(verdict_of(REVISION, "k", phases=twice))
    assert status
    assert len(status.phases or ()) == 1


def test_nothing_is_said_before_the_first_verdict() -> None:
    assert preflight_status(None) is None
