"""The gateway as it runs in a pod: what it shows, whom it survives, signals and exit codes."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.controller_process import free_port
from tests.support.fakeapi import FakeApi
from tests.support.fakeapi.__main__ import write_kubeconfig
from tests.support.fakeapi.load import model_deployment
from tests.support.gateway_process import GatewayProcess, gateway_process
from tests.support.routed import TEAM, endpoint, endpoint_slice, routing

from plimsoll.gateway.app import CUT
from plimsoll.kube.resources import ENDPOINTSLICES, MODELDEPLOYMENTS

NEVER_DRAINS = ("-m", "tests.support.gateway_that_never_drains")


@pytest.fixture
def kubeconfig(api: FakeApi, tmp_path: Path) -> Path:
    path = tmp_path / "kubeconfig"
    write_kubeconfig(path, api.url)
    return path


def publish(api: FakeApi, epoch: int, **weights: int) -> None:
    def edit(obj: dict[str, Any]) -> None:
        obj["status"] = {"routing": routing(epoch, **weights)}

    api.cluster.change(MODELDEPLOYMENTS, TEAM, "digits", edit, subresource="status")


def a_model(api: FakeApi) -> None:
    api.cluster.add(MODELDEPLOYMENTS, model_deployment(TEAM, "digits"))
    made = endpoint_slice("digits-1", [endpoint("a")])
    del made["metadata"]["resourceVersion"]
    api.cluster.add(ENDPOINTSLICES, made)
    publish(api, 1, digits_1=1000)


async def follows(running: GatewayProcess, epoch: int, *, within_s: float = 60.0) -> None:
    async with asyncio.timeout(within_s):
        while (await running.routes()).get("digits", {}).get("epoch") != epoch:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.01)


async def test_it_follows_and_serves_on_without_the_api_server_and_ends_with_0(api: FakeApi, kubeconfig: Path) -> None:
    a_model(api)
    async with gateway_process(kubeconfig, TEAM) as running:
        await running.answers("/readyz", 200)
        assert (await running.routes())["digits"]["stable"] == {
            "name": "digits-1",
            "weightPermille": 1000,
            "endpoints": 1,
        }
        publish(api, 2, digits_1=1000, digits_2=0)
        # The promise is a second from the write to the last gateway, and the limit only ever fails a broken one.
        await follows(running, 2, within_s=10.0)
        await api.stop()
        publish(api, 3, digits_1=1000)
        await asyncio.sleep(0.3)
        assert await running.get("/readyz") == (200, "ok\n")
        assert (await running.routes())["digits"]["epoch"] == 2
        await api.start()
        await follows(running, 3)
        assert await running.ends(signal.SIGTERM) == 0


async def test_a_restart_finds_its_routes_from_the_api_server_alone(api: FakeApi, kubeconfig: Path) -> None:
    a_model(api)
    publish(api, 5, digits_1=950, digits_2=50)
    async with gateway_process(kubeconfig, TEAM) as killed:
        await killed.answers("/readyz", 200)
        assert await killed.ends(signal.SIGKILL) == -signal.SIGKILL
    async with gateway_process(kubeconfig, TEAM) as running:
        await running.answers("/readyz", 200)
        digits = (await running.routes())["digits"]
        assert (digits["epoch"], digits["candidate"]["weightPermille"]) == (5, 0)


async def test_scrapers_that_hang_hold_nobody_up(api: FakeApi, kubeconfig: Path) -> None:
    """It connects to no Prometheus; one that dies in mid-scrape leaves connections whose answers nobody reads."""
    http_port = free_port()
    async with gateway_process(kubeconfig, TEAM, httpPort=http_port) as running:
        await running.answers("/readyz", 200)
        scrapers = [await asyncio.open_connection("127.0.0.1", running.port) for _ in range(3)]
        for _, writer in scrapers:
            writer.write(b"GET /metrics HTTP/1.1\r\nHost: gateway\r\n\r\n" * 100)
        async with httpx.AsyncClient(trust_env=False) as client:
            for _ in range(20):
                assert (await client.get(f"http://127.0.0.1:{http_port}/v2/models/nobody")).status_code == 404
        assert await running.get("/readyz") == (200, "ok\n")
        for _, writer in scrapers:
            writer.close()


async def test_a_signal_before_it_is_ready(api: FakeApi, kubeconfig: Path) -> None:
    api.faults.fail(503, times=None)
    async with gateway_process(kubeconfig, TEAM) as running:
        assert await running.answers("/readyz", 503) == "waiting for modeldeployments, endpointslices\n"
        assert await running.ends(signal.SIGTERM) == 0


async def test_a_second_signal_ends_it_at_once(api: FakeApi, kubeconfig: Path) -> None:
    async with gateway_process(kubeconfig, TEAM, program=NEVER_DRAINS, drainDelay="1h") as running:
        await running.answers("/readyz", 200)
        running.process.send_signal(signal.SIGTERM)
        assert await running.answers("/readyz", 503) == "draining\n"
        assert await running.ends(signal.SIGTERM) == CUT


async def test_requests_that_never_end_are_cut_at_the_deadline(api: FakeApi, kubeconfig: Path) -> None:
    async with gateway_process(
        kubeconfig, TEAM, program=NEVER_DRAINS, drainDelay="10ms", drainDeadline="10ms"
    ) as running:
        await running.answers("/readyz", 200)
        assert await running.ends(signal.SIGTERM) == 0
        await running.says("gateway.drain_late")


async def test_the_admin_port_is_taken(api: FakeApi, kubeconfig: Path) -> None:
    async with gateway_process(kubeconfig, TEAM) as first:
        await first.answers("/livez", 200)
        async with gateway_process(kubeconfig, TEAM, adminPort=first.port) as second:
            assert await second.ends() == 2
            last = second.log.read_text(encoding="utf-8").splitlines()[-1]
            assert last.startswith("plimsoll gateway: ")
            assert "in use" in last
