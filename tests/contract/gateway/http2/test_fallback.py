"""Calls that another model answers, over a real gRPC client and real gRPC servers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import grpc
import pytest
from tests.support.grpc_gateway import eventually, revision
from tests.support.grpc_stage import infer, refused, stage
from tritonclient.grpc import service_pb2 as pb

from plimsoll.api.routing import Traffic
from plimsoll.core.records.outcome import Outcome
from plimsoll.core.routing.ladder import Ladder
from plimsoll.core.routing.limits import RequestLimits
from plimsoll.core.routing.table import NO_SAY, ModelRoute, RouteTable


def laddered(
    *pods: str,
    traffic: Traffic = Traffic.NORMAL,
    small_traffic: Traffic = Traffic.NORMAL,
    limits: RequestLimits = NO_SAY,
    small: bool = True,
) -> RouteTable:
    """The model `digits`, revision r1 on these pods, with the fallback `small`, revision s1 on pod b."""
    digits, ladder = revision("r1", *pods), Ladder("small", on_overload=True)
    other = revision("s1", *(["b"] if small else []))
    return RouteTable(
        {
            "digits": ModelRoute("digits", "d", 1, traffic, digits, limits=limits, ladder=ladder),
            "small": ModelRoute("small", "s", 1, small_traffic, other, ladder=Ladder("digits", on_overload=True)),
        }
    )


@pytest.mark.parametrize("because", ["overload", "traffic"])
async def test_the_same_call_is_answered_by_the_other_model(because: str) -> None:
    routes = laddered("a", traffic=Traffic.FALLBACK) if because == "traffic" else laddered()
    async with stage("a", "b", routes=routes) as on:
        request = infer(b"x" * 200_000)
        request.model_version = "3"
        call = on.stub.ModelInfer(request)
        answer = await call
        assert (answer.model_name, answer.raw_output_contents[0]) == ("small", b"x" * 200_000)
        (came,) = on.pods["b"].requests
        assert isinstance(came, pb.ModelInferRequest)
        assert (came.model_version, came.id) == ("", "1")
        told = dict(await call.initial_metadata() or ())
        assert told["x-plimsoll-degraded"] == f"fallback; model=small; reason={because}"
        assert told["x-plimsoll-revision"] == "s1"
        first, second = on.gateway.record("r1"), on.gateway.record("s1")
        assert (first.outcomes, first.exempt) == ([Outcome.SHED], 0)
        assert (second.outcomes, second.exempt) == ([Outcome.SUCCEEDED], 1)
        assert not on.pods["a"].requests
        assert on.gateway.outstanding == 0


async def test_a_call_that_cannot_wait_is_answered_by_the_other_model() -> None:
    async with stage("a", "b", routes=laddered("a", limits=RequestLimits(outstanding=1, max_wait_s=0.1))) as on:
        on.pods["a"].held = asyncio.Event()
        first = on.stub.ModelInfer(infer())
        await eventually(lambda: bool(on.pods["a"].requests), "the call did not come")
        assert (await on.stub.ModelInfer(infer())).model_name == "small"
        on.pods["a"].held.set()
        assert (await first).model_name == "digits"
        assert sorted(on.gateway.record("r1").outcomes) == [Outcome.SUCCEEDED, Outcome.SHED]


async def test_who_waits_goes_to_the_other_model_when_traffic_is_turned_there() -> None:
    one = RequestLimits(outstanding=1)
    async with stage("a", "b", routes=laddered("a", limits=one)) as on:
        on.pods["a"].held = asyncio.Event()
        first = on.stub.ModelInfer(infer())
        await eventually(lambda: bool(on.pods["a"].requests), "the call did not come")
        waiting = on.stub.ModelInfer(infer())
        await eventually(lambda: on.gateway.record("r1").queued == 1, "the call does not wait")
        on.gateway.route(laddered("a", limits=one, traffic=Traffic.FALLBACK))
        assert (await waiting).model_name == "small"
        on.pods["a"].held.set()
        assert (await first).model_name == "digits"


@pytest.mark.parametrize(
    ("routes", "told"),
    [
        (laddered(small=False), "No pod of this model can take requests"),
        (laddered(small_traffic=Traffic.FALLBACK), "No pod of this model can take requests"),
        (laddered("a", traffic=Traffic.FALLBACK, small_traffic=Traffic.FALLBACK), "which cannot take this request"),
        (laddered("a", traffic=Traffic.STOPPED), "stopped by its spec"),
    ],
    ids=["the fallback has no pod", "two hops", "a circle", "all is stopped"],
)
async def test_where_nobody_stands_in_the_client_is_told(routes: RouteTable, told: str) -> None:
    async with stage("a", "b", routes=routes) as on:
        error = await refused(on.stub.ModelInfer(infer()))
        assert (error.code(), told in (error.details() or "")) == (grpc.StatusCode.UNAVAILABLE, True)
        assert not on.pods["a"].requests + on.pods["b"].requests
        assert on.gateway.record("r1").outcomes == [Outcome.SHED]


async def test_a_stream_stays_with_its_model_for_each_of_its_messages_names_it() -> None:
    async def messages() -> AsyncIterator[pb.ModelInferRequest]:
        yield infer()

    async with stage("a", "b", routes=laddered("a", traffic=Traffic.FALLBACK)) as on:
        stream = on.stub.ModelStreamInfer(messages())
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stream.read()
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        assert (await on.stub.ModelReady(pb.ModelReadyRequest(name="digits"))).ready
        assert not on.pods["b"].requests


async def test_a_compressed_call_hides_the_name_that_would_have_to_change() -> None:
    async with stage("a", "b", routes=laddered("a", traffic=Traffic.FALLBACK), host="digits") as on:
        call = on.stub.ModelInfer(infer(b"x" * 1000), compression=grpc.Compression.Gzip)
        error = await refused(call)
        assert "which cannot take this request" in (error.details() or "")
