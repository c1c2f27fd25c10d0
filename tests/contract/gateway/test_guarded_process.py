"""The gateway as it runs in a pod, with a certificate and keys that are mounted while it runs."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
from tests.support.controller_process import free_port
from tests.support.fakeapi import FakeApi
from tests.support.fakeapi.__main__ import write_kubeconfig
from tests.support.gateway_process import gateway_process
from tests.support.mounted_secret import mount
from tests.support.routed import TEAM
from tests.support.tls import AUTHORITY, client_context

OLD, NEW = b"the-old-key-of-team-a", b"the-new-key-of-team-a"
MODEL = "/v2/models/unknown"


async def test_it_waits_for_its_secrets_and_follows_them(api: FakeApi, tmp_path: Path) -> None:
    kubeconfig, http_port = tmp_path / "kubeconfig", free_port()
    write_kubeconfig(kubeconfig, api.url)
    mount(tmp_path / "tls", {"tls.crt": b"garbage", "tls.key": b"garbage"})
    mount(tmp_path / "keys", {})
    settings = {
        "httpPort": http_port,
        "tls": {"secret": "gateway-tls", "folder": str(tmp_path / "tls")},
        "keys": {"secret": "gateway-keys", "folder": str(tmp_path / "keys")},
    }
    async with gateway_process(kubeconfig, TEAM, **settings) as running:
        async with asyncio.timeout(30):
            while "gateway-keys holds no key" not in (await running.get("/readyz"))[1]:  # noqa: ASYNC110 - a process
                await asyncio.sleep(0.05)
        assert "Secret gateway-tls cannot be used" in (await running.get("/readyz"))[1]

        mount(tmp_path / "tls", AUTHORITY.issue().files)
        mount(tmp_path / "keys", {"a": OLD})
        await running.answers("/readyz", 200)
        url = f"https://localhost:{http_port}"
        async with httpx.AsyncClient(verify=client_context(), trust_env=False, base_url=url) as client:

            async def statuses() -> list[int]:
                shown = [{}, {"X-API-Key": OLD.decode()}, {"Authorization": f"Bearer {NEW.decode()}"}]
                return [(await client.get(MODEL, headers=headers)).status_code for headers in shown]

            assert await statuses() == [401, 404, 401]
            mount(tmp_path / "keys", {"a": NEW})
            async with asyncio.timeout(30):
                while await statuses() != [401, 401, 404]:  # noqa: ASYNC110 - another process
                    await asyncio.sleep(0.1)
        metrics = await running.answers("/metrics", 200)
        assert "plimsoll_gateway_certificate_expiry_timestamp_seconds" in metrics
        assert 'plimsoll_gateway_tls_connections_total{outcome="let_in",protocol="http/1.1"} 1.0' in metrics
        log = running.log.read_text(encoding="utf-8")
        assert OLD.decode() not in log
        assert NEW.decode() not in log
