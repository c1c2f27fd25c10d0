"""A scale-down behind gateways as a sequence of plans: what is written in each turn, and in which order."""

from __future__ import annotations

import pytest
from tests.support.builders import (
    NOW,
    ago,
    children_of,
    digits,
    observed,
    pod_of,
    revision_of,
    stable_service_of,
    with_status,
)

from plimsoll.api.routing import RoutedRevision, Routing
from plimsoll.api.v1alpha1 import ModelDeploymentStatus
from plimsoll.core.actions import Action, Apply, MarkPod, Plan, Scale, WriteStatus
from plimsoll.core.drain.order import CHEAPEST
from plimsoll.core.names import DELETION_COST_ANNOTATION
from plimsoll.core.plan import plan
from plimsoll.core.world import Gateways, Observed, Pod, ReplicasOwner

TWO = digits("a", replicas=2)
FIRST, SECOND = revision_of(TWO, 1), revision_of(digits("b"), 2)


def routing(epoch: int, *draining: str) -> Routing:
    revision = RoutedRevision(name=FIRST.name, weight_permille=1000, draining=list(draining) or None)
    return Routing(epoch=epoch, revisions=[revision])


def pod(name: str, **more: object) -> Pod:
    return pod_of(FIRST, name, **{"running": True, "ready": True, "uid": f"uid-{name}", **more})


def told(action: Action) -> str:
    match action:
        case WriteStatus():
            routed = action.status.routing
            assert routed is not None
            drains = " ".join(pod for revision in routed.revisions for pod in revision.draining or ())
            return f"status, epoch {routed.epoch}: {drains or 'nothing'} drains"
        case MarkPod():
            cost = action.manifest["metadata"]["annotations"].get(DELETION_COST_ANNOTATION)
            return f"{action.manifest['metadata']['name']} {'first' if cost else 'marked'}"
        case Scale():
            return f"{action.manifest['spec']['replicas']} replicas"
        case Apply():
            return f"{action.kind} remembers"
    raise AssertionError(action)


def world(
    *pods: Pod,
    said: Routing,
    acknowledged: int = 3,
    in_flight: dict[str, int] | None = None,
    replicas: int = 3,
    gateway: bool = True,
    owned_by: ReplicasOwner = ReplicasOwner.PLIMSOLL,
) -> Observed:
    """Revision A serves with `replicas`, and two are wanted."""
    status = ModelDeploymentStatus(observed_generation=1, stable=FIRST.name, routing=said)
    service = stable_service_of(TWO, FIRST, routing=said, gateway=gateway)
    gateways = Gateways(ready=2, acknowledged=acknowledged, newest=acknowledged, in_flight=in_flight or {})
    children = children_of(TWO, FIRST, replicas=replicas, owned_by=owned_by)
    return observed(with_status(TWO, status), *children, service, *pods, gateways=gateways)


def steps(decided: Plan) -> list[str]:
    """What is done, less a status that says nothing new to gateways."""
    return [step for step in map(told, decided.actions) if step != "status, epoch 3: nothing drains"]


A, B, C = pod("a"), pod("b"), pod("c", created_at=ago(seconds=30))
DRAINS = pod("c", created_at=ago(seconds=30), draining_since=ago(seconds=1))
CHEAP = pod("c", created_at=ago(seconds=30), draining_since=ago(seconds=1), deletion_cost=CHEAPEST)


@pytest.mark.parametrize(
    ("decided", "done"),
    [
        pytest.param(
            plan(world(A, B, C, said=routing(3)), NOW),
            ["Service remembers", "c marked", "status, epoch 4: c drains"],
            id="chosen, and named when the epoch is remembered and the time noted",
        ),
        pytest.param(
            plan(world(A, B, DRAINS, said=routing(4, "c"), acknowledged=3), NOW),
            ["status, epoch 4: c drains"],
            id="gateways have not followed",
        ),
        pytest.param(
            plan(world(A, B, DRAINS, said=routing(4, "c"), acknowledged=4, in_flight={"c": 0}), NOW),
            ["c first", "status, epoch 4: c drains"],
            id="drained",
        ),
        pytest.param(
            plan(world(A, B, CHEAP, said=routing(4, "c"), acknowledged=4, in_flight={"c": 0}), NOW),
            ["2 replicas", "status, epoch 4: c drains"],
            id="the replicas fall in a turn of their own",
        ),
        pytest.param(
            plan(world(A, B, said=routing(4, "c"), acknowledged=4, replicas=2), NOW),
            ["Service remembers", "status, epoch 5: nothing drains"],
            id="gone",
        ),
        pytest.param(
            plan(world(A, B, C, said=routing(3), gateway=False, acknowledged=2), NOW), ["2 replicas"], id="past"
        ),
        pytest.param(
            plan(world(A, B, C, said=routing(3), owned_by=ReplicasOwner.AUTOSCALER), NOW),
            [],
            id="replicas that an autoscaler owns",
        ),
        pytest.param(
            plan(world(A, B, C, said=routing(3), owned_by=ReplicasOwner.SOMEBODY), NOW),
            ["Service remembers", "3 replicas", "c marked", "status, epoch 4: c drains"],
            id="replicas that somebody set are claimed before they fall",
        ),
    ],
)
def test_each_turn(decided: Plan, done: list[str]) -> None:
    assert steps(decided) == done


def test_while_pods_drain_the_status_says_so_and_promises_to_look_again() -> None:
    decided = plan(world(A, B, DRAINS, said=routing(4, "c"), acknowledged=4, in_flight={"c": 2}), NOW)
    (status,) = [action.status for action in decided.actions if isinstance(action, WriteStatus)]
    ready = next(condition for condition in status.conditions or () if condition.type == "Ready")
    assert (ready.status, ready.reason) == ("True", "Draining")
    assert "1 of 3 model servers get no new request" in ready.message
    assert decided.requeue_at is not None
    assert (decided.requeue_at - NOW).total_seconds() == 29


def test_a_revision_that_is_replaced_in_the_middle_is_named_no_more_and_goes_as_a_whole() -> None:
    owner = digits("b", replicas=2)
    said = routing(4, "c")
    status = ModelDeploymentStatus(observed_generation=1, stable=FIRST.name, routing=said)
    world = observed(
        with_status(owner, status),
        *children_of(TWO, FIRST, replicas=3),
        *children_of(owner, SECOND, replicas=2, owned_by=ReplicasOwner.PLIMSOLL),
        stable_service_of(TWO, FIRST, routing=said, gateway=True),
        *(A, B, DRAINS),
        gateways=Gateways(ready=2, acknowledged=4, newest=4, in_flight={"c": 0}),
    )
    decided = plan(world, NOW)
    (status,) = [action.status for action in decided.actions if isinstance(action, WriteStatus)]
    assert status.routing == Routing(epoch=5, revisions=[RoutedRevision(name=SECOND.name, weight_permille=1000)])
    assert not any(isinstance(action, Scale | MarkPod) for action in decided.actions)
