"""One session with one model: what is asked, what comes back, and what each failure is taken for."""

import asyncio

import grpc
import numpy as np
import pytest
from tests.support.oip_server import Die, Model, Refuse, Tensors, serving
from tests.support.preflighting import f32

from plimsoll.api.preflight_report import ModelKind
from plimsoll.api.vocabulary import DataType
from plimsoll.preflight.client import Session
from plimsoll.preflight.failures import (
    CallError,
    NoAnswerError,
    OverloadedError,
    RefusedError,
    ServerGoneError,
)

UNAVAILABLE, INTERNAL = grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL


def triple(inputs: Tensors) -> Tensors:
    return {"y": np.repeat(inputs["x"][:, :1], 3, axis=1)}


async def test_an_answer_comes_back_as_values() -> None:
    async with serving(Model(triple)) as server, Session(server.address, "m", 5) as session:
        await session.describe()
        answer = await session.infer(session.prepare({"x": f32([1, 2], [3, 4])}))
    assert answer["y"].tolist() == [[1, 1, 1], [3, 3, 3]]
    assert server.asked == [2]


async def test_text_and_bfloat16_travel() -> None:
    model = Model(
        lambda inputs: {"t": inputs["t"], "b": inputs["b"]},
        inputs=[("t", DataType.BYTES, [1]), ("b", DataType.BF16, [2])],
        outputs=[("t", DataType.BYTES, [1]), ("b", DataType.BF16, [2])],
    )
    text = np.array([["größe".encode()], [b""]], dtype=object)
    async with serving(model) as server, Session(server.address, "m", 5) as session:
        await session.describe()
        answer = await session.infer(session.prepare({"t": text, "b": f32([1.5, -2], [0, 3])}))
    assert answer["t"].tolist() == text.tolist()
    assert answer["b"].tolist() == [[1.5, -2], [0, 3]]


async def test_an_input_may_be_optional() -> None:
    config = {"input": [{"name": "z", "data_type": "TYPE_FP32", "dims": [2], "optional": True}]}
    async with serving(Model(triple, config=config)) as server, Session(server.address, "m", 5) as session:
        served = await session.describe()
    assert [(tensor.name, tensor.optional) for tensor in served.inputs] == [("z", True), ("x", False)]


async def test_what_is_served_is_described() -> None:
    config = {
        "dynamic_batching": {"max_queue_delay_microseconds": 1500},
        "instance_group": [{"count": 2, "kind": "KIND_GPU", "gpus": [0, 1]}, {"count": 1}],
    }
    async with serving(Model(triple, config=config)) as server, Session(server.address, "m", 5) as session:
        served = await session.describe()
    assert (served.kind, served.max_batch_size, served.instances) == (ModelKind.PLAIN, 8, 5)
    assert (served.max_queue_delay_ms, served.server) == (1.5, "triton 2.51.0")
    assert [(tensor.name, tensor.data_type, tensor.dims) for tensor in served.inputs] == [("x", DataType.FP32, [2])]


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        ({}, ModelKind.PLAIN),
        ({"dynamic_batching": {}}, ModelKind.PLAIN),
        ({"ensemble_scheduling": {"step": [{"model_name": "a"}]}}, ModelKind.ENSEMBLE),
        ({"sequence_batching": {}}, ModelKind.SEQUENCE),
        ({"model_transaction_policy": {"decoupled": True}}, ModelKind.DECOUPLED),
    ],
)
async def test_kinds(config: dict[str, object], kind: ModelKind) -> None:
    async with serving(Model(triple, config=config)) as server, Session(server.address, "m", 5) as session:
        assert (await session.describe()).kind is kind


@pytest.mark.parametrize(
    ("behaviour", "error", "words"),
    [
        (Refuse("unexpected shape"), RefusedError, "unexpected shape"),
        (Refuse("CUDA out of memory", INTERNAL), RefusedError, "CUDA out of memory"),
        (Refuse("[request id: 1] Exceeds maximum queue size", UNAVAILABLE), OverloadedError, "queue size"),
        (Refuse("Request timeout expired", UNAVAILABLE), OverloadedError, "expired"),
        (Refuse("Stub process 'm_0_0' is not healthy.", INTERNAL), ServerGoneError, "not healthy"),
        (Refuse("Server is stopping", UNAVAILABLE), ServerGoneError, "stopping"),
        (Die(), ServerGoneError, ""),
    ],
)
async def test_failures_are_told_apart(behaviour: Exception, error: type[CallError], words: str) -> None:
    def fail(_inputs: Tensors) -> Tensors:
        raise behaviour

    async with serving(Model(fail)) as server, Session(server.address, "m", 5) as session:
        await session.describe()
        with pytest.raises(error) as caught:
            await session.infer(session.prepare({"x": f32([1, 2], [3, 4])}))
    assert words in caught.value.message
    assert caught.value.rows == 2


async def test_a_model_that_hangs_is_given_up() -> None:
    async def hang(_inputs: Tensors) -> Tensors:
        await asyncio.sleep(3600)
        return {}

    async with serving(Model(hang)) as server, Session(server.address, "m", 0.2) as session:
        await session.describe()
        with pytest.raises(NoAnswerError, match=r"no answer within 0\.2 s"):
            await session.infer(session.prepare({"x": f32([1, 2])}))


async def test_an_output_without_data_is_empty() -> None:
    """As Triton's Python backend answers with a numpy that is too new for it: the right shape, no bytes."""

    class Hollow(np.ndarray):  # type: ignore[type-arg]
        shape = (1, 3)

    def hollow(_inputs: Tensors) -> Tensors:
        return {"y": np.empty(0, dtype="<f4").view(Hollow)}

    async with serving(Model(hollow)) as server, Session(server.address, "m", 5) as session:
        await session.describe()
        answer = await session.infer(session.prepare({"x": f32([1, 2])}))
    assert answer["y"].size == 0


async def test_waiting_for_a_model_ends() -> None:
    async with serving(Model(triple, ready=False)) as server, Session(server.address, "m", 5) as session:
        assert not await session.wait_ready(0.3)
        server.model.ready = True
        assert await session.wait_ready(5)


async def test_nobody_at_the_address_is_not_live() -> None:
    async with Session("127.0.0.1:1", "m", 5) as session:
        assert not await session.live(1)
        assert not await session.ready(1)


async def test_statistics_are_the_servers() -> None:
    async with serving(Model(triple)) as server, Session(server.address, "m", 5) as session:
        await session.describe()
        for rows in (1, 4, 4):
            await session.send(session.prepare({"x": np.zeros((rows, 2), "<f4")}))
        statistics = await session.statistics()
    assert (statistics.inferences, statistics.executions) == (9, 3)
    assert [(row.batch, row.executions) for row in statistics.batches] == [(1, 1), (4, 2)]
