"""Who comes to a store that gateways share: credentials and authorities, as they are mounted."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.fakeapi import FakeApi
from tests.support.fakeapi.__main__ import write_kubeconfig
from tests.support.gateway_process import gateway_process
from tests.support.http_gateway import until
from tests.support.mounted_secret import mount
from tests.support.redis_server import RedisServer, connected, redis_server, store_at
from tests.support.remote_caching import (
    Load,
    asking,
    closes,
    doubling,
    how,
    one_gateway,
    opens,
    stored,
)
from tests.support.routed import TEAM
from tests.support.scripted_http import scripted
from tests.support.tls import AUTHORITY

PASSWORD = "a-password-that-nobody-may-read"  # noqa: S105 - of a server that lives as long as a test


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path) as server:
        yield server


# ---- who may come in -------------------------------------------------------------------------------------------------
async def test_a_wrong_password_is_said_once_without_it_and_the_right_one_is_taken(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    rights = ["on", ">" + PASSWORD, "~plimsoll:*", "+getrange", "+pttl", "+exists", "+set", "+ping"]
    mount(tmp_path / "login", {"username": b"gateways", "password": b"the-old-one"})
    settings = {"secret": "cache-login", "folder": str(tmp_path / "login")}
    with redis_server(tmp_path, "--requirepass", "another", "--user", "gateways", *rights) as redis:
        async with (
            scripted(doubling) as server,
            store_at(redis.url, connects=False, **settings) as store,
            one_gateway(server, store) as subject,
        ):
            async with Load(subject):
                await opens(store)
            said = [record.why for record in caplog.records if hasattr(record, "why")]
            assert said == ["it answers WRONGPASS; look at Secret cache-login"] * 2, "once for each connection"
            mount(tmp_path / "login", {"username": b"gateways", "password": PASSWORD.encode() + b"\n"})
            await until(lambda: connected(store), 40)
            async with Load(subject):
                await closes(store)
    everything = "".join(str(record.__dict__) for record in caplog.records)
    assert PASSWORD not in everything
    assert "the-old-one" not in everything


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({"password": b""}, "Secret cache-login has no entry 'password'"),
        (None, "Secret cache-login cannot be read: No such file or directory"),
    ],
)
async def test_a_secret_that_lacks_something(
    redis: RedisServer, tmp_path: Path, caplog: pytest.LogCaptureFixture, files: dict[str, bytes] | None, why: str
) -> None:
    folder = tmp_path / "login"
    if files is not None:
        mount(folder, files)
    async with store_at(redis.url, connects=False, secret="cache-login", folder=str(folder)) as store:  # noqa: S106
        await opens(store)
    assert {record.why for record in caplog.records if hasattr(record, "why")} == {why}


async def test_over_tls_only_a_store_that_is_known_is_asked(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    mount(tmp_path / "tls", {**AUTHORITY.issue().files, "ca.crt": AUTHORITY.pem})
    files = {name: str(tmp_path / "tls" / name) for name in ("tls.crt", "tls.key", "ca.crt")}
    tls = ("--tls-cert-file", files["tls.crt"], "--tls-key-file", files["tls.key"])
    more = ("--tls-ca-cert-file", files["ca.crt"], "--tls-auth-clients", "no")
    with redis_server(tmp_path, *tls, *more, tls=True) as redis:
        async with (
            scripted(doubling) as server,
            store_at(redis.url, caSecret="cache-ca", caFolder=str(tmp_path / "tls")) as store,
        ):
            async with one_gateway(server, store) as first:
                await first.ask(asking())
            await stored(store)
            async with one_gateway(server, store) as second:
                assert how(await second.ask(asking())) == "hit"
        caplog.clear()
        async with store_at(redis.url, connects=False) as store:
            await opens(store)
    said = {record.why for record in caplog.records if hasattr(record, "why")}
    assert all("its certificate is not trusted" in why for why in said)
    assert said


# ---- as a process ----------------------------------------------------------------------------------------------------
async def test_the_process_serves_on_with_it_dead_and_tells(api: FakeApi, tmp_path: Path) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    write_kubeconfig(kubeconfig, api.url)
    mount(tmp_path / "login", {"password": PASSWORD.encode()})
    with redis_server(tmp_path, "--requirepass", PASSWORD) as redis:
        login = {"secret": "cache-login", "folder": str(tmp_path / "login")}
        async with gateway_process(kubeconfig, TEAM, drainDelay="0s", redis={"url": redis.url, **login}) as running:
            await running.answers("/readyz", 200)
            async with asyncio.timeout(30):
                while 'remote_cache_connected{direction="read"} 1.0' not in (await running.get("/metrics"))[1]:  # noqa: ASYNC110 - a process
                    await asyncio.sleep(0.05)
            redis.signal(signal.SIGKILL)
            async with asyncio.timeout(30):
                while 'breaker{direction="read",state="open"} 1.0' not in (await running.get("/metrics"))[1]:  # noqa: ASYNC110 - a process
                    await asyncio.sleep(0.05)
            assert (await running.get("/readyz"))[0] == 200
            assert 'remote_cache_lookups_total{result="failed"} 0.0' in (await running.get("/metrics"))[1]
            assert await running.ends(signal.SIGTERM) == 0
            log = running.log.read_text(encoding="utf-8")
            assert '"event": "cache.remote_failed"' in log
            assert PASSWORD not in log
