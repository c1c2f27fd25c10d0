"""gRPC answers of which the model is not sure: what clients see, and what is recorded."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace

import grpc
import numpy as np
import pytest
import tritonclient.grpc.aio as triton_client
from tests.support.grpc_gateway import eventually, revision
from tests.support.grpc_stage import Stage, infer, refused, stage
from tests.support.unsure import KEPT, On, judged
from tritonclient.grpc import service_pb2 as pb

from plimsoll.api.confidence import OnLow
from plimsoll.api.degradation import KillSwitch
from plimsoll.core.kill_switch.policy import kill_policy_of
from plimsoll.core.records.outcome import Outcome
from plimsoll.core.validation.outputs import HELD_BYTES

SURE, LOW = (0.9, 0.1), (0.6, 0.4)
Says = Callable[[pb.ModelInferRequest], pb.ModelInferResponse]


def saying(*values: float, model: str = "digits", typed: bool = False, name: str = "y") -> Says:
    def says(request: pb.ModelInferRequest) -> pb.ModelInferResponse:
        answer = pb.ModelInferResponse(model_name=model, model_version="1", id=request.id)
        y = answer.outputs.add(name=name, datatype="FP32", shape=[1, len(values)])
        if typed:
            y.contents.fp32_contents.extend(values)
        else:
            answer.raw_output_contents.append(struct.pack(f"<{len(values)}f", *values))
        return answer

    return says


def abstained(request: pb.ModelInferRequest) -> pb.ModelInferResponse:
    answer = pb.ModelInferResponse(model_name="digits", model_version="1", id=request.id)
    answer.parameters["abstained"].bool_param = True
    return answer


def asking(value: float = 1) -> pb.ModelInferRequest:
    request = pb.ModelInferRequest(model_name="digits", id="7", raw_input_contents=[struct.pack("<f", value)])
    request.inputs.add(name="x", datatype="FP32", shape=[1, 1])
    return request


def follow(on: Stage, low: OnLow, says: Says, *, small: Sequence[str] | None = None, keeps: bool = False) -> None:
    """Routes `digits` to pod a, which says this, and where one is given its fallback `small` to these pods."""
    wanted = On(low, None if small is None else revision("s1", *small), KEPT if keeps else None)
    epoch = on.gateway.board.targets.models["digits"].route.epoch + 1
    on.gateway.route(judged(wanted, revision("r1", "a", cacheable=keeps), epoch=epoch))
    on.pods["a"].says = says


async def ask(on: Stage, request: pb.ModelInferRequest | None = None) -> tuple[pb.ModelInferResponse, dict[str, str]]:
    call = on.stub.ModelInfer(request or asking())
    answer = await call
    return answer, {key: str(value) for key, value in await call.initial_metadata()}


def results(on: Stage) -> dict[str, int]:
    return dict(on.gateway.looked.inspection.confidence)


@pytest.mark.parametrize("typed", [False, True])
@pytest.mark.parametrize("low", OnLow)
async def test_an_answer_that_is_sure_passes(low: OnLow, *, typed: bool) -> None:
    says = saying(*SURE, typed=typed)
    async with stage("a") as on:
        follow(on, low, says)
        answer, metadata = await ask(on)
        assert (answer, "x-plimsoll-confidence" in metadata) == (says(asking()), False)
        assert on.gateway.record("r1").outcomes == [Outcome.SUCCEEDED]
        assert results(on) == {"sure": 1}


@pytest.mark.parametrize("typed", [False, True])
async def test_flag_lets_a_low_answer_pass_and_says_so(*, typed: bool) -> None:
    says = saying(*LOW, typed=typed)
    async with stage("a") as on:
        follow(on, OnLow.FLAG, says)
        answer, metadata = await ask(on)
        assert (answer, metadata["x-plimsoll-confidence"]) == (says(asking()), "low")
        assert on.gateway.record("r1").outcomes == [Outcome.SUCCEEDED]
        assert results(on) == {"flagged": 1}


@pytest.mark.parametrize("values", [LOW, tuple([0.1] * 40_000)], ids=["small", "more than a window of a stream"])
async def test_abstain_withholds_it(values: tuple[float, ...]) -> None:
    async with stage("a") as on:
        follow(on, OnLow.ABSTAIN, saying(*values))
        for _ in range(3):
            answer, metadata = await ask(on)
            assert (answer, metadata["x-plimsoll-confidence"]) == (abstained(asking()), "abstained")
            assert metadata["x-plimsoll-revision"] == "r1"
        assert on.gateway.record("r1").outcomes == [Outcome.ABSTAINED] * 3
        assert results(on) == {"abstained": 3}
        assert on.gateway.outstanding == 0


@pytest.mark.parametrize("values", [LOW, tuple([0.1] * 40_000)], ids=["small", "more than a window of a stream"])
async def test_fallback_has_the_other_model_answer_the_same_call(values: tuple[float, ...]) -> None:
    async with stage("a", "b") as on:
        follow(on, OnLow.FALLBACK, saying(*values), small=["b"])
        on.pods["b"].says = saying(0.3, 0.7, model="small")
        for _ in range(3):
            answer, metadata = await ask(on)
            assert answer == saying(0.3, 0.7, model="small")(asking())
            assert metadata["x-plimsoll-degraded"] == "fallback; model=small; reason=confidence"
            assert (metadata["x-plimsoll-revision"], "x-plimsoll-confidence" in metadata) == ("s1", False)
        came = on.pods["b"].requests[0]
        assert isinstance(came, pb.ModelInferRequest)
        assert (came.model_name, came.raw_input_contents) == ("small", asking().raw_input_contents)
        first, second = on.gateway.record("r1"), on.gateway.record("s1")
        assert (first.outcomes, first.exempt) == ([Outcome.ABSTAINED] * 3, 0)
        assert (second.outcomes, second.exempt, second.rescues) == ([Outcome.SUCCEEDED] * 3, 3, 0)
        assert results(on) == {"fallback": 3}
        assert on.gateway.outstanding == 0


async def test_an_answer_that_is_not_given_takes_nothing_from_the_window_of_the_one_that_is() -> None:
    async with stage("a", "b") as on:
        follow(on, OnLow.FALLBACK, saying(*[0.1] * (HELD_BYTES // 4 - 100)), small=["b"])
        long = saying(*[0.1] * on.gateway.board.limits.upstream_window, model="small")  # four windows
        on.pods["b"].says = long
        async with asyncio.timeout(20):
            assert (await ask(on))[0] == long(asking())


async def test_for_the_kill_switch_an_answer_that_another_model_gave_in_its_place_is_an_answer() -> None:
    """The switch trips at 20 % of at least 10: 2 failures after 9 low answers are less, 3 are more."""
    async with stage("a", "b") as on:
        follow(on, OnLow.FALLBACK, saying(*LOW), small=["b"])
        on.pods["b"].says = saying(*SURE, model="small")
        route = on.gateway.board.targets.models["digits"].route
        kill = kill_policy_of(KillSwitch(error_rate="20%", window="10m", min_requests=10))
        on.gateway.board.targets.follow(replace(route, epoch=9, ladder=replace(route.ladder, kill=kill)))
        for _ in range(9):
            await ask(on)
        for tripped in [False, False, True]:
            on.pods["a"].fails = [(grpc.StatusCode.INTERNAL, "boom")]
            await refused(on.stub.ModelInfer(asking()))
            assert bool(on.gateway.switches.trips()) is tripped


async def test_where_no_other_model_can_answer_the_answer_passes_flagged() -> None:
    async with stage("a") as on:
        follow(on, OnLow.FALLBACK, saying(*LOW), small=[])
        answer, metadata = await ask(on)
        assert (answer, metadata["x-plimsoll-confidence"]) == (saying(*LOW)(asking()), "low")
        assert on.gateway.record("r1").outcomes == [Outcome.SUCCEEDED]
        assert results(on) == {"no_fallback": 1}


async def test_a_compressed_call_hides_the_name_that_would_have_to_change() -> None:
    async with stage("a", "b", host="digits") as on:
        follow(on, OnLow.FALLBACK, saying(*LOW), small=["b"])
        call = on.stub.ModelInfer(infer(b"x" * 1000), compression=grpc.Compression.Gzip)
        await call
        assert dict(await call.initial_metadata())["x-plimsoll-confidence"] == "low"
        assert results(on) == {"no_fallback": 1}


async def test_what_the_other_model_fails_to_answer_its_client_is_told() -> None:
    async with stage("a", "b") as on:
        follow(on, OnLow.FALLBACK, saying(*LOW), small=["b"])
        on.pods["b"].fails = [(grpc.StatusCode.INTERNAL, "boom")]
        error = await refused(on.stub.ModelInfer(asking()))
        assert (error.code(), error.details()) == (grpc.StatusCode.INTERNAL, "boom")
        assert on.gateway.record("r1").outcomes == [Outcome.ABSTAINED]
        assert on.gateway.record("s1").outcomes == [Outcome.SERVER_FAULT]


@pytest.mark.parametrize("low", [OnLow.ABSTAIN, OnLow.FALLBACK])
async def test_an_answer_that_stable_gave_in_the_candidates_place_rescues_it_though_it_is_low(low: OnLow) -> None:
    async with stage("a", "b", "c") as on:
        wanted = On(low, revision("s1", "c"))
        on.gateway.route(judged(wanted, revision("r1", "a", weight=0), revision("r2", "b")))
        on.pods["a"].says = saying(*LOW)
        on.pods["b"].fails = [(grpc.StatusCode.INTERNAL, "boom")]
        on.pods["c"].says = saying(*SURE, model="small")
        answer, metadata = await ask(on)
        assert answer.model_name == ("digits" if low is OnLow.ABSTAIN else "small")
        assert metadata["x-plimsoll-attempt"] == "2"
        record = on.gateway.record("r2")
        assert (record.outcomes, record.rescues) == ([Outcome.SERVER_FAULT], 1)
        assert sum(one.rescues for one in on.gateway.recorders.values()) == 1


@pytest.mark.parametrize(
    ("why", "says", "result"),
    [
        ("the client asked for other outputs", saying(*LOW, name="z"), "absent"),
        ("it is longer than what is held", saying(*[0.1] * (HELD_BYTES // 4 + 1)), "unheld"),
    ],
)
async def test_what_cannot_be_judged_passes_and_says_so(why: str, says: Says, result: str) -> None:
    async with stage("a") as on:
        follow(on, OnLow.ABSTAIN, says)
        answer, metadata = await ask(on)
        assert (answer, metadata["x-plimsoll-confidence"]) == (says(asking()), "unknown"), why
        assert on.gateway.record("r1").outcomes == [Outcome.SUCCEEDED]
        assert results(on) == {result: 1}


async def test_streams_pass_as_they_come() -> None:
    async def messages() -> AsyncIterator[pb.ModelInferRequest]:
        yield infer()

    async with stage("a") as on:
        follow(on, OnLow.ABSTAIN, saying(*LOW))
        stream = on.stub.ModelStreamInfer(messages())
        assert (await stream.read()).infer_response.raw_output_contents == [b"x"]
        assert "x-plimsoll-confidence" not in dict(await stream.initial_metadata())
        assert results(on) == {}


# ---- answers that are kept ----
async def test_a_kept_answer_is_judged_as_a_fresh_one_and_kept_as_it_was_given() -> None:
    async with stage("a") as on:
        follow(on, OnLow.ABSTAIN, saying(*LOW), keeps=True)
        for how in ("miss", "hit"):
            answer, metadata = await ask(on)
            assert (answer, metadata["x-plimsoll-confidence"]) == (abstained(asking()), "abstained")
            assert metadata["x-plimsoll-cache"] == how
        follow(on, OnLow.FLAG, saying(*LOW), keeps=True)
        answer, metadata = await ask(on)
        assert (answer, metadata["x-plimsoll-confidence"]) == (saying(*LOW)(asking()), "low")
        assert metadata["x-plimsoll-cache"] == "hit"
        record = on.gateway.record("r1")
        assert record.outcomes == [Outcome.ABSTAINED, Outcome.ABSTAINED, Outcome.SUCCEEDED]
        assert (record.cache_hits, len(on.pods["a"].requests)) == (2, 1)


async def test_who_waits_for_the_same_answer_goes_to_the_other_model_too() -> None:
    async with stage("a", "b") as on:
        follow(on, OnLow.FALLBACK, saying(*LOW), small=["b"], keeps=True)
        on.pods["b"].says = saying(*SURE, model="small")
        on.pods["a"].held = asyncio.Event()
        both = [asyncio.create_task(ask(on)) for _ in range(2)]
        await eventually(lambda: on.gateway.record("r1").arrivals == 2, "the calls did not come")
        on.pods["a"].held.set()
        assert [(await one)[0].model_name for one in both] == ["small", "small"]
        assert (await ask(on))[0].model_name == "small", "and so does who finds it kept"
        assert on.gateway.record("r1").outcomes == [Outcome.ABSTAINED] * 3
        assert (len(on.pods["a"].requests), len(on.pods["b"].requests)) == (1, 3)
        assert results(on) == {"fallback": 3}


@pytest.mark.parametrize(("low", "said"), [(OnLow.ABSTAIN, "abstained"), (OnLow.FLAG, "low"), (OnLow.FALLBACK, "low")])
async def test_a_kept_answer_is_judged_where_its_check_failed(low: OnLow, said: str) -> None:
    async with stage("a", "b") as on:
        follow(on, OnLow.FLAG, saying(*LOW), small=["b"], keeps=True)
        await ask(on)
        on.gateway.looked.tossed = 0.0
        follow(on, low, saying(*LOW), small=["b"], keeps=True)
        on.pods["a"].fails = [(grpc.StatusCode.INTERNAL, "it broke")]
        answer, metadata = await ask(on)
        assert (metadata["x-plimsoll-confidence"], metadata["x-plimsoll-cache"]) == (said, "hit")
        assert answer == (abstained(asking()) if low is OnLow.ABSTAIN else saying(*LOW)(asking()))
        assert on.gateway.record("r1").outcomes == [Outcome.SUCCEEDED, Outcome.SERVER_FAULT]
        assert on.pods["b"].requests == []


# ---- Triton's own client ----
async def test_tritons_client_reads_an_abstention() -> None:
    async with stage("a") as on:
        follow(on, OnLow.ABSTAIN, saying(*LOW))
        x = triton_client.InferInput("x", [1, 1], "FP32")
        x.set_data_from_numpy(np.ones((1, 1), np.float32))
        async with triton_client.InferenceServerClient(on.gateway.address) as client:
            result = await client.infer("digits", [x], request_id="7")
            assert result.as_numpy("y") is None
            assert result.get_response() == abstained(asking())
            follow(on, OnLow.FLAG, saying(*LOW))
            result = await client.infer("digits", [x], request_id="7")
            assert result.as_numpy("y").tolist() == [[np.float32(one) for one in LOW]]
