"""gRPC calls that are looked into: what is refused, what is filled in, what is no success."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable, Sequence

import grpc
import pytest
from tests.support.grpc_gateway import eventually, revision, table
from tests.support.grpc_stage import Stage, refused, stage
from tests.support.looked import rules
from tritonclient.grpc import service_pb2 as pb

from plimsoll.core.records.outcome import Outcome
from plimsoll.gateway.inspection import READ, Subject

AGE = {"name": "x", "min": 0, "max": 9, "default": "5"}
NAN = float("nan")


def asking(*values: float, shape: Sequence[int] = (1, 2), data_type: str = "FP32") -> pb.ModelInferRequest:
    given = values or (1.0, 2.0)
    return pb.ModelInferRequest(
        model_name="digits",
        id="7",
        inputs=[pb.ModelInferRequest.InferInputTensor(name="x", datatype=data_type, shape=shape)],
        raw_input_contents=[struct.pack(f"<{len(given)}f", *given)],
    )


def saying(*values: float, shape: Sequence[int] = (1, 1)) -> Callable[[pb.ModelInferRequest], pb.ModelInferResponse]:
    def says(request: pb.ModelInferRequest) -> pb.ModelInferResponse:
        y = pb.ModelInferResponse.InferOutputTensor(name="y", datatype="FP32", shape=shape)
        data = struct.pack(f"<{len(values)}f", *values)
        return pb.ModelInferResponse(model_name="digits", id=request.id, outputs=[y], raw_output_contents=[data])

    return says


def looked_into(on: Stage, *pods: str, **spec: object) -> None:
    """Has the gateway look into what these pods get and give."""
    on.gateway.route(table(revision("r1", *pods, rules=rules(**spec)), epoch=2))
    for pod in on.pods.values():
        pod.says = pod.says or saying(1.5)


# ---- requests ----
@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        (asking(data_type="INT32"), "Input 'x' is INT32; the model takes FP32."),
        (asking(1, 11), "Element [0, 1] of input 'x' is 11.0; the most that is declared is 9."),
        (asking(1, NAN), "Element [0, 1] of input 'x' is NaN; send a finite number."),
        (asking(1), "Input 'x': its shape is [1, 2]; that is 8 bytes of FP32, and 4 were sent."),
    ],
    ids=str,
)
async def test_a_request_that_the_model_does_not_take_is_refused_and_is_no_evidence(
    request_: pb.ModelInferRequest, sentence: str
) -> None:
    async with stage("a") as on:
        looked_into(on, "a", onInvalid="Reject", inputs=[AGE])
        error = await refused(on.stub.ModelInfer(request_))
        assert (error.code(), error.details()) == (grpc.StatusCode.INVALID_ARGUMENT, sentence)
        await on.stub.ModelInfer(asking())
        assert on.gateway.record("r1").outcomes == [Outcome.CLIENT_FAULT, Outcome.SUCCEEDED]
        assert on.pods["a"].requests == [asking()]


async def test_defaults_are_filled_in() -> None:
    async with stage("a") as on:
        looked_into(on, "a", onInvalid="Impute", inputs=[AGE])
        answer = await on.stub.ModelInfer(asking(1, NAN))
        assert on.pods["a"].requests == [asking(1, 5)]
        assert answer == saying(1.5)(asking())


async def test_flag_lets_pass_and_says_what_is_wrong() -> None:
    async with stage("a") as on:
        looked_into(on, "a", onInvalid="Flag", inputs=[AGE])
        call = on.stub.ModelInfer(asking(1, 11))
        await call
        assert ("x-plimsoll-invalid", "x=Range") in list(await call.initial_metadata())


@pytest.mark.parametrize("floats", [READ.body_bytes // 8, READ.body_bytes])
async def test_a_request_is_held_up_to_a_bound_and_passes_whole_in_any_case(floats: int) -> None:
    """Both are larger than the window of a stream: the client may go on sending though nobody has its bytes."""
    large = asking(*(0.0,) * floats, shape=(1, floats))
    async with stage("a") as on:
        looked_into(on, "a", onInvalid="Flag")
        await on.stub.ModelInfer(large)
        assert on.pods["a"].requests == [large]
        subject = on.gateway.looked.inspection
        expected = {(Subject.REQUEST, "TooLarge"): 1} if floats == READ.body_bytes else {}
        assert dict(subject.passed) == expected


async def test_a_client_that_goes_leaves_nothing_held() -> None:
    async with stage("a") as on:
        on.pods["a"].held = asyncio.Event()
        looked_into(on, "a", onInvalid="Reject")
        call = on.stub.ModelInfer(asking())
        await eventually(lambda: bool(on.pods["a"].requests), "the pod has it")
        call.cancel()
        await eventually(lambda: on.gateway.record("r1").outcomes == [Outcome.CANCELLED], "the gateway noticed")
        assert (on.gateway.looked.budget.held, on.gateway.outstanding) == (0, 0)


# ---- answers ----
@pytest.mark.parametrize(
    ("says", "sentence"),
    [
        (saying(NAN), "Element [0, 0] of output 'y' is NaN."),
        (saying(), "Output 'y' has 0 elements instead of the 1 of its shape."),
        (saying(1, 2, shape=(1, 2)), "Output 'y' has shape [1, 2] instead of [1, 1]."),
        (saying(1, 2, shape=(2, 1)), "Output 'y' has shape [2, 1] instead of [1, 1]."),
        (lambda _: pb.ModelInferResponse(), "The answer has no output 'y'."),
    ],
    ids=range(5),
)
async def test_a_success_that_is_none_is_a_failure(
    says: Callable[[pb.ModelInferRequest], pb.ModelInferResponse], sentence: str
) -> None:
    async with stage("a") as on:
        on.pods["a"].says = says
        looked_into(on, "a")
        error = await refused(on.stub.ModelInfer(asking()))
        assert (error.code(), error.details()) == (grpc.StatusCode.INTERNAL, sentence)
        assert on.gateway.record("r1").outcomes == [Outcome.INVALID_OUTPUT]
        assert on.gateway.outstanding == 0


async def test_what_the_candidate_gets_wrong_stable_answers() -> None:
    async with stage("a", "b") as on:
        on.pods["a"].says, on.pods["b"].says = saying(1.5), saying(NAN)
        stable = revision("r1", "a", weight=0, rules=rules())
        on.gateway.route(table(stable, revision("r2", "b", weight=1000, rules=rules()), epoch=2))
        call = on.stub.ModelInfer(asking())
        assert await call == saying(1.5)(asking())
        said = dict(await call.initial_metadata())
        assert (said["x-plimsoll-revision"], said["x-plimsoll-attempt"]) == ("r1", "2")
        record = on.gateway.record("r2")
        assert (record.outcomes, record.rescues) == ([Outcome.INVALID_OUTPUT], 1)


async def test_flagged_answers_pass() -> None:
    async with stage("a") as on:
        on.pods["a"].says = saying(NAN)
        looked_into(on, "a", onInvalidOutput="Flag")
        call = on.stub.ModelInfer(asking())
        await call
        assert ("x-plimsoll-invalid", "y=NotFinite") in list(await call.initial_metadata())
        assert on.gateway.record("r1").outcomes == [Outcome.SUCCEEDED]


async def test_an_answer_that_is_too_long_to_be_held_passes_as_it_comes_and_is_counted() -> None:
    async with stage("a") as on:
        on.pods["a"].says = saying(*(1.0,) * 200_000, shape=(1, 200_000))
        looked_into(on, "a")
        answer = await on.stub.ModelInfer(asking())
        assert len(answer.raw_output_contents[0]) == 800_000
        assert dict(on.gateway.looked.inspection.passed) == {(Subject.ANSWER, "long"): 1}


async def test_errors_of_a_pod_pass_as_they_are() -> None:
    async with stage("a") as on:
        looked_into(on, "a", onInvalid="Reject")
        on.pods["a"].fails = [(grpc.StatusCode.NOT_FOUND, "no such version")]
        error = await refused(on.stub.ModelInfer(asking()))
        assert (error.code(), error.details()) == (grpc.StatusCode.NOT_FOUND, "no such version")


async def test_streams_are_not_looked_into() -> None:
    async with stage("a") as on:
        looked_into(on, "a", onInvalid="Reject")
        answers = [answer async for answer in on.stub.ModelStreamInfer(iter([asking(1)]))]
        assert len(answers) == 1
