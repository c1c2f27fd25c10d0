"""What becomes of a report, and of the last words of a Job: an answer only where all of it agrees."""

import json
from dataclasses import replace
from typing import Any

import pytest
from tests.support import preflight_reports
from tests.support.builders import NOW, digits, job_of, observed, revision_of, verdict_of
from tests.support.preflight_figures import LOAD

from plimsoll.api.preflight_report import Figures, Outcome, PhaseName, PhaseStatus, PreflightReport, ServedTensor
from plimsoll.api.vocabulary import DataType
from plimsoll.controller.preflight_projection import project_verdict
from plimsoll.controller.preflight_projection import verdict_of as read
from plimsoll.core.actions import Apply, Create
from plimsoll.core.names import VERDICT_ANNOTATION
from plimsoll.core.preflight.record import error_of, record_report, verdict_of_end, verdict_text
from plimsoll.core.preflight.verdict import termination_message
from plimsoll.core.world import JobPod, PreflightJob, Verdict

OWNER = digits("a", preflight={})
REVISION = revision_of(OWNER)
KEY = "f" * 64
JOB = job_of(REVISION, KEY, attempt=3)


def answering(report: PreflightReport, **more: Any) -> PreflightReport:
    return report.model_copy(update={"revision": REVISION.name, "key": KEY, **more})


GOOD, BAD = answering(preflight_reports.good()), answering(preflight_reports.rejected())


def ended(message: bytes | str = b"", code: int | None = 0, **pod: Any) -> PreflightJob:
    text = message if isinstance(message, str) else message.decode()
    return replace(JOB, ended=True, pod=JobPod("job-pod", "uid", termination_message=text, exit_code=code, **pod))


NO_ANSWER = "The preflight ended with exit code {}, and its last words are no answer to what was asked"


def words(report: PreflightReport, **more: Any) -> str:
    return json.dumps({**json.loads(termination_message(report)), **more})


@pytest.mark.parametrize(
    ("report", "code", "outcome"),
    [(GOOD, 0, Outcome.PASSED), (BAD, 3, Outcome.REJECTED), (answering(GOOD, outcome=Outcome.ERROR), 1, Outcome.ERROR)],
)
def test_last_words_with_their_exit_code_are_an_answer(report: PreflightReport, code: int, outcome: Outcome) -> None:
    verdict = verdict_of_end(ended(termination_message(report), code), NOW)
    assert (verdict.outcome, verdict.reason, verdict.message) == (outcome, report.reason, report.message)
    assert (verdict.key, verdict.revision, verdict.attempt, verdict.at) == (KEY, REVISION.name, 3, NOW)
    assert dict(verdict.phases) == {phase.name: phase.status for phase in report.phases}


@pytest.mark.parametrize(
    ("job", "said"),
    [
        (ended(termination_message(GOOD), 1), NO_ANSWER.format(1)),
        (ended(termination_message(GOOD), 3), NO_ANSWER.format(3)),
        (ended(termination_message(BAD), 0), NO_ANSWER.format(0)),
        (ended(termination_message(GOOD), None), GOOD.message),
        (ended(words(GOOD, key="another"), 0), NO_ANSWER.format(0)),
        (ended(words(GOOD, revision="digits-0000000000"), 0), NO_ANSWER.format(0)),
        (ended(words(GOOD, outcome="Splendid"), 1), GOOD.message),
        (ended("", 0), "The preflight ended with exit code 0"),
        (ended("[]", 0), "The preflight ended with exit code 0: []"),
        (ended("Traceback\n  in line", 1), "The preflight ended with exit code 1: Traceback in line"),
        (ended("", 137, exit_reason="OOMKilled"), "The preflight ran out of memory"),
        (ended("", None, failure="Evicted: disk"), "The preflight's pod failed: Evicted: disk"),
        (replace(JOB, ended=True, failed_message="It went."), "The preflight's pod is gone: It went"),
    ],
    ids=range(13),
)
def test_anything_else_is_an_error_with_its_cause(job: PreflightJob, said: str) -> None:
    verdict = verdict_of_end(job, NOW)
    assert (verdict.outcome, verdict.reason) == (Outcome.ERROR, "PreflightFailed")
    assert verdict.message == said


def kept(report: PreflightReport, *before: Verdict) -> tuple[Create | Apply, Verdict]:
    action = record_report(observed(OWNER, REVISION, JOB, *before), JOB.name, report, NOW)
    metadata = {"uid": "verdict-1", **action.manifest["metadata"]}
    return action, read(project_verdict({**action.manifest, "metadata": metadata}))


def test_a_report_is_kept_whole_and_what_is_read_back_is_what_was_decided() -> None:
    action, verdict = kept(GOOD)
    assert isinstance(action, Create)
    assert PreflightReport.model_validate_json(action.manifest["data"]["report.json"]) == GOOD
    assert action.manifest["metadata"]["ownerReferences"][0]["uid"] == REVISION.uid
    assert (verdict.outcome, verdict.key, verdict.attempt, verdict.at) == (Outcome.PASSED, KEY, 3, NOW)
    assert verdict.examined == JOB.examined
    assert verdict.inputs == tuple(LOAD.inputs)
    assert verdict.max_batch_size == LOAD.max_batch_size
    assert verdict_text(verdict) == action.manifest["metadata"]["annotations"][VERDICT_ANNOTATION]


def test_the_next_answer_takes_the_place_of_the_last_one_and_of_no_other_object() -> None:
    action, _ = kept(BAD, verdict_of(REVISION, "before"))
    assert isinstance(action, Apply)
    assert action.manifest["metadata"]["uid"] == "verdict-1"


@pytest.mark.parametrize("status", PhaseStatus)
def test_memory_that_grew_harms_the_pod(status: PhaseStatus) -> None:
    phases = [
        phase.model_copy(update={"status": status}) if phase.name is PhaseName.MEMORY else phase
        for phase in GOOD.phases
    ]
    _, verdict = kept(answering(GOOD, phases=phases))
    assert verdict.harmed is (status in (PhaseStatus.WARNED, PhaseStatus.FAILED))


def test_a_verdict_fits_an_annotation_and_the_api_whatever_a_server_declares() -> None:
    tensors = [
        *(ServedTensor(name=f"{number:05}" * 50, data_type=DataType.FP32, dims=[1] * 16) for number in range(500)),
        ServedTensor(name="n" * 300_000, data_type=DataType.FP32, dims=[]),
        ServedTensor(name="x", data_type=DataType.FP32, dims=[1] * 100_000),
    ]
    load = LOAD.model_copy(update={"inputs": tensors[::-1], "outputs": tensors, "max_batch_size": -1})
    report = answering(GOOD, figures=Figures(load=load), reason="R" * 5000, message="m" * 5000)
    action, verdict = kept(report)
    assert len(action.manifest["metadata"]["annotations"][VERDICT_ANNOTATION].encode()) < 128 * 1024
    assert (len(verdict.inputs), len(verdict.outputs), verdict.max_batch_size) == (64, 64, 0)
    assert (len(verdict.reason), len(verdict.message)) == (128, 1024)


def test_an_error_says_nothing_about_the_revision() -> None:
    verdict = error_of(JOB, NOW, "PreflightFailed", "x" * 2000)
    assert (verdict.outcome, verdict.phases, verdict.harmed, len(verdict.message)) == (Outcome.ERROR, (), False, 1024)
