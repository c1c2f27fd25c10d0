"""Real gRPC clients and servers with the gateway between: what passes, and what is refused."""

from __future__ import annotations

import asyncio
import gc

import grpc
import pytest
from tests.support.grpc_gateway import revision, table
from tests.support.grpc_stage import infer, refused, stage
from tests.support.http2_peer import client_of
from tritonclient.grpc import service_pb2 as pb
from tritonclient.grpc import service_pb2_grpc as rpc

from plimsoll.api.routing import Traffic
from plimsoll.core.records.outcome import Outcome
from plimsoll.gateway.http2.exchange import Exchange
from plimsoll.gateway.http2.limits import Limits
from plimsoll.gateway.http2.streams import CallerStream, PodStream
from plimsoll.gateway.http2.violations import ErrorCode


# ---- what passes ----
@pytest.mark.parametrize("size", [0, 1, 16_384, 65_536, 300_000, 5_000_000])
async def test_an_answer_comes_back_byte_for_byte(size: int) -> None:
    payload = bytes(range(256)) * (size // 256) + bytes(size % 256)
    async with stage("a") as on:
        answer = await on.stub.ModelInfer(infer(payload))
        assert answer.raw_output_contents[0] == payload
        assert on.pods["a"].requests == [infer(payload)]
        assert on.gateway.record("r1").ends == [(Outcome.SUCCEEDED, "a")]
        assert on.gateway.outstanding == 0


async def test_metadata_passes_in_both_directions_and_the_answer_says_who_gave_it() -> None:
    async with stage("a") as on:
        call = on.stub.ModelInfer(infer(), metadata=[("x-own", "value"), ("x-bytes-bin", b"\0\xff")])
        await call
        assert on.pods["a"].metadata[0].items() >= {"x-own": "value", "x-bytes-bin": str(b"\0\xff")}.items()
        assert dict(await call.initial_metadata() or ()) == {"x-plimsoll-revision": "r1"}


async def test_many_calls_share_one_connection() -> None:
    async with stage("a") as on:
        answers = await asyncio.gather(*(on.stub.ModelInfer(infer(name=str(number))) for number in range(300)))
        assert [answer.id for answer in answers] == [str(number) for number in range(300)]
        assert on.gateway.record("r1").outcomes == [Outcome.SUCCEEDED] * 300
        assert len(on.gateway.board.connections()) == 2


async def test_a_compressed_call_is_found_by_its_host() -> None:
    async with stage("a", host="digits.vision.svc:8001") as on:
        answer = await on.stub.ModelInfer(infer(bytes(5000)), compression=grpc.Compression.Gzip)
        assert answer.raw_output_contents[0] == bytes(5000)
        assert answer.model_version == "a"


async def test_a_compressed_call_to_no_host_of_a_model_says_what_to_do() -> None:
    async with stage("a") as on:
        error = await refused(on.stub.ModelInfer(infer(bytes(5000)), compression=grpc.Compression.Gzip))
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert "send it uncompressed" in str(error.details())


async def test_a_stream_goes_both_ways_until_the_client_is_done() -> None:
    async with stage("a") as on:
        call = on.stub.ModelStreamInfer()
        for number in range(3):
            parts = [b"part", b"x" * 100_000, b""]
            await call.write(pb.ModelInferRequest(model_name="digits", id=str(number), raw_input_contents=parts))
            answers = [await call.read() for _ in parts]
            assert [answer.infer_response.raw_output_contents[0] for answer in answers] == parts
        assert on.gateway.record("r1").ends == []
        await call.done_writing()
        assert await call.read() is grpc.aio.EOF
        assert await call.code() is grpc.StatusCode.OK
        assert on.gateway.record("r1").ends == [(Outcome.SUCCEEDED, "a")]


async def test_calls_about_a_server_go_where_the_host_says() -> None:
    async with stage("a", host="digits.vision.svc.cluster.local:8001") as on:
        assert (await on.stub.ServerLive(pb.ServerLiveRequest())).live
        assert on.gateway.recorders.get("r1") is None or on.gateway.record("r1").arrivals == 0


async def test_calls_about_a_model_are_no_evidence() -> None:
    routes = table(revision("r1", "a", weight=0), revision("r2", "b", weight=1000))
    async with stage("a", "b", routes=routes) as on:
        assert (await on.stub.ModelReady(pb.ModelReadyRequest(name="digits"))).ready
        await on.stub.ModelReady(pb.ModelReadyRequest(name="digits"), metadata=[("x-plimsoll-candidate", "true")])
        assert [len(pod.requests) for pod in on.pods.values()] == [1, 1]
        assert [record.arrivals for record in on.gateway.recorders.values()] == [0, 0]


# ---- what is refused ----
REFUSALS = [
    ("an unknown model", "ModelInfer", infer(model="other"), grpc.StatusCode.NOT_FOUND, "no model 'other'"),
    ("no name", "ModelInfer", infer(model=""), grpc.StatusCode.INVALID_ARGUMENT, "names no model"),
    ("all statistics", "ModelStatistics", pb.ModelStatisticsRequest(), grpc.StatusCode.INVALID_ARGUMENT, "no model"),
    ("a server without host", "ServerReady", pb.ServerReadyRequest(), grpc.StatusCode.NOT_FOUND, "address the host"),
    (
        *("administration", "RepositoryModelLoad", pb.RepositoryModelLoadRequest(model_name="digits")),
        *(grpc.StatusCode.PERMISSION_DENIED, "change the ModelDeployment"),
    ),
]


@pytest.mark.parametrize(
    ("method", "request_", "code", "words"), [row[1:] for row in REFUSALS], ids=[r[0] for r in REFUSALS]
)
async def test_a_refusal_is_a_status_and_a_sentence(
    method: str, request_: object, code: grpc.StatusCode, words: str
) -> None:
    async with stage("a") as on:
        error = await refused(getattr(on.stub, method)(request_))
        assert error.code() is code
        assert words in str(error.details())
        assert on.pods["a"].requests == []
        assert (await on.stub.ModelInfer(infer())).id == "1"


async def test_an_unknown_method() -> None:
    async with stage("a") as on:
        call = on.channel.unary_unary("/inference.GRPCInferenceService/Else")
        error = await refused(call(b""))
        assert error.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_a_large_request_to_an_unknown_model_is_refused_before_it_is_whole() -> None:
    async with stage("a") as on:
        error = await refused(on.stub.ModelInfer(infer(bytes(8_000_000), model="other")))
        assert error.code() is grpc.StatusCode.NOT_FOUND


async def test_stopped_traffic() -> None:
    async with stage("a", routes=table(revision("r1", "a"), traffic=Traffic.STOPPED)) as on:
        error = await refused(on.stub.ModelInfer(infer()))
        assert (error.code(), "stopped" in str(error.details())) == (grpc.StatusCode.UNAVAILABLE, True)
        assert on.gateway.record("r1").ends == [(Outcome.SHED, "")]


async def test_without_an_endpoint_a_call_is_shed_and_says_when_to_come_back() -> None:
    async with stage("a", routes=table(revision("r1"))) as on:
        error = await refused(on.stub.ModelInfer(infer()))
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        assert ("grpc-retry-pushback-ms", "1000") in tuple(error.trailing_metadata() or ())
        assert on.gateway.record("r1").ends == [(Outcome.SHED, "")]


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_candidate_without_pods_sheds_onto_stable(streamed: bool) -> None:  # noqa: FBT001 - a parameter
    routes = table(revision("r1", "a"), revision("r2", weight=1000))
    async with stage("a", routes=routes) as on:
        if streamed:
            call = on.stub.ModelStreamInfer()
            await call.write(infer())
            assert (await call.read()).infer_response.id == "1"
            await call.done_writing()
            assert await call.code() is grpc.StatusCode.OK
        else:
            call = on.stub.ModelInfer(infer())
            await call
        way = {"x-plimsoll-revision": "r1", "x-plimsoll-attempt": "2"}
        assert dict(await call.initial_metadata() or ()) == way
        record = on.gateway.record("r2")
        assert (record.arrivals, record.ends, record.rescues) == (1, [(Outcome.SHED, "")], 1)


async def test_a_stable_without_pods_leaves_calls_about_the_model_to_a_candidate_with_weight() -> None:
    async with stage("b", routes=table(revision("r1"), revision("r2", "b", weight=1000))) as on:
        assert (await on.stub.ModelReady(pb.ModelReadyRequest(name="digits"))).ready


async def test_calls_leave_nothing_for_the_garbage_collector() -> None:
    async with stage("a") as on:
        await on.stub.ModelInfer(infer())
        gc.collect()
        gc.disable()
        try:
            for number in range(50):
                await on.stub.ModelInfer(infer(bytes(100_000), name=str(number)))
                await refused(on.stub.ModelInfer(infer(model="other")))
            left = [each for each in gc.get_objects() if isinstance(each, Exchange | CallerStream | PodStream)]
        finally:
            gc.enable()
        assert left == []


async def test_a_client_more_than_allowed_is_not_answered_and_waits_before_it_tries_again() -> None:
    """gRPC tries at once, and for ever, after a connection on which SETTINGS came."""
    async with stage("a", limits=Limits(clients=1)) as on:
        await on.stub.ModelInfer(infer())
        async with client_of(on.gateway.port) as peer:
            await peer.until_closed()
            assert peer.seen == []
        async with grpc.aio.insecure_channel(on.gateway.address) as channel:
            error = await refused(rpc.GRPCInferenceServiceStub(channel).ModelInfer(infer()))
            assert error.code() is grpc.StatusCode.UNAVAILABLE
        assert on.gateway.board.counters.failures[ErrorCode.ENHANCE_YOUR_CALM] == 2
        assert (await on.stub.ModelInfer(infer(name="2"))).id == "2"
