"""What status says while a revision has something to show: the rows of the condition table with a gate."""

from dataclasses import dataclass, replace
from typing import Any

import pytest
from tests.support.builders import (
    NOW,
    ago,
    children_of,
    digits,
    job_of,
    observed,
    pod_of,
    revision_of,
    revision_service_of,
    stable_service_of,
    triton,
    verdict_of,
    with_status,
)

from plimsoll.api.preflight_report import Outcome, ServedTensor
from plimsoll.api.v1alpha1 import ConditionStatus, ModelDeployment, ModelDeploymentStatus
from plimsoll.api.vocabulary import DataType
from plimsoll.core.actions import Plan, WriteStatus
from plimsoll.core.names import NO_REVISION
from plimsoll.core.plan import plan, plan_refusal
from plimsoll.core.preflight.key import verdict_key
from plimsoll.core.render.service import render_stable_service
from plimsoll.core.world import Child, Failure, FailureKind, Gateways, JobPod, Observed, Pod, Verdict

A, B = digits("a", preflight={}), digits("b", preflight={})
OLD, NEW = revision_of(A, 1), revision_of(B, 2)
STABLE_A = ModelDeploymentStatus(observed_generation=1, stable=OLD.name)
SERVING_A = (*children_of(A, OLD), stable_service_of(A, OLD))
SERVING_NOBODY = replace(stable_service_of(B, NEW), revision=NO_REVISION)
KEY, FIRST_KEY = verdict_key(B.spec, NEW, OLD.name, {}), verdict_key(B.spec, NEW, None, {})
SERVER = pod_of(NEW, ready=True, uid="pod-uid", ip="10.0.0.7", triton=triton())
CANDIDATE = (*children_of(B, NEW), SERVER)
ASLEEP = (NEW, *children_of(B, NEW, replicas=0))
LABELS = (ServedTensor(name="y", data_type=DataType.INT64, dims=[1]),)
SAID = {"message": "Golden: 37 of 100 answers differ."}


@dataclass(frozen=True)
class Row:
    """A situation, and what of Serving, Ready, Reconciling, Stalled is true."""

    situation: str
    status: ModelDeploymentStatus | None
    parts: tuple[Child | Pod, ...]
    true: str
    phase: str
    reason: str
    owner: ModelDeployment = B


TABLE = [
    Row("examined", STABLE_A, (*SERVING_A, *CANDIDATE), "Serving Reconciling", "Verifying", "PreflightRunning"),
    Row(
        "examined, the first one: a ready pod serves nobody",
        None,
        (SERVING_NOBODY, *CANDIDATE),
        "Reconciling",
        "Verifying",
        "PreflightRunning",
    ),
    Row(
        "not ready to be examined",
        STABLE_A,
        (*SERVING_A, *children_of(B, NEW, ready=0, created_at=NOW), pod_of(NEW, created_at=NOW)),
        "Serving Reconciling",
        "Preparing",
        "StartingPod",
    ),
    Row(
        "the Job cannot start",
        STABLE_A,
        (*SERVING_A, *CANDIDATE, job_of(NEW, KEY, pod=JobPod("p", "u", unschedulable="no node"))),
        "Serving Reconciling",
        "Verifying",
        "PreflightWaiting",
    ),
    Row(
        "the Job cannot start for long",
        STABLE_A,
        (*SERVING_A, *CANDIDATE, job_of(NEW, KEY, created_at=ago(minutes=11), pod=JobPod("p", "u", unschedulable="x"))),
        "Serving Stalled",
        "Verifying",
        "PreflightWaiting",
    ),
    Row(
        "an error",
        STABLE_A,
        (*SERVING_A, *CANDIDATE, verdict_of(NEW, KEY, Outcome.ERROR)),
        "Serving Reconciling",
        "Verifying",
        "PreflightError",
    ),
    Row(
        "errors for long",
        STABLE_A,
        (*SERVING_A, *CANDIDATE, verdict_of(NEW, KEY, Outcome.ERROR, attempt=7)),
        "Serving Stalled",
        "Verifying",
        "PreflightError",
    ),
    Row(
        "rejected",
        STABLE_A,
        (*SERVING_A, *ASLEEP, verdict_of(NEW, KEY, Outcome.REJECTED, **SAID)),
        "Serving Stalled",
        "Rejected",
        "PreflightRejected",
    ),
    Row(
        "rejected, the first one",
        None,
        (SERVING_NOBODY, *ASLEEP, verdict_of(NEW, FIRST_KEY, Outcome.REJECTED, **SAID)),
        "Stalled",
        "Rejected",
        "PreflightRejected",
    ),
    Row(
        "passed, and the harmed pod is replaced",
        STABLE_A,
        (*SERVING_A, *CANDIDATE, verdict_of(NEW, KEY, harmed=True)),
        "Serving Reconciling",
        "Verifying",
        "ReplacingPod",
    ),
    Row(
        "passed, and takes over", STABLE_A, (*SERVING_A, *CANDIDATE, verdict_of(NEW, KEY)),
        "Serving Ready", "Finalizing", "Promoted",
    ),
    Row(
        "serves unexamined",
        ModelDeploymentStatus(observed_generation=1, stable=NEW.name),
        (*CANDIDATE, stable_service_of(B, NEW)),
        "Serving Ready",
        "Stable",
        "Unverified",
        digits("b", preflight={"whenNoStable": "Serve"}),
    ),
    Row(
        "serves without the cache that is asked for",
        ModelDeploymentStatus(observed_generation=1, stable=NEW.name),
        (*CANDIDATE, stable_service_of(B, NEW), verdict_of(NEW, KEY)),
        "Serving Ready",
        "Stable",
        "CacheRefused",
        digits("b", preflight={}, cache={}),
    ),
    Row(
        "serves, and none of its outputs states the confidence",
        ModelDeploymentStatus(observed_generation=1, stable=NEW.name),
        (*CANDIDATE, stable_service_of(B, NEW), verdict_of(NEW, KEY, outputs=LABELS)),
        "Serving Ready",
        "Stable",
        "ConfidenceUnjudged",
        digits("b", preflight={}, requests={"confidence": {"output": "p", "threshold": "0.8"}}),
    ),
]  # fmt: skip


def world(row: Row) -> Observed:
    return observed(with_status(row.owner, row.status), *row.parts)


def written(decided: Plan) -> ModelDeploymentStatus:
    return next(action.status for action in decided.actions if isinstance(action, WriteStatus))


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.situation)
def test_the_condition_table(row: Row) -> None:
    status = written(plan(world(row), NOW))
    held = {c.type: c for c in status.conditions or ()}
    assert {name for name, found in held.items() if found.status is ConditionStatus.TRUE} == set(row.true.split())
    assert (status.phase, held["Ready"].reason) == (row.phase, row.reason)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.situation)
def test_messages_are_sentences_with_one_stop_and_say_who_serves(row: Row) -> None:
    status = written(plan(world(row), NOW))
    message = next(c.message for c in status.conditions or () if c.type == "Ready")
    assert message
    assert ".." not in message
    assert not message.endswith((".", " "))
    waits = row.status is STABLE_A and row.reason != "Promoted"
    assert message.endswith("The old revision keeps serving") is waits


def of(situation: str) -> Row:
    return next(row for row in TABLE if row.situation == situation)


def test_a_rejection_says_what_was_found_and_what_to_do() -> None:
    status = written(plan(world(of("rejected")), NOW))
    assert status.preflight
    assert (status.preflight.outcome, status.preflight.message) == (Outcome.REJECTED, SAID["message"])
    assert status.decision == f"{NEW.name} does not serve: {SAID['message']}"
    assert next(c.message for c in status.conditions or () if c.type == "Stalled") == (
        f"Revision {NEW.name} was rejected by its preflight. Golden: 37 of 100 answers differ. The whole report is in "
        f"ConfigMap {NEW.name}-preflight; correct the model, or what spec.preflight asks of it. The old revision keeps "
        "serving"
    )


@pytest.mark.parametrize("message", ["", "m" * 1024, "a. " * 341])
@pytest.mark.parametrize("outcome", [Outcome.REJECTED, Outcome.ERROR])
def test_whatever_was_found_the_way_out_is_said(outcome: Outcome, message: str) -> None:
    verdict = verdict_of(NEW, KEY, outcome, message=message)
    status = written(plan(observed(with_status(B, STABLE_A), *SERVING_A, *CANDIDATE, verdict), NOW))
    told = next(c.message for c in status.conditions or () if c.type == "Ready")
    assert told.endswith("The old revision keeps serving")
    assert len(told) <= 1024


def told(decided: Plan) -> list[str]:
    return [announcement.reason for announcement in decided.announcements]


def test_each_outcome_is_told_once() -> None:
    for situation, event in [
        ("rejected", "PreflightRejected"),
        ("an error", "PreflightError"),
        ("passed, and the harmed pod is replaced", "PreflightPassed"),
    ]:
        first = plan(world(of(situation)), NOW)
        assert told(first) == [event]
        again = replace(world(of(situation)), object=with_status(B, written(first)))
        assert told(plan(again, NOW)) == []


def test_what_is_plain_waiting_is_no_event() -> None:
    assert told(plan(world(of("examined")), NOW)) == []


def test_a_refused_write_does_not_wipe_what_was_said() -> None:
    refused = Failure(FailureKind.OUTAGE, "ApiServerError", "The API server fails")
    status = written(plan_refusal(replace(world(of("rejected")), failure=refused), NOW))
    assert status.preflight
    assert status.preflight.outcome is Outcome.REJECTED


def test_what_was_said_stays_when_the_revision_serves() -> None:
    status = ModelDeploymentStatus(observed_generation=1, stable=NEW.name)
    parts = (*CANDIDATE, revision_service_of(B, NEW), stable_service_of(B, NEW), verdict_of(NEW, "earlier question"))
    shown = written(plan(observed(with_status(B, status), *parts), NOW)).preflight
    assert shown
    assert shown.key == "earlier question"


TENSORS = (ServedTensor(name="x", data_type=DataType.FP32, dims=[4]),)
OF_STABLE = verdict_of(OLD, "earlier question", inputs=TENSORS, outputs=TENSORS, max_batch_size=8)


@pytest.mark.parametrize("newest", [(), (verdict_of(NEW, KEY, Outcome.REJECTED, inputs=TENSORS, outputs=TENSORS),)])
def test_gateways_that_start_now_are_told_the_interface_of_what_serves(newest: tuple[Child, ...]) -> None:
    """Status has the preflight of the newest revision, or none while that is examined."""
    parts = (*SERVING_A, *CANDIDATE, OF_STABLE, *newest)
    status = written(plan(observed(with_status(B, STABLE_A), *parts, gateways=Gateways(ready=1)), NOW))
    told_of = status.stable_interface
    assert told_of
    assert (told_of.revision, told_of.max_batch_size) == (OLD.name, 8)
    assert [(one.name, one.data_type, one.dims) for one in told_of.inputs or ()] == [("x", DataType.FP32, [4])]
    assert told_of.outputs == told_of.inputs


@pytest.mark.parametrize(
    ("owner", "of_stable", "gateways"),
    [
        (B, OF_STABLE, None),
        (B, replace(OF_STABLE, inputs=()), Gateways(ready=1)),
        (A, OF_STABLE, Gateways(ready=1)),
    ],
    ids=["no gateways", "nothing is known", "status.preflight says it"],
)
def test_nothing_is_said_twice_or_to_nobody(owner: ModelDeployment, of_stable: Verdict, gateways: Gateways) -> None:
    parts = (*SERVING_A, *(CANDIDATE if owner is B else ()), of_stable)
    status = written(plan(observed(with_status(owner, STABLE_A), *parts, gateways=gateways), NOW))
    assert status.stable_interface is None


@pytest.mark.parametrize(
    ("preflight", "selected"),
    [({}, NO_REVISION), ({"mode": "Skip"}, NEW.name), ({"whenNoStable": "Serve"}, NEW.name)],
    ids=str,
)
def test_what_the_stable_service_selects_before_the_first_promotion(preflight: dict[str, Any], selected: str) -> None:
    decided = plan(observed(digits("b", preflight=preflight)), NOW)
    manifest = next(a.manifest for a in decided.actions if getattr(a, "manifest", {}).get("kind") == "Service")  # type: ignore[union-attr]
    assert manifest == render_stable_service(B.metadata, selected)
