"""What the controller says of itself while it starts; test_processes.py asks leaders and standbys."""

from __future__ import annotations

import httpx
from tests.contract.controller.whole_controller import Running, World


async def get(running: Running, path: str) -> tuple[int, str]:
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(f"http://127.0.0.1:{running.port}{path}")
        return answer.status_code, answer.text


async def test_without_a_server_it_lives_and_is_not_ready_until_the_caches_are_filled(operated: World) -> None:
    await operated.api.stop()
    async with operated.controller() as running:
        await operated.passes(3)
        assert await get(running, "/livez") == (200, "ok\n")
        status, said = await get(running, "/readyz")
        assert status == 503
        assert said.removeprefix("waiting for ").strip().split(", ") == [
            *("ModelDeployment", "ControllerRevision", "Deployment", "Service", "Pod", "Job", "ConfigMap"),
            *("GatewayDeployment", "GatewayPod"),
        ]
        assert 'plimsoll_cache_relists{kind="Deployment"} 0.0' in (await get(running, "/metrics"))[1]
        await operated.api.start()
        await operated.until(operated.leader)
        await operated.passes(30)
        assert await get(running, "/readyz") == (200, "ok\n")


async def test_an_outage_later_makes_it_neither_dead_nor_unready(operated: World) -> None:
    """Killing it would cost the caches and cure nothing."""
    async with operated.controller() as running:
        await operated.until(operated.leader)
        await operated.api.stop()
        await operated.passes(5)
        assert await get(running, "/livez") == (200, "ok\n")
        assert await get(running, "/readyz") == (200, "ok\n")


async def test_what_it_does_is_counted(operated: World) -> None:
    operated.apply()
    async with operated.controller() as running:
        await operated.becomes_ready()
        _, text = await get(running, "/metrics")
        for line in (
            r'plimsoll_writes_total{kind="Deployment",verb="apply"}',
            r'plimsoll_writes_total{kind="ModelDeployment",verb="status"}',
            r'plimsoll_reconciles_total{outcome="changed"}',
            "plimsoll_reconcile_seconds_count",
            "plimsoll_leading 1.0",
            "plimsoll_loop_lag_seconds",
        ):
            assert line in text
