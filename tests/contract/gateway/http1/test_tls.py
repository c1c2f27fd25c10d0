"""HTTP/1.1 over TLS: what passes, what is turned away, and that nothing of it outlives its connection."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing

import httpx
import pytest
from tests.support.authority import Authority
from tests.support.http_gateway import Client, Gateway, gateway, infer, until
from tests.support.scripted_http import Asked, Scripted, never, ok, saying, scripted
from tests.support.tls import AUTHORITY, Entry, certificate_of, client_context, entry

from plimsoll.core.records.outcome import Outcome
from plimsoll.gateway.http1.limits import Limits
from plimsoll.gateway.http1.refusals import TLS_WANTED
from plimsoll.gateway.tls import Application
from plimsoll.gateway.tls_door import Arrival, Bounds

LARGE = bytes(range(256)) * 80_000
TRUSTING = client_context()


@asynccontextmanager
async def behind_tls(
    server: Scripted | None = None, limits: Limits | None = None, made: Entry | None = None
) -> AsyncIterator[tuple[Gateway, Entry]]:
    made = made or entry(Application.HTTP1, turned_away=TLS_WANTED)
    async with gateway(limits, port=server.port if server else 1, door=made.door) as subject:
        subject.route([server.ip] if server else [])
        yield subject, made
    assert subject.listener.connections == 0


# ---- what passes ----
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_the_bytes_are_those_of_plain_text(version: ssl.TLSVersion) -> None:
    def only(context: ssl.SSLContext) -> None:
        context.minimum_version = context.maximum_version = version
        context.set_alpn_protocols(["h2", "http/1.1"])

    async with scripted(saying(ok(b"{}", b"X: 1\r\n"))) as server, behind_tls(server) as (subject, made):
        client = await subject.connect(client_context(only))
        for size in (0, 1, 5000, 300_000):
            answer = await client.ask(infer(b"x" * size))
            assert answer.head + answer.body == ok(b"{}", b"X: 1\r\nx-plimsoll-revision: r1\r\n")
        spoken = client.writer.get_extra_info("ssl_object")
        assert (spoken.version(), spoken.selected_alpn_protocol()) == (version.name.replace("_", "."), "http/1.1")
        client.close()
        assert [asked.head + asked.body for asked in server.asked][1] == infer(b"x")
    assert made.arrivals == {Arrival.LET_IN: 1}


async def test_pipelined_requests() -> None:
    async def echo(asked: Asked) -> None:
        asked.writer.write(ok(await asked.read_body()))

    async with scripted(echo) as server, behind_tls(server) as (subject, _):
        client = await subject.connect(TRUSTING)
        client.writer.write(b"".join(infer(b"x" * size) for size in range(1, 40)))
        assert [len((await client.answer()).body) for _ in range(1, 40)] == list(range(1, 40))
        client.close()


async def test_large_bodies_in_both_directions() -> None:
    async def echo(asked: Asked) -> None:
        asked.writer.write(ok(await asked.read_body()))

    async with scripted(echo) as server, behind_tls(server) as (subject, _):
        client = await subject.connect(TRUSTING)
        assert (await client.ask(infer(LARGE))).body == LARGE
        client.close()


async def test_httpx_unmodified() -> None:
    async with scripted(saying(ok(b'{"outputs":[]}'))) as server, behind_tls(server) as (subject, _):
        base = f"https://localhost:{subject.port}"
        async with httpx.AsyncClient(verify=TRUSTING, trust_env=False, base_url=base) as client:
            answers = await asyncio.gather(*(client.post("/v2/models/digits/infer", json={}) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}


# ---- pace and ends ----
async def standstill(count: Callable[[], int]) -> None:
    """Waits until something that grows has begun and stopped to."""
    await until(lambda: count() > 0)
    before = -1
    while before != count():
        before = count()
        await asyncio.sleep(0.3)


async def test_a_client_that_reads_nothing_stops_the_model_server() -> None:
    written = 0

    async def flood(asked: Asked) -> None:
        nonlocal written
        await asked.read_body()
        asked.writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (1 << 28))
        for _ in range(256):
            asked.writer.write(bytes(1 << 20))
            await asked.writer.drain()
            written += 1

    async with scripted(flood) as server, behind_tls(server) as (subject, _):
        client = await subject.connect(TRUSTING)
        client.writer.transport.pause_reading()  # type: ignore[attr-defined] # of every transport that reads
        client.writer.write(infer())
        await standstill(lambda: written)
        assert 0 < written < 64
        client.writer.transport.abort()
    assert subject.records["r1"].outcomes == [Outcome.CANCELLED]


async def test_a_request_that_comes_faster_than_the_model_server_reads_is_held_back() -> None:
    go_on = asyncio.Event()

    async def slow(asked: Asked) -> None:
        await go_on.wait()
        asked.writer.write(ok(str(len(await asked.read_body())).encode()))

    async with scripted(slow) as server, behind_tls(server) as (subject, _):
        client = await subject.connect(TRUSTING)
        sent = 0

        async def push() -> None:
            nonlocal sent
            request = infer(bytes(40 << 20))
            for start in range(0, len(request), 1 << 18):
                client.writer.write(request[start : start + (1 << 18)])
                await client.writer.drain()
                sent = start

        pushing = asyncio.create_task(push())
        await standstill(lambda: sent)
        assert 0 < sent < 20 << 20
        go_on.set()
        assert (await client.answer()).body == str(40 << 20).encode()
        await pushing
        client.close()


async def test_the_last_answer_of_a_connection_is_whole_and_ends_in_order() -> None:
    async with scripted(saying(ok(LARGE))) as server, behind_tls(server) as (subject, _):
        client = await subject.connect(TRUSTING)
        answer = await client.ask(infer(b"{}", b"Connection: close\r\n"))
        assert (answer.body, await client.rest()) == (LARGE, b"")  # an end without close_notify would be an error
        client.close()


@pytest.mark.parametrize("tls", [True, False], ids=["TLS", "plain text"])
async def test_a_slow_reader_gets_the_last_answer_whole(*, tls: bool) -> None:
    limits = Limits(linger_s=0.1, sweep_s=0.02)
    async with (
        scripted(saying(ok(LARGE))) as server,
        behind_tls(server, limits, entry(Application.HTTP1, turned_away=None)) as (subject, _),
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", subject.port, ssl=TRUSTING if tls else None)
        writer.write(infer(b"{}", b"Connection: close\r\n"))
        got = b""
        while piece := await reader.read(1 << 18):
            got += piece
            await asyncio.sleep(0.01)
        assert got.endswith(LARGE)
        writer.close()


@pytest.mark.parametrize("end", ["close_notify", "fin", "reset"])
async def test_a_client_that_leaves_has_its_request_cancelled(end: str) -> None:
    async with scripted(never) as server, behind_tls(server) as (subject, _):
        client = await subject.connect(TRUSTING)
        client.writer.write(infer())
        await until(lambda: bool(server.asked))
        if end == "close_notify":
            client.close()
        elif end == "reset":
            client.writer.transport.abort()
        else:
            with socket.socket(fileno=os.dup(client.writer.get_extra_info("socket").fileno())) as same:
                same.shutdown(socket.SHUT_WR)
        await until(lambda: bool(subject.records["r1"].ends))
        await until(lambda: subject.listener.connections == 0)
    assert subject.records["r1"].outcomes == [Outcome.CANCELLED]


async def test_a_broken_answer_is_seen_as_one() -> None:
    async def half(asked: Asked) -> None:
        await asked.read_body()
        asked.writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf")
        await asked.writer.drain()
        asked.writer.close()

    async with scripted(half) as server, behind_tls(server) as (subject, _):
        client = await subject.connect(TRUSTING)
        with pytest.raises(asyncio.IncompleteReadError):
            await client.ask(infer())
        client.close()


# ---- who is turned away ----
async def test_plain_text_is_told_what_to_do() -> None:
    async with behind_tls() as (subject, made):
        client = await subject.connect()
        client.writer.write(infer(bytes(30_000)))
        answer = await client.answer()
        assert (answer.status, answer.field("connection")) == (400, "close")
        assert b"https://" in answer.body
        assert await client.rest() == b""
        client.close()
        await until(lambda: made.arrivals[Arrival.REFUSED] == 1)


async def test_plain_text_passes_where_it_may() -> None:
    made = entry(Application.HTTP1, turned_away=None)
    async with scripted(saying(ok())) as server, behind_tls(server, made=made) as (subject, _):
        plain, over_tls = await subject.connect(), await subject.connect(TRUSTING)
        assert [(await client.ask(infer())).status for client in (plain, over_tls)] == [200, 200]
        plain.close()
        over_tls.close()
    assert made.arrivals == {Arrival.LET_IN: 1, Arrival.PLAIN: 1}


def old(context: ssl.SSLContext) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")


def without_forward_secrecy(context: ssl.SSLContext) -> None:
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("AES128-SHA:AES256-SHA")


@pytest.mark.filterwarnings("ignore:.*TLSv1:DeprecationWarning")
@pytest.mark.parametrize("change", [old, without_forward_secrecy])
async def test_an_outdated_client_is_refused(change: object) -> None:
    async with behind_tls() as (subject, made):
        with pytest.raises(OSError):  # noqa: PT011 - the event loop sends no alert, so it is a broken connection
            await subject.connect(client_context(change))  # type: ignore[arg-type] # one of the two above
        await until(lambda: made.arrivals[Arrival.FAILED] == 1)


async def test_garbage_in_a_handshake_costs_only_its_connection() -> None:
    async with scripted(saying(ok())) as server, behind_tls(server) as (subject, made):
        for garbage in (b"\x16\x03\x01\x00\x05hello", b"\x16" * 70_000, b"\x16\x03\x01\xff\xff" + bytes(66_000)):
            client = await subject.connect()
            client.writer.write(garbage)
            await client.reader.read()
            client.close()
        await until(lambda: made.arrivals[Arrival.FAILED] == 3)
        honest = await subject.connect(TRUSTING)
        assert (await honest.ask(infer())).status == 200
        honest.close()


@pytest.mark.parametrize("said", [b"", b"\x16", b"\x16\x03\x01\x02\x00\x01"])
async def test_a_handshake_that_does_not_go_on_ends(said: bytes) -> None:
    made = entry(Application.HTTP1, bounds=Bounds(greeting_s=0.1))
    async with behind_tls(made=made) as (subject, _):
        client = await subject.connect()
        client.writer.write(said)
        assert await client.reader.read() == b""
        client.close()
        await until(lambda: made.arrivals == {Arrival.TIMED_OUT: 1})


async def test_a_client_that_leaves_before_it_says_anything() -> None:
    async with behind_tls() as (subject, made):
        (await subject.connect()).close()
        await until(lambda: made.arrivals == {Arrival.LEFT: 1})


async def test_slow_handshakes_keep_nobody_out() -> None:
    made = entry(Application.HTTP1, bounds=Bounds(greeted=5))
    async with scripted(saying(ok())) as server, behind_tls(server, made=made) as (subject, _):
        slow = [await subject.connect() for _ in range(12)]
        await until(lambda: made.arrivals[Arrival.CROWDED_OUT] == 7)
        honest = await subject.connect(TRUSTING)
        assert (await honest.ask(infer())).status == 200
        honest.close()
        for client in slow:
            client.close()


# ---- certificates ----
async def ask_once(subject: Gateway, tls: ssl.SSLContext) -> None:
    with closing(await subject.connect(tls)) as client:
        await client.ask(infer())


def shown_to(client: Client) -> bytes:
    shown: bytes = client.writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    return shown


async def test_a_new_certificate_is_for_new_connections() -> None:
    first, second = AUTHORITY.issue(), AUTHORITY.issue()
    made = entry(Application.HTTP1, issued=first)
    async with scripted(saying(ok())) as server, behind_tls(server, made=made) as (subject, _):
        before = await subject.connect(TRUSTING)
        assert (await before.ask(infer())).status == 200
        made.certificate = certificate_of(second)
        after = await subject.connect(TRUSTING)
        assert (await after.ask(infer())).status == 200
        assert (await before.ask(infer())).status == 200
        shown = [ssl.DER_cert_to_PEM_cert(shown_to(client)).encode() for client in (before, after)]
        assert shown == [first.certificate, second.certificate]
        before.close()
        after.close()


async def test_clients_show_a_certificate_where_it_is_asked_for() -> None:
    clients = Authority("clients")
    made = entry(Application.HTTP1, authorities=clients.pem)
    async with scripted(saying(ok())) as server, behind_tls(server, made=made) as (subject, _):
        known = await subject.connect(client_context(own=clients.issue()))
        assert (await known.ask(infer())).status == 200
        known.close()
        for own in (None, AUTHORITY.issue()):
            # Under TLS 1.3 the client has ended its handshake before the server has looked at the certificate.
            with pytest.raises((OSError, asyncio.IncompleteReadError)):
                await ask_once(subject, client_context(own=own))
        await until(lambda: made.arrivals == {Arrival.LET_IN: 1, Arrival.FAILED: 2})


# ---- the end of the gateway ----
async def test_a_drain_lets_in_who_had_begun_a_handshake() -> None:
    made = entry(Application.HTTP1)
    async with scripted(saying(ok())) as server, behind_tls(server, Limits(drain_idle_s=5), made) as (subject, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", subject.port)
        await asyncio.sleep(0.05)
        drained = asyncio.create_task(subject.listener.drain(10))
        await asyncio.sleep(0.05)
        await writer.start_tls(TRUSTING, server_hostname="localhost")
        client = Client(reader, writer)
        answer = await client.ask(infer())
        assert (answer.status, answer.field("connection")) == (200, "close")
        client.close()
        await drained


async def test_the_end_leaves_no_handshake_behind() -> None:
    made = entry(Application.HTTP1)
    async with behind_tls(made=made) as (subject, _):
        client = await subject.connect()
        await asyncio.sleep(0.05)
        await subject.listener.close()
        assert await client.reader.read() == b""
        client.close()
    assert made.arrivals[Arrival.LET_IN] == 0
