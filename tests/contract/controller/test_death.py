"""The controller dies after each single write of a creation and of a change; the next one finishes what it began."""

from __future__ import annotations

import pytest
from tests.contract.controller.whole_controller import NAME, TEAM, World, a_served_model, children

from plimsoll.core.names import REVISION_LABEL
from plimsoll.kube.resources import CONTROLLERREVISIONS, EVENTS, MODELDEPLOYMENTS, PODS, SERVICES

CREATION = 6
CHANGE = 10
"""Writes in the lives below; a death after a later one than are made would never come, and fail the test."""


async def dies_after(world: World, count: int) -> None:
    """Has the running controller hear no answer to that write and to none after it, until it is waiting for them."""
    last = world.journal.deaf_after(count)
    await world.until(last.done.is_set)


async def the_next_one_finishes(world: World) -> None:
    world.journal.clear()
    held = world.leader()
    async with world.controller():
        await world.until(lambda: world.leader() != held)
        await world.becomes_ready()
        await world.quiet()
    revision = world.stable()
    assert {kind: names for kind, names in children(world).items() if kind != "ControllerRevision"} == {
        "Deployment": [revision],
        "Service": sorted([NAME, revision]),
    }
    assert world.find(SERVICES)["spec"]["selector"][REVISION_LABEL] == revision
    pods = world.api.cluster.all(PODS, TEAM)
    assert [pod["metadata"]["labels"][REVISION_LABEL] for pod in pods] == [revision]


@pytest.mark.parametrize("count", range(1, CREATION + 1))
async def test_killed_in_a_creation(operated: World, count: int) -> None:
    async with operated.controller():
        await operated.until(operated.leader)
        operated.apply()
        await dies_after(operated, count)
    await the_next_one_finishes(operated)
    assert operated.names(CONTROLLERREVISIONS) == [operated.stable()]


@pytest.mark.parametrize("count", range(1, CHANGE + 1))
async def test_killed_in_a_change(operated: World, count: int) -> None:
    async with a_served_model(operated) as old:
        operated.apply(version=2)
        await dies_after(operated, count)
    await the_next_one_finishes(operated)
    assert sorted(operated.names(CONTROLLERREVISIONS)) == sorted([old, operated.stable()])
    promotions = [event for event in operated.api.cluster.all(EVENTS) if event["reason"] == "Promoted"]
    assert len(promotions) <= 2
    assert {event["count"] for event in promotions} == {1}


async def test_killed_and_the_model_edited_while_nobody_is_there(operated: World) -> None:
    async with a_served_model(operated) as old:
        operated.apply(version=2)
        await dies_after(operated, 2)
    operated.apply(version=3)
    await the_next_one_finishes(operated)
    assert operated.stable() != old
    assert len(operated.names(CONTROLLERREVISIONS)) == 3


async def test_killed_and_the_model_deleted_while_nobody_is_there(operated: World) -> None:
    async with operated.controller():
        await operated.until(operated.leader)
        operated.apply()
        await dies_after(operated, 2)
    operated.delete(MODELDEPLOYMENTS)
    operated.journal.clear()
    operated.journal.writes.clear()
    async with operated.controller():
        await operated.passes(30, step_s=0.2)
    assert children(operated) == {"ControllerRevision": [], "Deployment": [], "Service": []}
    assert operated.journal.writes == []
