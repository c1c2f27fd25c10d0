"""The same calls to a real Triton, directly and through the gateway: the bytes are the same but for our header line."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from tests.support.http_gateway import Answer, Client, Gateway, gateway
from tests.support.planted_models import plant

from plimsoll.core.records.outcome import Outcome
from plimsoll_dev.images.local_triton import running_triton

pytestmark = [pytest.mark.triton, pytest.mark.xdist_group("measuring")]

OURS = b"x-plimsoll-revision: r1\r\n"
VALUES = np.array([[1, 2, 3, 4]], dtype=np.float32)
TENSOR = {"name": "x", "datatype": "FP32", "shape": [1, 4]}
PLAIN = json.dumps({"inputs": [{**TENSOR, "data": VALUES.tolist()}]}).encode()
PACKED = gzip.compress(PLAIN, mtime=0)
BINARY_HEAD = json.dumps(
    {
        "inputs": [{**TENSOR, "parameters": {"binary_data_size": 16}}],
        "outputs": [{"name": "y", "parameters": {"binary_data": True}}],
    }
).encode()
LARGE = json.dumps({"id": "x" * 300_000, "inputs": [{**TENSOR, "data": VALUES.tolist()}]}).encode()
CHUNKS = b"5\r\n" + PLAIN[:5] + b"\r\n%x\r\n" % len(PLAIN[5:]) + PLAIN[5:] + b"\r\n0\r\n\r\n"


def post(path: bytes, body: bytes, fields: bytes = b"") -> bytes:
    return b"POST %s HTTP/1.1\r\nHost: digits\r\nContent-Length: %d\r\n%s\r\n%s" % (path, len(body), fields, body)


def get(path: bytes, method: bytes = b"GET") -> bytes:
    return method + b" " + path + b" HTTP/1.1\r\nHost: digits.vision.svc\r\n\r\n"


INFER = b"/v2/models/digits/infer"
CALLS = {
    "JSON": (post(INFER, PLAIN), 200),
    "JSON of a version": (post(b"/v2/models/digits/versions/1/infer", PLAIN), 200),
    "binary tensors": (
        post(INFER, BINARY_HEAD + VALUES.tobytes(), b"Inference-Header-Content-Length: %d\r\n" % len(BINARY_HEAD)),
        200,
    ),
    "binary tensors without the length of their head": (post(INFER, BINARY_HEAD + VALUES.tobytes()), 400),
    "a compressed request": (post(INFER, PACKED, b"Content-Encoding: gzip\r\n"), 200),
    "a compressed answer": (post(INFER, PLAIN, b"Accept-Encoding: gzip\r\n"), 200),
    "a chunked request": (
        b"POST " + INFER + b" HTTP/1.1\r\nHost: digits\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS,
        200,
    ),
    "a large request": (post(INFER, LARGE), 200),
    "generate": (post(b"/v2/models/digits/generate", json.dumps({"x": [1, 2, 3, 4]}).encode()), None),
    "generate_stream": (post(b"/v2/models/digits/generate_stream", json.dumps({"x": [1, 2, 3, 4]}).encode()), None),
    "a wrong shape": (post(INFER, PLAIN.replace(b"[1, 4]", b"[2, 2]")), 400),
    "an unknown version": (post(b"/v2/models/digits/versions/9/infer", PLAIN), 404),
    "the wrong method": (get(INFER), 405),
    "metadata": (get(b"/v2/models/digits"), 200),
    "metadata of a version": (get(b"/v2/models/digits/versions/1"), 200),
    "configuration": (get(b"/v2/models/digits/config"), 200),
    "readiness of the model": (get(b"/v2/models/digits/ready"), 200),
    "readiness by host": (get(b"/v2/health/ready"), 200),
    "liveness by host": (get(b"/v2/health/live"), 200),
    "server metadata by host": (get(b"/v2"), 200),
}


@pytest.fixture(scope="module")
def triton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    repository: Path = tmp_path_factory.mktemp("repository")
    plant(repository, "clean", as_name="digits")
    with running_triton(repository) as server:
        yield int(urlsplit(server.http).port or 0)


@pytest.fixture
async def subject(triton: int) -> AsyncIterator[Gateway]:
    async with gateway(port=triton) as running:
        running.route(["127.0.0.1"])
        yield running


async def ask_directly(port: int, request: bytes) -> Answer:
    client = Client(*await asyncio.open_connection("127.0.0.1", port, limit=1 << 24))
    try:
        return await client.ask(request)
    finally:
        client.close()


@pytest.mark.parametrize("call", CALLS)
async def test_the_bytes_are_the_same(call: str, triton: int, subject: Gateway) -> None:
    request, status = CALLS[call]
    directly, through = await ask_directly(triton, request), await subject.ask(request)
    assert (through.head.replace(OURS, b""), through.body) == (directly.head, directly.body)
    assert through.head.count(OURS) == 1
    assert status is None or through.status == status


async def test_one_connection_serves_all_kinds_of_calls(subject: Gateway) -> None:
    client = await subject.connect()
    for request, status in CALLS.values():
        answer = await client.ask(request)
        assert status is None or answer.status == status
    client.close()
    record = subject.records["r1"]
    paths = [request.split(b" ")[1] for request, _ in CALLS.values()]
    inferences = sum(path.endswith((b"infer", b"generate", b"stream")) for path in paths)
    assert record.arrivals == len(record.ends) == inferences


async def test_an_invited_body(subject: Gateway) -> None:
    client = await subject.connect()
    head, _, body = post(INFER, PLAIN, b"Expect: 100-continue\r\n").partition(b"\r\n\r\n")
    assert (await client.ask(head + b"\r\n\r\n")).status == 100
    assert (await client.ask(body)).status == 200
    client.close()
    assert subject.records["r1"].outcomes == [Outcome.SUCCEEDED]
