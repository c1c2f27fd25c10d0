"""What a real Triton says when it is not its fault, over both protocols: the sentences that outcomes are told by."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import grpc
import pytest
from tests.support import grpc_gateway
from tests.support.http_gateway import Answer, Gateway, gateway, infer, pods
from tests.support.planted_models import plant
from tritonclient.grpc import service_pb2 as pb
from tritonclient.grpc import service_pb2_grpc as rpc

from plimsoll.core.records.outcome import Outcome
from plimsoll.core.routing.table import ModelRoute, RevisionRoute, RouteTable
from plimsoll_dev.images.local_triton import LocalTriton, running_triton

pytestmark = [pytest.mark.triton, pytest.mark.xdist_group("triton")]

CLEAN, RAISING, FULL, LATE = "clean", "raising", "full", "late"
X = {"name": "x", "datatype": "FP32", "shape": [1, 4]}
RIGHT = {"inputs": [{**X, "data": [1, 2, 3, 4]}]}
POLICIES = {FULL: "max_queue_size: 1", LATE: "timeout_action: REJECT default_timeout_microseconds: 1000"}


def of_x(**changed: Any) -> dict[str, Any]:
    return {"inputs": [{**X, "data": [1, 2, 3, 4], **changed}]}


UNREADABLE: dict[str, Any] = {
    "no JSON": "{",
    "nothing": "",
    "a list": [],
    "no inputs": {},
    "inputs that are none": {"inputs": {}},
    "no name": {"inputs": [{"datatype": "FP32", "shape": [1, 4], "data": [1, 2, 3, 4]}]},
    "no type": {"inputs": [{"name": "x", "shape": [1, 4], "data": [1, 2, 3, 4]}]},
    "an unknown type": of_x(datatype="FP99"),
    "no shape": {"inputs": [{"name": "x", "datatype": "FP32", "data": [1, 2, 3, 4]}]},
    "a shape that is none": of_x(shape="1,4"),
    "no data": {"inputs": [X]},
    "less data than the shape says": of_x(shape=[2, 4]),
    "more data than the shape says": of_x(data=[1, 2, 3, 4, 5]),
    "a null": of_x(data=[1, None, 3, 4]),
    "a text": of_x(data=[1, "two", 3, 4]),
    "another type": of_x(datatype="INT64"),
    "another shape": of_x(shape=[2, 2]),
    "a batch too large": of_x(shape=[200, 4], data=[1] * 800),
    "an unknown input": of_x(name="z"),
    "parameters that are none": {**RIGHT, "parameters": "x"},
    "a class count that is none": {**RIGHT, "outputs": [{"name": "y", "parameters": {"classification": "x"}}]},
}


@pytest.fixture(scope="module")
def triton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalTriton]:
    repository: Path = tmp_path_factory.mktemp("repository")
    plant(repository, CLEAN)
    plant(repository, RAISING, at=1)
    for name, policy in POLICIES.items():  # one request at a time, for 0.2 s each
        config = plant(repository, "constant", as_name=name, fixed_ms=200) / "config.pbtxt"
        text = config.read_text().replace("max_batch_size: 64", "max_batch_size: 1")
        text = text.replace("max_queue_delay_microseconds: 0", "default_queue_policy { " + policy + " }")
        config.write_text(text)
    with running_triton(repository) as server:
        yield server


@pytest.fixture
async def http(triton: LocalTriton) -> AsyncIterator[Gateway]:
    async with gateway(port=int(urlsplit(triton.http).port or 0)) as running:
        routes = {
            name: ModelRoute(name, name, 1, stable=RevisionRoute(name, 1000, pods(["127.0.0.1"])))
            for name in (CLEAN, RAISING, *POLICIES)
        }
        running.targets.apply(RouteTable(routes))
        yield running


async def ask(http: Gateway, model: str, said: Any) -> Answer:
    body = said if isinstance(said, str) else json.dumps(said)
    return await http.ask(infer(body.encode(), path=f"/v2/models/{model}/infer".encode()))


@pytest.mark.parametrize("case", UNREADABLE)
async def test_a_request_that_triton_cannot_take_is_the_clients_fault(case: str, http: Gateway) -> None:
    answer = await ask(http, CLEAN, UNREADABLE[case])
    assert (answer.status, http.records[CLEAN].outcomes) == (400, [Outcome.CLIENT_FAULT]), answer.body


async def test_a_model_that_raises_is_the_servers_fault(http: Gateway) -> None:
    answer = await ask(http, RAISING, {**RIGHT, "id": "Exceeds maximum queue size"})
    assert (answer.status, http.records[RAISING].outcomes) == (500, [Outcome.SERVER_FAULT])


@pytest.mark.parametrize("call", ["generate", "generate_stream"])
async def test_a_model_that_raises_within_a_generated_answer(call: str, http: Gateway) -> None:
    answer = await http.ask(infer(b'{"x":[1,2,3,4]}', path=f"/v2/models/{RAISING}/{call}".encode()))
    assert (answer.status, http.records[RAISING].outcomes) == (400, [Outcome.SERVER_FAULT])


@pytest.mark.parametrize("call", ["generate", "generate_stream"])
@pytest.mark.parametrize("body", [b"{", b"[]", b'{"x":"a"}', b'{"z":1}'])
async def test_a_request_to_generate_that_triton_cannot_take(call: str, body: bytes, http: Gateway) -> None:
    answer = await http.ask(infer(body, path=f"/v2/models/{CLEAN}/{call}".encode()))
    assert (answer.status, http.records[CLEAN].outcomes) == (400, [Outcome.CLIENT_FAULT]), answer.body


@pytest.mark.parametrize("call", ["generate", "generate_stream"])
@pytest.mark.parametrize("model", POLICIES)
async def test_a_full_queue_within_a_generated_answer(model: str, call: str, http: Gateway) -> None:
    request = infer(b'{"x":[1,2,3,4]}', path=f"/v2/models/{model}/{call}".encode())
    await asyncio.gather(*(http.ask(request) for _ in range(8)))
    assert set(http.records[model].outcomes) == {Outcome.SUCCEEDED, Outcome.SHED}


@pytest.mark.parametrize("model", POLICIES)
async def test_a_full_queue_is_nobodys_fault(model: str, http: Gateway) -> None:
    answers = await asyncio.gather(*(ask(http, model, {**RIGHT, "id": str(n)}) for n in range(8)))
    assert {answer.status for answer in answers} == {200, 503}
    assert set(http.records[model].outcomes) == {Outcome.SUCCEEDED, Outcome.SHED}


def message(model: str, shape: tuple[int, ...] = (1, 4), size: int = 16, **more: Any) -> pb.ModelInferRequest:
    request = pb.ModelInferRequest(model_name=model, raw_input_contents=[b"\0" * size], **more)
    request.inputs.add(name="x", datatype="FP32", shape=shape)
    return request


@asynccontextmanager
async def over_grpc(triton: LocalTriton, model: str) -> AsyncIterator[tuple[grpc_gateway.Gateway, grpc.aio.Channel]]:
    routes = grpc_gateway.table(grpc_gateway.revision("r1", "a"), model=model)
    ports = {"a": int(triton.grpc.rpartition(":")[2])}
    async with (
        grpc_gateway.running_gateway(routes, ports) as running,
        grpc.aio.insecure_channel(running.address) as channel,
    ):
        yield running, channel


async def code_of(channel: grpc.aio.Channel, request: pb.ModelInferRequest | bytes) -> grpc.StatusCode:
    try:
        if isinstance(request, bytes):
            await channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")(request)
        else:
            await rpc.GRPCInferenceServiceStub(channel).ModelInfer(request)
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


@pytest.mark.parametrize(
    "request_",
    [
        message(CLEAN, size=8),
        message(CLEAN, size=24),
        message(CLEAN, (2, 2)),
        message(CLEAN, (200, 4), 3200),
        pb.ModelInferRequest(model_name=CLEAN),
        b"\x0a\x05clean" + b"\xff" * 20,
        b"\x0a\x05clean\x1a\x02\xff\xfe",
    ],
)
async def test_what_triton_cannot_take_over_grpc(request_: pb.ModelInferRequest | bytes, triton: LocalTriton) -> None:
    async with over_grpc(triton, CLEAN) as (running, channel):
        assert await code_of(channel, request_) is grpc.StatusCode.INVALID_ARGUMENT
        assert running.record("r1").outcomes == [Outcome.CLIENT_FAULT]


@pytest.mark.parametrize("model", POLICIES)
async def test_a_full_queue_over_grpc(model: str, triton: LocalTriton) -> None:
    async with over_grpc(triton, model) as (running, channel):
        codes = await asyncio.gather(*(code_of(channel, message(model, id=str(n))) for n in range(8)))
        assert set(codes) == {grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE}
        assert set(running.record("r1").outcomes) == {Outcome.SUCCEEDED, Outcome.SHED}
