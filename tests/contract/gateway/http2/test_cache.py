"""Answers over gRPC that are kept; one that came over HTTP, too."""

from __future__ import annotations

import asyncio
import json
import struct

import grpc
import pytest
from tests.support.grpc_gateway import eventually, revision, table
from tests.support.grpc_stage import Stage, refused, stage
from tests.support.http_gateway import Answer, Client, infer
from tritonclient.grpc import service_pb2 as pb

from plimsoll.core.cache.policy import CachePolicy
from plimsoll.core.records.outcome import Outcome
from plimsoll.gateway.http1.listener import Listener

KEPT = CachePolicy(ttl_s=60.0, max_bytes=1 << 20, recheck=0.5)


def asking(value: float = 1, name: str = "7") -> pb.ModelInferRequest:
    return pb.ModelInferRequest(
        model_name="digits",
        id=name,
        inputs=[pb.ModelInferRequest.InferInputTensor(name="x", datatype="FP32", shape=[1, 1])],
        raw_input_contents=[struct.pack("<f", value)],
    )


def doubled(request: pb.ModelInferRequest) -> pb.ModelInferResponse:
    y = pb.ModelInferResponse.InferOutputTensor(name="y", datatype="FP32", shape=[1, 1])
    data = struct.pack("<f", 2 * struct.unpack("<f", request.raw_input_contents[0])[0])
    return pb.ModelInferResponse(
        model_name="digits", model_version="1", id=request.id, outputs=[y], raw_output_contents=[data]
    )


def keeping(on: Stage, *pods: str) -> None:
    """Has the gateway keep what these pods answer."""
    on.gateway.route(table(revision("r1", *pods, cacheable=True), epoch=2, cache=KEPT))
    for pod in on.pods.values():
        pod.says = doubled


async def answered(on: Stage, request: pb.ModelInferRequest) -> tuple[pb.ModelInferResponse, str | None]:
    call = on.stub.ModelInfer(request)
    answer = await call
    return answer, dict(await call.initial_metadata()).get("x-plimsoll-cache")


async def test_the_same_question_is_asked_once_and_each_answer_has_its_id() -> None:
    async with stage("a") as on:
        keeping(on, "a")
        assert await answered(on, asking()) == (doubled(asking()), "miss")
        assert await answered(on, asking(name="8")) == (doubled(asking(name="8")), "hit")
        assert await answered(on, asking(2)) == (doubled(asking(2)), "miss")
        record = on.gateway.record("r1")
        assert (record.outcomes, record.exempt, record.cache_hits) == ([Outcome.SUCCEEDED] * 3, 1, 1)
        assert len(on.pods["a"].requests) == 2


async def test_a_question_over_http_finds_the_answer_that_came_over_grpc() -> None:
    async with stage("a") as on:
        keeping(on, "a")
        await answered(on, asking())
        listener = Listener(on.gateway.board.targets)
        port = await listener.start("127.0.0.1", 0)
        client = Client(*await asyncio.open_connection("127.0.0.1", port))
        x = {"name": "x", "datatype": "FP32", "shape": [1, 1], "data": [1.0]}
        answer: Answer = await client.ask(infer(json.dumps({"inputs": [x]}).encode()))
        assert (answer.field("x-plimsoll-cache"), json.loads(answer.body)["outputs"][0]["data"]) == ("hit", [2.0])
        client.close()
        await listener.close()


async def test_one_is_sent_and_the_others_get_its_answer() -> None:
    async with stage("a") as on:
        keeping(on, "a")
        on.pods["a"].held = asyncio.Event()
        calls = [asyncio.ensure_future(answered(on, asking(name=str(number)))) for number in range(5)]
        await eventually(lambda: on.gateway.record("r1").arrivals == 5, "all came")
        on.pods["a"].held.set()
        answers = await asyncio.gather(*calls)
        assert [answer.id for answer, _ in answers] == list("01234")
        assert sorted(str(how) for _, how in answers) == ["miss", *["shared"] * 4]
        assert len(on.pods["a"].requests) == 1


async def test_each_goes_by_itself_when_that_one_fails() -> None:
    async with stage("a") as on:
        keeping(on, "a")
        on.pods["a"].held = asyncio.Event()
        on.pods["a"].fails = [(grpc.StatusCode.INTERNAL, "it broke")]
        first = on.stub.ModelInfer(asking())
        await eventually(lambda: len(on.pods["a"].requests) == 1, "the first one is there")
        second = asyncio.ensure_future(answered(on, asking()))
        await eventually(lambda: on.gateway.record("r1").arrivals == 2, "the second one waits")
        on.pods["a"].held.set()
        assert (await refused(first)).code() is grpc.StatusCode.INTERNAL
        assert await second == (doubled(asking()), None)


async def test_the_next_one_is_sent_when_that_ones_client_goes() -> None:
    async with stage("a") as on:
        keeping(on, "a")
        on.pods["a"].held = asyncio.Event()
        first = on.stub.ModelInfer(asking())
        await eventually(lambda: len(on.pods["a"].requests) == 1, "the first one is there")
        second = asyncio.ensure_future(answered(on, asking()))
        await eventually(lambda: on.gateway.record("r1").arrivals == 2, "the second one waits")
        first.cancel()
        await eventually(lambda: len(on.pods["a"].requests) == 2, "the second one is sent")
        on.pods["a"].held.set()
        assert await second == (doubled(asking()), "miss")


@pytest.mark.parametrize(("differs", "found"), [(False, []), (True, ["digits"])])
async def test_a_share_of_the_hits_is_asked_again_and_compared(differs: bool, found: list[str]) -> None:  # noqa: FBT001
    async with stage("a") as on:
        keeping(on, "a")
        await answered(on, asking())
        if differs:
            on.pods["a"].says = lambda request: doubled(asking(5, request.id))
        on.gateway.looked.tossed = 0.4
        _, how = await answered(on, asking())
        assert (how, on.gateway.looked.mismatches) == ("recheck", found)
        assert on.gateway.record("r1").cache_mismatches == len(found)


async def test_a_re_check_that_fails_does_not_reach_the_client() -> None:
    async with stage("a") as on:
        keeping(on, "a")
        await answered(on, asking())
        on.gateway.looked.tossed = 0.4
        failures = (grpc.StatusCode.INTERNAL, grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.UNAVAILABLE)
        for status in failures:
            on.pods["a"].fails = [(status, "it broke")]
            assert await answered(on, asking(name="8")) == (doubled(asking(name="8")), "hit")
        counts = on.gateway.looked.cache.counts
        assert (counts.rechecked, counts.mismatched, counts.unchecked) == (3, 0, 3)
        record = on.gateway.record("r1")
        assert Outcome.SUCCEEDED not in record.outcomes[1:]
        assert (len(record.outcomes), record.exempt, on.gateway.outstanding) == (4, 3, 0)


async def test_a_re_check_whose_pod_dies_does_not_reach_the_client() -> None:
    async with stage("a") as on:
        keeping(on, "a")
        await answered(on, asking())
        on.gateway.looked.tossed = 0.4
        on.pods["a"].held = asyncio.Event()
        call = asyncio.ensure_future(answered(on, asking()))
        await eventually(lambda: len(on.pods["a"].requests) == 2, "the check is under way")
        on.gateway.cut("a")
        assert await call == (doubled(asking()), "hit")
        assert on.gateway.record("r1").outcomes == [Outcome.SUCCEEDED, Outcome.BROKEN]


async def test_a_re_check_that_gets_no_pod_does_not_reach_the_client() -> None:
    async with stage("a") as on:
        keeping(on, "a")
        await answered(on, asking())
        on.gateway.looked.tossed = 0.4
        on.gateway.route(table(revision("r1", cacheable=True), epoch=3, cache=KEPT))
        assert await answered(on, asking()) == (doubled(asking()), "hit")
