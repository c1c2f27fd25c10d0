"""What a preflight is asked, how time is divided, and what is told on the way."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.api.preflight import PreflightMode
from plimsoll.api.preflight_report import PhaseName, PhaseReport, PhaseStatus
from plimsoll.errors import Invalid
from plimsoll.preflight.budget import WEIGHTS, Budget
from plimsoll.preflight.progress import LineProgress
from plimsoll.preflight.request import ENVIRONMENT_VARIABLE, Request, request_from

LEAST = {"model": "digits", "target": "10.0.0.7:8001"}


def read(**fields: Any) -> Request:
    return request_from({ENVIRONMENT_VARIABLE: json.dumps({**LEAST, **fields})})


def test_model_and_address_are_enough() -> None:
    request = read()
    assert (request.preflight.mode, request.cases, request.examiner) == (PreflightMode.ENFORCE, 100, None)
    assert not request.names_reference


def test_a_request_survives_the_environment() -> None:
    request = read(
        preflight={"accuracy": {"maxLoss": "1%", "reference": {"name": "twin"}}},
        stable={"address": "[fd00::1]:8001", "model": "digits", "label": "stable revision digits-1"},
        golden=[{"source": "Artefact", "location": "http://10.0.0.7:8003/golden", "optional": True}],
        examiner={"url": "http://10.0.0.7:8003", "token": "uid"},
        inputs=[{"name": "x", "dataType": "FP32", "dims": [64]}],
    )
    assert request_from({ENVIRONMENT_VARIABLE: request.model_dump_json(by_alias=True)}) == request
    assert request.names_reference


def test_the_token_is_not_shown() -> None:
    assert "secret" not in repr(read(examiner={"url": "http://10.0.0.7:8003", "token": "secret"}))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "document"),
        ("{", "document"),
        ("{}", "model: Field required"),
        (json.dumps({**LEAST, "target": "10.0.0.7"}), "target"),
        (json.dumps({**LEAST, "cases": 0}), "cases"),
        (json.dumps({**LEAST, "examiner": {}}), "examiner: Value error, either url or processId"),
        (json.dumps({**LEAST, "examiner": {"url": "http://a", "processId": 1}}), "either url or processId"),
    ],
)
def test_refused_requests(text: str, says: str) -> None:
    with pytest.raises(Invalid) as error:
        request_from({ENVIRONMENT_VARIABLE: text})
    assert error.value.reason == "RequestInvalid"
    assert says in error.value.message


def test_no_request_at_all_is_refused() -> None:
    with pytest.raises(Invalid):
        request_from({})


class TestBudget:
    def test_every_phase_after_loading_has_a_weight(self) -> None:
        assert set(WEIGHTS) == set(PhaseName) - {PhaseName.LOAD}

    def test_a_phase_that_may_reject_gets_double(self) -> None:
        plain, enforced = Budget(100, WEIGHTS, []), Budget(100, WEIGHTS, [PhaseName.ACCURACY])
        others = sum(WEIGHTS.values()) - WEIGHTS[PhaseName.ACCURACY]
        double = 2 * WEIGHTS[PhaseName.ACCURACY]
        assert plain.share(PhaseName.ACCURACY) < enforced.share(PhaseName.ACCURACY)
        assert enforced.share(PhaseName.ACCURACY) == pytest.approx(100 * double / (others + double))

    @given(st.lists(st.floats(0, 1), min_size=len(WEIGHTS), max_size=len(WEIGHTS)), st.floats(0.001, 3600))
    def test_phases_that_keep_to_their_shares_keep_the_budget(self, used: list[float], total: float) -> None:
        budget = Budget(total, WEIGHTS, [PhaseName.GOLDEN])
        for phase, part in zip(list(WEIGHTS), used, strict=True):
            share = budget.share(phase)
            assert 0 <= share <= total
            budget.spend(phase, share * part)
        assert budget.spent_s <= total * (1 + 1e-9)

    def test_what_is_overdrawn_leaves_nothing(self) -> None:
        budget = Budget(10, WEIGHTS, [])
        budget.spend(PhaseName.GOLDEN, 11)
        assert budget.share(PhaseName.ACCURACY) == 0


def test_a_log_has_a_line_per_phase_and_quarter() -> None:
    lines: list[str] = []
    progress = LineProgress(lines.append)
    progress.begins(PhaseName.PROFILE, 41.6)
    for step in range(1, 101):
        progress.advances(PhaseName.PROFILE, step / 100, f"batch {step}")
    progress.ends(
        PhaseReport(name=PhaseName.PROFILE, status=PhaseStatus.WARNED, reason="Cliff", message="At 64.", seconds=40.04)
    )
    assert lines == [
        "Profile: begins, at most 42 s",
        "Profile: 25%, batch 25",
        "Profile: 50%, batch 50",
        "Profile: 75%, batch 75",
        "Profile: 100%, batch 100",
        "Profile: Warned (Cliff) after 40.0 s. At 64.",
    ]
