"""Clients that break the protocol, on raw sockets: each ends its stream or its connection, and nobody else's.

A fake, because no real client can be made to send these frames. After every attack a well-behaved client is served.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from hpack import Encoder
from tests.support.grpc_gateway import Gateway, eventually, revision, running_gateway, table
from tests.support.grpc_pods import Pod, running_pods
from tests.support.http2_peer import REQUEST, Peer, client_of, message

from plimsoll.core.records.outcome import Outcome
from plimsoll.gateway.http2 import frames
from plimsoll.gateway.http2.frames import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PADDED,
    PING,
    PREFACE,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    Setting,
    frame,
)
from plimsoll.gateway.http2.limits import Limits
from plimsoll.gateway.http2.violations import ErrorCode

STRICT = Limits(pings=20, settings=10, empty_data=20, strays=50, resets=30)
HASTY = Limits(preface_s=0.2, settings_s=0.2, idle_s=0.3, stall_s=0.2, first_message_s=0.3)


@asynccontextmanager
async def attacked(limits: Limits = STRICT) -> AsyncIterator[tuple[Gateway, Pod, Peer]]:
    """A gateway, the pod behind it, and a client that may do what it likes; then one that behaves is served."""
    async with running_pods("a") as pods:
        routes, ports = table(revision("r1", "a")), {"a": pods["a"].port}
        async with running_gateway(routes, ports, limits, tick_s=0.02) as gateway:
            async with client_of(gateway.port) as peer:
                yield gateway, pods["a"], peer
            pods["a"].held = None
            async with client_of(gateway.port) as good:
                good.begin()
                good.call(1)
                assert (await good.answer(1))["grpc-status"] == "0"
            await eventually(lambda: gateway.outstanding == 0, "a call was left behind")
            await eventually(lambda: not gateway.board.clients, "a client was left behind")
            assert gateway.board.replay.held == 0
            record = gateway.record("r1")
            assert len(record.ends) == record.arrivals


def block(fields: list[tuple[str, str]] = REQUEST) -> bytes:
    return Encoder().encode(fields)


def opened(*, ended: bool = False) -> bytes:
    return frames.headers(1, block(), ended=ended)


def first(*parts: bytes) -> bytes:
    return PREFACE + frames.settings([]) + b"".join(parts)


CALL = first(opened(), frame(DATA, END_STREAM, 1, message()))

FATAL: list[tuple[str, bytes, ErrorCode]] = [
    ("preface: HTTP/1.1", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", ErrorCode.PROTOCOL_ERROR),
    ("preface: garbage", b"\x16\x03\x01\x02\x00" + bytes(100), ErrorCode.PROTOCOL_ERROR),
    ("preface: wrong at its end", PREFACE[:-1] + b"x", ErrorCode.PROTOCOL_ERROR),
    ("no SETTINGS first", PREFACE + frame(PING, 0, 0, bytes(8)), ErrorCode.PROTOCOL_ERROR),
    ("HEADERS before SETTINGS", PREFACE + opened(), ErrorCode.PROTOCOL_ERROR),
    ("even stream", first(frames.headers(2, block(), ended=True)), ErrorCode.PROTOCOL_ERROR),
    (
        "stream ids that fall",
        first(frames.headers(5, block(), ended=True), frames.headers(3, block(), ended=True)),
        ErrorCode.STREAM_CLOSED,
    ),
    ("DATA on an idle stream", first(frame(DATA, 0, 7, b"x")), ErrorCode.PROTOCOL_ERROR),
    ("RST_STREAM on an idle stream", first(frames.reset(7, 8)), ErrorCode.PROTOCOL_ERROR),
    ("WINDOW_UPDATE on an idle stream", first(frames.window_update(7, 1)), ErrorCode.PROTOCOL_ERROR),
    ("WINDOW_UPDATE on an even stream", first(frames.window_update(2, 1)), ErrorCode.PROTOCOL_ERROR),
    ("PUSH_PROMISE", first(frame(PUSH_PROMISE, END_HEADERS, 1, bytes(8))), ErrorCode.PROTOCOL_ERROR),
    ("CONTINUATION of nothing", first(frame(CONTINUATION, END_HEADERS, 1, b"x")), ErrorCode.PROTOCOL_ERROR),
    (
        "a block interrupted by PING",
        first(frame(HEADERS, 0, 1, block()), frame(PING, 0, 0, bytes(8))),
        ErrorCode.PROTOCOL_ERROR,
    ),
    (
        "a block interrupted by another stream",
        first(frame(HEADERS, 0, 1, block()), frame(CONTINUATION, END_HEADERS, 3, b"")),
        ErrorCode.PROTOCOL_ERROR,
    ),
    (
        "CONTINUATION flood: bytes",
        first(frame(HEADERS, 0, 1, block()), frame(CONTINUATION, 0, 1, bytes(16384)) * 2),
        ErrorCode.ENHANCE_YOUR_CALM,
    ),
    (
        "CONTINUATION flood: empty frames",
        first(frame(HEADERS, 0, 1, block()), frame(CONTINUATION, 0, 1) * 100),
        ErrorCode.ENHANCE_YOUR_CALM,
    ),
    (
        "HPACK bomb",
        first(frame(HEADERS, END_HEADERS, 1, Encoder().encode([("a", "x" * 4000)], huffman=False) + b"\xbe" * 1000)),
        ErrorCode.COMPRESSION_ERROR,
    ),
    ("HPACK: unknown index", first(frame(HEADERS, END_HEADERS, 1, b"\xff\x7f")), ErrorCode.COMPRESSION_ERROR),
    ("oversize frame", first(frame(DATA, 0, 1, bytes(16385))), ErrorCode.FRAME_SIZE_ERROR),
    ("oversize PING", first(frame(PING, 0, 0, bytes(9))), ErrorCode.FRAME_SIZE_ERROR),
    ("padding beyond its frame", first(opened(), frame(DATA, PADDED, 1, b"\x09abc")), ErrorCode.PROTOCOL_ERROR),
    (
        "the connection's window overflows",
        first(frames.window_update(0, (1 << 31) - 1)),
        ErrorCode.FLOW_CONTROL_ERROR,
    ),
    ("a WINDOW_UPDATE of 0", first(frames.window_update(0, 0)), ErrorCode.PROTOCOL_ERROR),
    (
        "an initial window beyond 2^31",
        first(frames.settings([(Setting.INITIAL_WINDOW_SIZE, 1 << 31)])),
        ErrorCode.FLOW_CONTROL_ERROR,
    ),
    ("MAX_FRAME_SIZE too small", first(frames.settings([(Setting.MAX_FRAME_SIZE, 100)])), ErrorCode.PROTOCOL_ERROR),
    ("ENABLE_PUSH of 2", first(frames.settings([(Setting.ENABLE_PUSH, 2)])), ErrorCode.PROTOCOL_ERROR),
    ("SETTINGS on a stream", first(frame(SETTINGS, 0, 1)), ErrorCode.PROTOCOL_ERROR),
    ("GOAWAY on a stream", first(frame(GOAWAY, 0, 1, bytes(8))), ErrorCode.PROTOCOL_ERROR),
    ("settings flood", first(frames.settings([]) * 50), ErrorCode.ENHANCE_YOUR_CALM),
    ("ping flood", first(frame(PING, 0, 0, bytes(8)) * 50), ErrorCode.ENHANCE_YOUR_CALM),
    ("priority flood", first(frame(PRIORITY, 0, 1, bytes(5)) * 100), ErrorCode.ENHANCE_YOUR_CALM),
    ("unknown frames flood", first(frame(0x42, 0, 0, b"x") * 100), ErrorCode.ENHANCE_YOUR_CALM),
    ("empty DATA flood", first(opened(), frame(DATA, 0, 1) * 50), ErrorCode.ENHANCE_YOUR_CALM),
    (
        "DATA flood on a closed stream",
        first(opened(), frames.reset(1, 8), frame(DATA, 0, 1, b"x") * 100),
        ErrorCode.ENHANCE_YOUR_CALM,
    ),
]


@pytest.mark.parametrize(("attack", "code"), [row[1:] for row in FATAL], ids=[row[0] for row in FATAL])
async def test_it_ends_the_connection_with_the_reason(attack: bytes, code: ErrorCode) -> None:
    async with attacked() as (gateway, _, peer):
        peer.send(attack)
        await peer.until_closed()
        assert [given for _, given in peer.goaways] == [code]
        assert gateway.board.counters.failures[code] == 1


def other(field: tuple[str, str], *, instead_of: str = "") -> bytes:
    kept = [each for each in REQUEST if each[0] != instead_of]
    fields = [field, *kept] if field[0].startswith(":") else [*kept, field]
    return frames.headers(1, block(fields), ended=False)


BIG = message(bytes(70_000))
TOO_MUCH = b"".join(frame(DATA, 0, 1, BIG[start : start + 16_384]) for start in range(0, 65_536, 16_384))


STREAM_ERRORS: list[tuple[str, bytes, ErrorCode]] = [
    ("upper case", other(("Bad", "x")), ErrorCode.PROTOCOL_ERROR),
    ("connection", other(("connection", "close")), ErrorCode.PROTOCOL_ERROR),
    ("te: gzip", other(("te", "gzip"), instead_of="te"), ErrorCode.PROTOCOL_ERROR),
    ("a path twice", other((":path", "/x")), ErrorCode.PROTOCOL_ERROR),
    ("a status", other((":status", "200")), ErrorCode.PROTOCOL_ERROR),
    ("an unknown pseudo-field", other((":protocol", "x")), ErrorCode.PROTOCOL_ERROR),
    ("the stream's window overflows", opened() + frames.window_update(1, (1 << 31) - 1), ErrorCode.FLOW_CONTROL_ERROR),
    ("a WINDOW_UPDATE of 0", opened() + frames.window_update(1, 0), ErrorCode.PROTOCOL_ERROR),
    ("a second head", opened() + opened(), ErrorCode.PROTOCOL_ERROR),
    ("a window that is not kept", opened() + TOO_MUCH, ErrorCode.FLOW_CONTROL_ERROR),
]


@pytest.mark.parametrize(("attack", "code"), [row[1:] for row in STREAM_ERRORS], ids=[row[0] for row in STREAM_ERRORS])
async def test_it_ends_the_stream_and_the_next_one_is_served(attack: bytes, code: ErrorCode) -> None:
    async with attacked(Limits(stream_window=65_535)) as (_, _, peer):
        peer.send(first(), attack)
        await peer.until(lambda: 1 in peer.resets)
        assert peer.resets == {1: code}
        peer.encoder = Encoder()
        peer.encoder.header_table_size = 0
        peer.call(3)
        assert (await peer.answer(3))["grpc-status"] == "0"


async def test_rapid_reset() -> None:
    async with attacked() as (gateway, pod, peer):
        peer.begin()
        for stream in range(1, 4001, 2):
            peer.call(stream)
            peer.send(frames.reset(stream, ErrorCode.CANCEL))
        await peer.until_closed()
        assert peer.goaways[-1][1] == ErrorCode.ENHANCE_YOUR_CALM
        assert gateway.record("r1").arrivals <= STRICT.resets + 1
        assert len(pod.requests) <= STRICT.resets + 1


async def test_rapid_reset_by_errors_of_ones_own() -> None:
    async with attacked() as (_, _, peer):
        peer.begin()
        for stream in range(1, 4001, 2):
            peer.head(stream)
            peer.send(frames.window_update(stream, 0))
        await peer.until_closed()
        assert peer.goaways[-1][1] == ErrorCode.ENHANCE_YOUR_CALM


async def test_cancelling_some_calls_is_no_abuse() -> None:
    async with attacked() as (_, _, peer):
        peer.begin()
        for stream in range(1, 401, 4):
            peer.call(stream)
            assert (await peer.answer(stream))["grpc-status"] == "0"
            if stream < 200:
                peer.call(stream + 2)
                peer.send(frames.reset(stream + 2, ErrorCode.CANCEL))
        assert peer.goaways == []


async def test_more_streams_than_allowed_are_refused_unseen() -> None:
    async with attacked(Limits(client_streams=4)) as (_, pod, peer):
        held = pod.held = asyncio.Event()
        peer.begin()
        for stream in (1, 3, 5, 7, 9):
            peer.call(stream)
        await peer.until(lambda: 9 in peer.resets)
        assert peer.resets == {9: ErrorCode.REFUSED_STREAM}
        held.set()
        assert {(await peer.answer(stream))["grpc-status"] for stream in (1, 3, 5, 7)} == {"0"}


LATE: list[tuple[str, Callable[[Peer], None]]] = [
    ("says nothing", lambda _: None),
    ("sends half a preface", lambda peer: peer.send(PREFACE[:10])),
    ("sends a preface and nothing more", lambda peer: peer.send(PREFACE)),
    ("sends half a header block", lambda peer: peer.send(first(frame(HEADERS, 0, 1, block())))),
    ("sends half a frame", lambda peer: peer.send(first(opened(ended=False))[:-3])),
    ("makes no calls", lambda peer: peer.begin()),
]


@pytest.mark.parametrize("does", [row[1] for row in LATE], ids=[row[0] for row in LATE])
async def test_a_client_that_dawdles_is_sent_away(does: Callable[[Peer], None]) -> None:
    async with attacked(HASTY) as (_, _, peer):
        does(peer)
        await peer.until_closed()
        assert peer.goaways


async def test_a_client_that_never_acknowledges_our_settings() -> None:
    async with attacked(HASTY) as (_, _, peer):
        peer.begin()
        peer._take = lambda *_: None  # type: ignore[method-assign]  # noqa: SLF001 - it ignores what comes
        await peer.until_closed()
        goaway = next(payload for kind, _, _, payload in peer.seen if kind == GOAWAY)
        assert frames.read_goaway(goaway)[1] == ErrorCode.SETTINGS_TIMEOUT


async def test_a_call_without_its_first_message() -> None:
    async with attacked(HASTY) as (_, _, peer):
        peer.begin()
        peer.head(1)
        answer = await peer.answer(1)
        assert (answer["grpc-status"], "first message" in answer["grpc-message"]) == ("4", True)


async def test_a_client_that_takes_nothing_of_its_answer_is_cut_off() -> None:
    async with attacked(HASTY) as (gateway, _, peer):
        peer.begin((Setting.INITIAL_WINDOW_SIZE, 0))
        peer.head(1)
        for start in range(0, 32768, 16384):
            peer.body(1, message(bytes(30000))[start : start + 16384], ended=start > 0)
        await peer.until(lambda: 1 in peer.resets)
        assert peer.resets == {1: ErrorCode.CANCEL}
        assert 1 not in peer.data
        await eventually(lambda: len(gateway.record("r1").ends) == 1, "the end was not recorded")


GOES: list[tuple[str, Callable[[Peer], None]]] = [
    ("resets its call", lambda peer: peer.send(frames.reset(1, ErrorCode.CANCEL))),
    ("resets its connection", lambda peer: peer.vanish()),
    ("closes its half of the connection", lambda peer: peer.end_sending()),
]


@pytest.mark.parametrize("goes", [row[1] for row in GOES], ids=[row[0] for row in GOES])
async def test_a_client_that_goes_in_mid_message(goes: Callable[[Peer], None]) -> None:
    async with attacked() as (gateway, _, peer):
        peer.begin()
        peer.head(1)
        peer.body(1, message(bytes(30_000))[:10_000], ended=False)
        await eventually(lambda: gateway.record("r1").arrivals == 1, "it did not arrive")
        goes(peer)
        await eventually(lambda: len(gateway.record("r1").ends) == 1, "the end was not recorded")
        assert gateway.record("r1").outcomes == [Outcome.CANCELLED]


@pytest.mark.parametrize(("field", "status"), [((":method", "GET"), "405"), (("content-type", "text/html"), "415")])
async def test_what_is_no_grpc_call_gets_a_status_of_http(field: tuple[str, str], status: str) -> None:
    async with attacked() as (_, _, peer):
        peer.begin()
        peer.head(1, [field if each[0] == field[0] else each for each in REQUEST], ended=True)
        assert await peer.answer(1) == {":status": status}


async def test_trailers_of_a_request_end_it() -> None:
    async with attacked() as (_, _, peer):
        peer.begin()
        peer.head(1)
        peer.body(1, message(), ended=False)
        peer.head(1, [("x-own", "y")], ended=True)
        assert (await peer.answer(1))["grpc-status"] == "0"


async def test_padding_and_priority_do_no_harm() -> None:
    async with attacked() as (_, _, peer):
        peer.begin()
        peer.send(
            frame(HEADERS, END_HEADERS | PADDED | frames.PRIORITY_FLAG, 1, b"\x03" + bytes(5) + block() + bytes(3))
        )
        whole = message(bytes(100))
        peer.send(frame(DATA, PADDED, 1, b"\xff" + whole[:50] + bytes(255)))
        peer.send(frame(DATA, PADDED | END_STREAM, 1, b"\x00" + whole[50:]))
        assert (await peer.answer(1))["grpc-status"] == "0"


async def test_padding_is_credited_like_what_it_pads() -> None:
    async with attacked(Limits(stream_window=65_535)) as (_, _, peer):
        peer.begin()
        peer.head(1)
        whole = message(bytes(200))
        for position in range(150):
            peer.send(frame(DATA, PADDED, 1, b"\xff" + whole[position : position + 1] + bytes(255)))
        await peer.until(lambda: peer.credited(1) > 30_000)
        peer.body(1, whole[150:])
        assert (await peer.answer(1))["grpc-status"] == "0"


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
async def test_bytes_may_come_in_any_portions(size: int) -> None:
    async with attacked() as (_, _, peer):
        for start in range(0, len(CALL), size):
            peer.send(CALL[start : start + size])
            await peer.drained()
        assert (await peer.answer(1))["grpc-status"] == "0"
        assert WINDOW_UPDATE in {kind for kind, *_ in peer.seen}
        assert RST_STREAM not in {kind for kind, *_ in peer.seen}
