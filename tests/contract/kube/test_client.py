"""The client against a server that misbehaves."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

import pytest
from tests.support.fakeapi import FakeApi
from tests.support.fakeapi.clocks import HastyClock, eventually
from tests.support.fakeapi.load import model_deployment

from plimsoll.kube.client import Client, ClientSettings
from plimsoll.kube.connection import Anonymous, Connection, Endpoint, open_connection
from plimsoll.kube.errors import (
    AlreadyExists,
    ApiError,
    Conflict,
    Forbidden,
    Gone,
    NotFound,
    ServerError,
    Throttled,
    Unprocessable,
    Unreachable,
)
from plimsoll.kube.resources import CONFIGMAPS, CONTROLLERREVISIONS, DEPLOYMENTS, LEASES, MODELDEPLOYMENTS, SERVICES


def configmap(name: str, data: dict[str, str] | None = None, **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"namespace": "ns", "name": name, **metadata},
        "data": data or {"a": "1"},
    }


async def names(client: Client, *, limit: int = 500, **kwargs: Any) -> list[str]:
    return [
        item["metadata"]["name"]
        async for page in client.list_pages(CONFIGMAPS, limit=limit, **kwargs)
        for item in page.items
    ]


class TestVerbs:
    async def test_create_get_replace_delete(self, api: FakeApi, client: Client) -> None:
        created = await client.create(CONFIGMAPS, configmap("x"), manager="me")
        assert await client.get(CONFIGMAPS, "ns", "x") == created
        replaced = await client.replace(CONFIGMAPS, {**created, "data": {"a": "2"}}, manager="me")
        assert replaced["data"] == {"a": "2"}
        await client.delete(CONFIGMAPS, "ns", "x")
        with pytest.raises(NotFound):
            await client.get(CONFIGMAPS, "ns", "x")
        assert api.counters.writes == 3

    async def test_only_its_metadata(self, api: FakeApi, client: Client) -> None:
        made = api.cluster.add(CONFIGMAPS, configmap("x", {"blob": "x" * 1_000_000}, annotations={"a": "b"}))
        seen = await client.get(CONFIGMAPS, "ns", "x", metadata_only=True)
        assert seen == {
            "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": made["metadata"]
        }  # fmt: skip

    async def test_a_taken_name(self, client: Client) -> None:
        await client.create(CONFIGMAPS, configmap("x"))
        with pytest.raises(AlreadyExists):
            await client.create(CONFIGMAPS, configmap("x"))

    async def test_a_stale_version(self, api: FakeApi, client: Client) -> None:
        old = await client.create(CONFIGMAPS, configmap("x"))
        api.cluster.change(CONFIGMAPS, "ns", "x", lambda obj: obj.update(data={"a": "theirs"}))
        with pytest.raises(Conflict) as refusal:
            await client.replace(CONFIGMAPS, old)
        assert not refusal.value.field_managers

    async def test_delete_only_the_object_that_was_meant(self, api: FakeApi, client: Client) -> None:
        api.cluster.add(CONFIGMAPS, configmap("x"))
        with pytest.raises(Conflict):
            await client.delete(CONFIGMAPS, "ns", "x", uid="of-an-older-one")
        with pytest.raises(Conflict):
            await client.delete(CONFIGMAPS, "ns", "x", resource_version="1")
        assert api.cluster.find(CONFIGMAPS, "ns", "x")

    async def test_merge_patch_removes_with_null(self, api: FakeApi, client: Client) -> None:
        api.cluster.add(CONFIGMAPS, configmap("x", {"a": "1", "b": "2"}))
        patched = await client.merge_patch(CONFIGMAPS, "ns", "x", {"data": {"a": None, "c": "3"}})
        assert patched["data"] == {"b": "2", "c": "3"}

    async def test_a_terminating_namespace(self, api: FakeApi, client: Client) -> None:
        api.cluster.terminating.add("ns")
        with pytest.raises(Forbidden) as refusal:
            await client.create(CONFIGMAPS, configmap("x"))
        assert refusal.value.namespace_terminating

    async def test_an_immutable_field_names_itself(self, client: Client) -> None:
        revision = {"metadata": {"namespace": "ns", "name": "x"}, "revision": 1, "data": {"a": 1}}
        created = await client.create(CONTROLLERREVISIONS, revision)
        with pytest.raises(Unprocessable) as refusal:
            await client.replace(CONTROLLERREVISIONS, {**created, "data": {"a": 2}})
        assert [cause.field for cause in refusal.value.causes] == ["data"]


class TestLists:
    async def test_pages_are_of_one_version(self, api: FakeApi, client: Client) -> None:
        for number in range(5):
            api.cluster.add(CONFIGMAPS, configmap(f"c{number}"))
        seen, versions = [], set()
        async for page in client.list_pages(CONFIGMAPS, limit=2):
            seen += [item["metadata"]["name"] for item in page.items]
            versions.add(page.resource_version)
            if len(seen) == 2:
                api.cluster.drop(CONFIGMAPS, "ns", "c4")
                api.cluster.add(CONFIGMAPS, configmap("c3a"))
        assert seen == ["c0", "c1", "c2", "c3", "c4"]
        assert len(versions) == 1

    async def test_nothing_there(self, client: Client) -> None:
        assert await names(client) == []

    async def test_a_page_token_that_was_compacted(self, api: FakeApi, client: Client) -> None:
        for number in range(3):
            api.cluster.add(CONFIGMAPS, configmap(f"c{number}"))
        pages = client.list_pages(CONFIGMAPS, limit=2)
        await anext(pages)
        api.compact()
        with pytest.raises(Gone):
            await anext(pages)

    @pytest.mark.parametrize(
        ("selector", "found"),
        [
            ("app=a", ["a1", "a2"]),
            ("app==a,tier!=x", ["a2"]),
            ("app in (a, b)", ["a1", "a2", "b1"]),
            ("app notin (a)", ["b1", "none"]),
            ("app", ["a1", "a2", "b1"]),
            ("!app", ["none"]),
        ],
    )
    async def test_labels_select(self, api: FakeApi, client: Client, selector: str, found: list[str]) -> None:
        for name, labels in {
            "a1": {"app": "a", "tier": "x"},
            "a2": {"app": "a", "tier": "y"},
            "b1": {"app": "b"},
            "none": {},
        }.items():
            api.cluster.add(CONFIGMAPS, configmap(name, labels=labels))
        assert await names(client, label_selector=selector) == found

    async def test_items_say_what_they_are(self, api: FakeApi, client: Client) -> None:
        api.cluster.add(CONFIGMAPS, configmap("x"))
        async for page in client.list_pages(CONFIGMAPS):
            assert [(item["apiVersion"], item["kind"]) for item in page.items] == [("v1", "ConfigMap")]

    async def test_only_their_metadata(self, api: FakeApi, client: Client) -> None:
        made = [api.cluster.add(CONFIGMAPS, configmap(name)) for name in ("a", "b", "c")]
        pages = client.list_pages(CONFIGMAPS, limit=2, metadata_only=True)
        seen = [item async for page in pages for item in page.items]
        assert [item["metadata"] for item in seen] == [obj["metadata"] for obj in made]
        assert not any("data" in item for item in seen)

    async def test_namespaces_are_kept_apart(self, api: FakeApi, client: Client) -> None:
        api.cluster.add(CONFIGMAPS, configmap("x"))
        api.cluster.add(CONFIGMAPS, configmap("y", namespace="other"))
        assert await names(client, namespace="other") == ["y"]
        assert await names(client) == ["x", "y"]


class TestApply:
    async def test_applying_the_same_again_changes_nothing(self, api: FakeApi, client: Client) -> None:
        first = await client.apply(CONFIGMAPS, configmap("x"), manager="plimsoll", force=True)
        again = await client.apply(CONFIGMAPS, configmap("x"), manager="plimsoll", force=True)
        assert again == first
        assert api.counters.snapshot() == {
            "writes": 2,
            "requests": {"apply ConfigMap": 2},
            "changes": {"write ConfigMap": 1},
            "noops": {"write ConfigMap": 1},
            "failures": {},
        }

    async def test_a_field_of_another_manager(self, api: FakeApi, client: Client) -> None:
        api.cluster.add(CONFIGMAPS, configmap("x", {"a": "theirs"}), manager="kubectl")
        with pytest.raises(Conflict) as refusal:
            await client.apply(CONFIGMAPS, configmap("x", {"a": "ours"}), manager="plimsoll", force=False)
        assert refusal.value.field_managers
        assert [(cause.field, cause.message) for cause in refusal.value.causes] == [
            (".data.a", 'conflict with "kubectl"')
        ]
        forced = await client.apply(CONFIGMAPS, configmap("x", {"a": "ours"}), manager="plimsoll", force=True)
        assert forced["data"] == {"a": "ours"}

    async def test_a_deleted_object_is_not_made_anew_for_its_uid(self, client: Client) -> None:
        with pytest.raises(Conflict):
            await client.apply(CONFIGMAPS, configmap("x", uid="gone"), manager="plimsoll", force=True)

    async def test_a_version_that_moved_on(self, api: FakeApi, client: Client) -> None:
        old = await client.apply(CONFIGMAPS, configmap("x"), manager="plimsoll", force=True)
        api.cluster.change(CONFIGMAPS, "ns", "x", lambda obj: obj.update(data={"z": "1"}))
        version = old["metadata"]["resourceVersion"]
        with pytest.raises(Conflict) as refusal:
            await client.apply(CONFIGMAPS, configmap("x", resourceVersion=version), manager="plimsoll", force=True)
        assert not refusal.value.field_managers

    async def test_status_and_spec_do_not_touch_each_other(self, api: FakeApi, client: Client) -> None:
        written = api.cluster.add(MODELDEPLOYMENTS, model_deployment("ns", "m"), manager="kubectl")
        status = {**model_deployment("ns", "m"), "spec": {"replicas": 99}, "status": {"phase": "Stable"}}
        out = await client.apply(MODELDEPLOYMENTS, status, manager="plimsoll", force=True, subresource="status")
        assert out["status"] == {"phase": "Stable"}
        assert out["spec"] == written["spec"]
        assert out["metadata"]["generation"] == 1


class TestRetries:
    @pytest.mark.parametrize("status", [429, 503])
    async def test_refused_without_effect_is_repeated(
        self, api: FakeApi, client: Client, hasty: HastyClock, status: int
    ) -> None:
        api.faults.fail(status, times=2, retry_after=2)
        await client.create(CONFIGMAPS, configmap("x"))
        assert api.counters.requests["create ConfigMap"] == 3
        assert all(pause >= 2 for pause in hasty.slept)
        assert len(hasty.slept) == 2

    async def test_a_storm_of_429_ends_with_the_error(self, api: FakeApi, client: Client) -> None:
        api.faults.fail(429, times=None, retry_after=1)
        with pytest.raises(Throttled) as refusal:
            await client.get(CONFIGMAPS, "ns", "x")
        assert refusal.value.retry_after == 1
        assert api.counters.requests["get ConfigMap"] == 4

    async def test_a_long_retry_after_is_given_to_the_caller_at_once(
        self, api: FakeApi, client: Client, hasty: HastyClock
    ) -> None:
        api.faults.fail(429, retry_after=60)
        with pytest.raises(Throttled) as refusal:
            await client.get(CONFIGMAPS, "ns", "x")
        assert refusal.value.retry_after == 60
        assert hasty.slept == []

    async def test_500_is_the_callers_business(self, api: FakeApi, client: Client) -> None:
        api.faults.fail(500)
        with pytest.raises(ServerError):
            await client.get(CONFIGMAPS, "ns", "x")
        assert api.counters.requests["get ConfigMap"] == 1

    async def test_a_cut_answer_to_an_apply_is_repeated(self, api: FakeApi, client: Client) -> None:
        api.faults.cut(after=True)
        await client.apply(CONFIGMAPS, configmap("x"), manager="plimsoll", force=True)
        assert api.counters.changes["write ConfigMap"] == 1
        assert api.counters.noops["write ConfigMap"] == 1

    async def test_a_cut_answer_to_a_create_is_not(self, api: FakeApi, client: Client) -> None:
        api.faults.cut(after=True)
        with pytest.raises(Unreachable) as failure:
            await client.create(CONFIGMAPS, configmap("x"))
        assert failure.value.sent
        assert api.counters.requests["create ConfigMap"] == 1

    async def test_the_repeat_of_a_replace_that_took_effect_is_a_conflict(self, api: FakeApi, client: Client) -> None:
        obj = api.cluster.add(CONFIGMAPS, configmap("x"))
        api.faults.cut(after=True)
        with pytest.raises(Conflict):
            await client.replace(CONFIGMAPS, {**obj, "data": {"a": "2"}})

    async def test_a_refused_connection_is_repeated_and_then_told(self, api: FakeApi, client: Client) -> None:
        await api.stop()
        with pytest.raises(Unreachable) as failure:
            await client.create(CONFIGMAPS, configmap("x"))
        assert not failure.value.sent
        await api.start()
        await client.create(CONFIGMAPS, configmap("x"))

    async def test_messages_of_outages_do_not_vary(self, api: FakeApi, client: Client) -> None:
        await api.stop()
        messages = set()
        for _ in range(3):
            with pytest.raises(Unreachable) as failure:
                await client.get(CONFIGMAPS, "ns", "x")
            messages.add(failure.value.message)
        assert messages == {"No answer to GET /api/v1/namespaces/ns/configmaps/x (ClientConnectorError)"}


class TestTimeLimits:
    async def test_a_hanging_server(self, api: FakeApi) -> None:
        settings = ClientSettings(timeout_s=0.1, retries=1)
        async with Client(open_connection(api.url), settings, HastyClock().clock) as client:
            api.faults.hang(30, times=None)
            with pytest.raises(Unreachable, match="No answer to GET"):
                await client.get(CONFIGMAPS, "ns", "x")
            assert api.counters.requests["get ConfigMap"] == 2

    async def test_the_rate_limit_spreads_requests(self, api: FakeApi, hasty: HastyClock) -> None:
        async with Client(open_connection(api.url), ClientSettings(qps=10, burst=5), hasty.clock) as client:
            for _ in range(15):
                await names(client)
        assert round(hasty.now, 6) == 1.0


class TestLogin:
    async def test_after_401_the_login_is_read_again_and_the_request_repeated(
        self, api: FakeApi, hasty: HastyClock
    ) -> None:
        loads = 0

        async def load() -> Anonymous:
            nonlocal loads
            loads += 1
            return Anonymous(Endpoint(api.url))

        connection = Connection(Anonymous(Endpoint(api.url)), load, hasty.clock)
        hasty.now += 60
        api.cluster.add(CONFIGMAPS, configmap("x"))
        async with Client(connection, clock=hasty.clock) as client:
            api.faults.fail(401, times=1, reason="Unauthorized")
            assert (await client.get(CONFIGMAPS, "ns", "x"))["metadata"]["name"] == "x"
            assert loads == 1
            api.faults.fail(401, times=None, reason="Unauthorized")
            with pytest.raises(ApiError) as refusal:
                await client.get(CONFIGMAPS, "ns", "x")
            assert refusal.value.status == 401
            assert loads == 1


class TestWatch:
    async def test_what_happened_since_comes_first(self, api: FakeApi, client: Client) -> None:
        first = api.cluster.add(CONFIGMAPS, configmap("a"))
        api.cluster.add(CONFIGMAPS, configmap("b"))
        api.cluster.change(CONFIGMAPS, "ns", "a", lambda obj: obj.update(data={"n": "2"}))
        api.cluster.drop(CONFIGMAPS, "ns", "b")
        assert await self.read(client, first["metadata"]["resourceVersion"], 3) == [
            ("ADDED", "b"), ("MODIFIED", "a"), ("DELETED", "b")
        ]  # fmt: skip

    async def test_an_object_that_leaves_the_selection_is_deleted_for_us(self, api: FakeApi, client: Client) -> None:
        first = api.cluster.add(CONFIGMAPS, configmap("a", labels={"app": "x"}))
        api.cluster.change(CONFIGMAPS, "ns", "a", lambda obj: obj["metadata"].update(labels={"app": "y"}))
        api.cluster.change(CONFIGMAPS, "ns", "a", lambda obj: obj["metadata"].update(labels={"app": "x"}))
        events = await self.read(client, first["metadata"]["resourceVersion"], 2, label_selector="app=x")
        assert events == [("DELETED", "a"), ("ADDED", "a")]

    async def test_only_the_metadata_of_what_changes(self, api: FakeApi, client: Client) -> None:
        version = str(api.cluster.storage.version)
        made = api.cluster.add(CONFIGMAPS, configmap("a"))
        stream = client.watch(CONFIGMAPS, resource_version=version, timeout_s=10, metadata_only=True)
        async with aclosing(stream):
            event = await anext(stream)
        assert event.object["metadata"] == made["metadata"]
        assert "data" not in event.object

    async def test_bookmarks_come_through(self, api: FakeApi, client: Client) -> None:
        api.watches.bookmark_s = 0.01
        first = api.cluster.add(CONFIGMAPS, configmap("a"))
        api.cluster.add(SERVICES, {"metadata": {"namespace": "ns", "name": "s"}, "spec": {"ports": [{"port": 1}]}})
        stream = client.watch(CONFIGMAPS, resource_version=first["metadata"]["resourceVersion"], timeout_s=10)
        async with aclosing(stream):
            event = await anext(stream)
        assert event.type == "BOOKMARK"
        assert int(event.object["metadata"]["resourceVersion"]) > int(first["metadata"]["resourceVersion"])

    async def test_an_event_of_three_megabytes(self, api: FakeApi, client: Client) -> None:
        version = str(api.cluster.storage.version)
        api.cluster.add(CONFIGMAPS, configmap("big", {"blob": "x" * 3_000_000}))
        api.cluster.add(CONFIGMAPS, configmap("small"))
        assert await self.read(client, version, 2) == [("ADDED", "big"), ("ADDED", "small")]

    async def test_a_compacted_version(self, api: FakeApi, client: Client) -> None:
        api.cluster.add(CONFIGMAPS, configmap("a"))
        api.cluster.storage.version += 5
        api.compact()
        with pytest.raises(Gone):
            await self.read(client, "1001", 1)

    async def test_an_error_event_is_raised(self, api: FakeApi, client: Client) -> None:
        watching = asyncio.create_task(self.read(client, str(api.cluster.storage.version), 1))
        await eventually(lambda: bool(api.watches.open))
        api.watches.fail(500)
        with pytest.raises(ServerError):
            await watching

    async def test_a_cut_stream(self, api: FakeApi, client: Client) -> None:
        watching = asyncio.create_task(self.read(client, str(api.cluster.storage.version), 1))
        await eventually(lambda: bool(api.watches.open))
        api.watches.cut()
        with pytest.raises(Unreachable):
            await watching

    async def test_the_server_ends_it_in_time(self, api: FakeApi, client: Client) -> None:
        version = str(api.cluster.storage.version)
        async with aclosing(client.watch(CONFIGMAPS, resource_version=version, timeout_s=1)) as stream:
            assert [event.type async for event in stream] == ["BOOKMARK"]
        assert not api.watches.open

    async def test_a_refusal_before_the_stream(self, api: FakeApi, client: Client) -> None:
        api.faults.fail(403, reason="Forbidden")
        with pytest.raises(Forbidden):
            await self.read(client, "1", 1)

    async def read(
        self, client: Client, version: str, count: int, *, label_selector: str | None = None
    ) -> list[tuple[str, str]]:
        found: list[tuple[str, str]] = []
        stream = client.watch(CONFIGMAPS, resource_version=version, label_selector=label_selector, timeout_s=20)
        async with aclosing(stream):
            async for event in stream:
                found.append((event.type, event.object["metadata"]["name"]))
                if len(found) == count:
                    break
        return found


async def test_kinds_without_unconditional_update_need_a_version(client: Client) -> None:
    lease = {"metadata": {"namespace": "ns", "name": "l"}, "spec": {"holderIdentity": "x"}}
    created = await client.create(LEASES, lease)
    del created["metadata"]["resourceVersion"]
    with pytest.raises(Unprocessable):
        await client.replace(LEASES, created)


async def test_five_hundred_creates_are_quick(api: FakeApi) -> None:
    """The rate limit never pauses them."""
    time = HastyClock()
    async with Client(open_connection(api.url), clock=time.clock) as client:
        limit = asyncio.Semaphore(16)

        async def create(number: int) -> None:
            async with limit:
                deployment = {
                    "metadata": {"namespace": "ns", "name": f"d{number}"},
                    "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": {"spec": {"containers": []}}},
                }
                await client.create(DEPLOYMENTS, deployment)

        await asyncio.gather(*(create(number) for number in range(500)))
    assert len(api.cluster.all(DEPLOYMENTS)) == 500
    assert time.slept == []
