"""What is written, and how often: exactly what a life needs, and nothing when nothing has changed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.contract.controller.whole_controller import CRASHING, NAME, TEAM, World, a_served_model, turns, uids

from plimsoll.core.names import MANAGED_BY_LABEL, MODEL_LABEL, NUMBER_ANNOTATION
from plimsoll.kube.resources import CONTROLLERREVISIONS, DEPLOYMENTS, MODELDEPLOYMENTS, SERVICES, JsonObject, Resource

STATUS = f"apply ModelDeployment/status {NAME}"


def to_children(world: World) -> list[str]:
    return [write for write in world.journal.writes if write != STATUS]


async def test_a_creation_takes_four_writes_to_children_and_the_next_looks_none(operated: World) -> None:
    operated.apply()
    async with operated.controller(resyncPeriod="3s"):
        await operated.becomes_ready()
        await operated.quiet(seconds=0.5)
        revision = operated.stable()
        assert to_children(operated) == [
            f"apply Service {NAME}",
            f"apply ControllerRevision {revision}",
            f"apply Service {revision}",
            f"apply Deployment {revision}",
        ]
        # Made and serving, and between them, if it was looked at just then, that a pod exists.
        assert operated.journal.writes.count(STATUS) in {2, 3}
        assert operated.told() == ["Promoted", "RevisionCreated"]
        await nothing_is_written_in_three_more_looks(operated)


async def test_a_new_model_takes_these_writes_in_this_order(operated: World) -> None:
    async with a_served_model(operated) as old:
        operated.apply(version=2)
        await operated.becomes_ready()
        await operated.quiet(seconds=0.5)
        new = operated.stable()
        assert to_children(operated) == [
            f"apply ControllerRevision {new}",
            f"apply Service {new}",
            f"apply Deployment {new}",
            f"apply Deployment {old}",  # marked as retired, before
            f"apply Service {NAME}",  # traffic moves
            f"delete Deployment {old}",
            f"delete Service {old}",
        ]
        await nothing_is_written_in_three_more_looks(operated)


async def test_another_number_of_replicas_takes_one_write_to_a_child(operated: World) -> None:
    async with a_served_model(operated) as revision:
        operated.apply(replicas=3)
        await operated.becomes_ready()
        await operated.quiet(seconds=0.5)
        assert to_children(operated) == [f"apply Deployment {revision}"]
        assert operated.status()["readyReplicas"] == 3
        await nothing_is_written_in_three_more_looks(operated)


def _other_port(service: JsonObject) -> None:
    service["spec"]["ports"][0]["targetPort"] = 1234


def _other_image(deployment: JsonObject) -> None:
    deployment["spec"]["template"]["spec"]["containers"][0]["image"] = "example.com/other"


def _other_selector(service: JsonObject) -> None:
    service["spec"]["selector"]["x"] = "y"


def _other_mark(deployment: JsonObject) -> None:
    deployment["metadata"]["annotations"][NUMBER_ANNOTATION] = "many"


@pytest.mark.parametrize(
    ("resource", "edit"),
    [(SERVICES, _other_port), (SERVICES, _other_selector), (DEPLOYMENTS, _other_image), (DEPLOYMENTS, _other_mark)],
)
async def test_a_child_that_somebody_edited_takes_one_write(
    operated: World, resource: Resource, edit: Callable[[JsonObject], None]
) -> None:
    async with a_served_model(operated) as revision:
        wanted = operated.find(resource, revision)["spec"]
        operated.api.cluster.change(resource, TEAM, revision, edit)
        await operated.until(lambda: operated.find(resource, revision)["spec"] == wanted)
        await operated.becomes_ready()
        await operated.quiet(seconds=0.5)
        assert to_children(operated) == [f"apply {resource.kind} {revision}"]
        await nothing_is_written_in_three_more_looks(operated)


@pytest.mark.parametrize("label", [MANAGED_BY_LABEL, MODEL_LABEL])
@pytest.mark.parametrize("resource", [CONTROLLERREVISIONS, DEPLOYMENTS, SERVICES])
async def test_a_child_that_lost_a_label_takes_one_write(operated: World, resource: Resource, label: str) -> None:
    """Without it the child is not watched: to the caches it is gone."""
    async with a_served_model(operated) as revision:
        before = operated.find(resource, revision)
        operated.api.cluster.change(resource, TEAM, revision, lambda child: child["metadata"]["labels"].pop(label))
        await operated.until(lambda: label in operated.find(resource, revision)["metadata"]["labels"])
        await operated.becomes_ready()
        await operated.quiet(seconds=0.5)
        assert to_children(operated) == [f"apply {resource.kind} {revision}"]
        after = operated.find(resource, revision)
        assert [after.get(part) for part in ("spec", "data", "revision")] == [
            before.get(part) for part in ("spec", "data", "revision")
        ]
        await nothing_is_written_in_three_more_looks(operated)


async def test_a_deleted_revision_takes_one_write_and_restarts_nothing(operated: World) -> None:
    async with a_served_model(operated) as revision:
        before = operated.find(DEPLOYMENTS, revision)["spec"]
        operated.delete(CONTROLLERREVISIONS, revision)
        await operated.until(lambda: revision in operated.names(CONTROLLERREVISIONS))
        await operated.quiet(seconds=0.5)
        assert to_children(operated) == [f"apply ControllerRevision {revision}"]
        assert operated.find(DEPLOYMENTS, revision)["spec"] == before
        await nothing_is_written_in_three_more_looks(operated)


async def test_a_deletion_takes_no_write(operated: World) -> None:
    async with a_served_model(operated):
        operated.delete(MODELDEPLOYMENTS)
        await operated.quiet()
        assert operated.journal.writes == []
        assert uids(operated) == set()


async def test_a_new_process_writes_nothing_whatever_state_things_are_in(operated: World) -> None:
    operated.stuck["broken"] = CRASHING
    operated.apply(name="broken")
    operated.apply(name="changing")
    operated.apply()
    async with operated.controller():
        await operated.until(lambda: operated.ready() and operated.ready("changing"))
        operated.stuck["changing"] = CRASHING
        operated.apply(name="changing", version=2)
        await operated.quiet()
    assert operated.condition("Stalled", "broken")["reason"] == "DigestMismatch"
    assert operated.status("changing")["candidate"]
    operated.journal.writes.clear()
    before, told = turns("unchanged"), operated.told()
    async with operated.controller():
        await operated.until(lambda: turns("unchanged") >= before + 3)
        await operated.quiet()
    assert operated.journal.writes == []
    assert operated.told() == told


async def test_listing_everything_anew_writes_nothing(operated: World) -> None:
    async with a_served_model(operated):
        operated.api.counters.reset()
        operated.api.compact()
        operated.api.watches.cut()
        kinds = ("ModelDeployment", "ControllerRevision", "Deployment", "Service", "Pod")
        await operated.until(lambda: all(operated.api.counters.requests[f"list {kind}"] for kind in kinds))
        await operated.quiet()
        assert operated.journal.writes == []


async def nothing_is_written_in_three_more_looks(world: World) -> None:
    world.journal.writes.clear()
    before = turns("unchanged")
    await world.until(lambda: turns("unchanged") >= before + 3)
    assert world.journal.writes == []
