"""A whole gateway takes a model from its users with neither a controller nor an API server there."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
from tests.support.controller_process import free_port
from tests.support.fakeapi import FakeApi
from tests.support.fakeapi.__main__ import write_kubeconfig
from tests.support.fakeapi.load import model_deployment
from tests.support.gateway_process import gateway_process
from tests.support.routed import TEAM, endpoint, endpoint_slice, routing

from plimsoll.core.names import RESET_KILL_SWITCH_ANNOTATION
from plimsoll.kube.resources import ENDPOINTSLICES, MODELDEPLOYMENTS

NOBODY = "127.0.0.99"
"""No model server listens there, so every request breaks."""


async def test_it_trips_alone_is_told_on_its_ports_and_is_released_by_an_annotation(
    api: FakeApi, tmp_path: Path
) -> None:
    kubeconfig, port = tmp_path / "kubeconfig", free_port()
    write_kubeconfig(kubeconfig, api.url)
    made = model_deployment(TEAM, "digits")
    made["spec"]["killSwitch"] = {"errorRate": "50%", "window": "1m", "minRequests": 5, "action": "Stopped"}
    api.cluster.add(MODELDEPLOYMENTS, made)
    pods = endpoint_slice("digits-1", [endpoint("a", NOBODY)])
    del pods["metadata"]["resourceVersion"]
    api.cluster.add(ENDPOINTSLICES, pods)

    def routed(obj: dict[str, Any]) -> None:
        obj["status"] = {"routing": routing(1, digits_1=1000)}

    def reset(obj: dict[str, Any]) -> None:
        obj["metadata"]["annotations"] = {RESET_KILL_SWITCH_ANNOTATION: "the node was replaced"}

    api.cluster.change(MODELDEPLOYMENTS, TEAM, "digits", routed, subresource="status")
    url = f"http://127.0.0.1:{port}/v2/models/digits/infer"
    async with (
        gateway_process(kubeconfig, TEAM, httpPort=port) as running,
        httpx.AsyncClient(trust_env=False) as client,
    ):
        await running.answers("/readyz", 200)
        await api.stop()
        assert [(await client.post(url, json={})).status_code for _ in range(5)] == [502] * 5
        await running.says("kill_switch.tripped")
        refused = await client.post(url, json={})
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "10")
        assert "5 of 5 requests failed" in refused.text
        assert "kill switch" in (await running.routes())["digits"]["diverted"]
        _, metrics = await running.get("/metrics")
        assert 'plimsoll_gateway_kill_switch_tripped{action="Stopped",model="digits"} 1.0' in metrics
        await api.start()
        api.cluster.change(MODELDEPLOYMENTS, TEAM, "digits", reset)
        async with asyncio.timeout(60):
            while "diverted" in (await running.routes())["digits"]:  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.05)
        assert (await client.post(url, json={})).status_code == 502
