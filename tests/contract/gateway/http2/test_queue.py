"""Calls that wait for a pod, over a real gRPC client and real gRPC servers."""

from __future__ import annotations

import asyncio

import grpc
from tests.support.grpc_gateway import eventually, revision, table
from tests.support.grpc_stage import Stage, infer, refused, stage

from plimsoll.api.routing import Traffic
from plimsoll.core.records.outcome import Outcome
from plimsoll.core.routing.limits import RequestLimits
from plimsoll.core.routing.table import RouteTable

ONE_EACH = RequestLimits(outstanding=1)


def limited(limits: RequestLimits, *pods: str, traffic: Traffic = Traffic.NORMAL) -> RouteTable:
    return table(revision("r1", *pods), limits=limits, traffic=traffic)


async def busy(on: Stage) -> grpc.aio.UnaryUnaryCall:
    """Sends a call that its pod holds."""
    for pod in on.pods.values():
        pod.held = asyncio.Event()
    call = on.stub.ModelInfer(infer(b"0"))
    await eventually(lambda: any(pod.requests for pod in on.pods.values()), "the call did not come")
    return call


def release(on: Stage) -> None:
    for pod in on.pods.values():
        assert pod.held is not None
        pod.held.set()


def queued(on: Stage) -> int:
    return on.gateway.record("r1").queued


async def wait_for_queue(on: Stage, length: int) -> None:
    await eventually(lambda: queued(on) == length, f"{length} calls should wait")


async def test_calls_wait_in_order_and_are_told_for_how_long() -> None:
    async with stage("a", routes=limited(ONE_EACH, "a")) as on:
        first = await busy(on)
        later: list[grpc.aio.UnaryUnaryCall] = []
        for number in (b"1", b"2"):
            later.append(on.stub.ModelInfer(infer(number)))
            await wait_for_queue(on, len(later))
        release(on)
        assert [(await call).raw_output_contents[0] for call in (first, *later)] == [b"0", b"1", b"2"]
        assert "x-plimsoll-queued" not in dict(await first.initial_metadata() or ())
        for call in later:
            assert int(dict(await call.initial_metadata() or ())["x-plimsoll-queued"]) >= 1
        assert on.gateway.record("r1").outcomes == [Outcome.SUCCEEDED] * 3
        assert (queued(on), on.gateway.outstanding) == (0, 0)


async def test_who_may_not_wait_is_told_when_to_come_back() -> None:
    async with stage("a", routes=limited(RequestLimits(outstanding=1, max_queue=0), "a")) as on:
        first = await busy(on)
        error = await refused(on.stub.ModelInfer(infer()))
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        assert "spec.overload.maxQueue lets no request wait" in (error.details() or "")
        assert dict(error.trailing_metadata() or ())["grpc-retry-pushback-ms"] == "1000"
        release(on)
        await first
        assert on.gateway.record("r1").outcomes == [Outcome.SHED, Outcome.SUCCEEDED]


async def test_a_call_waits_no_longer_than_its_model_lets() -> None:
    async with stage("a", routes=limited(RequestLimits(outstanding=1, max_wait_s=0.2), "a")) as on:
        first = await busy(on)
        error = await refused(on.stub.ModelInfer(infer()))
        assert (error.code(), "free within 0.2 s" in (error.details() or "")) == (grpc.StatusCode.UNAVAILABLE, True)
        assert len(on.pods["a"].requests) == 1
        release(on)
        await first


async def test_a_call_waits_no_longer_than_its_caller_does_and_that_is_no_evidence() -> None:
    async with stage("a", routes=limited(ONE_EACH, "a")) as on:
        first = await busy(on)
        error = await refused(on.stub.ModelInfer(infer(), timeout=0.3))
        assert error.code() in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}
        await wait_for_queue(on, 0)
        await eventually(lambda: bool(on.gateway.record("r1").ends), "nothing was recorded")
        # The client gives up by itself at the same time, and may be the first to say so.
        assert on.gateway.record("r1").ends[0] in [(Outcome.SHED, ""), (Outcome.CANCELLED, "")]
        release(on)
        await first


async def test_who_hangs_up_leaves_the_line() -> None:
    async with stage("a", routes=limited(ONE_EACH, "a")) as on:
        first = await busy(on)
        second = on.stub.ModelInfer(infer(b"1"))
        await wait_for_queue(on, 1)
        second.cancel()
        await wait_for_queue(on, 0)
        release(on)
        await first
        assert len(on.pods["a"].requests) == 1
        assert on.gateway.record("r1").outcomes == [Outcome.CANCELLED, Outcome.SUCCEEDED]


async def test_a_pod_that_comes_takes_over_who_waits() -> None:
    async with stage("a", "b", routes=limited(ONE_EACH, "a")) as on:
        first = await busy(on)
        second = on.stub.ModelInfer(infer(b"1"))
        await wait_for_queue(on, 1)
        on.pods["b"].held = None
        on.gateway.route(limited(ONE_EACH, "a", "b"))
        assert (await second).model_version == "b"
        on.pods["a"].held.set()  # type: ignore[union-attr]
        await first


async def test_stopped_traffic_lets_nobody_wait() -> None:
    async with stage("a", routes=limited(ONE_EACH, "a")) as on:
        first = await busy(on)
        second = on.stub.ModelInfer(infer(b"1"))
        await wait_for_queue(on, 1)
        on.gateway.route(limited(ONE_EACH, "a", traffic=Traffic.STOPPED))
        error = await refused(second)
        assert (error.code(), "stopped" in (error.details() or "")) == (grpc.StatusCode.UNAVAILABLE, True)
        release(on)
        await first


async def test_a_slot_that_http_leaves_is_a_calls_next() -> None:
    """Both protocols share the model's queue; here the other one is played by hand."""
    async with stage("a", routes=limited(ONE_EACH, "a")) as on:
        model = on.gateway.board.targets.models["digits"]
        stable = model.stable
        assert stable is not None
        model.queue.enter(stable.endpoints[0])
        call = on.stub.ModelInfer(infer(b"1"))
        await wait_for_queue(on, 1)
        model.queue.leave(stable, stable.endpoints[0])
        assert (await call).model_version == "a"


async def test_a_model_says_how_large_a_request_may_be() -> None:
    async with stage("a", routes=limited(RequestLimits(max_body=100_000), "a")) as on:
        assert (await on.stub.ModelInfer(infer(b"x" * 90_000))).model_version == "a"
        for size in (100_001, 5_000_000):
            error = await refused(on.stub.ModelInfer(infer(b"x" * size)))
            assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert "may have 100000 bytes" in (error.details() or "")
        assert (await on.stub.ModelInfer(infer())).model_version == "a", "the connection goes on"
        assert on.gateway.outstanding == 0


async def test_a_stream_may_be_longer_than_any_of_its_messages() -> None:
    async with stage("a", routes=limited(RequestLimits(max_body=100_000), "a")) as on:
        call = on.stub.ModelStreamInfer(iter([infer(b"x" * 60_000)] * 3))
        assert len([answer async for answer in call]) == 3
