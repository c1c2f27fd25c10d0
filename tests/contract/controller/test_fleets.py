"""The gateways of namespaces, made and removed by the whole controller against a fake API server."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from tests.contract.controller.whole_controller import NAME, TEAM, Running, World, is_write, turns
from tests.support.controller_process import OPERATOR_IMAGE
from tests.support.fakeapi.faults import Asked
from tests.support.fakeapi.load import model_deployment

from plimsoll.core.fleet.state import FleetPhase
from plimsoll.core.names import GATEWAY_NAME, MODELS_POLICY_NAME, RETIRED_AT_ANNOTATION
from plimsoll.kube.resources import (
    CONFIGMAPS,
    DEPLOYMENTS,
    MODELDEPLOYMENTS,
    NETWORKPOLICIES,
    PODDISRUPTIONBUDGETS,
    ROLEBINDINGS,
    SECRETS,
    SERVICEACCOUNTS,
    JsonObject,
    Resource,
)
from plimsoll.monitoring.metrics import FLEET_RECONCILES

ON = {"enabled": True}
COMPANIONS = (SERVICEACCOUNTS, ROLEBINDINGS, CONFIGMAPS, PODDISRUPTIONBUDGETS, NETWORKPOLICIES)
BIRTH = [f"apply {kind} {GATEWAY_NAME}" for kind in ("Deployment", *(one.kind for one in COMPANIONS), "Deployment")]
PENDING: JsonObject = {"phase": "Pending", "conditions": [{"type": "Ready", "status": "False"}]}


def to_fleet(world: World) -> list[str]:
    return [write for write in world.journal.writes if write.endswith((f" {GATEWAY_NAME}", f" {MODELS_POLICY_NAME}"))]


def gateways(world: World, namespace: str = TEAM) -> JsonObject | None:
    return world.api.cluster.find(DEPLOYMENTS, namespace, GATEWAY_NAME)


def parts(world: World) -> list[str]:
    """Kinds of what there is under the fleet's name."""
    return [
        resource.kind for resource in (DEPLOYMENTS, *COMPANIONS) if world.api.cluster.find(resource, TEAM, GATEWAY_NAME)
    ]


async def ready(world: World, running: Running) -> None:
    await world.until(lambda: running.fleet().phase is FleetPhase.READY and running.fleet().ready == 2)


def keeps_its_key(world: World) -> None:
    """The chart makes this Secret; a controller with another key at each start would replace the gateways each time."""
    world.api.cluster.add(SECRETS, {"metadata": {"name": "plimsoll-report-key", "namespace": "default"}})


async def test_switched_off_nothing_is_made_and_nothing_is_asked(operated: World) -> None:
    """Nor are the rights to do so granted."""
    kinds = {resource.kind for resource in COMPANIONS} - {"ConfigMap"}
    asked = operated.journal.fail(403, times=None, where=lambda asked: asked.kind in kinds)
    operated.apply()
    async with operated.controller() as running:
        await operated.becomes_ready()
        await operated.quiet()
        assert running.fleet().phase is FleetPhase.ABSENT
    assert (to_fleet(operated), parts(operated), asked.hits) == ([], [], 0)


async def test_the_first_model_deployment_brings_them_and_the_next_looks_write_nothing(operated: World) -> None:
    keeps_its_key(operated)
    operated.apply()
    async with operated.controller(gateway=ON, resyncPeriod="30s") as running:
        await ready(operated, running)
        await operated.becomes_ready()
        await operated.quiet()
        assert to_fleet(operated) == BIRTH
        operated.apply(name="letters")
        await operated.becomes_ready("letters")
        await operated.passes(700, step_s=4)
        assert to_fleet(operated) == BIRTH, "nor when everything is read anew"
    async with operated.controller(gateway=ON) as running:
        await ready(operated, running)
        await operated.quiet()
    assert to_fleet(operated) == BIRTH, "nor after a restart"


def beyond_its_rights(asked: Asked) -> bool:
    """What the chart does not grant, for kinds that only gateways need."""
    allowed = {
        "ServiceAccount": {"get", "apply"},
        "RoleBinding": {"get", "apply"},
        "PodDisruptionBudget": {"get", "apply"},
        "NetworkPolicy": {"get", "apply", "delete"},
    }
    if asked.kind not in allowed:
        return asked.kind == "ConfigMap" and asked.verb == "delete"
    names = {GATEWAY_NAME, MODELS_POLICY_NAME} if asked.kind == "NetworkPolicy" else {GATEWAY_NAME}
    return asked.verb not in allowed[asked.kind] or asked.name not in names


async def test_it_needs_no_more_rights_than_the_chart_grants(operated: World) -> None:
    refused = operated.journal.fail(403, times=None, where=beyond_its_rights)
    operated.apply()
    async with operated.controller(gateway=ON) as running:
        await ready(operated, running)
        operated.delete(MODELDEPLOYMENTS)
        await operated.passes(605, step_s=4)
        await operated.until(lambda: gateways(operated) is None)
    async with operated.controller() as running:
        await operated.until(operated.leader)
        await operated.quiet()
    assert refused.hits == 0


async def test_they_go_ten_minutes_after_the_last_although_the_controller_restarted(operated: World) -> None:
    operated.apply()
    async with operated.controller(gateway=ON) as running:
        await ready(operated, running)
        operated.delete(MODELDEPLOYMENTS)
        await operated.until(lambda: RETIRED_AT_ANNOTATION in found(operated)["metadata"]["annotations"])
        await operated.passes(300, step_s=4)
    async with operated.controller(gateway=ON) as running:
        await operated.until(lambda: running.fleet().phase is FleetPhase.REMOVING)
        await operated.passes(270, step_s=4)
        assert parts(operated) == [DEPLOYMENTS.kind, *(one.kind for one in COMPANIONS)]
        await operated.passes(60, step_s=4)
        assert parts(operated) == []
        assert running.fleet().phase is FleetPhase.ABSENT
    assert to_fleet(operated)[len(BIRTH) :] == [f"apply Deployment {GATEWAY_NAME}", f"delete Deployment {GATEWAY_NAME}"]


async def test_a_model_deployment_at_minute_nine_keeps_them(operated: World) -> None:
    operated.apply()
    async with operated.controller(gateway=ON) as running:
        await ready(operated, running)
        before = found(operated)
        operated.delete(MODELDEPLOYMENTS)
        await operated.passes(540, step_s=4)
        operated.apply()
        await operated.passes(300, step_s=4)
        after = found(operated)
        assert running.fleet().phase is FleetPhase.READY
    assert (after["metadata"]["uid"], after["metadata"]["generation"]) == (
        before["metadata"]["uid"],
        before["metadata"]["generation"],
    )
    assert RETIRED_AT_ANNOTATION not in after["metadata"]["annotations"]


@pytest.mark.parametrize("count", range(1, len(BIRTH) + 1))
async def test_killed_in_mid_birth_the_next_one_finishes(operated: World, count: int) -> None:
    fleet_writes = 0

    def is_theirs(asked: Asked) -> bool:
        nonlocal fleet_writes
        theirs = is_write(asked) and asked.name == GATEWAY_NAME
        fleet_writes += theirs
        return theirs and fleet_writes == count

    operated.apply()
    last = operated.journal.cut(after=True, where=is_theirs)
    async with operated.controller(gateway=ON):
        await operated.until(last.done.is_set)
    operated.journal.clear()
    async with operated.controller(gateway=ON) as running:
        await ready(operated, running)
        await operated.quiet()
    assert parts(operated) == [DEPLOYMENTS.kind, *(one.kind for one in COMPANIONS)]
    assert len(to_fleet(operated)) <= len(BIRTH) + 1, "the write whose answer was lost may be made again"


async def test_killed_in_mid_birth_and_its_reason_gone_nothing_is_left(operated: World) -> None:
    operated.apply()
    cut = operated.journal.cut(after=True, where=lambda asked: is_write(asked) and asked.kind == "RoleBinding")
    async with operated.controller(gateway=ON):
        await operated.until(cut.done.is_set)
    operated.delete(MODELDEPLOYMENTS)
    async with operated.controller(gateway=ON):
        await operated.passes(640, step_s=4)  # the dead one's lease has to run out
        await operated.until(lambda: parts(operated) == [])


def as_made(world: World, resource: Resource) -> JsonObject:
    """What people write of an object."""
    obj = world.find(resource, GATEWAY_NAME)
    return {"labels": obj["metadata"]["labels"], "uid": obj["metadata"]["uid"], "spec": obj.get("spec")}


@pytest.mark.parametrize("resource", [DEPLOYMENTS, *COMPANIONS], ids=lambda one: one.kind)
async def test_a_strangers_object_is_left_alone_until_it_goes(operated: World, resource: Resource) -> None:
    theirs = {"name": GATEWAY_NAME, "namespace": TEAM, "labels": {"app": "theirs"}}
    spec: JsonObject = {"spec": {"replicas": 0, "selector": {"matchLabels": {"app": "theirs"}}, "template": {}}}
    operated.api.cluster.add(
        resource, {"metadata": theirs, **(spec if resource is DEPLOYMENTS else {})}, manager="somebody"
    )
    before = as_made(operated, resource)
    operated.apply()
    async with operated.controller(gateway=ON) as running:
        await operated.until(lambda: running.fleet().phase is FleetPhase.REFUSED)
        trouble = running.fleet().trouble
        assert trouble is not None
        assert trouble.reason == "NameConflict"
        assert f"{resource.kind} {GATEWAY_NAME} exists" in trouble.message
        await operated.becomes_ready()  # users are served without
        assert (as_made(operated, resource), parts(operated)) == (before, [resource.kind])
        operated.delete(resource, GATEWAY_NAME)
        await operated.passes(60, step_s=4)
        await ready(operated, running)


@pytest.mark.parametrize(
    ("status", "message", "reason"),
    [
        (403, "exceeded quota: team, requested: count/serviceaccounts=1", "QuotaExceeded"),
        (403, 'serviceaccounts "plimsoll-gateway" is forbidden: no', "Forbidden"),
        (422, "a policy refuses it", "ManifestRefused"),
        (500, "the webhook does not answer", "ApiServerError"),
    ],
)
async def test_a_refusal_is_told_and_cured_without_a_restart(
    operated: World, status: int, message: str, reason: str
) -> None:
    operated.journal.fail(
        status, times=None, message=message, where=lambda a: a.kind == "ServiceAccount" and is_write(a)
    )
    operated.apply()
    async with operated.controller(gateway=ON) as running:
        await operated.until(lambda: running.fleet().phase is FleetPhase.REFUSED)
        trouble = running.fleet().trouble
        assert trouble is not None
        assert trouble.reason == reason
        assert message in trouble.message
        before = turns("refused", FLEET_RECONCILES)
        await operated.until(lambda: turns("refused", FLEET_RECONCILES) >= before + 3)
        assert found(operated)["spec"]["replicas"] == 0, "no pod without what it needs"
        operated.journal.clear()
        await operated.passes(60, step_s=4)
        await ready(operated, running)
        assert running.fleet().trouble is None


async def test_a_namespace_that_terminates_is_left_alone(operated: World) -> None:
    operated.apply()
    operated.api.cluster.terminating.add(TEAM)
    async with operated.controller(gateway=ON) as running:
        await operated.until(operated.leader)
        await operated.passes(120, step_s=4)
        assert running.fleet().phase is FleetPhase.ABSENT
    assert len(to_fleet(operated)) <= 3, "it is tried when something changes, and not again and again"


@pytest.mark.parametrize("resource", COMPANIONS, ids=lambda one: one.kind)
async def test_a_part_that_somebody_deletes_is_back_within_minutes(operated: World, resource: Resource) -> None:
    operated.apply()
    async with operated.controller(gateway=ON, resyncPeriod="1m") as running:
        await ready(operated, running)
        operated.delete(resource, GATEWAY_NAME)
        await operated.passes(420, step_s=4)
        assert operated.find(resource, GATEWAY_NAME)


async def test_a_deployment_that_somebody_deletes_is_back_at_once_with_all_the_rest(operated: World) -> None:
    operated.apply()
    async with operated.controller(gateway=ON) as running:
        await ready(operated, running)
        operated.delete(DEPLOYMENTS, GATEWAY_NAME)
        await operated.until(lambda: parts(operated) == [DEPLOYMENTS.kind, *(one.kind for one in COMPANIONS)])
        await ready(operated, running)
        uid = found(operated)["metadata"]["uid"]
        for resource in COMPANIONS:
            assert operated.find(resource, GATEWAY_NAME)["metadata"]["ownerReferences"][0]["uid"] == uid


# ---- upgrades


TEAMS = ["a", "b", "c", "d", "e"]
NEWER = OPERATOR_IMAGE + "-newer"


def image_of(deployment: JsonObject | None) -> str:
    return str(deployment["spec"]["template"]["spec"]["containers"][0]["image"]) if deployment else ""


def upgraded(world: World, teams: Iterable[str] = TEAMS) -> list[str]:
    return [team for team in teams if image_of(gateways(world, team)) == NEWER]


async def five_fleets(world: World) -> None:
    keeps_its_key(world)
    for team in TEAMS:
        world.api.cluster.add(MODELDEPLOYMENTS, model_deployment(team, NAME), manager="kubectl")
    async with world.controller(gateway=ON) as running:
        await world.until(lambda: all(running.fleet(team).ready == 2 for team in TEAMS))
        await world.quiet(seconds=0.5)


def upgrade(**gateway: Any) -> dict[str, Any]:
    return {"fetchImage": NEWER, "gateway": {**ON, "maxConcurrentUpgrades": 2, **gateway}}


async def test_a_few_namespaces_at_a_time_are_upgraded_and_what_does_not_start_stops_there(operated: World) -> None:
    await five_fleets(operated)
    operated.stuck[""] = PENDING
    async with operated.controller(**upgrade()) as running:
        await operated.until(lambda: upgraded(operated))
        await operated.passes(120, step_s=1.5)
        assert upgraded(operated) == ["a", "b"]
        assert all(running.fleet(team).ready == 2 for team in TEAMS), "the old ones serve on"
        operated.stuck.clear()
        operated.workloads.nudge()
        await operated.passes(120, step_s=1.5)
        assert upgraded(operated) == TEAMS
        await operated.until(lambda: all(running.fleet(team).ready == 2 for team in TEAMS))


async def test_a_namespace_in_a_roll_out_is_upgraded_after_it_and_holds_up_no_other(operated: World) -> None:
    await five_fleets(operated)
    weights(operated, "a", 50)
    # The controller would take the weights back, for nothing rolls out; here it cannot.
    operated.journal.fail(503, times=None, where=lambda a: a.namespace == "a" and a.subresource == "status")
    async with operated.controller(**upgrade()):
        await operated.passes(120, step_s=1.5)
        assert upgraded(operated) == TEAMS[1:]
        operated.journal.clear()
        await operated.passes(60, step_s=1.5)
        assert upgraded(operated) == TEAMS


async def test_a_namespace_that_refuses_its_upgrade_holds_up_no_other(operated: World) -> None:
    await five_fleets(operated)
    operated.journal.fail(
        403, times=None, where=lambda a: a.namespace in {"a", "b"} and a.name == GATEWAY_NAME and is_write(a)
    )
    async with operated.controller(**upgrade()) as running:
        await operated.passes(120, step_s=1.5)
        assert upgraded(operated) == TEAMS[2:]
        assert (running.fleet("a").phase, running.fleet("a").trouble is not None) == (FleetPhase.READY, True)


def weights(world: World, team: str, permille: int) -> None:
    """A candidate has a share."""
    revisions = [{"name": "old", "weightPermille": 1000 - permille}, {"name": "new", "weightPermille": permille}]

    def route(obj: JsonObject) -> None:
        obj["status"] = {**(obj.get("status") or {}), "routing": {"epoch": 2, "revisions": revisions}}

    world.api.cluster.change(MODELDEPLOYMENTS, team, NAME, route, subresource="status", manager="plimsoll-routing")


# ---- switched off again


async def test_switched_off_they_go(operated: World) -> None:
    operated.apply()
    async with operated.controller(gateway=ON) as running:
        await ready(operated, running)
    async with operated.controller() as running:
        await operated.until(lambda: running.fleet().phase is FleetPhase.REMOVING)
        await operated.passes(75, step_s=1.5)
        assert parts(operated) == []
        await operated.becomes_ready()


def found(world: World) -> JsonObject:
    return world.find(DEPLOYMENTS, GATEWAY_NAME)


async def test_who_subscribes_is_told_of_each_change_and_of_nothing_else(operated: World) -> None:
    told: list[tuple[str, FleetPhase | None]] = []
    async with operated.controller(gateway=ON, resyncPeriod="5s") as running:
        await operated.until(lambda: running.controller.fleets)
        fleets = running.controller.fleets
        assert fleets is not None

        def tell(namespace: str) -> None:
            state = fleets.state_of(namespace)
            told.append((namespace, state.phase if state else None))

        fleets.subscribe(tell)
        operated.apply()
        await ready(operated, running)
        await operated.quiet()
        phases = [phase for _, phase in told]
        assert phases[0] is FleetPhase.CREATING
        assert phases[-1] is FleetPhase.READY
        count = len(told)
        await operated.passes(60, step_s=1.5)
        assert len(told) == count
        operated.delete(MODELDEPLOYMENTS)
        await operated.passes(615, step_s=4)
        assert [phase for _, phase in told[-2:]] == [FleetPhase.REMOVING, FleetPhase.ABSENT]
        assert {namespace for namespace, _ in told} == {TEAM}
