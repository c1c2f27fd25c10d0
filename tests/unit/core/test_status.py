"""The condition table of the design, and what else status promises."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from tests.support.builders import (
    DEFAULTS,
    NOW,
    ago,
    children_of,
    deployment_of,
    digits,
    fetch_failed,
    fetched,
    observed,
    pod_of,
    revision_of,
    stable_service_of,
    triton,
    with_status,
)

from plimsoll.api.v1alpha1 import Condition, ConditionStatus, ConditionType, ModelDeployment, ModelDeploymentStatus
from plimsoll.core.actions import Announcement, Plan, Severity, WriteStatus
from plimsoll.core.conditions import conditions_of, rfc3339, stable
from plimsoll.core.plan import plan
from plimsoll.core.world import Child, Failure, FailureKind, Observed, Pod, ReplicasOwner

A, B = digits("a"), digits("b")
FIRST, SECOND = revision_of(A, 1), revision_of(B, 2)
HOUR_AGO = ago(hours=1)
STABLE_A = ModelDeploymentStatus(observed_generation=1, stable=FIRST.name)
STABLE_B = ModelDeploymentStatus(observed_generation=1, stable=SECOND.name)
SERVING_A = (*children_of(A, FIRST), stable_service_of(A, FIRST))
NOT_FOUND = fetch_failed('{"kind":"Invalid","reason":"NotFound","message":"It does not exist"}', code=2)


def reconciling_since(moment: datetime, status: ModelDeploymentStatus | None = None) -> ModelDeploymentStatus:
    """A status that has said "in progress" since then."""
    condition = Condition(
        type="Reconciling", status=ConditionStatus.TRUE, reason="Loading", last_transition_time=rfc3339(moment)
    )
    return (status or STABLE_A).model_copy(update={"conditions": [condition]})


def waiting_pod(revision: Any = SECOND, since: datetime = HOUR_AGO) -> Pod:
    return pod_of(revision, created_at=since, fetch=fetched(ended_at=since), triton=triton(restarts=1, exit_code=1))


@dataclass(frozen=True)
class Row:
    """One row of the table: a situation, and what of Serving, Ready, Reconciling, Stalled is true."""

    situation: str
    owner: ModelDeployment
    status: ModelDeploymentStatus | None
    parts: tuple[Child | Pod, ...]
    true: str
    phase: str
    reason: str
    failure: Failure | None = None


TABLE = [
    Row("newest spec is stable", A, STABLE_A, SERVING_A, "Serving Ready", "Stable", "Promoted"),
    Row(
        "just promoted, the old revision drains",
        B,
        STABLE_B,
        (
            *children_of(A, FIRST, retired_at=ago(seconds=5)),
            *children_of(B, SECOND),
            stable_service_of(B, SECOND),
        ),
        "Serving Ready",
        "Finalizing",
        "Promoted",
    ),
    Row("roll-out begins", B, STABLE_A, SERVING_A, "Serving Reconciling", "Preparing", "WaitingForPods"),
    Row(
        "roll-out moves",
        B,
        STABLE_A,
        (*SERVING_A, *children_of(B, SECOND, ready=0, created_at=NOW), pod_of(SECOND, created_at=NOW)),
        "Serving Reconciling",
        "Preparing",
        "StartingPod",
    ),
    Row(
        "newest does not start yet, old revision serves",
        B,
        reconciling_since(ago(minutes=2)),
        (*SERVING_A, *children_of(B, SECOND, ready=0), waiting_pod(since=ago(minutes=2))),
        "Serving Reconciling",
        "Preparing",
        "ServerCrashed",
    ),
    Row(
        "newest cannot start, old revision serves",
        B,
        reconciling_since(HOUR_AGO),
        (*SERVING_A, *children_of(B, SECOND, ready=0), waiting_pod()),
        "Serving Stalled",
        "Stalled",
        "ServerCrashed",
    ),
    Row(
        "newest can never start, old revision serves: told at once",
        B,
        STABLE_A,
        (*SERVING_A, *children_of(B, SECOND, ready=0), pod_of(SECOND, fetch=NOT_FOUND)),
        "Serving Stalled",
        "Stalled",
        "NotFound",
    ),
    Row("first revision begins", A, None, (), "Reconciling", "Preparing", "WaitingForPods"),
    Row(
        "first revision does not start yet",
        A,
        reconciling_since(ago(minutes=2), ModelDeploymentStatus(observed_generation=1)),
        (*children_of(A, FIRST, ready=0), waiting_pod(FIRST, ago(minutes=2))),
        "Reconciling",
        "Preparing",
        "ServerCrashed",
    ),
    Row(
        "first revision cannot start",
        A,
        reconciling_since(HOUR_AGO, ModelDeploymentStatus(observed_generation=1)),
        (*children_of(A, FIRST, ready=0), waiting_pod(FIRST)),
        "Stalled",
        "Stalled",
        "ServerCrashed",
    ),
    Row(
        "first revision answers with one of three: users are served, the spec is not fulfilled",
        digits("a", replicas=3),
        ModelDeploymentStatus(observed_generation=1),
        (*children_of(A, FIRST, replicas=3, ready=1), stable_service_of(A, FIRST)),
        "Serving Reconciling",
        "Preparing",
        "WaitingForPods",
    ),
    Row(
        "first revision is refused",
        A,
        None,
        (replace(stable_service_of(A, FIRST), owner_uid=""),),
        "Stalled",
        "Stalled",
        "NameConflict",
    ),
    Row(
        "newest is refused, old revision serves",
        B,
        STABLE_A,
        (*SERVING_A, replace(deployment_of(B, SECOND), owner_uid="")),
        "Serving Stalled",
        "Stalled",
        "NameConflict",
    ),
    Row(
        "a deleted predecessor's children are still there: it goes by itself",
        A,
        None,
        (replace(stable_service_of(A, FIRST), owner_uid="predecessor"),),
        "Reconciling",
        "Preparing",
        "WaitingForName",
    ),
    Row(
        "the last attempt to write was refused for now",
        A,
        STABLE_A,
        SERVING_A,
        "Serving Reconciling",
        "Preparing",
        "QuotaExceeded",
        failure=Failure(FailureKind.NOT_YET, "QuotaExceeded", "services are limited to 5"),
    ),
    Row(
        "the last attempt to write was refused for good",
        A,
        STABLE_A,
        SERVING_A,
        "Serving Stalled",
        "Stalled",
        "ManifestRefused",
        failure=Failure(FailureKind.INVALID, "ManifestRefused", "spec.template is invalid"),
    ),
    Row(
        "replicas 0 by spec",
        digits("a", replicas=0),
        STABLE_A,
        (*children_of(A, FIRST, replicas=0), stable_service_of(A, FIRST)),
        "Ready",
        "ScaledToZero",
        "ScaledToZero",
    ),
    Row(
        "on the way to 0",
        digits("a", replicas=0),
        STABLE_A,
        SERVING_A,
        "Serving Ready Reconciling",
        "Scaling",
        "WaitingForPods",
    ),
    Row(
        "scaled up a year after it was made",
        digits("a", replicas=3, generation=2),
        STABLE_A,
        (
            stable_service_of(A, FIRST),
            *children_of(A, FIRST, created_at=ago(days=365)),
            pod_of(FIRST, created_at=ago(days=365), ready=True),
        ),
        "Serving Ready Reconciling",
        "Scaling",
        "WaitingForPods",
    ),
    Row(
        "one of two restarts after a year",
        digits("a", replicas=2),
        STABLE_A,
        (
            stable_service_of(A, FIRST),
            *children_of(A, FIRST, replicas=2, ready=1, created_at=ago(days=365)),
            waiting_pod(FIRST, ago(days=365)),
        ),
        "Serving Ready Reconciling",
        "Scaling",
        "ServerCrashed",
    ),
    Row(
        "one of two has not come back within the deadline",
        digits("a", replicas=2),
        reconciling_since(ago(minutes=11)),
        (
            stable_service_of(A, FIRST),
            *children_of(A, FIRST, replicas=2, ready=1, created_at=ago(days=365)),
            waiting_pod(FIRST, ago(days=365)),
        ),
        "Serving Stalled",
        "Stalled",
        "ServerCrashed",
    ),
    Row(
        "the only one restarts",
        A,
        STABLE_A,
        (*children_of(A, FIRST, ready=0), stable_service_of(A, FIRST), waiting_pod(FIRST)),
        "Reconciling",
        "Scaling",
        "ServerCrashed",
    ),
    Row(
        "the only Deployment was deleted",
        A,
        STABLE_A,
        (FIRST, stable_service_of(A, FIRST)),
        "Reconciling",
        "Scaling",
        "WaitingForPods",
    ),
]


def world(row: Row) -> Observed:
    return observed(with_status(row.owner, row.status), *row.parts, failure=row.failure)


def written(decided: Plan) -> ModelDeploymentStatus:
    (status,) = [action.status for action in decided.actions if isinstance(action, WriteStatus)]
    return status


@pytest.mark.parametrize("row", TABLE, ids=[row.situation for row in TABLE])
def test_the_condition_table(row: Row) -> None:
    status = written(plan(world(row), NOW))
    conditions = {condition.type: condition for condition in status.conditions or ()}
    assert list(conditions) == ["Serving", "Ready", "Reconciling", "Stalled"]
    assert " ".join(kind for kind, condition in conditions.items() if condition.status == "True") == row.true
    assert (status.phase, conditions["Ready"].reason) == (row.phase, row.reason)
    explained = [c for c in conditions.values() if c.type != "Serving" and c.reason == row.reason]
    assert all(condition.message for condition in explained)
    assert all(c.observed_generation == row.owner.metadata.generation for c in conditions.values())


@pytest.mark.parametrize("row", TABLE, ids=[row.situation for row in TABLE])
def test_a_status_once_written_is_not_written_again(row: Row) -> None:
    before = world(row)
    status = written(plan(before, NOW))
    again = replace(before, object=with_status(before.object, status))
    after = plan(again, NOW + timedelta(seconds=1))
    assert [action for action in after.actions if isinstance(action, WriteStatus)] == []
    assert [told for told in after.announcements if told.severity is Severity.WARNING] == []


def test_what_is_stalled_stays_stalled_until_something_moves() -> None:
    row = next(row for row in TABLE if row.situation == "newest cannot start, old revision serves")
    status = written(plan(world(row), NOW))
    much_later = plan(observed(with_status(B, status), *row.parts), NOW + timedelta(days=1))
    assert much_later.actions == ()
    assert much_later.requeue_at is None
    restarted = [part for part in row.parts if not isinstance(part, Pod)]
    fresh = pod_of(SECOND, created_at=NOW + timedelta(days=1))
    moved = written(plan(observed(with_status(B, status), *restarted, fresh), NOW + timedelta(days=1, seconds=1)))
    assert {c.type for c in moved.conditions or () if c.status == "True"} == {"Serving", "Reconciling"}


def test_it_looks_again_when_the_deadline_passes() -> None:
    row = next(row for row in TABLE if row.situation == "newest does not start yet, old revision serves")
    decided = plan(world(row), NOW)
    assert decided.requeue_at == ago(minutes=2) + DEFAULTS.progress_deadline


def test_a_transition_time_changes_with_its_status_only() -> None:
    before = conditions_of(stable(1, 1), 1, HOUR_AGO, [])
    same = conditions_of(stable(2, 2), 2, NOW, before)
    assert {condition.last_transition_time for condition in same} == {rfc3339(HOUR_AGO)}
    assert {condition.observed_generation for condition in same} == {2}
    other = conditions_of(replace(stable(1, 1), serving=False), 2, NOW, same)
    assert [c.type for c in other if c.last_transition_time == rfc3339(NOW)] == [ConditionType.SERVING]


def test_a_message_fits_its_field() -> None:
    long = conditions_of(replace(stable(1, 1), message="x" * 5000), 1, NOW, [])
    assert max(len(condition.message) for condition in long) == 1024


@pytest.mark.parametrize(
    ("spec", "have", "owned_by", "told"),
    [
        (
            3,
            5,
            ReplicasOwner.AUTOSCALER,
            "5 of 5 model servers are ready. An autoscaler set the replicas of Deployment",
        ),
        (3, 0, ReplicasOwner.AUTOSCALER, "0 replicas are wanted. An autoscaler set the replicas of Deployment"),
        (5, 5, ReplicasOwner.AUTOSCALER, "5 of 5 model servers are ready"),
        (5, 5, ReplicasOwner.PLIMSOLL, "5 of 5 model servers are ready"),
        (0, 0, ReplicasOwner.PLIMSOLL, "0 replicas are wanted; set spec.replicas to 1 or more to serve"),
    ],
)
def test_it_says_whose_replicas_count(spec: int, have: int, owned_by: ReplicasOwner, told: str) -> None:
    owner = digits("a", replicas=spec)
    parts = (*children_of(owner, FIRST, replicas=have, owned_by=owned_by), stable_service_of(owner, FIRST))
    status = written(plan(observed(with_status(owner, STABLE_A), *parts), NOW))
    (message,) = [condition.message for condition in status.conditions or () if condition.type == "Ready"]
    assert message.startswith(told)
    way_out = f"`kubectl scale deployment {FIRST.name} --namespace vision --replicas 3`"
    assert ("autoscaler" in message) == message.endswith(way_out) == (spec != have)


def test_status_says_where_and_what() -> None:
    status = written(plan(world(TABLE[0]), NOW))
    assert status.urls is not None
    assert status.urls.http == "http://digits.vision.svc:8000/v2/models/digits"
    assert status.urls.grpc == "digits.vision.svc:8001"
    assert status.selector == f"plimsoll.dev/model=digits,plimsoll.dev/revision={FIRST.name}"
    assert (status.stable, status.candidate) == (FIRST.name, None)
    assert (status.replicas, status.ready_replicas) == (1, 1)


def test_the_old_revision_is_said_to_serve_only_when_there_is_one() -> None:
    texts = {row.situation: written(plan(world(row), NOW)).conditions or [] for row in TABLE}
    said = {name for name, held in texts.items() if any("old revision keeps" in c.message for c in held)}
    assert said == {name for name in texts if name.startswith(("roll-out", "newest does", "newest can"))}


def told(owner: ModelDeployment, *parts: Child | Pod) -> list[Announcement]:
    return list(plan(observed(owner, *parts), NOW).announcements)


def test_events_of_a_first_roll_out() -> None:
    assert [t.reason for t in told(A)] == ["RevisionCreated"]
    first = with_status(A, ModelDeploymentStatus(observed_generation=1))
    assert told(first, *children_of(A, FIRST, ready=0), pod_of(FIRST, created_at=NOW)) == []
    assert [t.reason for t in told(first, *SERVING_A)] == ["Promoted"]


def test_events_of_a_failed_roll_out() -> None:
    (warning,) = told(with_status(B, STABLE_A), *SERVING_A, *children_of(B, SECOND, ready=0), waiting_pod())
    assert (warning.severity, warning.reason) == (Severity.WARNING, "ServerCrashed")
    assert warning.message.endswith("The old revision keeps serving")


def test_the_decision_is_remembered() -> None:
    promoted = written(plan(observed(with_status(B, STABLE_A), *SERVING_A, *children_of(B, SECOND)), NOW))
    assert promoted.decision == (
        f"{SECOND.name} serves, instead of {FIRST.name}: 1 of 1 model servers were ready and warm"
    )
    later = plan(observed(with_status(digits("b", generation=2), promoted), *children_of(B, SECOND), *SERVING_A), NOW)
    assert written(later).decision == promoted.decision
