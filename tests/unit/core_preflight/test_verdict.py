"""What the phases add up to, and the termination message."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.api.preflight import ENFORCED, PreflightMode
from plimsoll.api.preflight_report import Outcome, PhaseName, PhaseReport, PhaseStatus, PreflightReport
from plimsoll.core.preflight.verdict import MAX_TERMINATION_BYTES, mark_enforced, outcome, termination_message

ENFORCE, WARN = PreflightMode.ENFORCE, PreflightMode.WARN
PASSED, WARNED, FAILED, SKIPPED = PhaseStatus


def phases(**statuses: PhaseStatus | tuple[PhaseStatus, str]) -> list[PhaseReport]:
    """All phases, passed but for those named; a reason may be given with the status."""
    made = []
    for name in PhaseName:
        given_ = statuses.get(name.name.lower(), PASSED)
        status, reason = given_ if isinstance(given_, tuple) else (given_, str(given_))
        made.append(PhaseReport(name=name, status=status, reason=reason, message=f"What {name} says."))
    return made


@pytest.mark.parametrize(
    ("reports", "mode", "enforce", "expected"),
    [
        (phases(), ENFORCE, ENFORCED, (Outcome.PASSED, "Passed")),
        (phases(profile=WARNED), ENFORCE, ENFORCED, (Outcome.PASSED, "PassedWithWarnings")),
        (phases(profile=FAILED), ENFORCE, ENFORCED, (Outcome.PASSED, "PassedWithWarnings")),
        (phases(profile=SKIPPED), ENFORCE, ENFORCED, (Outcome.PASSED, "Passed")),
        (phases(golden=SKIPPED), ENFORCE, ENFORCED, (Outcome.PASSED, "Passed")),
        (phases(load=FAILED), ENFORCE, ENFORCED, (Outcome.REJECTED, "Failed")),
        (phases(golden=(FAILED, "UnexpectedAnswers")), ENFORCE, ENFORCED, (Outcome.REJECTED, "UnexpectedAnswers")),
        (phases(accuracy=(FAILED, "TooMuchLoss")), ENFORCE, ENFORCED, (Outcome.REJECTED, "TooMuchLoss")),
        (phases(latency=(FAILED, "TooSlow")), ENFORCE, [PhaseName.LATENCY], (Outcome.REJECTED, "TooSlow")),
        (phases(golden=FAILED), ENFORCE, [], (Outcome.PASSED, "PassedWithWarnings")),
        (phases(golden=FAILED), WARN, ENFORCED, (Outcome.PASSED, "PassedWithWarnings")),
        # The server's death counts against Load, in whatever phase it happens.
        (phases(profile=(FAILED, "ServerDied")), ENFORCE, ENFORCED, (Outcome.REJECTED, "ServerDied")),
        (phases(memory=(FAILED, "ModelHangs")), ENFORCE, ENFORCED, (Outcome.REJECTED, "ModelHangs")),
        (phases(profile=(FAILED, "ServerDied")), ENFORCE, [], (Outcome.PASSED, "PassedWithWarnings")),
        # Not having looked is no pass, in any mode.
        (phases(load=SKIPPED), ENFORCE, ENFORCED, (Outcome.ERROR, "Incomplete")),
        (phases(load=SKIPPED), WARN, [], (Outcome.ERROR, "Incomplete")),
        ([], WARN, [], (Outcome.ERROR, "Incomplete")),
        (phases()[:-1], ENFORCE, ENFORCED, (Outcome.ERROR, "Incomplete")),
        ([*phases(), *phases()[:1]], ENFORCE, ENFORCED, (Outcome.ERROR, "Incomplete")),
    ],
)
def test_outcome(
    reports: list[PhaseReport], mode: PreflightMode, enforce: list[PhaseName], expected: tuple[Outcome, str]
) -> None:
    found = outcome(reports, mode, enforce)
    assert found[:2] == expected
    assert found[2].endswith(".")


def test_the_first_rejecting_phase_speaks_and_the_others_are_named() -> None:
    _, _, message = outcome(phases(determinism=FAILED, golden=FAILED, accuracy=FAILED), ENFORCE, ENFORCED)
    assert message == "Golden: What Golden says. Failed as well: Accuracy."


def test_a_pass_names_what_was_skipped() -> None:
    _, _, message = outcome(phases(latency=SKIPPED, calibration=SKIPPED), ENFORCE, ENFORCED)
    assert message == "7 phases passed. Skipped: Latency, Calibration."


@pytest.mark.parametrize(
    ("mode", "enforced"),
    [
        (ENFORCE, [PhaseName.LOAD, PhaseName.GOLDEN, PhaseName.PROFILE, PhaseName.ACCURACY]),
        (WARN, []),
        (PreflightMode.SKIP, []),
    ],
)
def test_the_report_marks_what_may_reject(mode: PreflightMode, enforced: list[PhaseName]) -> None:
    marked = mark_enforced(phases(profile=(FAILED, "ServerDied")), mode, ENFORCED)
    assert [phase.name for phase in marked if phase.enforced] == enforced


def report(message: str, revision: str = "digits-1a2b3c", key: str = "k" * 64, reason: str = "R") -> PreflightReport:
    return PreflightReport(
        model="digits",
        revision=revision,
        key=key,
        outcome=Outcome.REJECTED,
        reason="UnexpectedAnswers",
        message=message,
        started_at="2026-01-01T00:00:00+00:00",
        budget_s=120,
        spent_s=60,
        phases=[phase.model_copy(update={"reason": reason}) for phase in phases()],
    )


def test_the_termination_message_of_an_ordinary_report_is_whole() -> None:
    verdict = json.loads(termination_message(report("3 of 100 answers are wrong.")))
    assert verdict["outcome"] == "Rejected"
    assert verdict["message"] == "3 of 100 answers are wrong."
    assert verdict["phases"]["Golden"] == "Passed R"


@given(
    message=st.text(max_size=5000),
    revision=st.from_regex(r"[a-z][-a-z0-9]{0,62}", fullmatch=True),
    key=st.text("0123456789abcdef", max_size=256),
    reason=st.text(max_size=1000),
)
def test_a_termination_message_fits_and_keeps_outcome_revision_and_key(
    message: str, revision: str, key: str, reason: str
) -> None:
    encoded = termination_message(report(message, revision, key, reason))
    verdict = json.loads(encoded)
    assert len(encoded) <= MAX_TERMINATION_BYTES
    assert (verdict["outcome"], verdict["revision"], verdict["key"]) == ("Rejected", revision, key)
    shown = message.encode(errors="replace").decode()
    assert verdict["message"] == shown or shown.startswith(verdict["message"].removesuffix("…"))


def test_what_only_fits_with_a_shorter_key_is_refused() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        termination_message(report("", key="k" * MAX_TERMINATION_BYTES))
