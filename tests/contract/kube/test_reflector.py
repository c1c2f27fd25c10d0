"""The reflector through everything an API server does to a watch."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.support.fakeapi import FakeApi
from tests.support.fakeapi.clocks import HastyClock, eventually

from plimsoll.kube.client import Client, ClientSettings
from plimsoll.kube.connection import open_connection
from plimsoll.kube.reflector import YIELD_EVERY, Reflector, ReflectorSettings, Scope
from plimsoll.kube.resources import CONFIGMAPS
from plimsoll.kube.store import Change, Store, owner_by_label

LABELLED = Scope(label_selector="app=plimsoll")


def configmap(name: str, value: str = "1") -> dict[str, Any]:
    labels = {"app": "plimsoll", "model": "digits"}
    return {"metadata": {"namespace": "ns", "name": name, "labels": labels}, "data": {"value": value}}


class World:
    """A fake server, a store that follows it, and what the store told."""

    def __init__(
        self, api: FakeApi, client: Client, hasty: HastyClock, settings: ReflectorSettings, scope: Scope
    ) -> None:
        self.api = api
        self.time = hasty
        self.changes: list[Change] = []
        self.store: Store[str] = Store(lambda obj: obj["data"]["value"], owner_by_label("model"))
        self.store.subscribe(self.changes.append)
        self.reflector = Reflector(client, CONFIGMAPS, self.store, scope, settings=settings, clock=hasty.clock)

    def add(self, *names: str) -> None:
        for name in names:
            self.api.cluster.add(CONFIGMAPS, configmap(name))

    def change(self, name: str, value: str) -> None:
        self.api.cluster.change(CONFIGMAPS, "ns", name, lambda obj: obj.update(data={"value": value}))

    def drop(self, name: str) -> None:
        self.api.cluster.drop(CONFIGMAPS, "ns", name)

    def known(self) -> dict[str, str | None]:
        return {name: self.store.get((namespace, name)) for namespace, name in sorted(self.store.keys())}

    async def sees(self, **objects: str) -> None:
        await eventually(lambda: self.known() == objects)

    async def watching(self) -> None:
        await eventually(lambda: bool(self.api.watches.open))


@asynccontextmanager
async def follow(
    api: FakeApi,
    hasty: HastyClock,
    settings: ReflectorSettings | None = None,
    scope: Scope = LABELLED,
    **client_settings: Any,
) -> AsyncIterator[World]:
    async with Client(open_connection(api.url), ClientSettings(retries=0, **client_settings), hasty.clock) as client:
        world = World(api, client, hasty, settings or ReflectorSettings(), scope)
        task = asyncio.create_task(world.reflector.run())
        try:
            yield world
            assert not task.done(), "a reflector never ends by itself"
        finally:
            task.cancel()
            await asyncio.wait([task])


@pytest.fixture
async def world(api: FakeApi, hasty: HastyClock) -> AsyncIterator[World]:
    async with follow(api, hasty) as world:
        yield world


async def test_list_then_watch(world: World) -> None:
    world.add("a")
    await world.reflector.synced.wait()
    await world.watching()
    world.add("b")
    world.change("a", "2")
    await world.sees(a="2", b="1")
    world.drop("a")
    await world.sees(b="1")
    assert world.reflector.relists == 1
    assert world.reflector.events >= 2


async def test_foreign_objects_are_not_seen(world: World) -> None:
    world.add("a")
    foreign = {"metadata": {"namespace": "ns", "name": "foreign"}, "data": {"value": "1"}}
    world.api.cluster.add(CONFIGMAPS, foreign)
    await world.sees(a="1")


async def test_one_namespace(api: FakeApi, hasty: HastyClock) -> None:
    def elsewhere(name: str) -> dict[str, Any]:
        return {"metadata": {"namespace": "elsewhere", "name": name}, "data": {"value": "1"}}

    api.cluster.add(CONFIGMAPS, elsewhere("x"))
    async with follow(api, hasty, scope=Scope(namespace="ns")) as world:
        world.add("a")
        await world.sees(a="1")
        await world.watching()
        api.cluster.add(CONFIGMAPS, elsewhere("y"))
        api.cluster.drop(CONFIGMAPS, "elsewhere", "x")
        world.change("a", "2")
        await world.sees(a="2")
        assert set(world.store.keys()) == {("ns", "a")}
        assert world.reflector.events == 1, "what happens elsewhere is not even heard"


async def test_an_object_that_loses_its_label_is_gone_for_us(world: World) -> None:
    world.add("a", "b")
    await world.sees(a="1", b="1")
    world.api.cluster.change(CONFIGMAPS, "ns", "a", lambda obj: obj["metadata"].update(labels={}))
    await world.sees(b="1")


async def test_deletions_while_the_watch_was_cut_and_its_version_compacted(world: World) -> None:
    world.add(*"abcdef")
    await world.sees(**dict.fromkeys("abcdef", "1"))
    await world.watching()
    world.api.watches.hold(CONFIGMAPS)
    for name in "bcd":
        world.drop(name)
    world.change("a", "2")
    world.add("g")
    world.api.compact()
    world.changes.clear()
    world.api.watches.release(CONFIGMAPS)
    await world.sees(a="2", e="1", f="1", g="1")
    assert sorted(change.name for change in world.changes) == ["a", "b", "c", "d", "g"]
    assert world.reflector.relists == 2


async def test_a_cut_stream_continues_where_it_was(world: World) -> None:
    world.add("a")
    await world.sees(a="1")
    for number in range(2, 6):
        await world.watching()
        world.api.watches.cut()
        world.change("a", str(number))
        await world.sees(a=str(number))
    assert world.reflector.relists == 1


async def test_the_api_server_is_away_for_two_minutes(world: World) -> None:
    world.add("a", "b")
    await world.sees(a="1", b="1")
    await world.watching()
    before = world.time.now
    await world.api.stop()
    world.change("a", "2")
    world.drop("b")
    await eventually(lambda: world.time.now - before > 120)
    assert world.known() == {"a": "1", "b": "1"}, "what is known is kept, old as it may be"
    assert world.reflector.age_s > 120
    await world.api.start()
    await world.sees(a="2")
    assert world.reflector.relists == 1, "an outage is no reason to list everything"


async def test_the_api_server_is_away_at_the_start(api: FakeApi, hasty: HastyClock) -> None:
    await api.stop()
    async with follow(api, hasty) as world:
        await eventually(lambda: hasty.now > 300)
        assert not world.reflector.synced.is_set()
        world.add("a")
        await api.start()
        await world.sees(a="1")


async def test_pauses_grow_to_half_a_minute_and_start_again_after_an_event(world: World) -> None:
    world.add("a")
    await world.sees(a="1")
    await world.watching()
    await world.api.stop()
    await eventually(lambda: len(world.time.slept) >= 10)
    pauses = world.time.slept[:10]
    assert pauses[0] <= 0.5
    assert pauses == sorted(pauses)
    assert 15 <= pauses[-1] <= 30
    await world.api.start()
    await world.watching()
    world.change("a", "2")
    await world.sees(a="2")
    world.time.slept.clear()
    world.api.watches.cut()
    await eventually(lambda: bool(world.time.slept))
    assert world.time.slept[0] <= 0.5


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_storm_of_refusals(api: FakeApi, hasty: HastyClock, status: int) -> None:
    storm = api.faults.fail(status, times=20)
    async with follow(api, hasty) as world:
        world.add("a")
        await world.sees(a="1")
        assert storm.hits == 20
        assert world.reflector.errors == 20
        assert hasty.now > 120, "20 refusals are spread over minutes"


async def test_three_errors_in_a_row_cast_doubt_on_the_version(world: World) -> None:
    world.add("a")
    await world.sees(a="1")
    await world.watching()
    world.api.faults.fail(500, times=3, where=lambda asked: asked.verb == "watch")
    world.api.watches.cut()
    await eventually(lambda: world.reflector.relists == 2)
    world.change("a", "2")
    await world.sees(a="2")


async def test_an_error_event_that_is_not_410(world: World) -> None:
    world.add("a")
    await world.sees(a="1")
    await world.watching()
    world.api.watches.fail(500)
    world.change("a", "2")
    await world.sees(a="2")
    assert world.reflector.errors == 1
    assert world.reflector.relists == 1


async def test_410_for_ever_is_not_a_busy_loop(world: World) -> None:
    world.add("a")
    await world.sees(a="1")
    world.api.faults.fail(410, times=20, reason="Expired", where=lambda asked: asked.verb == "watch")
    await world.watching()
    world.api.watches.cut()
    await eventually(lambda: world.reflector.relists >= 15)
    assert world.time.now > 60


async def test_a_silent_stream_is_dropped(api: FakeApi, hasty: HastyClock) -> None:
    async with follow(api, hasty, ReflectorSettings(stall_s=0.05)) as world:
        world.add("a")
        await world.sees(a="1")
        await world.watching()
        api.watches.hold(CONFIGMAPS)
        world.change("a", "2")
        await eventually(lambda: world.reflector.errors >= 1)
        api.watches.release(CONFIGMAPS)
        await world.sees(a="2")


async def test_bookmarks_keep_a_quiet_stream_alive_and_its_version_fresh(api: FakeApi, hasty: HastyClock) -> None:
    api.watches.bookmark_s = 0.02
    async with follow(api, hasty, ReflectorSettings(stall_s=0.5)) as world:
        world.add("a")
        await world.sees(a="1")
        await world.watching()
        # Versions move because of others; only bookmarks tell us, and they save the list after a compaction.
        other = {"metadata": {"namespace": "ns", "name": "other"}, "data": {"value": "1"}}
        api.cluster.add(CONFIGMAPS, other)
        position = api.cluster.storage.version
        await eventually(lambda: all(stream.position >= position for stream in api.watches.open))
        await asyncio.sleep(0.1)
        api.compact()
        api.watches.cut()
        world.change("a", "2")
        await world.sees(a="2")
        assert world.reflector.relists == 1
        assert world.reflector.events <= 3, "a bookmark is no event"


async def test_a_stream_that_always_ends_at_once_is_not_a_busy_loop(api: FakeApi, hasty: HastyClock) -> None:
    async with follow(api, hasty, ReflectorSettings(watch_min_s=0.0, watch_max_s=0.0)) as world:
        world.add("a")
        await eventually(lambda: api.counters.requests["watch ConfigMap"] >= 20)
        assert len(hasty.slept) >= 18


async def test_a_list_that_fails_half_way_starts_again(api: FakeApi, hasty: HastyClock) -> None:
    names = [f"c{number:02}" for number in range(25)]
    for name in names:
        api.cluster.add(CONFIGMAPS, configmap(name))
    pages = iter([False, False, True])
    api.faults.fail(500, where=lambda asked: asked.verb == "list" and next(pages, False))
    async with follow(api, hasty, ReflectorSettings(page_size=10)) as world:
        await world.reflector.synced.wait()
        assert sorted(world.known()) == names
        assert world.reflector.relists == 1
        assert api.counters.requests["list ConfigMap"] == 3 + 3


async def test_an_object_nobody_can_read_does_not_hide_the_others(world: World) -> None:
    broken = configmap("broken")
    del broken["data"]
    world.api.cluster.add(CONFIGMAPS, broken)
    world.add("a")
    await world.sees(a="1")
    assert world.reflector.unreadable == 1


async def test_our_own_write_is_stored_before_the_watch_tells(world: World) -> None:
    world.add("a")
    await world.sees(a="1")
    await world.watching()
    world.api.watches.hold(CONFIGMAPS)
    world.change("a", "2")
    written = world.api.cluster.find(CONFIGMAPS, "ns", "a")
    assert written
    assert world.store.put_if_newer(written)
    world.changes.clear()
    world.api.watches.release(CONFIGMAPS)
    world.change("a", "3")
    await world.sees(a="3")
    assert len(world.changes) == 1, "the event of our own write tells nobody again"


async def test_events_that_come_late(api: FakeApi, hasty: HastyClock) -> None:
    api.watches.delay_s = 0.05
    async with follow(api, hasty) as world:
        await world.reflector.synced.wait()
        await world.watching()
        world.add("a")
        assert world.known() == {}
        await world.sees(a="1")


async def test_a_big_list_lets_others_run(api: FakeApi, hasty: HastyClock) -> None:
    count = 3 * YIELD_EVERY
    for number in range(count):
        api.cluster.add(CONFIGMAPS, configmap(f"c{number:04}"))
    async with follow(api, hasty, ReflectorSettings(page_size=count)) as world:
        seen: set[int] = set()
        while not world.reflector.synced.is_set():
            seen.add(len(world.store))
            await asyncio.sleep(0)
        assert {YIELD_EVERY, 2 * YIELD_EVERY} <= seen
        assert len(world.store) == count


async def test_a_slow_reader_loses_nothing(api: FakeApi, hasty: HastyClock) -> None:
    """The store's subscriber takes its time; the server waits, and in the end everything is there."""
    async with follow(api, hasty) as world:
        await world.reflector.synced.wait()
        await world.watching()
        blob = "x" * 20_000
        for number in range(300):
            api.cluster.add(CONFIGMAPS, configmap(f"c{number:03}", f"{number}{blob}"))
            api.cluster.change(CONFIGMAPS, "ns", f"c{number:03}", lambda obj: obj["data"].update(value="done"))
        await eventually(lambda: len(world.store) == 300 and set(world.known().values()) == {"done"}, within_s=30)
        assert world.reflector.relists == 1


async def test_a_reader_slower_than_the_servers_history_lists_again(hasty: HastyClock) -> None:
    async with FakeApi(max_history=10) as api, follow(api, hasty) as world:
        await world.reflector.synced.wait()
        await world.watching()
        api.watches.hold(CONFIGMAPS)
        for number in range(50):
            world.add(f"c{number:02}")
        api.watches.release(CONFIGMAPS)
        await eventually(lambda: len(world.store) == 50)
        assert world.reflector.relists == 2


async def test_watches_of_many_kinds_end_at_different_times(api: FakeApi) -> None:
    settings = ReflectorSettings()
    assert (settings.watch_min_s, settings.watch_max_s) == (240, 480)
    ends = set()
    for chance in (0.0, 0.25, 0.99):
        time = HastyClock(chance=itertools.repeat(chance).__next__)
        async with follow(api, time) as world:
            await world.watching()
            ends |= {round(stream.ends_at) for stream in api.watches.open}
        await eventually(lambda: not api.watches.open)
    assert len(ends) == 3
