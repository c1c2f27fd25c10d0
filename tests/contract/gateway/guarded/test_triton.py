"""Triton's own clients, unmodified, against a real Triton behind a gateway with TLS and keys: all four forms."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
import tritonclient.grpc as grpc_client
import tritonclient.grpc.aio as grpc_aio_client
import tritonclient.http as http_client
import tritonclient.http.aio as http_aio_client
from tests.support.grpc_gateway import revision, running_gateway, table
from tests.support.http_gateway import gateway, pods
from tests.support.planted_server import serving_planted
from tests.support.tls import AUTHORITY, client_context, entry
from tritonclient.utils import InferenceServerException

from plimsoll.api.routing import Traffic
from plimsoll.core.access.keyring import read_keys
from plimsoll.core.routing.table import ModelRoute, RevisionRoute, RouteTable
from plimsoll.gateway.access import Access
from plimsoll.gateway.tls import Application
from plimsoll_dev.images.local_triton import LocalTriton

pytestmark = [pytest.mark.triton, pytest.mark.xdist_group("triton")]

KEY = "a-key-of-enough-characters"
KEY_METADATA = {"authorization": f"Bearer {KEY}"}  # in lower case, as gRPC wants it
VALUES = np.arange(4 * 4, dtype=np.float32).reshape(4, 4)
LARGEST = np.ones((128, 4), np.float32)


@pytest.fixture(scope="module")
def triton() -> Iterator[LocalTriton]:
    with serving_planted("clean", "decoupled") as server:
        yield server


@pytest.fixture
def authorities(tmp_path: Path) -> str:
    """A file with what clients trust."""
    path = tmp_path / "ca.pem"
    path.write_bytes(AUTHORITY.pem)
    return str(path)


def shown() -> dict[str, str]:
    """Header fields with the key; new ones each time, because Triton's clients add theirs to what they are given."""
    return {"Authorization": f"Bearer {KEY}"}


def with_key() -> Access:
    access = Access()
    access.replace(read_keys({"team-a": KEY.encode()}).ring)
    return access


@asynccontextmanager
async def over_http(triton: LocalTriton) -> AsyncIterator[str]:
    """Yields host and port."""
    http = urlsplit(triton.http)
    door = entry(Application.HTTP1).door
    async with gateway(port=http.port or 0, door=door, access=with_key()) as running:
        stable = RevisionRoute("clean-1", 1000, pods([http.hostname or ""]))
        running.targets.apply(RouteTable({"clean": ModelRoute("clean", "uid", 1, Traffic.NORMAL, stable, None)}))
        yield f"localhost:{running.port}"


@asynccontextmanager
async def over_grpc(triton: LocalTriton) -> AsyncIterator[str]:
    """Yields host and port."""
    models = {
        name: route
        for model in ("clean", "decoupled")
        for name, route in table(revision(f"{model}-1", "a"), model=model).models.items()
    }
    ports = {"a": int(triton.grpc.rpartition(":")[2])}
    door = entry(Application.HTTP2).door
    async with running_gateway(RouteTable(models), ports, door=door, access=with_key()) as running:
        yield f"localhost:{running.port}"


def tensor(client: Any, values: np.ndarray) -> Any:
    made = client.InferInput("x", values.shape, "FP32")
    made.set_data_from_numpy(values)
    return made


# ---- gRPC ----
async def test_the_blocking_grpc_client(triton: LocalTriton, authorities: str) -> None:
    def use(address: str, **secure: Any) -> list[object]:
        headers = dict(KEY_METADATA) if secure else {}
        with grpc_client.InferenceServerClient(address, **secure) as client:
            return [
                client.infer("clean", [tensor(grpc_client, VALUES)], headers=headers).as_numpy("y").tolist(),
                client.infer("clean", [tensor(grpc_client, LARGEST)], headers=headers).as_numpy("y").tolist(),
                client.get_model_metadata("clean", headers=headers, as_json=True),
                client.is_model_ready("clean", headers=headers),
            ]

    expected = await asyncio.to_thread(use, triton.grpc)
    async with over_grpc(triton) as address:
        assert await asyncio.to_thread(use, address, ssl=True, root_certificates=authorities) == expected


async def test_the_asyncio_grpc_client_and_a_stream(triton: LocalTriton, authorities: str) -> None:
    async def use(address: str, **secure: Any) -> list[object]:
        headers = dict(KEY_METADATA) if secure else {}

        async def requests() -> AsyncIterator[dict[str, object]]:
            inputs = [tensor(grpc_aio_client, np.array([[5, 1, 2, 3]], np.float32))]
            yield {"model_name": "decoupled", "inputs": inputs, "request_id": "1"}

        async with grpc_aio_client.InferenceServerClient(address, **secure) as client:
            answers = await asyncio.gather(
                *(client.infer("clean", [tensor(grpc_aio_client, VALUES + n)], headers=headers) for n in range(20))
            )
            streamed = [
                (result.as_numpy("y").tolist(), error)
                async for result, error in client.stream_infer(requests(), headers=headers)
            ]
            return [*(answer.as_numpy("y").tolist() for answer in answers), *streamed]

    expected = await use(triton.grpc)
    assert len(expected) == 25
    async with over_grpc(triton) as address:
        assert await use(address, ssl=True, root_certificates=authorities) == expected


async def test_a_grpc_client_without_a_key_is_told(triton: LocalTriton, authorities: str) -> None:
    def use(address: str) -> tuple[str, str]:
        with grpc_client.InferenceServerClient(address, ssl=True, root_certificates=authorities) as client:
            try:
                client.infer("clean", [tensor(grpc_client, VALUES)])
            except InferenceServerException as error:
                return error.status(), error.message()
        return "", ""

    async with over_grpc(triton) as address:
        status, message = await asyncio.to_thread(use, address)
    assert status == "StatusCode.UNAUTHENTICATED"
    assert "wants a key" in message


# ---- HTTP ----
async def test_httpx(triton: LocalTriton) -> None:
    body = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [4, 4], "data": VALUES.tolist()}]}

    async def use(base: str, headers: dict[str, str]) -> list[object]:
        async with httpx.AsyncClient(
            base_url=base, verify=client_context(), headers=headers, trust_env=False
        ) as client:
            answers = await asyncio.gather(*(client.post("/v2/models/clean/infer", json=body) for _ in range(20)))
            metadata = await client.get("/v2/models/clean")
            return [*(answer.json() for answer in answers), metadata.json()]

    async with over_http(triton) as address:
        through = await use(f"https://{address}", shown())
        assert through == await use(triton.http, {})
        refused = await use(f"https://{address}", {})
        assert "wants a key" in str(refused)


async def test_the_blocking_http_client(triton: LocalTriton, authorities: str) -> None:
    def use(address: str, headers: dict[str, str], **secure: Any) -> list[object]:
        with http_client.InferenceServerClient(address, **secure) as client:
            return [
                client.infer("clean", [tensor(http_client, VALUES)], headers=headers).as_numpy("y").tolist(),
                client.infer(
                    "clean",
                    [tensor(http_client, LARGEST)],
                    headers=headers,
                    request_compression_algorithm="gzip",
                    response_compression_algorithm="gzip",
                )
                .as_numpy("y")
                .tolist(),
                client.get_model_metadata("clean", headers=headers),
                client.is_model_ready("clean", headers=headers),
            ]

    expected = await asyncio.to_thread(use, urlsplit(triton.http).netloc, {})
    async with over_http(triton) as address:
        secure = {"ssl": True, "ssl_options": {"ca_certs": authorities}}
        assert await asyncio.to_thread(use, address, shown(), **secure) == expected


async def test_the_asyncio_http_client(triton: LocalTriton) -> None:
    async def use(address: str, headers: dict[str, str], **secure: Any) -> list[object]:
        async with http_aio_client.InferenceServerClient(address, **secure) as client:
            answers = await asyncio.gather(
                *(client.infer("clean", [tensor(http_aio_client, VALUES + n)], headers=headers) for n in range(20))
            )
            return [answer.as_numpy("y").tolist() for answer in answers]

    expected = await use(urlsplit(triton.http).netloc, {})
    async with over_http(triton) as address:
        assert await use(address, shown(), ssl=True, ssl_context=client_context()) == expected
