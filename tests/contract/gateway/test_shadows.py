"""Copies of stable's requests for a candidate: nobody notices them, and what they say is counted."""

from __future__ import annotations

import json
import struct
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace

import grpc
import pytest
from tests.support.grpc_gateway import revision, table
from tests.support.grpc_stage import stage
from tests.support.http_gateway import Answer, Gateway, gateway, infer, pods, until
from tests.support.looked import rules
from tests.support.scripted_http import Asked, Script, Scripted, never, ok, reset, saying, scripted
from tritonclient.grpc import service_pb2 as pb

from plimsoll.core.records.outcome import Outcome
from plimsoll.core.routing.table import Endpoint, RouteTable
from plimsoll.gateway.asides import Asides
from plimsoll.gateway.shadows import MOST_COPIES, Fate, Shadows

ALL = 1000


def asking(value: float = 1, **more: object) -> bytes:
    x = {"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [value, value]}
    return infer(json.dumps({"inputs": [x], **more}).encode())


def y(value: float) -> bytes:
    tensor = {"name": "y", "datatype": "FP32", "shape": [1, 1], "data": [value]}
    return ok(json.dumps({"model_name": "digits", "model_version": "1", "outputs": [tensor]}).encode())


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Copied:
    """A gateway whose model has a stable revision and a candidate."""

    gateway: Gateway
    shadows: Shadows
    candidate: Scripted
    clock: Clock

    def follow(self, permille: int = ALL) -> None:
        """Copies this share."""
        targets = self.gateway.targets
        route = targets.models["digits"].route
        assert route.candidate
        candidate = replace(route.candidate, shadow_permille=permille)
        targets.apply(RouteTable({"digits": replace(route, candidate=candidate)}))

    @property
    def fates(self) -> dict[str, int]:
        return {one.result: one.count for one in self.shadows.figures()}

    async def ask(self, request: bytes | None = None) -> Answer:
        return await self.gateway.ask(request or asking())


@asynccontextmanager
async def copied(
    candidate: Script, stable: Script | None = None, permille: int = ALL, answer_s: float = 0.5
) -> AsyncIterator[Copied]:
    clock = Clock()
    async with (
        scripted(stable or saying(y(1))) as serving,
        scripted(candidate, "127.0.0.3", serving.port) as wanted,
        gateway(port=serving.port) as subject,
        aclosing(Asides(serving.port, answer_s=answer_s)) as asides,
        aclosing(Shadows(asides, lambda: b"key", lambda _, revision: subject.records[revision], clock)) as shadows,
    ):
        inspections = subject.looked.inspections
        inspections.stateful |= {"r1": False, "r2": False}
        inspections.copy_to(shadows)
        subject.route([serving.ip], [wanted.ip], rules=rules())
        running = Copied(subject, shadows, wanted, clock)
        running.follow(permille)
        yield running


FATES = [
    pytest.param(saying(y(1)), Fate.AGREED, id="the same answer"),
    pytest.param(saying(y(1.0001)), Fate.AGREED, id="within the tolerance"),
    pytest.param(saying(y(2)), Fate.DIFFERED, id="another one"),
    pytest.param(saying(ok(b"{}")), Fate.DIFFERED, id="no outputs"),
    pytest.param(saying(ok(b"<html>")), Fate.FAILED, id="no answer"),
    pytest.param(saying(b"HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n"), Fate.FAILED, id="an error"),
    pytest.param(reset, Fate.FAILED, id="a broken connection"),
    pytest.param(never, Fate.FAILED, id="none in time"),
]


@pytest.mark.parametrize(("candidate", "fate"), FATES)
async def test_users_get_stables_answer_whatever_the_candidate_does(candidate: Script, fate: Fate) -> None:
    async with copied(candidate) as subject:
        answer = await subject.ask()
        assert (answer.status, answer.field("x-plimsoll-revision")) == (200, "r1")
        await until(lambda: subject.fates == {fate: 1})
        assert subject.gateway.records["r1"].outcomes == [Outcome.SUCCEEDED]
        told = subject.gateway.records["r2"]
        assert told.arrivals == 0, "a copy is no evidence"
        counts = (told.copies_agreed, told.copies_differed, told.copies_failed)
        assert counts == tuple(fate is one for one in (Fate.AGREED, Fate.DIFFERED, Fate.FAILED))
        assert subject.gateway.outstanding == 0


async def test_a_copy_says_what_the_request_said() -> None:
    bodies: list[bytes] = []

    async def candidate(asked: Asked) -> None:
        bodies.append(await asked.read_body())
        asked.writer.write(y(1))

    async with copied(candidate) as subject:
        await subject.ask(asking(7, parameters={"top_k": 3}, id="secret"))
        await until(lambda: subject.fates == {Fate.AGREED: 1})
    (body,) = bodies
    document, _, data = body.partition(b"]}")
    assert data.endswith(struct.pack("<2f", 7, 7))
    assert b'"top_k":3' in document
    assert b"secret" not in document


@pytest.mark.parametrize("permille", [1, 50, 500])
async def test_the_share_is_exact_in_each_block(permille: int) -> None:
    async with copied(saying(y(1)), permille=permille) as subject:
        shadow = subject.shadows.of(subject.gateway.targets.models["digits"].route)
        assert sum(shadow.wants() for _ in range(ALL)) == permille


async def test_a_candidate_that_hangs_holds_so_many_copies_for_so_long_and_no_user() -> None:
    async with copied(never) as subject:
        for _ in range(MOST_COPIES + 30):
            assert (await subject.ask()).status == 200
        assert not subject.shadows.has_room
        assert subject.candidate.opened <= MOST_COPIES
        assert subject.gateway.looked.budget.held == 0, "users may have what is held for looks"
        assert subject.gateway.records["r1"].outcomes == [Outcome.SUCCEEDED] * (MOST_COPIES + 30)
        await until(lambda: subject.fates == {Fate.FAILED: MOST_COPIES, Fate.DROPPED: 30})
        assert subject.shadows.has_room


async def test_copies_take_no_more_time_than_is_spared_for_them() -> None:
    async with copied(saying(y(1))) as subject:
        while Fate.DROPPED not in subject.fates:
            assert (await subject.ask()).status == 200
            await until(lambda: subject.shadows.idle)
        assert 50 < subject.fates[Fate.AGREED] < 200
        subject.clock.now += 1
        await subject.ask()
        await until(lambda: subject.shadows.idle)
        assert subject.fates[Fate.DROPPED] == 1


async def test_a_gateway_that_ends_waits_for_no_copy() -> None:
    async with copied(never, answer_s=3600) as subject:
        await subject.ask()
        await until(lambda: len(subject.candidate.asked) == 1)
        await subject.shadows.aclose()
        assert (await subject.ask()).status == 200
        assert subject.fates == {Fate.DROPPED: 1}, "and none begins any more"


async def test_what_took_a_second_attempt_is_not_copied() -> None:
    async with copied(saying(y(1))) as subject, scripted(reset, "127.0.0.4", subject.candidate.port):
        targets = subject.gateway.targets
        route = targets.models["digits"].route
        assert route.stable
        two = replace(route.stable, endpoints=pods(["127.0.0.2", "127.0.0.4"]))
        targets.apply(RouteTable({"digits": replace(route, stable=two)}))
        while not subject.gateway.meter.retries:
            assert (await subject.ask()).status == 200
            await until(lambda: subject.shadows.idle)
        before = subject.fates
        for _ in range(4):
            assert (await subject.ask()).status == 200
            await until(lambda: subject.shadows.idle)
        first = 5 - subject.gateway.meter.retries
        assert subject.fates.get(Fate.AGREED, 0) - before.get(Fate.AGREED, 0) == first, "those that took one attempt"
        wanting = asking().replace(b"\r\n", b"\r\nX-Plimsoll-Candidate: true\r\n", 1)
        assert (await subject.ask(wanting)).field("x-plimsoll-revision") == "r2"
        assert subject.shadows.idle, "nor what the candidate answered anyway"


async def test_a_request_is_copied_though_the_interface_of_what_serves_is_not_known() -> None:
    async with copied(saying(y(1))) as subject:
        targets = subject.gateway.targets
        route = targets.models["digits"].route
        assert route.stable
        assert route.candidate
        unknown = replace(
            route, stable=replace(route.stable, rules=None), candidate=replace(route.candidate, rules=None)
        )
        targets.apply(RouteTable({"digits": unknown}))
        assert (await subject.ask()).status == 200
        await until(lambda: subject.fates == {Fate.AGREED: 1})


async def test_counts_are_the_candidates_and_go_with_it() -> None:
    async with copied(never) as subject:
        await subject.ask()
        await until(lambda: len(subject.candidate.asked) == 1)
        targets = subject.gateway.targets
        route = targets.models["digits"].route
        assert route.candidate
        subject.gateway.looked.inspections.stateful["r3"] = False
        targets.apply(RouteTable({"digits": replace(route, candidate=replace(route.candidate, name="r3"))}))
        await until(lambda: subject.shadows.idle)
        assert subject.fates == {}, "what became of a copy for r2 is nothing that r3 did"
        await subject.ask()
        await until(lambda: [one.revision for one in subject.shadows.figures()] == ["r3"])
        targets.forget("digits")
        assert list(subject.shadows.figures()) == []


async def test_long_requests_are_not_copied() -> None:
    long = asking(1, parameters={"note": "x" * (300 << 10)})
    async with copied(saying(y(1))) as subject:
        assert (await subject.ask(long)).status == 200
        assert (subject.fates, subject.candidate.asked) == ({Fate.DROPPED: 1}, [])


async def test_what_stable_failed_at_and_what_is_no_inference_is_not_copied() -> None:
    async with copied(saying(y(1)), saying(b"HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n")) as subject:
        assert (await subject.ask()).status == 500
        for path in (b"generate", b"generate_stream"):
            await subject.ask(infer(path=b"/v2/models/digits/" + path))
        await subject.ask(b"GET /v2/models/digits HTTP/1.1\r\nHost: digits\r\n\r\n")
        assert (subject.fates, subject.candidate.asked) == ({}, [])


@pytest.mark.parametrize("stateful", [{}, {"r1": False}, {"r2": False}, {"r1": False, "r2": True}], ids=str)
async def test_nothing_is_copied_unless_both_are_known_to_keep_no_state(stateful: dict[str, bool]) -> None:
    async with copied(saying(y(1))) as subject:
        subject.gateway.looked.inspections.stateful = stateful
        subject.gateway.targets.models["digits"].inspect()
        assert (await subject.ask()).status == 200
        assert (subject.fates, subject.candidate.asked) == ({}, [])


async def test_copies_end_with_the_share() -> None:
    async with copied(saying(y(1))) as subject:
        subject.follow(0)
        assert (await subject.ask()).status == 200
        assert subject.fates == {}


async def test_a_unary_call_over_grpc_is_copied_over_http() -> None:
    def says(_request: pb.ModelInferRequest) -> pb.ModelInferResponse:
        answer = pb.ModelInferResponse(model_name="digits", model_version="1")
        answer.outputs.add(name="y", datatype="FP32", shape=[1, 1])
        answer.raw_output_contents.append(struct.pack("<f", 1))
        return answer

    async with (
        scripted(saying(y(1)), "127.0.0.3") as candidate,
        stage("a") as on,
        aclosing(Asides(candidate.port)) as asides,
        aclosing(Shadows(asides, lambda: b"key", lambda _, revision: on.gateway.record(revision), Clock())) as shadows,
    ):
        on.pods["a"].says = says
        inspections = on.gateway.looked.inspections
        inspections.stateful |= {"r1": False, "r2": False}
        inspections.copy_to(shadows)
        wanted = replace(revision("r2", weight=0), endpoints=(Endpoint("b", candidate.ip),), shadow_permille=ALL)
        on.gateway.route(table(revision("r1", "a", rules=rules()), wanted, epoch=2))
        request = pb.ModelInferRequest(model_name="digits", raw_input_contents=[struct.pack("<2f", 1, 1)])
        request.inputs.add(name="x", datatype="FP32", shape=[1, 2])
        assert (await on.stub.ModelInfer(request)).outputs[0].name == "y"
        await until(lambda: [(one.result, one.count) for one in shadows.figures()] == [(Fate.AGREED, 1)])
        assert on.gateway.record("r2").arrivals == 0
        call = on.stub.ModelStreamInfer()
        await call.write(request)
        await call.read()
        await call.done_writing()
        assert await call.code() is grpc.StatusCode.OK
        assert len(candidate.asked) == 1, "no stream is copied"
