"""Routes follow a namespace through everything that an API server does to those who watch it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.support.fakeapi import FakeApi
from tests.support.fakeapi.clocks import HastyClock, eventually
from tests.support.fakeapi.load import model_deployment
from tests.support.routed import TEAM, endpoint, endpoint_slice, routing

from plimsoll.gateway.parts import Unrecorded
from plimsoll.gateway.routes import PAUSE_S, Routes
from plimsoll.gateway.targets import Targets
from plimsoll.kube.client import Client, ClientSettings
from plimsoll.kube.connection import open_connection
from plimsoll.kube.resources import ENDPOINTSLICES, MODELDEPLOYMENTS, SERVICES


class World:
    """A fake API server, and a gateway's routes that follow one of its namespaces."""

    def __init__(self, api: FakeApi, hasty: HastyClock, client: Client) -> None:
        self.api = api
        self.time = hasty
        self.targets = Targets(lambda _model, _revision: Unrecorded(), lambda: b"key")
        self.routes = Routes(client, TEAM, self.targets, hasty.clock)
        self.routes.book.trust()
        self.updates = 0
        self.routes.subscribe(self._updated)

    def _updated(self) -> None:
        self.updates += 1

    # ---- what the controller and Kubernetes do ----
    def publish(self, epoch: int, name: str = "digits", **weights: int) -> None:
        if self.api.cluster.find(MODELDEPLOYMENTS, TEAM, name) is None:
            self.api.cluster.add(MODELDEPLOYMENTS, model_deployment(TEAM, name))
        self.api.cluster.change(
            MODELDEPLOYMENTS,
            TEAM,
            name,
            lambda obj: obj.update(status={"routing": routing(epoch, **weights)}),
            subresource="status",
        )

    def run_pods(self, revision: str, *pods: str, number: int = 1) -> None:
        wanted = endpoint_slice(revision, [endpoint(pod) for pod in pods], number=number)
        if self.api.cluster.find(ENDPOINTSLICES, TEAM, wanted["metadata"]["name"]) is None:
            del wanted["metadata"]["resourceVersion"]
            self.api.cluster.add(ENDPOINTSLICES, wanted)
        else:
            self.api.cluster.change(
                ENDPOINTSLICES,
                TEAM,
                wanted["metadata"]["name"],
                lambda obj: obj.update(endpoints=wanted["endpoints"]),
            )

    # ---- what the gateway makes of it ----
    def routed(self) -> dict[str, dict[str, tuple[int, str]]]:
        """By model and revision: weight, and the names of its pods."""
        return {
            name: {
                part.route.name: (
                    part.route.weight_permille,
                    " ".join(target.endpoint.pod for target in part.endpoints),
                )
                for part in (model.stable, model.candidate)
                if part
            }
            for name, model in self.targets.models.items()
        }

    async def follows(self, **revisions: tuple[int, str]) -> None:
        wanted = {word.replace("_", "-"): value for word, value in revisions.items()}
        await eventually(lambda: self.routed().get("digits") == wanted)

    async def watching(self) -> None:
        await eventually(lambda: len(self.api.watches.open) == 2)


@asynccontextmanager
async def a_gateway(api: FakeApi, hasty: HastyClock) -> AsyncIterator[World]:
    async with Client(open_connection(api.url), ClientSettings(retries=0), hasty.clock) as client:
        world = World(api, hasty, client)
        task = asyncio.create_task(world.routes.run())
        try:
            yield world
            assert not task.done(), "routes are followed for ever"
        finally:
            task.cancel()
            await asyncio.wait([task])


@pytest.fixture
async def world(api: FakeApi, hasty: HastyClock) -> AsyncIterator[World]:
    """One that follows `digits` with two pods."""
    async with a_gateway(api, hasty) as world:
        world.publish(1, digits_1=1000)
        world.run_pods("digits-1", "a", "b")
        await world.follows(digits_1=(1000, "a b"))
        await world.watching()
        yield world


async def test_a_roll_out_from_first_weight_to_promotion(world: World) -> None:
    world.run_pods("digits-2", "c")
    world.publish(2, digits_1=1000, digits_2=0)
    await world.follows(digits_1=(1000, "a b"), digits_2=(0, "c"))
    world.publish(3, digits_1=950, digits_2=50)
    await world.follows(digits_1=(950, "a b"), digits_2=(50, "c"))
    world.publish(4, digits_2=1000)
    await world.follows(digits_2=(1000, "c"))
    assert list(world.routes.book.acknowledged.values()) == [4]


async def test_it_is_synced_only_when_both_kinds_were_listed(api: FakeApi, hasty: HastyClock) -> None:
    failing = api.faults.fail(500, times=None, where=lambda asked: asked.kind == "EndpointSlice")
    async with a_gateway(api, hasty) as world:
        world.publish(1, digits_1=1000)
        world.run_pods("digits-1", "a")
        await eventually(lambda: failing.hits > 3)
        assert world.routes.unsynced() == ["endpointslices"]
        assert not world.routes.synced.is_set()
        assert world.routed() == {}, "a model without its endpoints is not followed"
        api.faults.clear()
        await world.routes.synced.wait()
        assert world.routed() == {"digits": {"digits-1": (1000, "a")}}


async def test_an_empty_namespace_is_synced(api: FakeApi, hasty: HastyClock) -> None:
    async with a_gateway(api, hasty) as world:
        await world.routes.synced.wait()
        assert world.routed() == {}


async def test_other_namespaces_and_the_slices_of_others_are_not_asked_for(world: World) -> None:
    heard = sum(reflector.events for reflector in world.routes.reflectors)
    world.api.cluster.add(MODELDEPLOYMENTS, model_deployment("elsewhere", "digits"))
    foreign = endpoint_slice("digits-1", [endpoint("stranger")])
    foreign["metadata"] = {
        "namespace": TEAM,
        "name": "foreign",
        "labels": {"kubernetes.io/service-name": "digits-1"},
    }
    world.api.cluster.add(ENDPOINTSLICES, foreign)
    world.api.cluster.add(SERVICES, {"metadata": {"namespace": TEAM, "name": "s"}, "spec": {"ports": [{"port": 1}]}})
    world.run_pods("digits-1", "a")
    await world.follows(digits_1=(1000, "a"))
    assert sum(reflector.events for reflector in world.routes.reflectors) == heard + 1
    assert not {verb for verb in world.api.counters.requests if verb.split()[0] not in {"list", "watch"}}, (
        "it only reads"
    )


async def test_the_api_server_is_away_for_ten_minutes(world: World) -> None:
    before = world.time.now
    await world.api.stop()
    world.publish(2, digits_1=900, digits_2=100)
    world.run_pods("digits-2", "c")
    await eventually(lambda: world.time.now - before > 600)
    assert world.routed() == {"digits": {"digits-1": (1000, "a b")}}, "what is held is served by"
    assert max(world.time.slept) <= 5.0, "it is back within seconds"
    await world.api.start()
    await world.follows(digits_1=(900, "a b"), digits_2=(100, "c"))
    assert [reflector.relists for reflector in world.routes.reflectors] == [1, 1]


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
async def test_an_api_server_that_refuses_everything(world: World, status: int) -> None:
    refusing = world.api.faults.fail(status, times=None)
    world.api.watches.cut()
    await eventually(lambda: refusing.hits > 10)
    assert world.routed() == {"digits": {"digits-1": (1000, "a b")}}
    world.api.faults.clear()
    world.run_pods("digits-1", "a", "b", "c")
    await world.follows(digits_1=(1000, "a b c"))


async def missed_changes(world: World, disturb: Callable[[], None]) -> None:
    """What happened while the watches were silent is followed, deletions too."""
    world.publish(1, "faces", faces_1=1000)
    await eventually(lambda: "faces" in world.routed())
    for resource in (MODELDEPLOYMENTS, ENDPOINTSLICES):
        world.api.watches.hold(resource)
    world.api.cluster.drop(MODELDEPLOYMENTS, TEAM, "faces")
    world.publish(2, digits_1=900, digits_2=100)
    world.run_pods("digits-1", "a")
    world.run_pods("digits-2", "c")
    disturb()
    for resource in (MODELDEPLOYMENTS, ENDPOINTSLICES):
        world.api.watches.release(resource)
    await world.follows(digits_1=(900, "a"), digits_2=(100, "c"))
    await eventually(lambda: "faces" not in world.routed())


async def test_a_history_that_was_compacted(world: World) -> None:
    await missed_changes(world, world.api.compact)
    assert [reflector.relists for reflector in world.routes.reflectors] == [2, 2]


async def test_streams_that_are_cut(world: World) -> None:
    await missed_changes(world, world.api.watches.cut)
    assert [reflector.relists for reflector in world.routes.reflectors] == [1, 1]


async def test_a_status_restored_from_a_backup_is_not_followed_by_who_knows_better(
    world: World, api: FakeApi, hasty: HastyClock
) -> None:
    world.publish(7, digits_2=1000)
    world.run_pods("digits-2", "c")
    await world.follows(digits_2=(1000, "c"))
    world.publish(3, digits_1=1000)
    await eventually(lambda: bool(world.routes.book.ignored))
    assert world.routed() == {"digits": {"digits-2": (1000, "c")}}
    async with a_gateway(api, hasty) as restarted:
        await restarted.follows(digits_1=(1000, "a b"))
    world.publish(8, digits_2=1000)
    await eventually(lambda: not world.routes.book.ignored)
    assert world.routed() == {"digits": {"digits-2": (1000, "c")}}


async def test_a_model_that_is_deleted_and_made_again(world: World) -> None:
    world.publish(5, digits_1=1000)
    await eventually(lambda: list(world.routes.book.acknowledged.values()) == [5])
    uid = next(iter(world.routes.book.acknowledged))
    world.api.cluster.drop(MODELDEPLOYMENTS, TEAM, "digits")
    world.publish(1, digits_2=1000)
    world.run_pods("digits-2", "c")
    await world.follows(digits_2=(1000, "c"))
    assert list(world.routes.book.acknowledged.values()) == [1]
    assert uid not in world.routes.book.acknowledged


async def test_a_burst_is_few_updates_and_the_last_word_counts(world: World) -> None:
    world.run_pods("digits-2")
    before = world.updates
    began = world.time.now
    for epoch in range(2, 302):
        world.publish(epoch, digits_1=1000 - epoch, digits_2=epoch)
    await world.follows(digits_1=(1000, "a b"), digits_2=(0, ""))
    await eventually(lambda: list(world.routes.book.acknowledged.values()) == [301])
    assert world.updates - before <= (world.time.now - began) / PAUSE_S + 1
    assert world.updates - before < 100


async def test_slow_updates_leave_nine_tenths_of_the_time_to_requests(world: World) -> None:
    def slow() -> None:
        world.time.now += 0.5

    world.routes.subscribe(slow)
    world.publish(2, digits_1=1000)
    await eventually(lambda: any(pause >= 4.5 for pause in world.time.slept))


async def test_every_update_is_told_after_the_targets_follow(world: World) -> None:
    told: list[tuple[list[int], Any]] = []
    world.routes.subscribe(lambda: told.append((list(world.routes.book.acknowledged.values()), world.routed())))
    world.publish(2, digits_1=1000)
    await eventually(lambda: bool(told))
    assert told == [([2], {"digits": {"digits-1": (1000, "a b")}})]
