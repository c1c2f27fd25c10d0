"""Copies of stable's requests for a candidate: nobody notices them, and what they say is counted."""

from __future__ import annotations

import json
import struct
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace

import pytest
from tests.support.grpc_gateway import revision, table
from tests.support.grpc_stage import stage
from tests.support.http_gateway import Answer, Gateway, gateway, infer, until
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


@dataclass
class Copied:
    """A gateway whose model has a stable revision and a candidate."""

    gateway: Gateway
    shadows: Shadows
    candidate: Scripted

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
async def copied(candidate: Script, stable: Script | None = None, permille: int = ALL) -> AsyncIterator[Copied]:
    async with (
        scripted(stable or saying(y(1))) as serving,
        scripted(candidate, "127.0.0.3", serving.port) as wanted,
        gateway(port=serving.port) as subject,
        aclosing(Asides(serving.port, answer_s=0.5)) as asides,
        aclosing(Shadows(asides, lambda: b"key", lambda _, revision: subject.records[revision])) as shadows,
    ):
        inspections = subject.looked.inspections
        inspections.stateful |= {"r1": False, "r2": False}
        inspections.copy_to(shadows.of)
        subject.route([serving.ip], [wanted.ip], rules=rules())
        running = Copied(subject, shadows, wanted)
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


async def test_copies_that_would_wait_are_dropped() -> None:
    async with copied(never) as subject:
        for _ in range(MOST_COPIES + 3):
            assert (await subject.ask()).status == 200
        assert subject.fates == {Fate.DROPPED: 3}
        assert not subject.shadows.has_room


async def test_long_requests_are_not_copied() -> None:
    long = asking(1, parameters={"note": "x" * (300 << 10)})
    async with copied(saying(y(1))) as subject:
        assert (await subject.ask(long)).status == 200
        assert (subject.fates, subject.candidate.asked) == ({Fate.DROPPED: 1}, [])


async def test_what_stable_failed_at_and_what_is_no_inference_is_not_copied() -> None:
    async with copied(saying(y(1)), saying(b"HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n")) as subject:
        assert (await subject.ask()).status == 500
        await subject.ask(infer(path=b"/v2/models/digits/generate"))
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
        aclosing(Shadows(asides, lambda: b"key", lambda _, revision: on.gateway.record(revision))) as shadows,
    ):
        on.pods["a"].says = says
        inspections = on.gateway.looked.inspections
        inspections.stateful |= {"r1": False, "r2": False}
        inspections.copy_to(shadows.of)
        wanted = replace(revision("r2", weight=0), endpoints=(Endpoint("b", candidate.ip),), shadow_permille=ALL)
        on.gateway.route(table(revision("r1", "a", rules=rules()), wanted, epoch=2))
        request = pb.ModelInferRequest(model_name="digits", raw_input_contents=[struct.pack("<2f", 1, 1)])
        request.inputs.add(name="x", datatype="FP32", shape=[1, 2])
        assert (await on.stub.ModelInfer(request)).outputs[0].name == "y"
        await until(lambda: [(one.result, one.count) for one in shadows.figures()] == [(Fate.AGREED, 1)])
        assert on.gateway.record("r2").arrivals == 0
