"""What the API server or a stranger does not allow: said once, where users look, and cured without a restart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.contract.controller.whole_controller import (
    CRASHING,
    NAME,
    TEAM,
    World,
    a_served_model,
    children,
    is_write,
    turns,
)

from plimsoll.core.names import MANAGED_BY, MANAGED_BY_LABEL, MODEL_LABEL, REVISION_LABEL
from plimsoll.kube.resources import (
    CONTROLLERREVISIONS,
    DEPLOYMENTS,
    EVENTS,
    MODELDEPLOYMENTS,
    SERVICES,
    JsonObject,
    Resource,
)

STATUS = f"apply ModelDeployment/status {NAME}"
OUR_LABELS = {MANAGED_BY_LABEL: MANAGED_BY, MODEL_LABEL: NAME}
POD: JsonObject = {
    "metadata": {"labels": {"app": "theirs"}},
    "spec": {"containers": [{"name": "theirs", "image": "example.com/theirs"}]},
}
SPECS: dict[Resource, JsonObject] = {
    SERVICES: {"spec": {"selector": {"app": "theirs"}, "ports": [{"port": 80}]}},
    DEPLOYMENTS: {"spec": {"replicas": 1, "selector": {"matchLabels": {"app": "theirs"}}, "template": POD}},
    CONTROLLERREVISIONS: {"revision": 1, "data": {"theirs": True}},
}


def add_foreign(world: World, resource: Resource, name: str, labels: dict[str, str]) -> JsonObject:
    """Somebody's own object, as it is stored."""
    head = {"apiVersion": resource.api_version, "kind": resource.kind}
    world.api.cluster.add(
        resource, {**head, "metadata": {"name": name, "namespace": TEAM, "labels": labels}, **SPECS[resource]}
    )
    return world.find(resource, name)


async def refused_several_times(world: World, times: int = 4) -> None:
    before = turns("refused")
    await world.until(lambda: turns("refused") >= before + times)


async def the_name_of_the_revision(world: World) -> str:
    """The same spec gives the same name in every namespace and at every time."""
    async with a_served_model(world) as revision:
        world.delete(MODELDEPLOYMENTS)
        await world.quiet(seconds=0.5)
    world.journal.writes.clear()
    for event in world.api.cluster.all(EVENTS):
        world.delete(EVENTS, event["metadata"]["name"])
    return revision


@pytest.mark.parametrize("labels", [{"app": "theirs"}, OUR_LABELS], ids=["their labels", "our labels"])
@pytest.mark.parametrize(
    ("resource", "of_revision"),
    [(SERVICES, False), (SERVICES, True), (DEPLOYMENTS, True), (CONTROLLERREVISIONS, True)],
    ids=["stable Service", "Service of the revision", "Deployment", "ControllerRevision"],
)
async def test_a_name_that_is_taken_is_told_once_and_never_adopted(
    operated: World, resource: Resource, labels: dict[str, str], *, of_revision: bool
) -> None:
    name = await the_name_of_the_revision(operated) if of_revision else NAME
    if resource is DEPLOYMENTS:
        operated.stuck[labels.get(MODEL_LABEL, "")] = CRASHING
    foreign = add_foreign(operated, resource, name, labels)
    operated.apply()
    async with operated.controller():
        await operated.until(lambda: operated.condition("Stalled").get("status") == "True")
        stalled = operated.condition("Stalled")
        assert stalled["reason"] == "NameConflict"
        assert stalled["message"].startswith(f"{resource.kind} {name} exists and belongs to something else")
        await operated.until(lambda: operated.told() == ["NameConflict"])  # Events are posted after the status
        assert operated.condition("Serving")["status"] == "False"
        assert not operated.stable()
        assert set(operated.names(DEPLOYMENTS)) <= {foreign["metadata"]["name"]}, "a name costs no pods"
        operated.journal.writes.clear()
        await operated.passes(10)
        assert operated.journal.writes == [], "it is told once"
        assert operated.told() == ["NameConflict"]
        found = operated.find(resource, name)
        assert (found["metadata"]["uid"], found["metadata"].get("labels")) == (foreign["metadata"]["uid"], labels)
        assert "ownerReferences" not in found["metadata"]

        operated.stuck.clear()
        operated.delete(resource, name)
        await operated.becomes_ready()
        assert children(operated)["Deployment"] == [operated.stable()]


QUOTA = 'deployments.apps "x" is forbidden: exceeded quota: small, requested: requests.cpu=1, used: 4, limited: 4'


@pytest.mark.parametrize(
    ("status", "reason", "message", "condition", "told", "words"),
    [
        (403, "Forbidden", QUOTA, "Reconciling", "QuotaExceeded", "raise the ResourceQuota"),
        (403, "Forbidden", "no rights", "Reconciling", "Forbidden", "The API server forbids a write: no rights"),
        (
            500,
            "InternalError",
            "range is full",
            "Reconciling",
            "ApiServerError",
            "fails to create an object: range is full",
        ),
        (422, "Invalid", "spec: bad", "Stalled", "ManifestRefused", "The API server refuses a manifest: spec: bad"),
    ],
    ids=["quota", "rights", "server", "invalid"],
)
async def test_a_refusal_is_told_once_and_tried_again(
    operated: World, status: int, reason: str, message: str, condition: str, told: str, words: str
) -> None:
    refused = operated.journal.fail(
        status, times=None, reason=reason, message=message, where=lambda a: is_write(a) and a.kind == "Deployment"
    )
    operated.apply()
    async with operated.controller():
        await refused_several_times(operated)
        assert refused.hits >= 4
        assert operated.journal.writes.count(STATUS) == 1
        held = operated.condition(condition)
        assert (held["status"], held["reason"]) == ("True", told)
        assert words in held["message"]
        assert operated.condition("Ready")["reason"] == told
        assert operated.told() == [told]

        operated.journal.clear()
        await operated.becomes_ready()
        await operated.until(lambda: operated.told() == sorted([told, "Promoted"]))


async def test_a_revision_that_cannot_be_read_is_told_once_and_stops_nothing_else(operated: World) -> None:
    async with a_served_model(operated) as revision:
        damaged = operated.find(CONTROLLERREVISIONS, revision)
    operated.delete(CONTROLLERREVISIONS, revision)
    kept = {key: damaged["metadata"][key] for key in ("name", "namespace", "labels", "ownerReferences")}
    later = {"runtime": "of a later version"}
    operated.api.cluster.add(CONTROLLERREVISIONS, {**damaged, "metadata": kept, "data": later})
    operated.journal.writes.clear()
    async with operated.controller():
        await refused_several_times(operated)
        assert operated.condition("Stalled")["reason"] == "RevisionDamaged"
        assert f"ControllerRevision {revision} holds data" in operated.condition("Stalled")["message"]
        assert operated.condition("Serving")["status"] == "True"
        assert operated.journal.writes == [STATUS]
        operated.apply(name="another")
        await operated.becomes_ready("another")
        operated.delete(CONTROLLERREVISIONS, revision)
        await operated.becomes_ready()
        assert operated.stable() == revision


async def test_a_refused_change_leaves_the_old_revision_serving(operated: World) -> None:
    async with a_served_model(operated) as old:
        operated.journal.fail(422, times=None, where=lambda a: is_write(a) and a.kind == "Deployment")
        operated.apply(version=2)
        await refused_several_times(operated)
        assert operated.condition("Serving")["status"] == "True"
        assert operated.condition("Stalled")["reason"] == "ManifestRefused"
        assert operated.stable() == old
        assert operated.names(DEPLOYMENTS) == [old]
        assert operated.find(SERVICES)["spec"]["selector"][REVISION_LABEL] == old
        assert operated.journal.writes.count(STATUS) == 1


async def test_a_server_that_names_its_time_is_not_asked_before(operated: World) -> None:
    """Longer than a request waits, so the turn comes back then."""
    async with operated.controller():
        await operated.until(operated.leader)
        refused = operated.journal.fail(429, times=None, reason="TooManyRequests", retry_after=40, where=is_write)
        operated.apply()
        await operated.passes(35)
        assert refused.hits == 1
        operated.journal.clear()
        await operated.becomes_ready()


async def test_a_namespace_that_is_being_deleted_is_left_in_peace(operated: World) -> None:
    operated.apply()
    operated.api.cluster.terminating.add(TEAM)
    async with operated.controller():
        await operated.until(lambda: operated.journal.writes)
        await operated.quiet(seconds=5)
        assert len(operated.journal.writes) == 1
        assert operated.told() == []


async def test_children_that_go_with_their_namespace_are_not_missed(operated: World) -> None:
    async with a_served_model(operated) as revision:
        operated.api.cluster.terminating.add(TEAM)
        for resource, name in ((SERVICES, NAME), (DEPLOYMENTS, revision), (CONTROLLERREVISIONS, revision)):
            operated.delete(resource, name)
            await operated.quiet(seconds=0.5)
        assert STATUS not in operated.journal.writes
        assert len(operated.journal.writes) <= 5, "a try for each change, and none for each failure"
        operated.delete(MODELDEPLOYMENTS)
        await operated.quiet()
        assert uids_of_all(operated) == []


def uids_of_all(world: World) -> list[str]:
    return [name for names in children(world).values() for name in names]


def _no_model(obj: JsonObject) -> None:
    del obj["spec"]["model"]


def _a_later_field(obj: JsonObject) -> None:
    obj["spec"]["replicas"] = "many"


@pytest.mark.parametrize("edit", [_no_model, _a_later_field], ids=["no model", "a wrong type"])
async def test_an_object_that_nobody_can_read_stops_no_other(operated: World, edit: Callable[[Any], None]) -> None:
    """Stored under another CRD, which allowed it."""
    operated.apply(name="unreadable")
    operated.edit(edit, name="unreadable")
    operated.apply()
    async with operated.controller(workers=1):
        await operated.becomes_ready()
        await operated.quiet()
        assert not any("unreadable" in write for write in operated.journal.writes)
        operated.apply(name="unreadable")
        await operated.becomes_ready("unreadable")


async def test_a_child_that_nobody_can_read_stops_no_other(operated: World) -> None:
    add_foreign(operated, CONTROLLERREVISIONS, "broken-0123456789", {**OUR_LABELS, MODEL_LABEL: "broken"})
    operated.apply(name="broken")
    operated.apply()
    async with operated.controller():
        await operated.becomes_ready()
        await operated.becomes_ready("broken")
