"""Clients that send nonsense, too much, too slowly, or take nothing; and the end of a gateway under load."""

import asyncio
import socket
import struct

import pytest
from tests.support.http_gateway import Client, Gateway, gateway, infer, until
from tests.support.scripted_http import Asked, ok, saying, scripted

from plimsoll.core.records.outcome import Outcome
from plimsoll.gateway.http1.limits import Limits
from plimsoll.gateway.http1.refusals import Reason

CHUNKED = b"POST /v2/models/digits/infer HTTP/1.1\r\nHost: digits\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /v2 HTTP/1.1\r\nHost: a\r\nX: 1\n\r\n", 400),
        (b"GET /v2 HTTP/1.0\r\n\r\n", 505),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n", 400),
        (b"GET /" + b"a" * 9000, 414),
        (b"GET /v2 HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 33_000, 431),
        (b"GET /v2 HTTP/1.1\r\nHost: a\r\n" + b"X: a\r\n" * 100 + b"\r\n", 431),
        (infer(b"", b"Transfer-Encoding: chunked\r\n"), 400),
        (CHUNKED + b"5;x=y\r\nhello\r\n0\r\n\r\n", 400),
        (CHUNKED + b"FFFFFFFFF\r\n", 400),
        (CHUNKED + b"4000001\r\n", 413),
        (infer().replace(b"th: 13", b"th: 67108865"), 413),
        (infer().replace(b"th: 13", b"th: 1073741824"), 413),
    ],
)
async def test_what_cannot_be_told_apart_is_refused_and_the_connection_ends(request_: bytes, status: int) -> None:
    async with scripted(saying(ok())) as server, gateway(port=server.port) as subject:
        subject.route([server.ip])
        client = await subject.connect()
        answer = await client.ask(request_ + infer())
        assert (answer.status, answer.field("connection"), await client.rest()) == (status, "close", b"")
        client.close()
        assert server.asked == []
        assert subject.meter.refusals.total() == 1


async def test_a_large_upload_that_is_refused_still_reads_the_answer() -> None:
    async with gateway(Limits(body_bytes=1000), port=1) as subject:
        client = await subject.connect()
        client.writer.write(infer(b"x" * 5_000_000))
        assert (await client.answer()).status == 413
        client.close()


@pytest.mark.parametrize(("bad", "status"), [(b"zz\r\n", 400), (b"3e8\r\n", 413)])
async def test_a_fault_within_a_body_is_the_clients_and_ends_the_forwarding(bad: bytes, status: int) -> None:
    async with scripted(saying(ok())) as server, gateway(Limits(body_bytes=100), port=server.port) as subject:
        subject.route([server.ip])
        client = await subject.connect()
        client.writer.write(CHUNKED + b"5\r\nhello\r\n")
        await until(lambda: len(server.asked) == 1)
        client.writer.write(bad)
        assert (await client.answer()).status == status
        client.close()
        await until(lambda: not server.open)
        assert subject.records["r1"].outcomes == [Outcome.CLIENT_FAULT]


SLOW = Limits(head_s=0.3, body_s=0.3, idle_s=0.3, linger_s=0.3, sweep_s=0.05)


@pytest.mark.parametrize("beginning", [b"G", infer()[:40]])
async def test_a_head_has_to_come_in_time(beginning: bytes) -> None:
    async with gateway(SLOW, port=1) as subject:
        client = await subject.connect()
        answer = await client.ask(beginning)
        assert (answer.status, answer.field("connection"), await client.rest()) == (408, "close", b"")
        client.close()


async def test_a_byte_now_and_then_does_not_extend_the_time_of_a_head() -> None:
    async with gateway(SLOW, port=1) as subject:
        client = await subject.connect()
        drip = asyncio.create_task(dripping(client, infer()))
        assert (await client.answer()).status == 408
        drip.cancel()
        client.close()


async def dripping(client: Client, data: bytes) -> None:
    for byte in data:
        client.writer.write(bytes([byte]))
        await asyncio.sleep(0.1)


async def test_a_body_that_stops_is_the_clients_fault() -> None:
    async with scripted(saying(ok())) as server, gateway(SLOW, port=server.port) as subject:
        subject.route([server.ip])
        client = await subject.connect()
        answer = await client.ask(infer()[:-1])
        assert (answer.status, await client.rest()) == (408, b"")
        client.close()
        await until(lambda: not server.open)
        assert subject.records["r1"].outcomes == [Outcome.CLIENT_FAULT]


async def test_a_client_that_resets_its_connection_in_mid_body_has_gone() -> None:
    async with scripted(saying(ok())) as server, gateway(port=server.port) as subject:
        subject.route([server.ip])
        client = await subject.connect()
        client.writer.write(infer()[:-1])
        await until(lambda: len(server.asked) == 1)
        sock = client.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.writer.transport.abort()
        await until(lambda: not server.open)
        assert (subject.records["r1"].outcomes, subject.outstanding) == ([Outcome.CANCELLED], 0)


async def test_a_content_type_is_the_model_servers_to_judge() -> None:
    async with scripted(saying(ok())) as server, gateway(port=server.port) as subject:
        subject.route([server.ip])
        assert (await subject.ask(infer(b"{}", b"Content-Type: text/html\r\n"))).status == 200
        assert b"content-type: text/html" in server.asked[0].head.lower()


async def test_an_idle_connection_is_closed_without_a_word() -> None:
    async with gateway(SLOW, port=1) as subject:
        client = await subject.connect()
        assert await client.rest() == b""
        client.close()


async def test_one_connection_too_many_is_told() -> None:
    async with gateway(Limits(connections=1), port=1) as subject:
        subject.route()
        first = await subject.connect()
        await until(lambda: subject.listener.connections == 1)
        second = await subject.connect()
        assert (await second.answer()).status == 503
        second.close()
        first.close()
        assert subject.meter.refusals == {Reason.CONNECTIONS: 1}


async def read_slowly(subject: Gateway, request: bytes) -> tuple[socket.socket, int]:
    """Sends a request over a socket that takes little, and returns how much of `request` went out before it stalled."""
    loop = asyncio.get_running_loop()
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.setblocking(False)
    await loop.sock_connect(sock, ("127.0.0.1", subject.port))
    sent = 0
    while sent < len(request):
        try:
            sent += sock.send(request[sent : sent + 65536])
            await asyncio.sleep(0)
        except BlockingIOError:
            await asyncio.sleep(0.3)
            try:
                sent += sock.send(request[sent : sent + 65536])
            except BlockingIOError:
                break
    return sock, sent


async def test_a_client_that_takes_no_byte_stops_the_server_from_sending() -> None:
    size = 64 << 20
    written = 0

    async def flood(asked: Asked) -> None:
        nonlocal written
        await asked.read_body()
        asked.writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
        while written < size:
            asked.writer.write(b"x" * 65536)
            written += 65536
            await asked.writer.drain()

    limits = Limits(body_s=0.5, sweep_s=0.05)
    async with scripted(flood) as server, gateway(limits, port=server.port) as subject:
        subject.route([server.ip])
        sock, _ = await read_slowly(subject, infer())
        await until(lambda: subject.records["r1"].outcomes == [Outcome.CANCELLED])
        assert written < size / 2
        sock.close()
        await until(lambda: not server.open)


async def test_a_slow_client_slows_nobody_else() -> None:
    """The connection to the server is free when the answer has ended, although the client has yet to read it."""
    limits = Limits(response_s=5.0)
    async with scripted(saying(ok(b"x" * 200_000))) as server, gateway(limits, port=server.port) as subject:
        subject.route([server.ip])
        sock, _ = await read_slowly(subject, infer() * 200)
        await asyncio.sleep(0.2)
        assert 1 < len(server.asked) < 200
        for _ in range(3):
            assert (await subject.ask(infer())).status == 200
        sock.close()


async def test_a_server_that_takes_no_byte_stops_the_client_from_sending() -> None:
    async def stall(asked: Asked) -> None:
        asked.writer.transport.pause_reading()  # type: ignore[attr-defined] - a stream's transport can
        await asyncio.sleep(60)

    limits = Limits(response_s=4.0, sweep_s=0.05)  # it gives up, and reads the rest, long after the client has stalled
    request = infer(b"x" * (60 << 20))
    async with scripted(stall) as server, gateway(limits, port=server.port) as subject:
        subject.route([server.ip])
        sock, sent = await read_slowly(subject, request)
        assert sent < len(request) / 2
        await until(lambda: subject.records["r1"].outcomes == [Outcome.TIMED_OUT])
        sock.close()


async def test_a_client_that_reads_no_answer_is_not_read_either() -> None:
    async with scripted(saying(ok(b"x" * 100_000))) as server, gateway(port=server.port) as subject:
        subject.route([server.ip])
        requests = infer(b"x" * 5000) * 10_000
        sock, sent = await read_slowly(subject, requests)
        assert sent < len(requests) / 2
        asked = -1
        while len(server.asked) != asked:
            asked = len(server.asked)
            await asyncio.sleep(0.2)
        assert asked < 5_000
        sock.close()


async def test_a_drain_ends_nothing_that_is_under_way() -> None:
    go_on = asyncio.Event()

    async def wait(asked: Asked) -> None:
        await asked.read_body()
        await go_on.wait()
        asked.writer.write(ok())

    async with scripted(wait) as server, gateway(port=server.port) as subject:
        subject.route([server.ip])
        busy, idle = await subject.connect(), await subject.connect()
        busy.writer.write(infer())
        await until(lambda: len(server.asked) == 1)
        draining = asyncio.create_task(subject.listener.drain(10.0))
        await asyncio.sleep(0.05)
        with pytest.raises(OSError, match="111"):
            await subject.connect()
        go_on.set()
        answer = await busy.answer()
        assert (answer.status, answer.field("connection"), await busy.rest()) == (200, "close", b"")
        assert await idle.rest() == b""
        busy.close()
        idle.close()
        await draining
        assert not server.open


async def test_a_request_on_a_kept_connection_is_answered_while_draining() -> None:
    async with scripted(saying(ok())) as server, gateway(port=server.port) as subject:
        subject.route([server.ip])
        client = await subject.connect()
        assert (await client.ask(infer())).field("connection") is None
        draining = asyncio.create_task(subject.listener.drain(10.0))
        await asyncio.sleep(0.05)
        assert (await client.ask(infer())).field("connection") == "close"
        client.close()
        await draining


async def test_an_answer_that_had_begun_before_the_drain_ends_it_too() -> None:
    go_on = asyncio.Event()

    async def stream(asked: Asked) -> None:
        await asked.read_body()
        asked.writer.write(ok(b"12")[:-1])
        await go_on.wait()
        asked.writer.write(b"2")

    limits = Limits(drain_idle_s=0.1, sweep_s=0.05)
    async with scripted(stream) as server, gateway(limits, port=server.port) as subject:
        subject.route([server.ip])
        client = await subject.connect()
        client.writer.write(infer())
        await client.reader.readuntil(b"\r\n\r\n1")
        draining = asyncio.create_task(subject.listener.drain(30.0))
        await asyncio.sleep(0)
        go_on.set()
        assert await client.rest() == b"2"
        client.close()
        await draining


async def test_a_drain_has_an_end() -> None:
    async def never(asked: Asked) -> None:
        await asked.reader.read()

    async with scripted(never) as server, gateway(port=server.port) as subject:
        subject.route([server.ip])
        client = await subject.connect()
        client.writer.write(infer())
        await until(lambda: len(server.asked) == 1)
        await subject.listener.drain(0.1)
        assert subject.records["r1"].outcomes == [Outcome.CANCELLED]
        client.close()
