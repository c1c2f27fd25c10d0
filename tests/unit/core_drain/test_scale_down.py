"""One turn of a revision that gets smaller behind gateways: who drains, who may go, and what to write."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.support.builders import (
    NOW,
    ago,
    deployment_of,
    digits,
    observed,
    pod_of,
    revision_of,
    stable_service_of,
    with_status,
)

from plimsoll.api.routing import RoutedRevision, Routing
from plimsoll.api.v1alpha1 import ModelDeploymentStatus
from plimsoll.core.actions import MarkPod
from plimsoll.core.drain.order import CHEAPEST
from plimsoll.core.drain.scale_down import ScaleDown, scale_down
from plimsoll.core.names import DELETION_COST_ANNOTATION, DRAINING_SINCE_ANNOTATION
from plimsoll.core.world import Gateways, Pod

A = digits()
REVISION = revision_of(A)
DRAIN = timedelta(seconds=30)
EPOCH = 7


def pod(name: str, *, since_s: float | None = None, **more: object) -> Pod:
    """A pod that serves; `a` is the oldest. It drains since that many seconds ago."""
    since = None if since_s is None else ago(seconds=since_s)
    fields = {"running": True, "ready": True, "uid": f"uid-{name}", "template": "5d8f", "draining_since": since}
    return pod_of(REVISION, name, created_at=ago(minutes=200 - ord(name[0])), **{**fields, **more})


def cheapest(name: str, *, since_s: float = 5, **more: object) -> Pod:
    return pod(name, since_s=since_s, deletion_cost=CHEAPEST, **more)


def ending(name: str, **more: object) -> Pod:
    return cheapest(name, deleting=True, **more)


def follow(epoch: int = EPOCH, ready: int = 2, **in_flight: int) -> Gateways:
    """Gateways that follow an epoch; what they tell of pods that drain is by name."""
    return Gateways(ready=ready, acknowledged=epoch, newest=epoch, in_flight=in_flight)


def decide(
    pods: Iterable[Pod],
    wanted: int,
    *,
    replicas: int | None = None,
    named: Iterable[str] = (),
    gateways: Gateways | None = None,
    revisions: list[RoutedRevision] | None = None,
    through: bool = True,
) -> ScaleDown:
    """What becomes of the pods; `named` are those that status names as draining."""
    pods = list(pods)
    replicas = sum(not each.deleting for each in pods) if replicas is None else replicas
    if revisions is None:
        revisions = [RoutedRevision(name=REVISION.name, weight_permille=1000, draining=sorted(named) or None)]
    routing = Routing(epoch=EPOCH, revisions=revisions)
    status = ModelDeploymentStatus(observed_generation=1, stable=REVISION.name, routing=routing)
    deployment = deployment_of(A, REVISION, replicas=replicas)
    service = stable_service_of(A, REVISION, routing=routing, gateway=through)
    world = observed(with_status(A, status), REVISION, deployment, service, *pods, gateways=gateways or follow())
    return scale_down(world, deployment, wanted, DRAIN, NOW)


def marks(decided: ScaleDown) -> list[str]:
    return [_told(mark) for mark in decided.marks]


def _told(mark: MarkPod) -> str:
    metadata = mark.manifest["metadata"]
    since = metadata["annotations"].get(DRAINING_SINCE_ANNOTATION)
    if since is None:
        return f"{metadata['name']} stays"
    cost = metadata["annotations"].get(DELETION_COST_ANNOTATION)
    return f"{metadata['name']} {'goes first' if cost == str(CHEAPEST) else 'drains'}"


A_, B_, C_ = pod("a"), pod("b"), pod("c")


# ---- the steps of one scale-down ----
@pytest.mark.parametrize(
    ("pods", "named", "gateways", "replicas", "draining", "written"),
    [
        pytest.param([A_, B_, C_], "", follow(), 3, "c", ["c drains"], id="chosen"),
        pytest.param([A_, B_, pod("c", since_s=1)], "c", follow(6), 3, "c", [], id="a gateway has not followed"),
        pytest.param([A_, B_, pod("c", since_s=1)], "c", follow(c=2), 3, "c", [], id="requests are in flight"),
        pytest.param([A_, B_, pod("c", since_s=1)], "c", follow(), 3, "c", [], id="a gateway did not say: not zero"),
        pytest.param([A_, B_, pod("c", since_s=1)], "c", follow(6, c=0), 3, "c", [], id="zero of an older epoch"),
        pytest.param([A_, B_, pod("c", since_s=1)], "c", follow(c=0), 3, "c", ["c goes first"], id="drained"),
        pytest.param([A_, B_, cheapest("c")], "c", follow(c=0), 2, "c", [], id="marked, so the replicas fall"),
        pytest.param([A_, B_, C_], "c", follow(c=0), 3, "c", ["c drains"], id="named, but the mark was lost"),
        pytest.param([A_, B_, pod("c", since_s=900)], "", follow(), 3, "c", ["c drains"], id="an old mark is no start"),
    ],
)
def test_three_pods_become_two(
    pods: list[Pod], named: str, gateways: Gateways, replicas: int, draining: str, written: list[str]
) -> None:
    decided = decide(pods, 2, named=named, gateways=gateways)
    assert (decided.replicas, "".join(decided.draining), marks(decided)) == (replicas, draining, written)


def test_after_the_replicas_were_set_names_stay_until_the_pods_are_gone() -> None:
    for pods in ([A_, B_, cheapest("c")], [A_, B_, ending("c")]):
        decided = decide(pods, 2, replicas=2, named="c", gateways=follow(c=0))
        assert (decided.replicas, decided.draining, decided.waiting, marks(decided)) == (2, ("c",), 0, [])
    assert decide([A_, B_], 2, replicas=2, named="c") == ScaleDown(2)


def test_no_more_replicas_go_than_have_drained() -> None:
    pods = [A_, pod("b", since_s=1), cheapest("c")]
    decided = decide(pods, 1, named="bc", gateways=follow(b=1, c=0))
    assert (decided.replicas, decided.draining, marks(decided)) == (2, ("b", "c"), [])


def test_scaled_to_zero_every_pod_drains() -> None:
    decided = decide([A_, B_], 0)
    assert (decided.replicas, decided.draining, marks(decided)) == (2, ("a", "b"), ["a drains", "b drains"])


# ---- what happens in between ----
@pytest.mark.parametrize(
    ("pods", "wanted", "replicas", "expected", "draining", "written"),
    [
        pytest.param([A_, B_, pod("c", since_s=1)], 3, 3, 3, "", ["c stays"], id="wanted again before it went"),
        pytest.param([A_, B_, cheapest("c")], 3, 3, 3, "", ["c stays"], id="wanted again when it was about to"),
        pytest.param([A_, B_, cheapest("c")], 3, 2, 3, "c", [], id="too late: raised first, and named until then"),
        pytest.param([A_, pod("b"), pod("c", since_s=1)], 1, 3, 3, "bc", ["b drains", "c goes first"], id="fewer yet"),
        pytest.param([A_, B_, ending("c")], 1, 2, 2, "bc", ["b drains"], id="fewer still while the first one ends"),
        pytest.param([A_, B_], 2, 3, 2, "", [], id="somebody deleted the pod"),
        pytest.param(
            [A_, pod("b", ready=False), cheapest("c")], 2, 3, 3, "b", ["b drains", "c stays"], id="b fell ill"
        ),
    ],
)
def test_in_the_middle(
    pods: list[Pod], wanted: int, replicas: int, expected: int, draining: str, written: list[str]
) -> None:
    decided = decide(pods, wanted, replicas=replicas, named="c", gateways=follow(c=0))
    assert (decided.replicas, "".join(decided.draining), marks(decided)) == (expected, draining, written)


def test_a_pod_of_a_roll_under_way_does_not_go_for_fewer_replicas_before_its_time() -> None:
    """Two ReplicaSets share what is taken away, in no order that is known here."""
    old, new = cheapest("c", template="0ld"), A_
    assert decide([new, B_, old], 2, named="c", gateways=follow(c=0)).replicas == 3
    late = cheapest("c", template="0ld", since_s=31)
    assert decide([new, B_, late], 2, named="c", gateways=follow(c=0)).replicas == 2


def test_the_pod_that_a_roll_makes_beyond_the_replicas_is_nobodys_scale_down() -> None:
    assert decide([A_, B_, C_], 2, replicas=2) == ScaleDown(2)


# ---- who is not waited for ----
@pytest.mark.parametrize(
    ("since_s", "gateways", "goes", "said"),
    [
        pytest.param(29, follow(c=3), False, "", id="in flight"),
        pytest.param(31, follow(c=3), True, "3 requests were in flight there; a longer runtime.drain", id="for long"),
        pytest.param(31, follow(), True, "gateways did not say what is in flight", id="never said"),
        pytest.param(31, follow(6), False, "", id="not followed yet"),
        pytest.param(89, follow(0), False, "", id="a gateway is unreachable"),
        pytest.param(91, follow(0), True, "not every gateway has said that it sends no more", id="and stays so"),
        pytest.param(91, follow(ready=0), True, "look at Deployment plimsoll-gateway", id="none is ready"),
        pytest.param(-500, follow(c=3), False, "", id="the clock was set back"),
    ],
)
def test_nobody_is_waited_for_without_end_and_going_on_is_told(
    since_s: float,
    gateways: Gateways,
    goes: bool,  # noqa: FBT001 - a table
    said: str,
) -> None:
    decided = decide([A_, B_, pod("c", since_s=since_s)], 2, named="c", gateways=gateways)
    assert marks(decided) == (["c goes first"] if goes else [])
    assert [told.reason for told in decided.announcements] == (["DrainTimedOut"] if goes else [])
    assert all(said in told.message for told in decided.announcements)
    assert (decided.look_at is None) == goes
    assert decided.look_at is None or decided.look_at > NOW


def test_going_on_is_told_once() -> None:
    decided = decide([A_, B_, cheapest("c", since_s=31)], 2, named="c", gateways=follow(c=3))
    assert (decided.replicas, decided.announcements, decided.look_at) == (2, (), None)


# ---- where nobody can be asked, or need be ----
def test_past_the_gateways_it_is_at_once() -> None:
    assert decide([A_, B_, C_], 1, through=False) == ScaleDown(1)
    world = observed(A, REVISION, stable_service_of(A, REVISION), A_, B_)
    assert scale_down(world, deployment_of(A, REVISION, replicas=2), 1, DRAIN, NOW) == ScaleDown(1)


def test_a_revision_that_all_gateways_have_forgotten_goes_without_draining() -> None:
    other = [RoutedRevision(name="another", weight_permille=1000)]
    assert marks(decide([A_], 0, revisions=other)) == ["a drains"]
    drains = pod("a", since_s=0.1)
    assert marks(decide([drains], 0, revisions=other, gateways=follow(6))) == []
    assert marks(decide([drains], 0, revisions=other)) == ["a goes first"]
    assert decide([cheapest("a")], 0, revisions=other).replicas == 0


def test_what_a_restored_status_names_counts_for_nothing() -> None:
    """Gateways follow a newer epoch, in which the pod may serve."""
    newer = replace(follow(c=0), newest=EPOCH + 2, acknowledged=EPOCH + 2)
    decided = decide([A_, B_, cheapest("c", since_s=900)], 2, named="c", gateways=newer)
    assert (decided.replicas, marks(decided)) == (3, ["c drains"])


def test_a_thousand_at_a_time() -> None:
    pods = [replace(A_, name=f"a-{number:04}", uid=f"uid-{number}") for number in range(1100)]
    decided = decide(pods, 0)
    assert (len(decided.draining), len(decided.marks), decided.replicas) == (1000, 1000, 1100)
