"""A connection over a transport in memory: what a receiver that reads nothing costs, and what time does."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
from hpack import Encoder
from tests.support.grpc_gateway import revision, table
from tests.support.http2_peer import REQUEST, message
from tests.support.recorded import Recorded

from plimsoll.core.routing.table import Endpoint, RevisionRoute
from plimsoll.gateway.http2 import frames
from plimsoll.gateway.http2.client_connection import ClientConnection
from plimsoll.gateway.http2.frames import DATA, GOAWAY, HEADERS, PING, PREFACE, FrameReader, frame
from plimsoll.gateway.http2.limits import Limits
from plimsoll.gateway.http2.switchboard import Connect, Switchboard
from plimsoll.gateway.http2.upstream_connection import UpstreamConnection
from plimsoll.gateway.http2.violations import ErrorCode
from plimsoll.gateway.targets import Targets


class Memory:
    """A transport whose receiver reads when the test says so."""

    def __init__(self) -> None:
        self.protocol: Any = None
        self.buffer = bytearray()
        self.high = 0
        self.reading = True
        self.closing = False
        self.aborted = False

    def set_write_buffer_limits(self, high: int) -> None:
        self.high = high

    def write(self, data: bytes) -> None:
        self.buffer += data
        if len(self.buffer) > self.high:
            self.protocol.pause_writing()

    def read_by_peer(self) -> list[frames.Frame]:
        taken, self.buffer = bytes(self.buffer), bytearray()
        self.protocol.resume_writing()
        return list(FrameReader().feed(taken))

    def get_extra_info(self, _name: str) -> None:
        """There is no socket."""

    def get_write_buffer_size(self) -> int:
        return len(self.buffer)

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True

    def abort(self) -> None:
        self.aborted = True


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def clock() -> Clock:
    return Clock()


def client(
    clock: Clock, limits: Limits, route: RevisionRoute | None = None, connect: Connect | None = None
) -> tuple[ClientConnection, Memory]:
    targets = Targets(lambda *_: Recorded(), lambda: b"key")
    targets.apply(table(route or revision("r1")))
    connection, transport = ClientConnection(Switchboard(targets, clock, limits, connect)), Memory()
    transport.protocol = connection
    connection.connection_made(cast("asyncio.BaseTransport", transport))
    connection.data_received(PREFACE + frames.settings([]) + frame(frames.SETTINGS, frames.ACK, 0))
    transport.read_by_peer()
    return connection, transport


def last(transport: Memory) -> tuple[int, int]:
    return next(frames.read_goaway(payload) for kind, *_, payload in transport.read_by_peer() if kind == GOAWAY)


async def test_nothing_is_read_from_who_reads_nothing(clock: Clock) -> None:
    connection, transport = client(clock, Limits(buffered=1000, backlog=5000, pings=1_000_000))
    while transport.reading:
        connection.data_received(frame(PING, 0, 0, bytes(8)) * 10)
        assert len(transport.buffer) < 6000
    assert len([kind for kind, *_ in transport.read_by_peer() if kind == PING]) > 0
    assert transport.reading


async def test_refusals_count_as_well(clock: Clock) -> None:
    connection, transport = client(clock, Limits(buffered=1000, backlog=5000))
    encoder, stream = Encoder(), 1
    head = [(":method", "POST"), (":scheme", "http"), (":path", "/x"), ("content-type", "application/grpc")]
    while transport.reading:
        connection.data_received(frames.headers(stream, encoder.encode(head), ended=True))
        stream += 2
        assert len(transport.buffer) < 7000
    assert {kind for kind, *_ in transport.read_by_peer()} == {HEADERS}


async def test_an_answer_waits_for_a_client_that_reads_slowly_and_then_goes_on(clock: Clock) -> None:
    pod = Memory()

    async def connect(connection: UpstreamConnection, _: Endpoint) -> None:
        pod.protocol = connection
        connection.connection_made(cast("asyncio.BaseTransport", pod))

    limits = Limits(buffered=1000, collected=1000)
    connection, transport = client(clock, limits, revision("r1", "a"), connect)
    connection.data_received(frames.headers(1, Encoder().encode(REQUEST), ended=False))
    connection.data_received(frame(DATA, frames.END_STREAM, 1, message()))
    await asyncio.sleep(0)
    head, trailers = Encoder(), [("grpc-status", "0")]
    pod.protocol.data_received(frames.settings([]) + frame(frames.SETTINGS, frames.ACK, 0))
    pod.protocol.data_received(frames.headers(1, head.encode([(":status", "200")]), ended=False))
    body = bytes(range(250)) * 100
    for start in range(0, len(body), 500):
        pod.protocol.data_received(frame(DATA, 0, 1, body[start : start + 500]))
        assert len(transport.buffer) < 3000
    pod.protocol.data_received(frames.headers(1, head.encode(trailers), ended=True))
    assert connection.sender.held > 20_000
    came: list[frames.Frame] = []
    while transport.buffer:
        came += transport.read_by_peer()
    assert b"".join(payload for kind, _, _, payload in came if kind == DATA) == body
    assert (came[0][0], came[-1][0]) == (HEADERS, HEADERS)
    assert connection.streams == {}
    await asyncio.sleep(0)


async def test_an_idle_client_is_asked_to_go_and_then_sent_away(clock: Clock) -> None:
    connection, transport = client(clock, Limits(idle_s=60))
    clock.now += 61
    connection.tick(clock.now)
    connection.flush()
    assert last(transport) == (frames.MAX_STREAM_ID, ErrorCode.NO_ERROR)
    clock.now += 2
    connection.tick(clock.now)
    assert last(transport) == (0, ErrorCode.NO_ERROR)
    assert transport.closing


async def test_a_transport_that_does_not_close_is_cut_off(clock: Clock) -> None:
    connection, transport = client(clock, Limits())
    connection.data_received(frame(DATA, 0, 1, b"x"))
    assert transport.closing
    for _ in range(3):
        assert not transport.aborted
        connection.tick(clock.now)
        clock.now += 3
    connection.tick(clock.now)
    assert transport.aborted


async def test_counts_of_abuse_start_anew_after_a_while(clock: Clock) -> None:
    connection, transport = client(clock, Limits(pings=10, window_s=10))
    for _ in range(5):
        connection.data_received(frame(PING, 0, 0, bytes(8)) * 10)
        clock.now += 11
        connection.tick(clock.now)
    assert not transport.closing
    connection.data_received(frame(PING, 0, 0, bytes(8)) * 11)
    assert transport.closing


async def test_nothing_is_handled_behind_the_end(clock: Clock) -> None:
    connection, transport = client(clock, Limits())
    connection.data_received(frame(DATA, 0, 1, b"x") + frame(PING, 0, 0, bytes(8)))
    connection.data_received(frame(PING, 0, 0, bytes(8)))
    assert [kind for kind, *_ in transport.read_by_peer()] == [GOAWAY]
