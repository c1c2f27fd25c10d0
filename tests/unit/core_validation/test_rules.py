"""From spec and status to the rules of one revision."""

from typing import Any

from tests.support.inference import asking

from plimsoll.api.preflight_report import Outcome
from plimsoll.api.preflight_status import PreflightStatus
from plimsoll.api.requests_validation import InputChecks
from plimsoll.core.validation.rules import Rules, rules_of

X = {"name": "x", "dataType": "FP32", "dims": [1]}
EXAMINED = PreflightStatus.model_validate(
    {
        "revision": "digits-1",
        "outcome": Outcome.PASSED,
        "reason": "Passed",
        "key": "k",
        "at": "2026-01-01T00:00:00Z",
        "inputs": [X],
        "outputs": [X],
    }
)


def rules(**spec: Any) -> Rules:
    found = rules_of(InputChecks.model_validate(spec), EXAMINED)
    assert found
    return found


def test_without_an_interface_there_are_no_rules() -> None:
    assert rules_of(InputChecks(), None) is None
    assert rules_of(InputChecks(), EXAMINED.model_copy(update={"inputs": None})) is None


def test_they_are_those_of_the_revision_that_was_examined() -> None:
    assert rules().revision == "digits-1"


def test_by_default_the_server_judges_requests_and_the_gateway_answers() -> None:
    for default in (rules(), rules_of(None, EXAMINED)):
        assert default
        assert (default.judged(asking(), {}).refusal, default.fails_invalid_outputs) == ("", True)


def test_what_the_spec_asks_for() -> None:
    asked = rules(onInvalid="Reject", onInvalidOutput="Flag")
    assert (asked.judged(asking(), {}).refusal, asked.fails_invalid_outputs) == (
        "Input 'x' is missing; send it as FP32 [1].",
        False,
    )
