"""Watches that are cut, an API server that is away, refuses or fails: the controller outlives it and misses nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.contract.controller.whole_controller import (
    NAME,
    TEAM,
    Journal,
    World,
    a_served_model,
    children,
    is_write,
    uids,
)

from plimsoll.kube.resources import CONTROLLERREVISIONS, DEPLOYMENTS, MODELDEPLOYMENTS, SERVICES, Resource

AWAY_S = 120
PATIENT: dict[str, Any] = {"lease": {"duration": "300s", "renewDeadline": "250s", "retryPeriod": "2s"}}
"""A Lease that survives the outage, to see that everything else does too."""


def lose_sight(world: World) -> None:
    """Breaks every watch and forgets the history they would go on from: the answer to going on is a 410."""
    world.api.counters.reset()
    world.api.compact()
    world.api.watches.cut()


async def sees_again(world: World) -> None:
    kinds = ("ModelDeployment", "ControllerRevision", "Deployment", "Service", "Pod")
    await world.until(lambda: all(world.api.counters.requests[f"list {kind}"] for kind in kinds))


@pytest.mark.parametrize(
    ("resource", "of_revision"),
    [(CONTROLLERREVISIONS, True), (DEPLOYMENTS, True), (SERVICES, True), (SERVICES, False)],
    ids=["ControllerRevision", "Deployment", "Service of the revision", "stable Service"],
)
async def test_a_child_deleted_while_nobody_watched_is_made_again(
    operated: World, resource: Resource, *, of_revision: bool
) -> None:
    async with a_served_model(operated) as revision:
        before, identities = children(operated), uids(operated)
        name = revision if of_revision else NAME
        gone = operated.find(resource, name)["metadata"]["uid"]
        operated.delete(resource, name)
        lose_sight(operated)
        await operated.until(lambda: name in operated.names(resource))
        await operated.becomes_ready()
        await operated.quiet()
        assert children(operated) == before
        assert identities - uids(operated) == {gone}
        assert operated.stable() == revision


async def test_of_a_model_deleted_while_nobody_watched_nothing_is_made_again(operated: World) -> None:
    async with a_served_model(operated):
        operated.delete(MODELDEPLOYMENTS)
        lose_sight(operated)
        await sees_again(operated)
        await operated.quiet()
        assert uids(operated) == set()
        assert operated.journal.writes == []


async def test_a_model_replaced_by_another_of_its_name_while_nobody_watched_is_the_other(operated: World) -> None:
    async with a_served_model(operated) as first:
        operated.delete(MODELDEPLOYMENTS)
        operated.apply(version=2)
        lose_sight(operated)
        await operated.becomes_ready()
        await operated.quiet()
        second = operated.stable()
        assert second != first
        assert children(operated) == {
            "ControllerRevision": [second],
            "Deployment": [second],
            "Service": sorted([NAME, second]),
        }


async def test_events_held_back_cause_no_second_child(operated: World) -> None:
    """What was written is known from the answer, however late the watch tells it."""
    for resource in (CONTROLLERREVISIONS, DEPLOYMENTS, SERVICES):
        operated.api.watches.hold(resource)
    operated.apply()
    async with operated.controller():
        await operated.until(operated.status)
        await operated.passes(3)
        written = [write for write in operated.journal.writes if "status" not in write]
        for resource in (CONTROLLERREVISIONS, DEPLOYMENTS, SERVICES):
            operated.api.watches.release(resource)
        await operated.becomes_ready()
        assert len(written) == len(set(written)) == 4


async def test_an_outage_of_two_minutes_is_outlived_and_no_change_is_lost(operated: World) -> None:
    operated.apply()
    operated.apply(name="other")
    async with operated.controller(**PATIENT) as running:
        await operated.until(lambda: operated.ready() and operated.ready("other"))
        before = operated.stable()
        operated.apply(name="other", replicas=2)  # in mid-work when the server goes away
        await operated.api.stop()
        await operated.passes(AWAY_S / 2, step_s=0.5)
        operated.apply(version=2)  # by way of another API server
        operated.apply(name="third")
        await operated.passes(AWAY_S / 2, step_s=0.5)
        assert not running.task.done()
        await operated.api.start()
        await operated.until(lambda: all(map(operated.ready, (NAME, "other", "third"))))
        assert operated.stable() != before
        assert operated.status("other")["readyReplicas"] == 2


async def test_a_server_that_accepts_connections_and_answers_nothing_is_outlived_too(operated: World) -> None:
    async with operated.controller(**PATIENT) as running:
        operated.apply()
        await operated.becomes_ready()
        operated.journal.cut(times=None)
        operated.api.watches.cut()
        operated.apply(version=2)
        await operated.passes(AWAY_S, step_s=0.5)
        assert not running.task.done()
        operated.journal.clear()
        await operated.becomes_ready()


async def test_the_default_lease_does_not_outlive_it_and_the_next_process_waits_for_the_server(operated: World) -> None:
    """A leader that cannot renew must stop; Kubernetes starts it again, and that one starts without a server."""
    operated.apply()
    async with operated.controller() as first:
        await operated.becomes_ready()
        await operated.api.stop()
        await operated.until(first.task.done)
        assert first.lost_leadership()
    operated.apply(version=2)
    async with operated.controller() as second:
        await operated.passes(AWAY_S, step_s=0.5)
        assert not second.task.done()
        await operated.api.start()
        await operated.becomes_ready()


def _throttle(journal: Journal) -> None:
    journal.fail(429, times=40, reason="TooManyRequests", retry_after=1, where=_not_the_lease)


def _throttle_for_long(journal: Journal) -> None:
    """Longer than the client itself waits."""
    journal.fail(429, times=12, reason="TooManyRequests", retry_after=20, where=_not_the_lease)


def _fail(journal: Journal) -> None:
    journal.fail(500, times=40, where=_not_the_lease)


def _start(journal: Journal) -> None:
    journal.fail(503, times=40, reason="ServiceUnavailable", retry_after=1, where=_not_the_lease)


def _hear_nothing(journal: Journal) -> None:
    """Requests that arrive, and answers that do not."""
    journal.cut(times=30, after=True, where=is_write)


def _hear_every_other(journal: Journal) -> None:
    journal.fail(500, times=30, where=lambda asked: is_write(asked) and len(journal.writes) % 2 == 0)
    journal.cut(times=30, after=True, where=is_write)


def _not_the_lease(asked: Any) -> bool:
    return asked.kind != "Lease"


@pytest.mark.parametrize(
    "storm", [_throttle, _throttle_for_long, _fail, _start, _hear_nothing, _hear_every_other], ids=lambda f: f.__name__
)
async def test_in_a_storm_every_model_becomes_ready_with_no_child_too_many(
    operated: World, storm: Callable[[Journal], None]
) -> None:
    names = [f"model-{number}" for number in range(5)]
    async with operated.controller():
        await operated.until(operated.leader)
        storm(operated.journal)
        for name in names:
            operated.apply(name=name)
        await operated.until(lambda: all(map(operated.ready, names)))
        await operated.quiet()
        revisions = sorted(map(operated.stable, names))
        assert children(operated) == {
            "ControllerRevision": revisions,
            "Deployment": revisions,
            "Service": sorted([*names, *revisions]),
        }
        numbers = [obj["revision"] for obj in operated.api.cluster.all(CONTROLLERREVISIONS, TEAM)]
        assert numbers == [1] * len(names)


async def test_a_storm_during_a_change_loses_neither_the_old_nor_the_new_model(operated: World) -> None:
    async with a_served_model(operated) as old:
        operated.journal.fail(500, times=12, where=is_write)
        operated.apply(version=2)
        await operated.until(lambda: operated.journal.writes)
        assert operated.find(SERVICES)["spec"]["selector"]["plimsoll.dev/revision"] == old
        await operated.becomes_ready()
        await operated.quiet()
        new = operated.stable()
        assert operated.names(DEPLOYMENTS) == [new]
        assert operated.told().count("Promoted") == 2  # one of each revision
