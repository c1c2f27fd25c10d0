"""Where the configuration comes from."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.fakeapi.clocks import ManualClock

from plimsoll.errors import Invalid
from plimsoll.kube.connection import Anonymous, Connection, Credentials, Endpoint, connect, open_connection


def write_kubeconfig(path: Path, **users: dict[str, Any]) -> Path:
    """One cluster and one context per user; the first is current."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": next(iter(users)),
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}} for name in users],
        "clusters": [{"name": name, "cluster": {"server": f"http://{name}.example:6443/"}} for name in users],
        "users": [{"name": name, "user": user} for name, user in users.items()],
    }
    path.write_text(yaml.safe_dump(config))
    return path


async def test_kubeconfig_with_its_current_context(tmp_path: Path) -> None:
    path = write_kubeconfig(tmp_path / "config", dev={"token": "dev-token"}, prod={"token": "prod-token"})
    connection = await connect({"KUBECONFIG": str(path)})
    assert connection.endpoint == Endpoint("http://dev.example:6443")
    assert await connection.authorization() == "Bearer dev-token"


async def test_context_picks_another(tmp_path: Path) -> None:
    path = write_kubeconfig(tmp_path / "config", dev={"token": "dev-token"}, prod={"token": "prod-token"})
    connection = await connect({"KUBECONFIG": str(path), "CONTEXT": "prod"})
    assert connection.endpoint.server == "http://prod.example:6443"
    assert await connection.authorization() == "Bearer prod-token"


async def test_several_files_of_which_one_is_missing(tmp_path: Path) -> None:
    path = write_kubeconfig(tmp_path / "config", dev={"username": "u", "password": "p"})
    connection = await connect({"KUBECONFIG": f"{tmp_path / 'missing'}:{path}"})
    assert await connection.authorization() == f"Basic {base64.b64encode(b'u:p').decode()}"


async def test_no_login_at_all(tmp_path: Path) -> None:
    connection = await connect({"KUBECONFIG": str(write_kubeconfig(tmp_path / "config", dev={}))})
    assert await connection.authorization() is None


async def test_kubeconfig_wins_in_a_pod(tmp_path: Path) -> None:
    path = write_kubeconfig(tmp_path / "config", dev={"token": "t"})
    connection = await connect({"KUBECONFIG": str(path), "KUBERNETES_SERVICE_HOST": "10.0.0.1"})
    assert connection.endpoint.server == "http://dev.example:6443"


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({"KUBECONFIG": "/nowhere/config"}, "/nowhere/config is not a file"),
        ({"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}, "cannot be used"),
    ],
)
async def test_nothing_usable_is_said_plainly(environ: dict[str, str], says: str) -> None:
    with pytest.raises(Invalid, match=says):
        await connect(environ)


async def test_an_unknown_context_is_said_plainly(tmp_path: Path) -> None:
    path = write_kubeconfig(tmp_path / "config", dev={"token": "t"})
    with pytest.raises(Invalid, match="nonsense"):
        await connect({"KUBECONFIG": str(path), "CONTEXT": "nonsense"})


async def test_a_rotated_token_is_read_again_but_not_for_every_request(tmp_path: Path) -> None:
    time = ManualClock()
    path = write_kubeconfig(tmp_path / "config", dev={"token": "old"})
    connection = await connect({"KUBECONFIG": str(path)}, time.clock)
    write_kubeconfig(path, dev={"token": "new"})
    assert await connection.reload() is False
    assert await connection.authorization() == "Bearer old"
    time.now = 11
    assert await connection.reload() is True
    assert await connection.authorization() == "Bearer new"
    assert await connection.reload() is False


async def test_a_configuration_that_went_away_leaves_the_old_one_in_force(tmp_path: Path) -> None:
    time = ManualClock()
    path = write_kubeconfig(tmp_path / "config", dev={"token": "old"})
    connection = await connect({"KUBECONFIG": str(path)}, time.clock)
    path.unlink()
    time.now = 11
    assert await connection.reload() is False
    assert await connection.authorization() == "Bearer old"


async def test_an_open_server_needs_nothing() -> None:
    connection = open_connection("http://127.0.0.1:8001/")
    assert connection.endpoint == Endpoint("http://127.0.0.1:8001")
    assert connection.endpoint.ssl_context() is None
    assert await connection.authorization() is None


async def test_loading_is_injected() -> None:
    time = ManualClock()

    async def load() -> Credentials:
        return Anonymous(Endpoint("http://second"))

    connection = Connection(Anonymous(Endpoint("http://first")), load, time.clock)
    time.now = 11
    assert await connection.reload()
    assert connection.endpoint.server == "http://second"


def test_tls_without_verification_is_only_on_request() -> None:
    strict = Endpoint("https://x").ssl_context()
    lax = Endpoint("https://x", insecure=True).ssl_context()
    assert strict is not None
    assert strict.check_hostname
    assert lax is not None
    assert not lax.check_hostname
