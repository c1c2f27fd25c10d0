"""What the user gets and what is recorded when a model server or a client fails for good."""

import asyncio

import pytest
from tests.support.http_gateway import gateway, infer, until
from tests.support.scripted_http import Asked, deaf, half_an_answer, never, ok, saying, scripted

from plimsoll.api.routing import Traffic
from plimsoll.core.records.outcome import Outcome
from plimsoll.gateway.http1.limits import Limits

STREAM = b"/v2/models/digits/generate_stream"


async def test_after_the_first_byte_the_answer_is_cut_off() -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n12345"
    chunks = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n12345\r\n"
    for pieces in ([head], [chunks], [chunks, b"nonsense"], [head, b"1234567890"]):
        async with (
            scripted(half_an_answer(*pieces)) as bad,
            scripted(half_an_answer(*pieces), "127.0.0.3", bad.port) as other,
            gateway(port=bad.port) as subject,
        ):
            subject.route([bad.ip, other.ip])
            client = await subject.connect()
            client.writer.write(infer(path=STREAM))
            got = await client.rest()
            client.close()
            assert got.startswith(b"HTTP/1.1 200 OK\r\n")
            assert not got.endswith(b"0\r\n\r\n")
            assert (subject.records["r1"].outcomes, subject.outstanding) == ([Outcome.BROKEN], 0)
            assert len(bad.asked + other.asked) == 1


async def test_a_server_that_never_answers_is_given_up() -> None:
    limits = Limits(response_s=0.3, sweep_s=0.05)
    async with scripted(never) as server, gateway(limits, port=server.port) as subject:
        subject.route([server.ip])
        client = await subject.connect()
        answer = await client.ask(infer())
        assert (answer.status, answer.field("connection")) == (504, None)
        client.close()
        assert (subject.records["r1"].ends, subject.outstanding) == ([(Outcome.TIMED_OUT, "pod-2")], 0)
        await until(lambda: not server.open)


async def test_a_stream_that_stops_is_cut_off() -> None:
    async def stall(asked: Asked) -> None:
        asked.writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n12345")
        await asked.reader.read()

    limits = Limits(response_s=0.3, sweep_s=0.05)
    async with scripted(stall) as server, gateway(limits, port=server.port) as subject:
        subject.route([server.ip])
        client = await subject.connect()
        client.writer.write(infer())
        assert (await client.rest()).endswith(b"12345")
        client.close()
        assert subject.records["r1"].outcomes == [Outcome.TIMED_OUT]


async def test_a_client_that_leaves_ends_the_work() -> None:
    async with scripted(never) as server, gateway(port=server.port) as subject:
        subject.route([server.ip])
        client = await subject.connect()
        client.writer.write(infer())
        await until(lambda: len(server.asked) == 1)
        client.close()
        await until(lambda: not server.open)
        assert (subject.records["r1"].ends, subject.outstanding) == ([(Outcome.CANCELLED, "pod-2")], 0)


async def test_a_client_that_leaves_while_a_connection_is_being_made() -> None:
    with deaf("127.0.0.5") as port:
        async with gateway(port=port) as subject:
            subject.route(["127.0.0.5"])
            client = await subject.connect()
            client.writer.write(infer())
            await until(lambda: subject.outstanding == 1)
            client.close()
            await until(lambda: subject.outstanding == 0)
            assert subject.records["r1"].outcomes == [Outcome.CANCELLED]


async def test_a_gateway_that_ends_while_a_connection_is_being_made() -> None:
    with deaf("127.0.0.5") as port:
        async with gateway(port=port) as subject:
            subject.route(["127.0.0.5"])
            client = await subject.connect()
            client.writer.write(infer(b"x" * 100_000))
            await until(lambda: subject.outstanding == 1)
            await subject.listener.close()
            assert subject.outstanding == 0
            client.close()


@pytest.mark.parametrize("traffic", [Traffic.NORMAL, Traffic.STOPPED])
async def test_what_is_not_forwarded_is_shed_and_the_connection_goes_on(traffic: Traffic) -> None:
    async with gateway(port=1) as subject:
        subject.route([], traffic=traffic)
        client = await subject.connect()
        for _ in range(2):
            answer = await client.ask(infer())
            assert (answer.status, answer.field("connection")) == (503, None)
            assert int(answer.field("retry-after") or 0) > 0
        client.close()
        assert subject.records["r1"].ends == [(Outcome.SHED, "")] * 2


async def test_only_inference_is_evidence() -> None:
    async with (
        scripted(saying(ok())) as stable,
        scripted(saying(ok()), "127.0.0.3", stable.port) as candidate,
        gateway(port=stable.port) as subject,
    ):
        subject.route([stable.ip], [candidate.ip], weight=1000)
        metadata = b"GET /v2/models/digits HTTP/1.1\r\nHost: digits\r\n%s\r\n"
        assert (await subject.ask(metadata % b"")).field("x-plimsoll-revision") == "r1"
        wanted = await subject.ask(metadata % b"X-Plimsoll-Candidate: true\r\n")
        assert wanted.field("x-plimsoll-revision") == "r2"
        assert {name: record.arrivals for name, record in subject.records.items()} == {"r1": 0, "r2": 0}


async def test_who_asks_for_the_candidate_gets_it() -> None:
    async with (
        scripted(saying(ok())) as stable,
        scripted(saying(ok()), "127.0.0.3", stable.port) as candidate,
        gateway(port=stable.port) as subject,
    ):
        subject.route([stable.ip], [candidate.ip], weight=0)
        assert (await subject.ask(infer())).field("x-plimsoll-revision") == "r1"
        wanted = await subject.ask(infer(head=b"X-Plimsoll-Candidate: true\r\n"))
        assert wanted.field("x-plimsoll-revision") == "r2"


async def test_an_endpoint_that_leaves_loses_its_idle_connections_at_once_and_the_others_after_their_answer() -> None:
    release = asyncio.Event()

    async def slow_first(asked: Asked) -> None:
        await asked.read_body()
        if asked.number == 0:
            await release.wait()
        asked.writer.write(ok())

    async with scripted(slow_first) as server, gateway(port=server.port) as subject:
        subject.route([server.ip])
        slow = await subject.connect()
        slow.writer.write(infer())
        await until(lambda: len(server.asked) == 1)
        assert (await subject.ask(infer())).status == 200
        assert len(server.open) == 2
        subject.route([])
        await until(lambda: len(server.open) == 1)
        release.set()
        assert (await slow.answer()).status == 200
        await until(lambda: not server.open)
        slow.close()


async def test_unused_connections_to_servers_are_closed() -> None:
    limits = Limits(upstream_idle_s=0.1, sweep_s=0.02)
    async with scripted(saying(ok())) as server, gateway(limits, port=server.port) as subject:
        subject.route([server.ip])
        assert (await subject.ask(infer())).status == 200
        await until(lambda: not server.open)


async def test_bytes_that_nobody_asked_for_end_the_connection() -> None:
    async with scripted(saying(ok())) as server, gateway(port=server.port) as subject:
        subject.route([server.ip])
        assert (await subject.ask(infer())).status == 200
        next(iter(server.open)).write(ok(b"poison"))
        await until(lambda: not server.open)
        assert (await subject.ask(infer())).body == b"{}"
