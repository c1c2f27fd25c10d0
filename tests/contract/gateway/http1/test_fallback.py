"""Requests that another model answers: what clients see over real sockets, and what is recorded of both models."""

import asyncio
from collections.abc import Sequence

import pytest
from tests.support.http_gateway import Gateway, gateway, infer, pods, until
from tests.support.scripted_http import Asked, never, ok, scripted

from plimsoll.api.routing import Traffic
from plimsoll.core.records.outcome import Outcome
from plimsoll.core.routing.ladder import Ladder
from plimsoll.core.routing.limits import RequestLimits
from plimsoll.core.routing.table import NO_SAY, ModelRoute, RevisionRoute, RouteTable

NO_QUEUE = RequestLimits(outstanding=1, max_queue=0)
READY = b"GET /v2/models/digits/ready HTTP/1.1\r\nHost: digits\r\n\r\n"


def follow(
    subject: Gateway,
    stable: Sequence[str],
    small: Sequence[str],
    *,
    traffic: Traffic = Traffic.NORMAL,
    limits: RequestLimits = NO_SAY,
    small_traffic: Traffic = Traffic.NORMAL,
    overload: bool = True,
) -> None:
    """Routes `digits`, revision r1, with the fallback `small`, revision s1, whose own fallback is `digits`."""
    subject.epoch += 1
    routes = [
        ModelRoute(name, name, subject.epoch, how, RevisionRoute(revision, 1000, pods(ips)), limits=most, ladder=ladder)
        for name, revision, ips, how, most, ladder in [
            ("digits", "r1", stable, traffic, limits, Ladder("small", on_overload=overload)),
            ("small", "s1", small, small_traffic, NO_SAY, Ladder("digits", on_overload=True)),
        ]
    ]
    subject.targets.apply(RouteTable({route.model: route for route in routes}))


async def echo(asked: Asked) -> None:
    await asked.read_body()
    asked.writer.write(ok(asked.body))


@pytest.mark.parametrize("because", ["overload", "traffic"])
async def test_the_same_request_is_answered_by_the_other_model(because: str) -> None:
    async with (
        scripted(never) as busy,
        scripted(echo, "127.0.0.3", busy.port) as other,
        gateway(port=busy.port) as subject,
    ):
        diverted = Traffic.FALLBACK if because == "traffic" else Traffic.NORMAL
        follow(subject, [busy.ip] if diverted is not Traffic.NORMAL else [], [other.ip], traffic=diverted)
        client = await subject.connect()
        for number in range(2):
            answer = await client.ask(infer(b'{"inputs":[%d]}' % number, b"X-Trace: 7\r\n"))
            assert (answer.status, answer.body) == (200, b'{"inputs":[%d]}' % number)
            assert answer.field("x-plimsoll-degraded") == f"fallback; model=small; reason={because}"
            assert answer.field("x-plimsoll-revision") == "s1"
        client.close()
        heads = [asked.head.split(b"\r\n") for asked in other.asked]
        assert {head[0] for head in heads} == {b"POST /v2/models/small/infer HTTP/1.1"}
        assert all(b"X-Trace: 7" in head for head in heads)
        assert not busy.asked
        first, second = subject.records["r1"], subject.records["s1"]
        assert (first.outcomes, first.exempt) == ([Outcome.SHED] * 2, 0)
        assert (second.outcomes, second.exempt) == ([Outcome.SUCCEEDED] * 2, 2)
        assert subject.outstanding == 0
        assert subject.targets.models["small"].queue.in_service == 0


async def test_a_request_that_cannot_wait_is_answered_by_the_other_model() -> None:
    async with (
        scripted(never) as busy,
        scripted(echo, "127.0.0.3", busy.port) as other,
        gateway(port=busy.port) as subject,
    ):
        follow(subject, [busy.ip], [other.ip], limits=NO_QUEUE)
        first = await subject.connect()
        first.writer.write(infer())
        await until(lambda: bool(busy.asked))
        answer = await subject.ask(infer(path=b"/v2/models/digits/versions/3/infer"))
        assert (answer.status, answer.field("x-plimsoll-degraded")) == (200, "fallback; model=small; reason=overload")
        assert other.asked[0].head.startswith(b"POST /v2/models/small/infer HTTP/1.1\r\n")
        first.close()
        await until(lambda: len(subject.records["r1"].ends) == 2)
        assert subject.records["r1"].outcomes == [Outcome.SHED, Outcome.CANCELLED]


async def test_a_request_that_has_waited_for_too_long_says_both() -> None:
    async with (
        scripted(never) as busy,
        scripted(echo, "127.0.0.3", busy.port) as other,
        gateway(port=busy.port) as subject,
    ):
        follow(subject, [busy.ip], [other.ip], limits=RequestLimits(outstanding=1, max_wait_s=0.1))
        first = await subject.connect()
        first.writer.write(infer())
        await until(lambda: bool(busy.asked))
        answer = await subject.ask(infer())
        assert (answer.status, answer.field("x-plimsoll-degraded")) == (200, "fallback; model=small; reason=overload")
        first.close()


async def test_who_waits_goes_to_the_other_model_when_traffic_is_turned_there() -> None:
    async with (
        scripted(never) as busy,
        scripted(echo, "127.0.0.3", busy.port) as other,
        gateway(port=busy.port) as subject,
    ):
        follow(subject, [busy.ip], [other.ip], limits=RequestLimits(outstanding=1))
        first = await subject.connect()
        first.writer.write(infer())
        await until(lambda: bool(busy.asked))
        waiting = asyncio.create_task(subject.ask(infer()))
        await until(lambda: subject.records["r1"].queued == 1)
        follow(subject, [busy.ip], [other.ip], limits=RequestLimits(outstanding=1), traffic=Traffic.FALLBACK)
        answer = await waiting
        assert (answer.status, answer.field("x-plimsoll-degraded")) == (200, "fallback; model=small; reason=traffic")
        first.close()


async def test_a_body_in_pieces_and_in_chunks_arrives_whole() -> None:
    async with scripted(echo) as other, gateway(port=other.port) as subject:
        follow(subject, [], [other.ip], traffic=Traffic.FALLBACK)
        large = b'"%s"' % (b"x" * 300_000)
        answer = await subject.ask(infer(large))
        assert answer.body == large
        client = await subject.connect()
        client.writer.write(
            b"POST /v2/models/digits/infer HTTP/1.1\r\nHost: digits\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        client.writer.write(b"3\r\nabc\r\n")
        await until(lambda: len(other.asked) == 2)
        client.writer.write(b"2\r\nde\r\n0\r\n\r\n")
        assert (await client.answer()).body == b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
        client.close()


@pytest.mark.parametrize(
    ("why", "small", "small_traffic", "overload", "traffic", "told"),
    [
        ("overload is to be rejected", True, Traffic.NORMAL, False, Traffic.NORMAL, b"No replica of digits is ready"),
        ("the fallback has no pod", False, Traffic.NORMAL, True, Traffic.NORMAL, b"No replica of digits is ready"),
        ("two hops", True, Traffic.FALLBACK, True, Traffic.NORMAL, b"No replica of digits is ready"),
        ("a circle", True, Traffic.FALLBACK, True, Traffic.FALLBACK, b"which cannot take this request"),
        ("the fallback is stopped", True, Traffic.STOPPED, True, Traffic.FALLBACK, b"which cannot take this request"),
        ("all is stopped", True, Traffic.NORMAL, True, Traffic.STOPPED, b"stopped by its spec"),
    ],
)
async def test_where_nobody_stands_in_the_client_is_told(
    why: str, *, small: bool, small_traffic: Traffic, overload: bool, traffic: Traffic, told: bytes
) -> None:
    async with scripted(echo) as other, gateway(port=other.port) as subject:
        follow(
            subject,
            [],
            [other.ip] if small else [],
            traffic=traffic,
            small_traffic=small_traffic,
            overload=overload,
        )
        answer = await subject.ask(infer())
        assert (answer.status, told in answer.body) == (503, True), why
        assert answer.field("x-plimsoll-degraded") is None
        assert not other.asked
        assert subject.records["r1"].outcomes == [Outcome.SHED]


async def test_calls_that_are_no_inference_stay_with_their_model() -> None:
    async with scripted(echo) as server, gateway(port=server.port) as subject:
        follow(subject, [server.ip], [], traffic=Traffic.FALLBACK)
        assert (await subject.ask(READY)).status == 200
        assert server.asked[0].head.startswith(b"GET /v2/models/digits/ready ")


async def test_what_the_other_model_fails_to_answer_is_its_load_and_no_evidence() -> None:
    async def close(asked: Asked) -> None:
        await asked.read_body()
        asked.reset()

    async with scripted(close) as other, gateway(port=other.port) as subject:
        follow(subject, [], [other.ip], traffic=Traffic.FALLBACK)
        answer = await subject.ask(infer())
        assert (answer.status, answer.field("x-plimsoll-degraded")) == (502, "fallback; model=small; reason=traffic")
        record = subject.records["s1"]
        assert (record.outcomes, record.exempt) == ([Outcome.BROKEN], 1)
