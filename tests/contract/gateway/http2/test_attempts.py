"""What becomes of calls when pods fail, break and leave: one outcome each, and a second attempt where it is allowed."""

from __future__ import annotations

import asyncio

import grpc
import pytest
from tests.support.grpc_gateway import eventually, revision, table
from tests.support.grpc_stage import infer, refused, stage
from tritonclient.grpc import service_pb2_grpc as rpc

from plimsoll.core.records.outcome import Outcome
from plimsoll.gateway.http2.limits import Limits

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


async def test_bytes_that_the_candidate_cannot_read_are_the_clients_fault_though_grpc_says_internal() -> None:
    routes = table(revision("r1", "a"), revision("r2", "b", weight=1000))
    async with stage("a", "b", routes=routes) as on:
        on.pods["b"].fails = [(grpc.StatusCode.INTERNAL, "Unable to parse request")]
        error = await refused(on.stub.ModelInfer(infer()))
        assert (error.code(), error.details()) == (grpc.StatusCode.INVALID_ARGUMENT, "Unable to parse request")
        assert (on.gateway.record("r2").outcomes, on.pods["a"].requests) == ([Outcome.CLIENT_FAULT], [])
        assert on.gateway.outstanding == 0


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
