"""Proving who we are: TLS with our own authority, client certificates, tokens that are rotated under load."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest
import yaml
from tests.support.fakeapi import FakeApi
from tests.support.fakeapi.clocks import HastyClock

from plimsoll.kube.client import Client, ClientSettings
from plimsoll.kube.connection import Connection, Credentials, Endpoint, connect
from plimsoll.kube.errors import ApiError, Unreachable
from plimsoll.kube.resources import CONFIGMAPS
from plimsoll_dev.cluster.pki import Authority, create_authority


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return create_authority(tmp_path, "ca")


def serve_tls(api: FakeApi, authority: Authority) -> None:
    pair = authority.issue("server", common_name="server", hosts=["127.0.0.1"])
    api.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    api.tls.load_cert_chain(pair.certificate, pair.key)
    api.tls.load_verify_locations(authority.pair.certificate)
    api.tls.verify_mode = ssl.CERT_REQUIRED


@pytest.fixture
def secured(authority: Authority) -> FakeApi:
    """Speaks TLS, wants a client certificate, holds a ConfigMap `x`; not started."""
    made = FakeApi()
    serve_tls(made, authority)
    made.cluster.add(CONFIGMAPS, {"metadata": {"namespace": "ns", "name": "x"}, "data": {"a": "1"}})
    return made


async def read(client: Client) -> dict[str, str]:
    data: dict[str, str] = (await client.get(CONFIGMAPS, "ns", "x"))["data"]
    return data


def write_kubeconfig(folder: Path, server: str, trusted: Authority, issuer: Authority) -> str:
    """The path of a kubeconfig that trusts one authority and logs in with a certificate of `issuer`."""
    path, admin = folder / "config", issuer.issue("admin", common_name="admin")
    config = {
        "current-context": "x",
        "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
        "clusters": [
            {"name": "x", "cluster": {"server": server, "certificate-authority": str(trusted.pair.certificate)}}
        ],
        "users": [{"name": "x", "user": {"client-certificate": str(admin.certificate), "client-key": str(admin.key)}}],
    }
    path.write_text(yaml.safe_dump(config))
    return str(path)


async def test_client_certificates_and_our_own_authority(
    tmp_path: Path, secured: FakeApi, authority: Authority
) -> None:
    async with secured as api:
        kubeconfig = write_kubeconfig(tmp_path, api.url, authority, authority)
        async with Client(await connect({"KUBECONFIG": kubeconfig})) as client:
            assert await read(client) == {"a": "1"}


async def test_a_foreign_authority_is_not_trusted(tmp_path: Path, secured: FakeApi, authority: Authority) -> None:
    foreign = create_authority(tmp_path / "foreign", "ca")
    async with secured as api:
        kubeconfig = write_kubeconfig(tmp_path, api.url, foreign, authority)
        settings = ClientSettings(retries=0)
        async with Client(await connect({"KUBECONFIG": kubeconfig}), settings) as client:
            with pytest.raises(Unreachable) as failure:
                await read(client)
    assert not failure.value.sent


async def test_a_rotated_authority_is_found_without_a_restart(
    tmp_path: Path, secured: FakeApi, authority: Authority
) -> None:
    time = HastyClock()
    next_authority = create_authority(tmp_path / "next", "ca")
    async with secured as api:
        kubeconfig = write_kubeconfig(tmp_path, api.url, authority, authority)
        connection = await connect({"KUBECONFIG": kubeconfig}, time.clock)
        async with Client(connection, clock=time.clock) as client:
            await read(client)
            await api.stop()
            serve_tls(api, next_authority)
            await api.start()
            write_kubeconfig(tmp_path, api.url, next_authority, next_authority)
            time.now += 60
            assert await read(client) == {"a": "1"}


class Rotating:
    """A login whose token file is rotated now and then."""

    def __init__(self, url: str) -> None:
        self.endpoint = Endpoint(url)
        self.file = self.loaded = "first"
        self.loads = 0

    async def authorization(self) -> str | None:
        return f"Bearer {self.loaded}"

    async def load(self) -> Credentials:
        self.loads += 1
        await asyncio.sleep(0.02)
        self.loaded = self.file
        return self


async def test_a_token_rotated_under_load_fails_no_call(api: FakeApi, hasty: HastyClock) -> None:
    api.token = "first"  # noqa: S105 - a test's
    login = Rotating(api.url)
    connection = Connection(login, login.load, hasty.clock)
    api.cluster.add(CONFIGMAPS, {"metadata": {"namespace": "ns", "name": "x"}, "data": {}})
    async with Client(connection, clock=hasty.clock) as client:
        await client.get(CONFIGMAPS, "ns", "x")
        api.token = login.file = "second"  # noqa: S105
        hasty.now += 60
        await asyncio.gather(*(client.get(CONFIGMAPS, "ns", "x") for _ in range(16)))
        assert login.loads == 1
        api.token = "revoked"  # noqa: S105
        hasty.now += 60
        with pytest.raises(ApiError) as refusal:
            await client.get(CONFIGMAPS, "ns", "x")
    assert refusal.value.status == 401
    assert "second" not in str(refusal.value)
