"""Specs that change faster than pods start, and status that somebody takes away."""

from __future__ import annotations

from tests.contract.controller.whole_controller import CRASHING, NAME, World, a_served_model, children

from plimsoll.core.names import REVISION_LABEL
from plimsoll.kube.resources import CONTROLLERREVISIONS, DEPLOYMENTS, SERVICES, JsonObject


def selected(world: World) -> str:
    return str(world.find(SERVICES)["spec"]["selector"][REVISION_LABEL])


def without_status(obj: JsonObject) -> None:
    obj.pop("status", None)


async def test_status_that_somebody_deleted_is_made_again(operated: World) -> None:
    async with a_served_model(operated) as revision:
        before = operated.status()
        operated.edit(without_status, subresource="status")
        await operated.until(lambda: operated.stable() == revision)
        await operated.becomes_ready()
        await operated.quiet()
        after = operated.status()
        assert without_times(after) == without_times(before) | {"decision": after["decision"]}
        assert all("ModelDeployment/status" in write for write in operated.journal.writes)


async def test_status_deleted_in_mid_change_keeps_the_serving_revision_stable(operated: World) -> None:
    async with a_served_model(operated) as old:
        operated.stuck[NAME] = CRASHING
        operated.apply(version=2)
        await operated.until(lambda: operated.condition("Stalled").get("status") == "True")
        candidate = operated.status()["candidate"]
        operated.edit(without_status, subresource="status")
        await operated.until(operated.status)
        await operated.quiet()
        assert (operated.stable(), operated.status()["candidate"], selected(operated)) == (old, candidate, old)


async def test_status_deleted_while_nobody_is_there_keeps_the_serving_revision_stable(operated: World) -> None:
    async with a_served_model(operated) as old:
        operated.stuck[NAME] = CRASHING
        operated.apply(version=2)
        await operated.until(lambda: operated.condition("Stalled").get("status") == "True")
    operated.edit(without_status, subresource="status")
    async with operated.controller():
        await operated.until(operated.status)
        await operated.quiet()
        assert (operated.stable(), selected(operated)) == (old, old)


async def test_of_two_changes_within_a_second_the_second_counts(operated: World) -> None:
    async with a_served_model(operated) as first:
        operated.apply(version=2)
        await operated.passes(0.3)
        operated.apply(version=3)
        await operated.becomes_ready()
        await operated.quiet()
        third = operated.stable()
        assert third != first
        assert selected(operated) == third
        assert operated.names(DEPLOYMENTS) == [third]
        assert operated.find()["metadata"]["generation"] == operated.status()["observedGeneration"] == 3


async def test_of_two_changes_before_anybody_looks_only_the_second_is_made(operated: World) -> None:
    async with a_served_model(operated):
        operated.apply(version=2)
        operated.apply(version=3)
        await operated.becomes_ready()
        assert len(operated.names(CONTROLLERREVISIONS)) == 2


async def test_there_and_back_in_mid_change_never_disturbs_what_serves(operated: World) -> None:
    """A, then B that does not start, then A again."""
    async with a_served_model(operated) as first:
        pods = operated.find(DEPLOYMENTS, first)["metadata"]["uid"]
        operated.stuck[NAME] = CRASHING
        operated.apply(version=2)
        await operated.until(lambda: operated.condition("Stalled").get("status") == "True")
        assert len(operated.names(DEPLOYMENTS)) == 2
        operated.apply(version=1)
        await operated.until(lambda: operated.status()["phase"] == "Stable")
        await operated.quiet()
        assert operated.stable() == first
        assert children(operated)["Deployment"] == [first]
        assert children(operated)["Service"] == sorted([NAME, first])
        assert operated.find(DEPLOYMENTS, first)["metadata"]["uid"] == pods
        assert f"apply Service {NAME}" not in operated.journal.writes, "traffic has never moved"


async def test_there_and_back_at_once_ends_where_it_began(operated: World) -> None:
    async with a_served_model(operated) as first:
        for version in (2, 1, 2, 1):
            operated.apply(version=version)
            await operated.passes(0.2)
        await operated.becomes_ready()
        await operated.quiet()
        assert operated.stable() == selected(operated) == first
        assert operated.names(DEPLOYMENTS) == [first]
        assert len(operated.names(CONTROLLERREVISIONS)) == 2


def without_times(status: JsonObject) -> JsonObject:
    conditions = [{**condition, "lastTransitionTime": ""} for condition in status["conditions"]]
    return {**status, "conditions": conditions}
