"""What is read of Jobs, their pods and verdicts, in the shapes of Kubernetes 1.36."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.builders import digits, observed, revision_of
from tests.support.preflight_reports import KEY, good, rejected

from plimsoll.api.preflight_report import Outcome, PreflightReport
from plimsoll.controller.preflight_projection import (
    KeptJobPod,
    content_digest,
    is_job_pod,
    project_job,
    project_job_pod,
    project_verdict,
    verdict_of,
    with_newest_pod,
)
from plimsoll.core.names import (
    ATTEMPT_ANNOTATION,
    EXAMINED_ANNOTATION,
    KEY_ANNOTATION,
    PREFLIGHT_LABEL,
    VERDICT_ANNOTATION,
)
from plimsoll.core.preflight.record import record_report
from plimsoll.core.world import Examined, JobPod, PreflightJob

OWNER = digits()
REVISION = revision_of(OWNER)
NOW = datetime(2026, 3, 1, 12, 5, tzinfo=UTC)
EXAMINED = Examined(pod="digits-x", uid="pod-uid", restarts=2)


def job(conditions: list[dict[str, str]] | None = None, **annotations: str) -> dict[str, Any]:
    known = {
        KEY_ANNOTATION: KEY,
        ATTEMPT_ANNOTATION: "3",
        EXAMINED_ANNOTATION: orjson.dumps(dataclasses.asdict(EXAMINED)).decode(),
    }
    return {
        "metadata": {
            "name": f"{REVISION.name}-preflight",
            "uid": "job-uid",
            "creationTimestamp": "2026-03-01T12:00:00Z",
            "labels": {PREFLIGHT_LABEL: REVISION.name},
            "annotations": {**known, **annotations},
            "ownerReferences": [{"kind": "ModelDeployment", "uid": "owner-uid", "controller": True}],
        },
        "status": {"conditions": conditions or []},
    }


def pod(status: dict[str, Any], *, owner: str = "job-uid", **metadata: Any) -> dict[str, Any]:
    return {
        "metadata": {
            "name": "x",
            "uid": "x-uid",
            "creationTimestamp": "2026-03-01T12:00:00Z",
            "labels": {PREFLIGHT_LABEL: REVISION.name},
            "ownerReferences": [{"kind": "Job", "uid": owner, "controller": True}],
            **metadata,
        },
        "status": status,
    }


def container(**state: Any) -> list[dict[str, Any]]:
    sidecar = {"name": "istio-proxy", "state": {"terminated": {"exitCode": 9, "message": "not ours"}}}
    return [sidecar, {"name": "preflight", "restartCount": 0, "state": state}]


def condition(kind: str, status: str = "True", **fields: str) -> dict[str, str]:
    return {"type": kind, "status": status, **fields}


def test_a_job_says_what_it_answers() -> None:
    found = project_job(job())
    assert (found.revision, found.key, found.attempt, found.examined) == (REVISION.name, KEY, 3, EXAMINED)
    assert found.owner_uid == "owner-uid"
    assert not found.ended


@pytest.mark.parametrize(
    ("conditions", "ended", "reason"),
    [
        pytest.param([condition("FailureTarget", reason="PodFailurePolicy")], False, "", id="about to fail"),
        pytest.param([condition("Failed", reason="DeadlineExceeded")], True, "DeadlineExceeded", id="failed"),
        pytest.param([condition("SuccessCriteriaMet")], False, "", id="about to be complete"),
        pytest.param([condition("Complete")], True, "", id="complete"),
        pytest.param([condition("Failed", "False", reason="Old")], False, "", id="a condition that does not hold"),
    ],
)
def test_a_job_has_ended_when_no_pod_of_it_runs(conditions: list[dict[str, str]], *, ended: bool, reason: str) -> None:
    found = project_job(job(conditions))
    assert (found.ended, found.failed_reason) == (ended, reason)


@pytest.mark.parametrize("examined", ["", "{", "[]", '"x"', '{"restarts": "many"}', '{"restarts": true}'])
def test_annotations_that_somebody_edited_are_no_reason_to_fail(examined: str) -> None:
    found = project_job(job(**{EXAMINED_ANNOTATION: examined, ATTEMPT_ANNOTATION: "many"}))
    assert found.examined.uid == ""
    assert isinstance(found.attempt, int)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        pytest.param({}, {}, id="nothing yet"),
        pytest.param(
            {"conditions": [condition("PodScheduled", "False", reason="Unschedulable", message="0/3 nodes")]},
            {"unschedulable": "0/3 nodes"},
            id="no node",
        ),
        pytest.param(
            {"containerStatuses": container(waiting={"reason": "ImagePullBackOff", "message": "Back-off"})},
            {"waiting_reason": "ImagePullBackOff", "waiting_message": "Back-off"},
            id="no image",
        ),
        pytest.param(
            {
                "podIP": "10.1.0.9",
                "conditions": [condition("Ready")],
                "containerStatuses": container(running={"startedAt": "2026-03-01T12:00:00Z"}),
            },
            {"ip": "10.1.0.9", "ready": True},
            id="with a report",
        ),
        pytest.param(
            {"phase": "Failed", "containerStatuses": container(terminated={"exitCode": 3, "message": "{}"})},
            {"exit_code": 3, "termination_message": "{}"},
            id="ended by itself",
        ),
        pytest.param(
            {"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource"},
            {"failure": "Evicted: The node was low on resource"},
            id="evicted",
        ),
        pytest.param(
            {
                "phase": "Failed",
                "containerStatuses": container(terminated={"exitCode": 137, "reason": "OOMKilled"}),
            },
            {"exit_code": 137, "exit_reason": "OOMKilled"},
            id="out of memory",
        ),
    ],
)
def test_a_jobs_pod_says_how_far_it_is(status: dict[str, Any], expected: dict[str, Any]) -> None:
    obj = pod(status)
    assert is_job_pod(obj)
    assert project_job_pod(obj).pod == JobPod("x", "x-uid", **expected)


def kept(name: str, seconds: int, *, owner: str = "job-uid", deleting: bool = False) -> KeptJobPod:
    return KeptJobPod(owner, NOW.replace(second=seconds), deleting, JobPod(name, f"{name}-uid"))


@pytest.mark.parametrize(
    ("pods", "newest"),
    [
        pytest.param([], None, id="none"),
        pytest.param([kept("a", 1), kept("b", 2)], "b", id="a drained node: the Job made another"),
        pytest.param([kept("a", 1), kept("b", 2, deleting=True)], "a", id="one that stays"),
        pytest.param([kept("b", 2, deleting=True)], "b", id="one that goes has something to say"),
        pytest.param([kept("a", 1, owner="the Job before")], None, id="of the Job before"),
    ],
)
def test_of_the_pods_of_a_job_the_newest_counts(pods: list[KeptJobPod], newest: str | None) -> None:
    found = with_newest_pod(project_job(job()), pods)
    assert (found.pod.name if found.pod else None) == newest


def config_map(annotations: dict[str, str]) -> dict[str, Any]:
    """As a watch of metadata shows it."""
    metadata = {"name": f"{REVISION.name}-preflight", "uid": "u", "labels": {PREFLIGHT_LABEL: REVISION.name}}
    return {"metadata": {**metadata, "annotations": annotations}}


@pytest.mark.parametrize("report", [good(), rejected()], ids=["passed", "rejected"])
def test_what_is_recorded_is_read_back(report: PreflightReport) -> None:
    world = dataclasses.replace(observed(OWNER), revisions={REVISION.name: REVISION})
    made: PreflightJob = dataclasses.replace(project_job(job()), revision=REVISION.name)
    written = record_report(dataclasses.replace(world, jobs={made.name: made}), made.name, report, NOW).manifest
    read = verdict_of(project_verdict({"metadata": {**written["metadata"], "uid": "u"}}))
    assert (read.key, read.outcome, read.reason) == (KEY, report.outcome, report.reason)
    assert (read.revision, read.at, read.attempt, read.examined) == (REVISION.name, NOW, 3, EXAMINED)
    assert read.phases == tuple((phase.name, phase.status) for phase in report.phases)
    assert report.figures.load is None or read.inputs == tuple(report.figures.load.inputs)


FIELDS = st.sampled_from(["key", "outcome", "at", "attempt", "examined", "phases", "inputs"])
PARTS = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5), lambda inner: st.dictionaries(FIELDS, inner)
)


@given(st.text(max_size=40) | PARTS.map(lambda value: orjson.dumps(value).decode()))
def test_a_verdict_that_somebody_damaged_answers_no_question(text: str) -> None:
    read = verdict_of(project_verdict(config_map({VERDICT_ANNOTATION: text})))
    assert (read.key, read.outcome) == ("", Outcome.ERROR)
    assert read.revision == REVISION.name


def test_a_verdict_of_a_later_version_answers_no_question() -> None:
    phases = [{"name": "Telepathy", "status": "Passed"}]
    told = {"key": KEY, "outcome": "Passed", "reason": "", "message": "", "at": "2026-03-01T12:00:00Z", "attempt": 1}
    known = {**told, "examined": {}, "harmed": False, "inputs": [], "outputs": []}
    later = project_verdict(config_map({VERDICT_ANNOTATION: orjson.dumps({**known, "phases": phases}).decode()}))
    now = project_verdict(config_map({VERDICT_ANNOTATION: orjson.dumps({**known, "phases": []}).decode()}))
    assert verdict_of(now).outcome is Outcome.PASSED
    assert verdict_of(later).key == ""


def test_what_a_config_map_holds_is_told_apart_and_its_labels_are_not() -> None:
    one = {"metadata": {"labels": {"a": "b"}}, "data": {"golden.json": "{}"}}
    assert content_digest(one) == content_digest({**one, "metadata": {"resourceVersion": "9"}})
    assert content_digest(one) != content_digest({**one, "data": {"golden.json": "{ }"}})
    assert content_digest(one) != content_digest({"metadata": {}, "binaryData": {"golden.json": "{}"}})
