"""Triton's own clients, unmodified, against a real Triton: every call directly and through the gateway, compared."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import numpy as np
import pytest
import tritonclient.grpc as sync_client
import tritonclient.grpc.aio as aio_client
from google.protobuf.message import Message
from tests.support.grpc_gateway import Gateway, revision, running_gateway, table
from tests.support.planted_server import serving_planted
from tritonclient.grpc import service_pb2 as pb
from tritonclient.grpc import service_pb2_grpc as rpc
from tritonclient.utils import InferenceServerException

from plimsoll.core.records.outcome import Outcome
from plimsoll.core.routing.table import RouteTable
from plimsoll_dev.images.local_triton import LocalTriton

pytestmark = [pytest.mark.triton, pytest.mark.xdist_group("triton")]

MODELS = ("clean", "decoupled")


@pytest.fixture(scope="module")
def triton() -> Iterator[LocalTriton]:
    with serving_planted(*MODELS) as server:
        yield server


@asynccontextmanager
async def gateway_before(triton: LocalTriton) -> AsyncIterator[Gateway]:
    models = {
        name: route
        for model in MODELS
        for name, route in table(revision(f"{model}-1", "a"), model=model).models.items()
    }
    async with running_gateway(RouteTable(models), {"a": int(triton.grpc.rpartition(":")[2])}) as gateway:
        yield gateway


def tensor(client: Any, values: np.ndarray) -> Any:
    tensor = client.InferInput("x", values.shape, "FP32")
    tensor.set_data_from_numpy(values)
    return tensor


VALUES = np.arange(4 * 4, dtype=np.float32).reshape(4, 4)

Call = Callable[[rpc.GRPCInferenceServiceStub], Awaitable[Message]]


def request_of(values: np.ndarray, model: str = "clean", **extra: Any) -> pb.ModelInferRequest:
    request = pb.ModelInferRequest(model_name=model, id="one", raw_input_contents=[values.tobytes()], **extra)
    request.inputs.add(name="x", datatype="FP32", shape=values.shape)
    return request


CALLS: list[tuple[str, Call]] = [
    ("ModelInfer", lambda stub: stub.ModelInfer(request_of(VALUES))),
    ("ModelInfer, largest batch", lambda stub: stub.ModelInfer(request_of(np.ones((128, 4), np.float32)))),
    ("ModelMetadata", lambda stub: stub.ModelMetadata(pb.ModelMetadataRequest(name="clean"))),
    ("ModelConfig", lambda stub: stub.ModelConfig(pb.ModelConfigRequest(name="clean"))),
    ("ModelReady", lambda stub: stub.ModelReady(pb.ModelReadyRequest(name="clean", version="1"))),
    ("ServerLive", lambda stub: stub.ServerLive(pb.ServerLiveRequest())),
    ("ServerReady", lambda stub: stub.ServerReady(pb.ServerReadyRequest())),
    ("ServerMetadata", lambda stub: stub.ServerMetadata(pb.ServerMetadataRequest())),
    ("a wrong shape", lambda stub: stub.ModelInfer(request_of(np.ones((1, 5), np.float32)))),
    ("an unknown version", lambda stub: stub.ModelInfer(request_of(VALUES, model_version="9"))),
    ("an unknown output", lambda stub: stub.ModelInfer(request_of(VALUES, outputs=[{"name": "z"}]))),
    ("the wrong call", lambda stub: stub.ModelInfer(request_of(VALUES[:1], "decoupled"))),
]


async def result(call: Call, stub: rpc.GRPCInferenceServiceStub) -> tuple[object, ...]:
    try:
        return ("answer", (await call(stub)).SerializeToString(deterministic=True))
    except grpc.aio.AioRpcError as error:
        return (error.code(), error.details())


@pytest.mark.parametrize("call", [row[1] for row in CALLS], ids=[row[0] for row in CALLS])
async def test_an_answer_is_the_servers_byte_for_byte(triton: LocalTriton, call: Call) -> None:
    host = [("grpc.default_authority", "clean.vision.svc:8001")]
    async with (
        gateway_before(triton) as gateway,
        grpc.aio.insecure_channel(triton.grpc) as straight,
        grpc.aio.insecure_channel(gateway.address, options=host) as through,
    ):
        expected = await result(call, rpc.GRPCInferenceServiceStub(straight))
        assert await result(call, rpc.GRPCInferenceServiceStub(through)) == expected


async def test_the_asyncio_client(triton: LocalTriton) -> None:
    async with gateway_before(triton) as gateway:
        got = []
        for address in (triton.grpc, gateway.address):
            async with aio_client.InferenceServerClient(address) as client:
                answers = await asyncio.gather(
                    *(client.infer("clean", [tensor(aio_client, VALUES + n)], request_id=str(n)) for n in range(40))
                )
                got.append([(answer.get_response().id, answer.as_numpy("y").tolist()) for answer in answers])
                assert await client.is_model_ready("clean")
                statistics = await client.get_inference_statistics("clean")
                assert [each.name for each in statistics.model_stats] == ["clean"]
        assert got[0] == got[1]
        assert gateway.record("clean-1").outcomes == [Outcome.SUCCEEDED] * 40


async def test_the_blocking_client(triton: LocalTriton) -> None:
    def use(address: str) -> list[object]:
        with sync_client.InferenceServerClient(address) as client:
            answers: list[object] = [client.infer("clean", [tensor(sync_client, VALUES)]).as_numpy("y").tolist()]
            answers.append(client.get_model_metadata("clean", as_json=True))
            answers.append(client.get_model_config("clean", as_json=True))
            with pytest.raises(InferenceServerException) as caught:
                client.infer("clean", [tensor(sync_client, np.ones((1, 9), np.float32))])
            answers.append((caught.value.status(), caught.value.message()))
            done: queue.Queue[object] = queue.Queue()
            inputs = [tensor(sync_client, VALUES)]
            client.async_infer("clean", inputs, lambda result, error: done.put(error or result.as_numpy("y").tolist()))
            answers.append(done.get(timeout=20))
            return answers

    async with gateway_before(triton) as gateway:
        assert await asyncio.to_thread(use, gateway.address) == await asyncio.to_thread(use, triton.grpc)


@pytest.mark.parametrize("compression", ["gzip", "deflate"])
async def test_compressed_requests(triton: LocalTriton, compression: str) -> None:
    def use(address: str) -> object:
        host = [("grpc.default_authority", "clean.vision.svc:8001")]
        values = np.ones((128, 4), np.float32)
        with sync_client.InferenceServerClient(address, channel_args=host) as client:
            result = client.infer("clean", [tensor(sync_client, values)], compression_algorithm=compression)
            return result.as_numpy("y").tolist()

    async with gateway_before(triton) as gateway:
        assert await asyncio.to_thread(use, gateway.address) == await asyncio.to_thread(use, triton.grpc)


def counted(count: int) -> np.ndarray:
    return np.array([[count, 1, 2, 3]], np.float32)


async def test_a_decoupled_model_answers_as_often_as_it_likes_to_the_blocking_client(triton: LocalTriton) -> None:
    def use(address: str) -> list[tuple[str, bool, object]]:
        done: queue.Queue[tuple[Any, Any]] = queue.Queue()
        with sync_client.InferenceServerClient(address) as client:
            client.start_stream(lambda result, error: done.put((result, error)))
            for count in (3, 0, 50):
                inputs = [tensor(sync_client, counted(count))]
                client.async_stream_infer("decoupled", inputs, request_id=str(count), enable_empty_final_response=True)
            taken: list[tuple[str, bool, object]] = []
            for _ in range(3 + 50 + 3):
                result, error = done.get(timeout=20)
                assert error is None
                response = result.get_response()
                final = response.parameters["triton_final_response"].bool_param
                taken.append((response.id, final, None if final else result.as_numpy("y").tolist()))
            client.stop_stream()
        # The answers of a request have an order, those of two requests have none.
        return sorted(taken, key=lambda answer: answer[0])

    async with gateway_before(triton) as gateway:
        assert await asyncio.to_thread(use, gateway.address) == await asyncio.to_thread(use, triton.grpc)
        assert gateway.record("decoupled-1").outcomes == [Outcome.SUCCEEDED]


async def test_a_decoupled_model_and_the_asyncio_client(triton: LocalTriton) -> None:
    async def use(address: str) -> list[tuple[str, object, object]]:
        async def requests() -> AsyncIterator[dict[str, object]]:
            for count in (5, 2):
                yield {
                    "model_name": "decoupled",
                    "inputs": [tensor(aio_client, counted(count))],
                    "request_id": str(count),
                }

        async with aio_client.InferenceServerClient(address) as client:
            taken = [
                (result.get_response().id, result.as_numpy("y").tolist(), error)
                async for result, error in client.stream_infer(requests())
            ]
            return sorted(taken, key=lambda answer: answer[0])  # as above

    async with gateway_before(triton) as gateway:
        expected = await use(triton.grpc)
        assert len(expected) == 7
        assert await use(gateway.address) == expected


async def test_a_deadline_reaches_the_server(triton: LocalTriton) -> None:
    async with gateway_before(triton) as gateway, aio_client.InferenceServerClient(gateway.address) as client:
        with pytest.raises(InferenceServerException, match="Deadline Exceeded"):
            await client.infer("clean", [tensor(aio_client, VALUES)], client_timeout=1e-6)
        assert (await client.infer("clean", [tensor(aio_client, VALUES)], client_timeout=10)).as_numpy("y") is not None
