"""What is done, and in which order."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.support.builders import (
    NOW,
    UPGRADED_DEFAULTS,
    ago,
    children_of,
    deployment_of,
    digits,
    observed,
    retired_annotation,
    revision_of,
    revision_service_of,
    stable_service_of,
    with_status,
)

from plimsoll.api.v1alpha1 import ModelDeployment, ModelDeploymentStatus
from plimsoll.core.actions import Action, Apply, Create, Delete, Plan, Scale, WriteStatus
from plimsoll.core.packing import pack
from plimsoll.core.plan import plan
from plimsoll.core.world import Child, Observed, ReplicasOwner

A, B, C = digits("a"), digits("b"), digits("c")
FIRST, SECOND, THIRD = revision_of(A, 1), revision_of(B, 2), revision_of(C, 3)
STABLE_A = ModelDeploymentStatus(observed_generation=1, stable=FIRST.name)
STABLE_B = ModelDeploymentStatus(observed_generation=1, stable=SECOND.name)
SERVING_A = (*children_of(A, FIRST), stable_service_of(A, FIRST))
SERVING_B = (*children_of(B, SECOND), stable_service_of(B, SECOND))
NAMES = {FIRST.name: "A", SECOND.name: "B", THIRD.name: "C", "digits": "digits"}


def told(action: Action) -> str:
    """An action in a few words: revisions by their letter."""
    match action:
        case WriteStatus():
            return "write status"
        case Delete():
            return f"delete {action.kind} {NAMES[action.name]}"
        case Scale():
            return f"scale {NAMES[action.manifest['metadata']['name']]} to {action.manifest['spec']['replicas']}"
        case Create():
            return f"create {action.kind} {NAMES[action.manifest['metadata']['name']]}"
        case Apply():
            return _apply_told(action)


def _apply_told(action: Apply) -> str:
    name = NAMES[action.manifest["metadata"]["name"]]
    if name == "digits":
        return f"point Service at {NAMES[action.manifest['spec']['selector']['plimsoll.dev/revision']]}"
    return f"retire {name}" if retired_annotation(action.manifest) else f"apply {action.kind} {name}"


def steps(decided: Plan) -> list[str]:
    return [told(action) for action in decided.actions]


def planned(owner: ModelDeployment, status: ModelDeploymentStatus | None, *parts: Child, **more: Any) -> list[str]:
    return steps(plan(observed(with_status(owner, status), *parts, **more), NOW))


def settled(*, defaults: Any = None) -> Observed:
    """A serves and everything is written."""
    world = observed(with_status(A, STABLE_A), *SERVING_A)
    (write,) = plan(world, NOW).actions
    assert isinstance(write, WriteStatus)
    world = replace(world, object=with_status(A, write.status))
    return replace(world, defaults=defaults) if defaults else world


def test_what_is_as_wanted_is_left_alone() -> None:
    assert plan(settled(), NOW) == Plan()
    assert plan(settled(), NOW + timedelta(days=365)) == Plan()


def test_an_upgrade_changes_nothing() -> None:
    assert plan(settled(defaults=UPGRADED_DEFAULTS), NOW) == Plan()


def test_the_first_revision_is_made_with_its_names_and_snapshot_before_its_pods() -> None:
    """A name that is taken costs nothing then, and no GPU."""
    assert planned(A, None) == [
        "create Service digits",
        "create ControllerRevision A",
        "create Service A",
        "create Deployment A",
        "write status",
    ]


def test_a_new_spec_is_made_beside_the_old_one() -> None:
    assert planned(B, STABLE_A, *SERVING_A) == [
        "create ControllerRevision B",
        "create Service B",
        "create Deployment B",
        "write status",
    ]


def test_promotion_marks_the_old_one_then_says_it_then_moves_the_service() -> None:
    decided = plan(observed(with_status(B, STABLE_A), *SERVING_A, *children_of(B, SECOND)), NOW)
    assert steps(decided) == ["retire A", "write status", "point Service at B"]
    assert decided.requeue_at == NOW + timedelta(seconds=30)


@pytest.mark.parametrize(
    "unready",
    [{"ready": 2}, {"updated_ready": 2}, {"pods": 4}, {"observed": False}, {"deleting": True}, {"replicas": 2}],
    ids=str,
)
def test_traffic_moves_only_to_a_complete_revision(unready: dict[str, Any]) -> None:
    owner = digits("b", replicas=3)
    candidate = {"replicas": 3, **unready}
    world = (*children_of(A, FIRST, replicas=3, owned_by=ReplicasOwner.PLIMSOLL), stable_service_of(A, FIRST))
    done = planned(owner, STABLE_A, *world, *children_of(owner, SECOND, **candidate))
    assert "point Service at B" not in done
    assert "retire A" not in done


def retired(seconds: float) -> tuple[Child, ...]:
    return children_of(A, FIRST, retired_at=ago(seconds=seconds))


def test_the_old_revision_drains() -> None:
    decided = plan(observed(with_status(B, STABLE_B), *retired(10), *SERVING_B), NOW)
    assert steps(decided) == ["write status"]
    assert decided.requeue_at == NOW + timedelta(seconds=20)


def test_the_old_revision_goes_after_the_drain() -> None:
    done = planned(B, STABLE_B, *retired(30), *SERVING_B)
    assert done == ["write status", "delete Deployment A", "delete Service A"]


@pytest.mark.parametrize(("drain", "gone"), [("10s", True), ("1m", False), ("0s", True)])
def test_the_drain_is_the_one_of_the_live_spec(drain: str, gone: bool) -> None:  # noqa: FBT001 - a column
    owner = digits("b", runtime={"drain": drain})
    assert ("delete Deployment A" in planned(owner, STABLE_B, *retired(30), *SERVING_B)) is gone


def test_deletions_name_the_very_object() -> None:
    decided = plan(observed(with_status(B, STABLE_B), *retired(30), *SERVING_B), NOW)
    assert [action.uid for action in decided.actions if isinstance(action, Delete)] == ["deployment-1", "service-1"]


def test_changes_name_the_very_object() -> None:
    """Else a Scale of a Deployment that is just gone would make half a Deployment in its place."""
    world = (*children_of(A, FIRST, replicas=2), stable_service_of(A, SECOND))
    decided = plan(observed(with_status(A, STABLE_A), *world), NOW)
    named = [a.manifest["metadata"]["uid"] for a in decided.actions if isinstance(a, Apply | Scale)]
    assert named == ["deployment-1", "service-stable"]


@pytest.mark.parametrize(
    ("parts", "done"),
    [
        pytest.param((*SERVING_A, *children_of(B, SECOND)), "retire A", id="before the mark: all of it again"),
        pytest.param(
            (*retired(5), stable_service_of(A, FIRST), *children_of(B, SECOND)), "retire A", id="before status"
        ),
    ],
)
def test_a_crash_before_status_promotes_again(parts: tuple[Child, ...], done: str) -> None:
    assert planned(B, STABLE_A, *parts) == [done, "write status", "point Service at B"]


def test_a_crash_before_the_service_moved_starts_the_drain_anew() -> None:
    parts = (*retired(3600), stable_service_of(A, FIRST), *children_of(B, SECOND))
    done = planned(B, STABLE_B, *parts)
    assert done == ["retire A", "write status", "point Service at B"]


def test_a_candidate_that_lost_its_pods_before_status_leaves_the_old_one_unmarked() -> None:
    parts = (*retired(5), stable_service_of(A, FIRST), *children_of(B, SECOND, ready=0))
    assert planned(B, STABLE_A, *parts) == ["apply Deployment A", "write status"]


def test_caches_of_two_moments_do_not_cost_the_drain() -> None:
    """The Service has moved but the mark on A, written before, has not been heard of yet."""
    assert planned(B, STABLE_B, *children_of(A, FIRST), *SERVING_B) == ["retire A", "write status"]


def test_going_back_in_mid_change_drops_what_never_served() -> None:
    done = planned(A, STABLE_A, *SERVING_A, *children_of(B, SECOND, ready=0))
    assert done == ["write status", "delete Deployment B", "delete Service B"]


def test_going_back_while_the_old_one_drains_is_at_once() -> None:
    done = planned(A, STABLE_B, *retired(10), *SERVING_B)
    assert done == ["apply Deployment A", "retire B", "write status", "point Service at A"]


def test_a_second_edit_replaces_the_candidate_and_not_what_serves() -> None:
    done = planned(C, STABLE_A, *SERVING_A, *children_of(B, SECOND, ready=0))
    assert [step for step in done if "delete" in step] == ["delete Deployment B", "delete Service B"]
    assert "create Deployment C" in done
    assert not any("point" in step for step in done)


def test_a_first_revision_that_answers_already_is_kept_when_it_is_replaced() -> None:
    unfinished = (*children_of(A, FIRST, replicas=1, ready=1), stable_service_of(A, FIRST))
    decided = plan(observed(with_status(B, ModelDeploymentStatus(observed_generation=1)), *unfinished), NOW)
    assert not any("delete" in step or "point" in step for step in steps(decided))
    (status,) = [action.status for action in decided.actions if isinstance(action, WriteStatus)]
    assert (status.stable, status.candidate) == (FIRST.name, SECOND.name)


def test_before_the_first_promotion_the_service_follows_the_spec() -> None:
    first = ModelDeploymentStatus(observed_generation=1)
    done = planned(B, first, *children_of(A, FIRST, ready=0), stable_service_of(A, FIRST))
    assert done[-3:] == ["point Service at B", "delete Deployment A", "delete Service A"]


def test_a_lost_status_is_found_again() -> None:
    decided = plan(observed(A, *SERVING_A), NOW)
    (write,) = decided.actions
    assert isinstance(write, WriteStatus)
    assert write.status.stable == FIRST.name


SCHEDULING = digits("a", generation=2, runtime={"pod": {"nodeSelector": {"pool": "gpu"}}})


def test_a_scheduling_edit_rolls_inside_the_revision() -> None:
    assert planned(SCHEDULING, STABLE_A, *SERVING_A) == ["apply Deployment A", "write status"]


def test_a_scheduling_edit_leaves_what_drains_alone() -> None:
    owner = digits("b", runtime={"pod": {"nodeSelector": {"pool": "gpu"}}})
    world = (*retired(10), *children_of(owner, SECOND), stable_service_of(owner, SECOND))
    assert planned(owner, STABLE_B, *world) == ["write status"]


def body_with(child: Any, **metadata: Any) -> Any:
    body = dict(child.body())
    return replace(child, packed=pack({**body, "metadata": {**body["metadata"], **metadata}}))


def test_drift_is_healed() -> None:
    deployment = body_with(deployment_of(A, FIRST), labels={"plimsoll.dev/model": "other"})
    service = body_with(stable_service_of(A, FIRST), annotations={})
    done = planned(A, STABLE_A, FIRST, deployment, revision_service_of(A, FIRST), service)
    assert done == ["apply Deployment A", "write status", "point Service at A"]


def test_what_others_add_is_left_alone() -> None:
    annotations = deployment_of(A, FIRST).body()["metadata"]["annotations"]
    deployment = body_with(deployment_of(A, FIRST), annotations={**annotations, "mesh.example.com/injected": "yes"})
    world = (FIRST, deployment, revision_service_of(A, FIRST), stable_service_of(A, FIRST))
    assert planned(A, STABLE_A, *world) == ["write status"]


@pytest.mark.parametrize(
    ("lost", "done"),
    [
        (0, "create ControllerRevision A"),
        (1, "create Deployment A"),
        (2, "create Service A"),
        (3, "create Service digits"),
    ],
)
def test_what_was_deleted_comes_back(lost: int, done: str) -> None:
    parts = [part for index, part in enumerate(SERVING_A) if index != lost]
    assert planned(A, STABLE_A, *parts)[0] == done


def test_a_snapshot_that_comes_back_restarts_nothing() -> None:
    seventh = revision_of(A, 7)
    world = (*children_of(A, seventh)[1:], stable_service_of(A, seventh))
    decided = plan(observed(with_status(A, STABLE_A), *world), NOW)
    assert steps(decided) == ["create ControllerRevision A", "write status"]
    (made,) = [action.manifest for action in decided.actions if isinstance(action, Create)]
    assert made["revision"] == 7


def test_what_is_being_deleted_is_awaited() -> None:
    going = [replace(part, deleting=True) for part in SERVING_A]
    assert planned(A, STABLE_A, *going) == ["write status"]


# Replicas

THREE = digits("a", generation=2, replicas=3)


@pytest.mark.parametrize(
    ("owner", "have", "owned_by", "done"),
    [
        pytest.param(THREE, 1, ReplicasOwner.NOBODY, ["scale A to 3"], id="scaled up"),
        pytest.param(A, 3, ReplicasOwner.PLIMSOLL, ["scale A to 1"], id="scaled down"),
        pytest.param(digits("a", replicas=0), 1, ReplicasOwner.NOBODY, ["scale A to 0"], id="scaled to zero"),
        pytest.param(THREE, 5, ReplicasOwner.SOMEBODY, ["scale A to 3"], id="kubectl scale deployment is undone"),
        pytest.param(THREE, 3, ReplicasOwner.SOMEBODY, ["scale A to 3"], id="claimed: an apply would reset it to 1"),
        pytest.param(THREE, 3, ReplicasOwner.PLIMSOLL, [], id="ours already"),
        pytest.param(A, 1, ReplicasOwner.NOBODY, [], id="1 is the default, so nobody needs to own it"),
        pytest.param(A, 1, ReplicasOwner.SOMEBODY, [], id="1 whoever owns it"),
        pytest.param(A, 7, ReplicasOwner.AUTOSCALER, [], id="an autoscaler's replicas are left alone"),
    ],
)
def test_replicas(owner: ModelDeployment, have: int, owned_by: ReplicasOwner, done: list[str]) -> None:
    world = (*children_of(owner, FIRST, replicas=have, owned_by=owned_by), stable_service_of(A, FIRST))
    assert planned(owner, STABLE_A, *world) == [*done, "write status"]


def test_replicas_are_claimed_before_the_rest_is_applied() -> None:
    owner = digits("a", generation=2, replicas=3, runtime={"pod": {"nodeSelector": {"pool": "gpu"}}})
    world = (*children_of(A, FIRST, replicas=3, owned_by=ReplicasOwner.SOMEBODY), stable_service_of(A, FIRST))
    assert planned(owner, STABLE_A, *world)[:2] == ["scale A to 3", "apply Deployment A"]


@pytest.mark.parametrize(
    ("owner", "autoscaled", "first"), [(digits("b", replicas=3), None, 3), (B, None, None), (B, 5, 5)]
)
def test_a_candidate_starts_with_as_many_as_are_wanted(
    owner: ModelDeployment, autoscaled: int | None, first: int | None
) -> None:
    stable = {"replicas": autoscaled, "owned_by": ReplicasOwner.AUTOSCALER} if autoscaled else {}
    world = (*children_of(A, FIRST, **stable), stable_service_of(A, FIRST))
    decided = plan(observed(with_status(owner, STABLE_A), *world), NOW)
    (made,) = [a.manifest for a in decided.actions if isinstance(a, Create) and a.kind == "Deployment"]
    assert made["spec"].get("replicas") == first


def test_what_drains_is_not_scaled() -> None:
    owner = digits("b", replicas=3)
    world = (*children_of(owner, SECOND, replicas=3, owned_by=ReplicasOwner.PLIMSOLL), stable_service_of(B, SECOND))
    assert planned(owner, STABLE_B, *retired(10), *world) == ["write status"]


# The end


def test_a_deletion_is_left_to_the_garbage_collector() -> None:
    metadata = A.metadata.model_copy(update={"deletion_timestamp": "2026-03-01T12:00:00Z"})
    assert plan(observed(A.model_copy(update={"metadata": metadata}), *SERVING_A), NOW) == Plan()


def test_history_is_bounded() -> None:
    old = [replace(revision_of(digits(letter), number), number=number) for number, letter in enumerate("bcdef", 2)]
    decided = plan(observed(with_status(A, STABLE_A), *SERVING_A, *old), NOW)
    assert [a.name for a in decided.actions if isinstance(a, Delete)] == [old[0].name, old[1].name]


def test_a_deployment_without_its_snapshot_is_left_until_it_is_not_used() -> None:
    """Nobody can render it any more."""
    orphaned = children_of(A, FIRST)[1:]
    serving = (*orphaned, stable_service_of(A, FIRST), *children_of(B, SECOND, ready=0))
    assert planned(B, STABLE_A, *serving) == ["write status"]
    assert planned(B, STABLE_B, *orphaned, *SERVING_B)[1:] == ["delete Deployment A", "delete Service A"]


@pytest.mark.parametrize(
    ("model", "reason", "told"),
    [
        ({"uri": "oci://registry.example.com/models/digits:v1"}, "DigestRequired", "spec.model.digest is missing"),
        ({"config": {"a": "x" * 103_000}}, "ConfigTooLarge", "spec.model.config makes the request"),
    ],
)
def test_a_spec_that_no_revision_can_be_made_of_says_so_and_changes_nothing(
    model: dict[str, Any], reason: str, told: str
) -> None:
    spec = A.spec.model_copy(update={"model": A.spec.model.model_copy(update=model)})
    decided = plan(observed(A.model_copy(update={"spec": spec, "status": STABLE_A}), *SERVING_A), NOW)
    assert steps(decided) == ["write status"]
    (announced,) = decided.announcements
    assert (announced.reason, announced.message.startswith(told)) == (reason, True)
