"""What is done about a namespace's gateways, situation by situation."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.support.fleets import (
    DIGITS,
    NOW,
    OFF,
    SETTINGS,
    UID,
    UPGRADED,
    VISION,
    ago,
    companion_of,
    companions_of,
    deployment_of,
    fleet,
    models_policy_of,
    steps,
    stranger,
    whole_fleet,
)

from plimsoll.core.actions import ChildKind, Mark, Scale
from plimsoll.core.fleet.observed import ModelHere, ObservedFleet, Upgrades
from plimsoll.core.fleet.plan import DRAIN, LINGER, LOAD_PERIOD, TURN, FleetPlan, plan_fleet
from plimsoll.core.fleet.replicas import Load
from plimsoll.core.names import GATEWAY_NAME, MODELS_POLICY_NAME, RETIRED_AT_ANNOTATION
from plimsoll.core.render.gateway import render_gateway_deployment
from plimsoll.core.render.gateway_companions import render_companions
from plimsoll.core.world import FailureKind, ReplicasOwner

LONG_AGO = ago(hours=1)
BEHIND = {"digits": LONG_AGO}
COMPANIONS = ["ServiceAccount", "RoleBinding", "ConfigMap", "PodDisruptionBudget", "NetworkPolicy"]


def plan(observed: ObservedFleet) -> FleetPlan:
    return plan_fleet(observed, NOW)


def only(planned: FleetPlan) -> Any:
    (action,) = planned.actions
    return action


# ---- creation


def test_nothing_is_done_where_nothing_is_wanted_and_nothing_is_there() -> None:
    assert plan(fleet()) == plan(fleet(settings=OFF)) == FleetPlan()


def test_nothing_is_done_when_all_is_as_wanted() -> None:
    assert plan(whole_fleet()) == FleetPlan()
    shielded = replace(whole_fleet(), behind=BEHIND)
    policy = models_policy_of()
    assert (
        plan(replace(shielded, companions={**shielded.companions, (policy.kind, policy.name): policy})) == FleetPlan()
    )


def test_the_first_model_deployment_makes_the_anchor_without_pods() -> None:
    action = only(plan(fleet(DIGITS)))
    assert steps(plan(fleet(DIGITS))) == ["Create Deployment"]
    assert action.manifest["spec"]["replicas"] == 0
    assert "ownerReferences" not in action.manifest["metadata"]


def test_pods_come_last_when_all_that_they_need_is_there() -> None:
    bare = fleet(DIGITS, deployment=deployment_of(replicas=0, replicas_owner=ReplicasOwner.SOMEBODY))
    assert steps(plan(bare)) == [*(f"Create {kind}" for kind in COMPANIONS), "Scale Deployment"]
    assert plan(bare).actions[-1].manifest["spec"]["replicas"] == 2


def test_what_belongs_to_the_fleet_goes_with_its_deployment() -> None:
    bare = fleet(DIGITS, deployment=deployment_of(replicas=0))
    for action in plan(bare).actions[:-1]:
        (owner,) = action.manifest["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["name"], owner["uid"]) == ("Deployment", GATEWAY_NAME, UID)
        assert not owner["blockOwnerDeletion"]


@pytest.mark.parametrize("kind", COMPANIONS)
def test_what_somebody_deletes_is_made_again(kind: str) -> None:
    rest = [one for one in companions_of() if one.kind != kind]
    assert steps(plan(fleet(DIGITS, deployment=deployment_of(), companions=rest))) == [f"Create {kind}"]


@pytest.mark.parametrize("kind", COMPANIONS)
def test_what_somebody_changes_is_put_right(kind: str) -> None:
    changed = [
        one if one.kind != kind else replace(one, packed=companions_of(UPGRADED, uid="other")[0].packed)
        for one in companions_of()
    ]
    planned = plan(fleet(DIGITS, deployment=deployment_of(), companions=changed))
    assert steps(planned) == [f"Apply {kind}"]
    assert only(planned).manifest["metadata"]["uid"] == f"{kind.lower()}-1", "and nothing else in its place"


def test_what_belonged_to_a_deployment_that_was_deleted_gets_the_new_one_as_owner() -> None:
    planned = plan(fleet(DIGITS, deployment=deployment_of(), companions=companions_of(uid="gone")))
    assert steps(planned) == [f"Apply {kind}" for kind in COMPANIONS]


def test_what_is_on_its_way_out_is_waited_for() -> None:
    leaving = [replace(one, deleting=True) for one in companions_of(uid="gone")]
    assert plan(fleet(DIGITS, deployment=deployment_of(), companions=leaving)).actions == ()
    assert plan(fleet(DIGITS, deployment=deployment_of(deleting=True))) == FleetPlan()
    assert plan(fleet(deployment=deployment_of(deleting=True))) == FleetPlan()


@pytest.mark.parametrize(
    ("kind", "name"),
    [*((ChildKind(kind), GATEWAY_NAME) for kind in COMPANIONS), (ChildKind.NETWORK_POLICY, MODELS_POLICY_NAME)],
)
@pytest.mark.parametrize("made", [True, False], ids=["fleet exists", "before the fleet exists"])
def test_a_strangers_object_is_left_alone_and_nothing_is_made_beside_it(
    kind: ChildKind, name: str, *, made: bool
) -> None:
    planned = plan(fleet(DIGITS, deployment=deployment_of() if made else None, companions=[stranger(kind, name)]))
    assert planned.actions == ()
    assert planned.trouble is not None
    assert (planned.trouble.kind, planned.trouble.reason) == (FailureKind.INVALID, "NameConflict")
    assert planned.trouble.message.startswith(f"{kind} {name} exists and is not one of the operator's")


# ---- removal


def last_gone(since: Any, **more: Any) -> ObservedFleet:
    return replace(whole_fleet(retired_at=since), models=(), **more)


def test_the_end_of_the_last_model_deployment_is_written_down() -> None:
    planned = plan(last_gone(None))
    action = only(planned)
    assert isinstance(action, Mark)
    assert action.manifest["metadata"]["annotations"] == {RETIRED_AT_ANNOTATION: NOW.isoformat()}
    assert "spec" not in action.manifest, "a mark restarts no pod"
    assert planned.requeue_at == NOW + LINGER


@pytest.mark.parametrize(
    ("minutes", "wanted", "again"),
    [
        (0, [], 10.0),
        (9.99, [], 0.01),
        (10, ["Delete Deployment"], None),
        (600, ["Delete Deployment"], None),
    ],
)
def test_ten_minutes_later_the_gateways_go(minutes: float, wanted: list[str], again: float | None) -> None:
    planned = plan(last_gone(ago(minutes=minutes)))
    assert steps(planned) == wanted
    waits = (planned.requeue_at - NOW) / timedelta(minutes=1) if planned.requeue_at else None
    assert waits == (pytest.approx(again) if again else None)


def test_one_deletion_takes_all() -> None:
    action = only(plan(last_gone(ago(minutes=10))))
    assert (action.kind, action.uid) == (ChildKind.DEPLOYMENT, UID)


def test_a_mark_of_the_future_is_written_anew() -> None:
    """The clock was set back, or somebody edited it; the fleet would stay for as long as it says."""
    assert steps(plan(last_gone(NOW + timedelta(days=9)))) == ["Mark Deployment"]


def test_a_model_deployment_that_comes_back_takes_the_mark_away_and_restarts_nothing() -> None:
    planned = plan(whole_fleet(retired_at=ago(minutes=9)))
    assert steps(planned) == ["Mark Deployment"]
    assert only(planned).manifest["metadata"]["annotations"] == {}


def switched_off(**more: Any) -> ObservedFleet:
    return fleet(settings=OFF, **{"deployment": deployment_of(), **more})


def test_gateways_that_are_switched_off_stay_while_a_service_leads_to_them() -> None:
    assert plan(switched_off(behind=BEHIND)) == FleetPlan()


def test_gateways_that_are_switched_off_go_a_drain_after_the_last_service_has_left_them() -> None:
    assert steps(plan(switched_off())) == ["Mark Deployment"]
    assert plan(switched_off()).requeue_at == NOW + DRAIN
    for past, wanted in ((DRAIN - timedelta(seconds=1), []), (DRAIN, ["Delete Deployment"])):
        assert steps(plan(switched_off(deployment=deployment_of(retired_at=NOW - past)))) == wanted


def test_a_service_that_leads_to_them_again_begins_the_drain_anew() -> None:
    marked = deployment_of(retired_at=ago(seconds=59))
    assert steps(plan(switched_off(behind=BEHIND, deployment=marked))) == ["Mark Deployment"]


def test_model_pods_are_opened_before_anything_else_when_gateways_are_switched_off() -> None:
    policy = models_policy_of()
    assert steps(plan(switched_off(behind=BEHIND, companions=[policy]))) == ["Delete NetworkPolicy (models)"]
    assert steps(plan(switched_off(companions=[policy]))) == ["Delete NetworkPolicy (models)", "Mark Deployment"]
    theirs = stranger(ChildKind.NETWORK_POLICY, MODELS_POLICY_NAME)
    assert plan(switched_off(behind=BEHIND, companions=[theirs])) == FleetPlan()


# ---- upgrade


ALONE = Upgrades()


def outdated(*models: ModelHere, upgrades: Upgrades = ALONE, **deployment: Any) -> ObservedFleet:
    return fleet(
        *(models or (DIGITS,)),
        deployment=deployment_of(SETTINGS, **deployment),
        companions=companions_of(),
        settings=UPGRADED,
        upgrades=upgrades,
    )


ROLLING_OUT = ModelHere("letters", rolling_out=True)


@pytest.mark.parametrize(
    ("running", "waiting", "allowed"),
    [
        ("", "", True),
        ("a b", "", True),
        ("a b c", "", False),
        ("", "a b", True),
        ("", "a b c", False),
        ("", "x y z", True),
        ("z", "a", True),
        ("z", "a b", False),
        ("w x y z", "", False),
    ],
)
def test_upgrades_take_turns_by_name(running: str, waiting: str, *, allowed: bool) -> None:
    planned = plan(outdated(upgrades=Upgrades(frozenset(running.split()), frozenset(waiting.split()))))
    assert steps(planned) == (["Apply Deployment"] if allowed else [])
    assert planned.requeue_at == (None if allowed else NOW + TURN)


def test_an_upgrade_touches_pods_and_leaves_replicas_to_their_manager() -> None:
    manifest = only(plan(outdated())).manifest
    assert "replicas" not in manifest["spec"]
    assert manifest["spec"]["template"]["spec"]["containers"][0]["image"] == UPGRADED.image
    assert manifest["metadata"]["uid"] == UID


def test_a_roll_out_is_not_disturbed_by_an_upgrade() -> None:
    assert plan(outdated(DIGITS, ROLLING_OUT)) == FleetPlan(), "its end sends an event"


def test_an_upgrade_that_has_begun_goes_on() -> None:
    busy = Upgrades(frozenset("abc"))
    assert steps(plan(outdated(upgrades=busy, outdated=1, pods=3))) == ["Apply Deployment"]


@pytest.mark.parametrize("models", [(DIGITS,), (DIGITS, ROLLING_OUT)], ids=["at rest", "in a roll-out"])
def test_where_no_gateway_is_ready_there_is_nothing_to_protect(models: tuple[ModelHere, ...]) -> None:
    broken = outdated(*models, upgrades=Upgrades(frozenset("abc")), ready=0, outdated=2)
    assert steps(plan(broken)) == ["Apply Deployment"]


def test_what_is_about_to_go_is_not_upgraded() -> None:
    observed = replace(outdated(retired_at=ago(minutes=1)), models=())
    assert plan(observed).actions == ()


# ---- size


@pytest.mark.parametrize(
    ("have", "owner", "wanted"),
    [
        (2, ReplicasOwner.PLIMSOLL, None),
        (5, ReplicasOwner.PLIMSOLL, None),
        (2, ReplicasOwner.NOBODY, 2),
        (2, ReplicasOwner.SOMEBODY, 2),
        (0, ReplicasOwner.SOMEBODY, 2),
        (1, ReplicasOwner.PLIMSOLL, 2),
        (11, ReplicasOwner.PLIMSOLL, 10),
        (7, ReplicasOwner.AUTOSCALER, None),
        (1, ReplicasOwner.AUTOSCALER, None),
        (0, ReplicasOwner.AUTOSCALER, 2),
    ],
)
def test_replicas_without_a_known_load(have: int, owner: ReplicasOwner, wanted: int | None) -> None:
    planned = plan(whole_fleet(replicas=have, replicas_owner=owner))
    assert [action.manifest["spec"] for action in planned.actions if isinstance(action, Scale)] == (
        [] if wanted is None else [{"replicas": wanted}]
    )


BUSY = Load({"a": 0.9, "b": 0.9}, peak=1.8)
IDLE = Load({"a": 0.1, "b": 0.1, "c": 0.1, "d": 0.1}, peak=0.4)


@pytest.mark.parametrize(
    ("load", "deployment", "wanted"),
    [
        pytest.param(BUSY, {"replicas": 2}, 3, id="more under load"),
        pytest.param(BUSY, {"replicas": 2, "updated_ready": 1}, 3, id="also while one is not ready"),
        pytest.param(IDLE, {"replicas": 4}, 2, id="fewer when idle"),
        pytest.param(IDLE, {"replicas": 4, "updated_ready": 3}, None, id="but not while pods come and go"),
    ],
)
def test_replicas_follow_the_load(load: Load, deployment: dict[str, Any], wanted: int | None) -> None:
    planned = plan(replace(whole_fleet(**deployment), load=load))
    assert [action.manifest["spec"]["replicas"] for action in planned.actions] == ([] if wanted is None else [wanted])
    assert planned.requeue_at == NOW + LOAD_PERIOD


def test_replicas_are_claimed_before_the_rest_is_applied() -> None:
    """An apply that no longer states them would reset them to the default, 1."""
    planned = plan(outdated(replicas=2, replicas_owner=ReplicasOwner.SOMEBODY))
    assert steps(planned) == ["Scale Deployment", "Apply Deployment"]


# ---- model pods


def test_model_pods_are_closed_when_their_service_has_led_to_gateways_for_a_while() -> None:
    planned = plan(replace(whole_fleet(), behind=BEHIND))
    assert steps(planned) == ["Create NetworkPolicy (models)"]


def test_model_pods_are_opened_when_the_last_reason_to_close_them_is_gone() -> None:
    direct = replace(DIGITS, direct=True)
    observed = fleet(
        direct, deployment=deployment_of(), companions=[*companions_of(), models_policy_of()], behind=BEHIND
    )
    assert steps(plan(observed)) == ["Delete NetworkPolicy (models)"]


def test_the_policies_are_made_with_what_is_observed() -> None:
    """A guard for the builders: the world that they build is the one that the renderer makes."""
    rendered = [companion_of(manifest) for manifest in render_companions(VISION, SETTINGS, UID)]
    assert rendered == companions_of()
    assert "replicas" not in render_gateway_deployment(VISION, SETTINGS)["spec"]
