"""Real gRPC clients and servers with the gateway between: what passes, what is refused, what is recorded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import grpc
import pytest
from tests.support.grpc_gateway import Gateway, eventually, revision, running_gateway, table
from tests.support.grpc_pods import Pod, running_pods
from tritonclient.grpc import service_pb2 as pb
from tritonclient.grpc import service_pb2_grpc as rpc

from plimsoll.api.routing import Traffic
from plimsoll.core.records.outcome import Outcome
from plimsoll.core.routing.table import RouteTable
from plimsoll.gateway.http2.limits import Limits

UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


@dataclass
class Stage:
    gateway: Gateway
    pods: dict[str, Pod]
    stub: rpc.GRPCInferenceServiceStub
    channel: grpc.aio.Channel


@asynccontextmanager
async def stage(
    *pods: str, routes: RouteTable | None = None, limits: Limits | None = None, host: str = ""
) -> AsyncIterator[Stage]:
    options = [*UNLIMITED, *([("grpc.default_authority", host)] if host else [])]
    async with running_pods(*pods) as running:
        ports = {name: pod.port for name, pod in running.items()}
        async with (
            running_gateway(routes or table(revision("r1", *pods)), ports, limits) as gateway,
            grpc.aio.insecure_channel(gateway.address, options=options) as channel,
        ):
            yield Stage(gateway, running, rpc.GRPCInferenceServiceStub(channel), channel)


def infer(payload: bytes = b"x", model: str = "digits", name: str = "1") -> pb.ModelInferRequest:
    return pb.ModelInferRequest(model_name=model, id=name, raw_input_contents=[payload])


async def refused(call: grpc.aio.UnaryUnaryCall) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


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
        assert on.gateway.recorders["r1"].arrivals == 0


async def test_without_an_endpoint_a_call_is_shed_and_says_when_to_come_back() -> None:
    async with stage("a", routes=table(revision("r1"))) as on:
        error = await refused(on.stub.ModelInfer(infer()))
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        assert ("grpc-retry-pushback-ms", "1000") in tuple(error.trailing_metadata() or ())
        assert on.gateway.record("r1").ends == [(Outcome.SHED, "")]


# ---- what a server fails with ----
FAILURES = [
    (grpc.StatusCode.INVALID_ARGUMENT, "wrong shape", Outcome.CLIENT_FAULT),
    (grpc.StatusCode.INTERNAL, "it raised", Outcome.SERVER_FAULT),
    (grpc.StatusCode.UNAVAILABLE, "Exceeds maximum queue size", Outcome.SHED),
    (grpc.StatusCode.UNAVAILABLE, "down", Outcome.SERVER_FAULT),
    (grpc.StatusCode.DEADLINE_EXCEEDED, "late", Outcome.TIMED_OUT),
]


@pytest.mark.parametrize(("code", "text", "outcome"), FAILURES)
async def test_a_failure_of_stable_goes_to_the_client_as_it_is(
    code: grpc.StatusCode, text: str, outcome: Outcome
) -> None:
    async with stage("a", "b") as on:
        for pod in on.pods.values():
            pod.fails = [(code, text)]
        error = await refused(on.stub.ModelInfer(infer()))
        assert (error.code(), error.details()) == (code, text)
        assert on.gateway.record("r1").outcomes == [outcome]
        assert sum(len(pod.requests) for pod in on.pods.values()) == 1


@pytest.mark.parametrize("code", ["UNAVAILABLE", "INTERNAL", "UNKNOWN", "DATA_LOSS"])
async def test_a_failure_of_the_candidate_is_tried_on_stable_and_held_against_the_candidate(code: str) -> None:
    routes = table(revision("r1", "a"), revision("r2", "b", weight=0))
    async with stage("a", "b", routes=routes) as on:
        on.pods["b"].fails = [(grpc.StatusCode[code], "broken model")]
        call = on.stub.ModelInfer(infer(b"x" * 100_000), metadata=[("x-plimsoll-candidate", "true")])
        answer = await call
        assert (answer.model_version, answer.raw_output_contents[0]) == ("a", b"x" * 100_000)
        way = {"x-plimsoll-revision": "r1", "x-plimsoll-attempt": "2"}
        assert dict(await call.initial_metadata() or ()) == way
        tried, stable = on.gateway.record("r2"), on.gateway.record("r1")
        assert (tried.arrivals, tried.ends, tried.rescues) == (1, [(Outcome.SERVER_FAULT, "b")], 1)
        assert (stable.arrivals, stable.ends, on.gateway.outstanding) == (0, [], 0)


async def test_a_clients_fault_is_not_tried_twice() -> None:
    routes = table(revision("r1", "a"), revision("r2", "b", weight=1000))
    async with stage("a", "b", routes=routes) as on:
        on.pods["b"].fails = [(grpc.StatusCode.INVALID_ARGUMENT, "shape")]
        assert (await refused(on.stub.ModelInfer(infer()))).code() is grpc.StatusCode.INVALID_ARGUMENT
        assert on.pods["a"].requests == []


async def test_both_revisions_fail() -> None:
    routes = table(revision("r1", "a"), revision("r2", "b", weight=1000))
    async with stage("a", "b", routes=routes) as on:
        on.pods["a"].fails = [(grpc.StatusCode.INTERNAL, "stable too")]
        on.pods["b"].fails = [(grpc.StatusCode.INTERNAL, "candidate")]
        error = await refused(on.stub.ModelInfer(infer()))
        assert error.details() == "stable too"
        assert ("x-plimsoll-attempt", "2") in tuple(error.trailing_metadata() or ())
        assert (on.gateway.record("r2").rescues, on.gateway.record("r2").outcomes) == (0, [Outcome.SERVER_FAULT])


async def test_a_stream_is_never_tried_twice() -> None:
    routes = table(revision("r1", "a"), revision("r2", "b", weight=1000))
    async with stage("a", "b", routes=routes) as on:
        on.pods["b"].fails = [(grpc.StatusCode.UNAVAILABLE, "down")]
        call = on.stub.ModelStreamInfer()
        await call.write(infer())
        assert await call.code() is grpc.StatusCode.UNAVAILABLE
        assert (on.pods["a"].requests, on.gateway.record("r2").outcomes) == ([], [Outcome.SERVER_FAULT])


async def test_a_request_too_large_to_keep_is_tried_once() -> None:
    routes = table(revision("r1", "a"), revision("r2", "b", weight=1000))
    async with stage("a", "b", routes=routes, limits=Limits(replay=10_000)) as on:
        on.pods["b"].fails = [(grpc.StatusCode.INTERNAL, "once")]
        assert (await refused(on.stub.ModelInfer(infer(bytes(400_000))))).details() == "once"
        assert on.gateway.board.replay.held == 0


# ---- what breaks ----
async def test_a_pod_that_is_not_there_costs_nothing_while_another_is() -> None:
    async with stage("a", "b") as on:
        await on.pods["a"].stop()
        for number in range(4):
            assert (await on.stub.ModelInfer(infer(name=str(number)))).model_version == "b"
        record = on.gateway.record("r1")
        assert record.arrivals == len(record.ends) == 4
        assert set(record.outcomes) == {Outcome.SUCCEEDED, Outcome.BROKEN}
        assert record.rescues == record.outcomes.count(Outcome.BROKEN)


async def test_without_another_pod_a_broken_connection_is_said() -> None:
    async with stage("a") as on:
        await on.pods["a"].stop()
        error = await refused(on.stub.ModelInfer(infer()))
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        assert "could not be reached" in str(error.details())
        assert on.gateway.record("r1").ends == [(Outcome.BROKEN, "a")]


async def test_a_pod_that_dies_under_a_call_is_replaced_by_another() -> None:
    async with stage("a", "b") as on:
        for pod in on.pods.values():
            pod.held = asyncio.Event()
        call = asyncio.ensure_future(on.stub.ModelInfer(infer()))
        await eventually(lambda: any(pod.requests for pod in on.pods.values()), "no pod got the call")
        first, second = sorted(on.pods.values(), key=lambda pod: -len(pod.requests))
        on.gateway.cut(first.name)
        assert second.held is not None
        second.held.set()
        assert (await call).model_version == second.name
        assert on.gateway.record("r1").ends == [(Outcome.BROKEN, first.name)]
        assert on.gateway.record("r1").rescues == 1


async def test_a_pod_that_ends_gracefully_loses_no_call() -> None:
    async with stage("a", "b") as on:
        for number in range(6):
            await on.stub.ModelInfer(infer(name=str(number)))
        for pod in on.pods.values():
            pod.held = asyncio.Event()
        calls = [asyncio.ensure_future(on.stub.ModelInfer(infer(name=str(number)))) for number in range(20)]
        await eventually(lambda: sum(len(pod.requests) for pod in on.pods.values()) == 26, "the calls did not come")
        stopping = asyncio.ensure_future(on.pods["a"].stop(10))
        await asyncio.sleep(0.05)
        for pod in on.pods.values():
            assert pod.held is not None
            pod.held.set()
        more = [asyncio.ensure_future(on.stub.ModelInfer(infer(name=f"late{number}"))) for number in range(20)]
        assert len(await asyncio.gather(*calls, *more)) == 40
        await stopping


async def test_a_client_that_cancels_is_noticed_by_the_pod() -> None:
    async with stage("a") as on:
        pod = on.pods["a"]
        pod.held = asyncio.Event()
        call = on.stub.ModelInfer(infer())
        await eventually(lambda: bool(pod.requests) or call.done(), "the call did not come")
        call.cancel()
        await eventually(lambda: pod.cancelled == 1, "the pod was not told")
        assert on.gateway.record("r1").ends == [(Outcome.CANCELLED, "a")]
        assert on.gateway.outstanding == 0


async def test_a_client_that_vanishes_cancels_its_calls() -> None:
    async with stage("a") as on:
        pod = on.pods["a"]
        pod.held = asyncio.Event()
        async with grpc.aio.insecure_channel(on.gateway.address) as channel:
            call = rpc.GRPCInferenceServiceStub(channel).ModelInfer(infer())
            await eventually(lambda: bool(pod.requests) or call.done(), "the call did not come")
        await eventually(lambda: pod.cancelled == 1, "the pod was not told")
        assert on.gateway.record("r1").outcomes == [Outcome.CANCELLED]


async def test_a_deadline_that_passes_is_answered_and_the_pod_told() -> None:
    async with stage("a") as on:
        pod = on.pods["a"]
        pod.held = asyncio.Event()
        # The client's own clock would speak first, so the timeout is written as metadata.
        error = await refused(on.stub.ModelInfer(infer(), metadata=[("x-before", "1")], timeout=0.3))
        assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        await eventually(lambda: pod.cancelled == 1, "the pod was not told")
        await eventually(lambda: len(on.gateway.record("r1").ends) == 1, "the end was not recorded")
        assert on.gateway.record("r1").outcomes[0] in {Outcome.TIMED_OUT, Outcome.CANCELLED}


# ---- routes that change, and the end ----
async def test_a_pod_that_leaves_finishes_its_calls_and_gets_no_more() -> None:
    async with stage("a", "b", routes=table(revision("r1", "a"))) as on:
        held = on.pods["a"].held = asyncio.Event()
        call = asyncio.ensure_future(on.stub.ModelInfer(infer()))
        await eventually(lambda: bool(on.pods["a"].requests), "the call did not come")
        on.gateway.route(table(revision("r1", "b"), epoch=2))
        assert (await on.stub.ModelInfer(infer(name="2"))).model_version == "b"
        held.set()
        assert (await call).model_version == "a"
        await eventually(lambda: len(on.gateway.board.connections()) == 2, "the connection to it stayed open")


async def test_a_gateway_that_ends_finishes_what_it_has() -> None:
    async with stage("a") as on:
        held = on.pods["a"].held = asyncio.Event()
        call = asyncio.ensure_future(on.stub.ModelInfer(infer()))
        await eventually(lambda: bool(on.pods["a"].requests), "the call did not come")
        drained = asyncio.ensure_future(on.gateway.listener.drain(20))
        await asyncio.sleep(0.1)
        assert not drained.done()
        held.set()
        assert (await call).id == "1"
        await drained


async def test_a_gateway_does_not_wait_for_ever() -> None:
    async with stage("a") as on:
        on.pods["a"].held = asyncio.Event()
        call = asyncio.ensure_future(on.stub.ModelInfer(infer()))
        await eventually(lambda: bool(on.pods["a"].requests), "the call did not come")
        await on.gateway.listener.drain(0.1)
        assert (await refused(call)).code() is grpc.StatusCode.UNAVAILABLE
        assert on.gateway.record("r1").outcomes == [Outcome.CANCELLED]
