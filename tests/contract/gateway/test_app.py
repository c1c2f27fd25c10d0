"""The life of a gateway: filling, serving, draining, and what ends it early."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from aiohttp import web
from tests.support.controller_process import free_port
from tests.support.fakeapi import FakeApi
from tests.support.fakeapi.__main__ import write_kubeconfig
from tests.support.fakeapi.clocks import ManualClock, eventually
from tests.support.fakeapi.load import model_deployment
from tests.support.routed import TEAM, endpoint, endpoint_slice, routing

from plimsoll.errors import Invalid
from plimsoll.gateway.app import Gateway
from plimsoll.gateway.config import GatewayConfig, Self
from plimsoll.gateway.hot_path import form
from plimsoll.gateway.parts import Parts
from plimsoll.gateway.routes import Routes
from plimsoll.kube.resources import ENDPOINTSLICES, MODELDEPLOYMENTS
from plimsoll.version import VERSION


@dataclass
class Server:
    """A listener that remembers what it was told."""

    told: list[str] = field(default_factory=list)
    drained: asyncio.Event = field(default_factory=asyncio.Event)
    fails: Exception | None = None

    async def start(self) -> None:
        self.told.append("start")
        if self.fails:
            raise self.fails

    async def drain(self, deadline_s: float) -> None:
        self.told.append(f"drain {deadline_s:g}")
        await self.drained.wait()
        self.told.append("drained")


@dataclass
class Running:
    """One gateway in the test's own loop."""

    gateway: Gateway
    task: asyncio.Task[int]
    port: int
    time: ManualClock
    servers: Sequence[Server]

    async def get(self, path: str) -> tuple[int, str]:
        async with httpx.AsyncClient(trust_env=False) as client:
            try:
                answer = await client.get(f"http://127.0.0.1:{self.port}{path}")
            except httpx.TransportError:
                return 0, ""
            return answer.status_code, answer.text

    async def is_ready(self) -> None:
        async with asyncio.timeout(10):
            while await self.get("/readyz") != (200, "ok\n"):  # noqa: ASYNC110 - nobody tells when
                await asyncio.sleep(0.005)

    def told(self) -> list[list[str]]:
        return [server.told for server in self.servers]


@asynccontextmanager
async def a_gateway(*servers: Server, me: Self | None = None, parts: Parts | None = None) -> AsyncIterator[Running]:
    port, time = free_port(), ManualClock()
    config = GatewayConfig(admin_port=port, drain_delay="5s", drain_deadline="60s")
    gateway = Gateway(
        config, me or Self(TEAM, "gateway-1", "uid"), parts or Parts(listeners=lambda *_: servers), time.clock
    )
    task = asyncio.create_task(gateway.run())
    try:
        yield Running(gateway, task, port, time, servers)
    finally:
        for server in servers:
            server.drained.set()
        gateway.stop()
        while not task.done():
            await time.advance(1.0)
            await asyncio.sleep(0.001)


@pytest.fixture(autouse=True)
def kubeconfig(api: FakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_kubeconfig(tmp_path / "kubeconfig", api.url)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    monkeypatch.delenv("CONTEXT", raising=False)


async def test_it_serves_once_it_knows_where_to(api: FakeApi) -> None:
    failing = api.faults.fail(500, times=None, where=lambda asked: asked.kind == "EndpointSlice")
    async with a_gateway(Server(), Server()) as running:
        await eventually(lambda: failing.hits > 0)
        assert await running.get("/readyz") == (503, "waiting for endpointslices\n")
        assert await running.get("/livez") == (200, "ok\n"), "an outage is no reason to be restarted"
        assert running.told() == [[], []]
        api.faults.clear()
        await running.time.advance(5.0)
        await running.is_ready()
        assert running.told() == [["start"], ["start"]]


async def test_it_stays_ready_without_the_api_server(api: FakeApi) -> None:
    async with a_gateway() as running:
        await running.is_ready()
        await api.stop()
        await running.time.advance(600.0)
        assert await running.get("/readyz") == (200, "ok\n")
        assert await running.get("/livez") == (200, "ok\n")


async def test_the_end_unready_then_a_pause_then_the_drain_then_0() -> None:
    async with a_gateway(Server(), Server()) as running:
        await running.is_ready()
        running.gateway.stop()
        await running.time.advance(4.9)
        assert await running.get("/readyz") == (503, "draining\n")
        assert running.told() == [["start"], ["start"]], "requests are taken until everybody has heard"
        await running.time.advance(0.2)
        await eventually(lambda: running.told() == [["start", "drain 60"]] * 2)
        running.servers[0].drained.set()
        await asyncio.sleep(0.01)
        assert not running.task.done(), "the other one still has requests"
        assert (await running.get("/livez"))[0] == 200
        running.servers[1].drained.set()
        assert await running.task == 0
        assert await running.get("/livez") == (0, "")


async def test_routes_are_followed_to_the_last(api: FakeApi) -> None:
    async with a_gateway(Server()) as running:
        await running.is_ready()
        running.gateway.stop()
        await running.time.advance(10.0)
        api.cluster.add(MODELDEPLOYMENTS, model_deployment(TEAM, "late"))
        await eventually(lambda: "late" in running.gateway.targets.models)


async def test_told_to_end_before_it_serves_it_ends_at_once(api: FakeApi) -> None:
    api.faults.fail(500, times=None)
    server = Server()
    async with a_gateway(server) as running:
        await eventually(lambda: api.counters.failures.total() > 0)
        running.gateway.stop()
        assert await running.task == 0
        assert server.told == []


async def test_a_listener_that_fails_to_drain_does_not_keep_the_others_from_it() -> None:
    class Broken(Server):
        async def drain(self, deadline_s: float) -> None:
            raise RuntimeError(deadline_s)

    async with a_gateway(Broken(), Server()) as running:
        await running.is_ready()
        running.gateway.stop()
        await running.time.advance(6.0)
        await eventually(lambda: running.told()[1] == ["start", "drain 60"])
        running.servers[1].drained.set()
        assert await running.task == 0


async def test_a_part_that_dies_ends_the_gateway_in_order_with_1() -> None:
    good = Server()
    bad = Server(fails=OSError(98, "address already in use"))
    async with a_gateway(good, bad) as running:
        await eventually(lambda: bad.told == ["start"])
        await running.time.advance(6.0)
        await eventually(lambda: good.told == ["start", "drain 60"])
        good.drained.set()
        assert await running.task == 1


async def test_an_admin_port_that_is_taken_is_said() -> None:
    async with a_gateway() as first:
        await first.is_ready()
        config = GatewayConfig(admin_port=first.port)
        with pytest.raises(OSError, match="in use"):
            await Gateway(config, Self(TEAM, "gateway-2", "uid")).run()


async def test_no_cluster_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", "missing")
    with pytest.raises(Invalid, match="missing is not a file"):
        await Gateway(GatewayConfig(admin_port=free_port()), Self(TEAM, "gateway-1", "uid")).run()


async def test_more_paths_of_the_admin_port() -> None:
    def paths(boot: str, routes: Routes) -> list[web.RouteDef]:
        async def trust(_: web.Request) -> web.Response:
            routes.book.trust()
            return web.Response(text=boot)

        return [web.get("/v1/more", trust)]

    async with a_gateway(parts=Parts(admin=paths)) as running:
        await running.is_ready()
        assert await running.get("/v1/more") == (200, running.gateway.boot)
        metrics = (await running.get("/metrics"))[1]
        assert "plimsoll_gateway_trusted 1.0" in metrics
        assert f'plimsoll_gateway_build_info{{hot_path="{form()}",version="{VERSION}"}} 1.0' in metrics


async def test_what_it_follows_is_shown_to_people(api: FakeApi) -> None:
    api.cluster.add(MODELDEPLOYMENTS, model_deployment(TEAM, "digits"))
    uid = api.cluster.all(MODELDEPLOYMENTS)[0]["metadata"]["uid"]
    made = endpoint_slice("digits-1", [endpoint("a", "10.0.0.1"), endpoint("b", "10.0.0.2")])
    del made["metadata"]["resourceVersion"]
    api.cluster.add(ENDPOINTSLICES, made)

    def publish(routing: object) -> None:
        def edit(obj: dict[str, object]) -> None:
            obj["status"] = {"routing": routing}

        api.cluster.change(MODELDEPLOYMENTS, TEAM, "digits", edit, subresource="status")

    publish(routing(3, digits_1=950, digits_2=50))
    async with a_gateway() as running, httpx.AsyncClient(trust_env=False) as client:
        await running.is_ready()
        digits = {
            "uid": uid,
            "epoch": 3,
            "traffic": "Normal",
            "stable": {"name": "digits-1", "weightPermille": 1000, "endpoints": 2},
            "candidate": {"name": "digits-2", "weightPermille": 0, "endpoints": 0},
        }
        url = f"http://127.0.0.1:{running.port}/v1/routes"
        assert (await client.get(url)).json() == {
            "boot": running.gateway.boot,
            "trusted": False,
            "models": {"digits": digits},
        }
        assert (await client.get(url, params={"model": "digits"})).json() == {
            **digits,
            "endpoints": [
                {"revision": "digits-1", "pod": "a", "ip": "10.0.0.1", "outstanding": 0},
                {"revision": "digits-1", "pod": "b", "ip": "10.0.0.2", "outstanding": 0},
            ],
        }
        unknown = await client.get(url, params={"model": "faces"})
        assert (unknown.status_code, unknown.json()) == (404, {"error": "This gateway follows no model faces."})
        publish({"epoch": 4, "revisions": "none"})
        await running.time.advance(1.0)
        await eventually(lambda: running.gateway.targets.models["digits"].route.epoch == 3)
        async with asyncio.timeout(10):
            while "ignored" not in (shown := (await client.get(url)).json()["models"]["digits"]):
                await running.time.advance(0.1)
        assert shown["ignored"].startswith("status.routing.revisions: ")
        metrics = (await client.get(f"http://127.0.0.1:{running.port}/metrics")).text
        assert "plimsoll_gateway_models 1.0" in metrics
        assert "plimsoll_gateway_statuses_ignored 1.0" in metrics
