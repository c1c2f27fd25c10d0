"""A client's connection: the server's role of HTTP/2."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, cast

from typing_extensions import override

from plimsoll.gateway.http2 import frames
from plimsoll.gateway.http2.connection import Stream
from plimsoll.gateway.http2.credentials import admitted, guarded_head
from plimsoll.gateway.http2.exchange import Exchange
from plimsoll.gateway.http2.frames import MAX_STREAM_ID, PREFACE, Setting
from plimsoll.gateway.http2.headers import HeaderReader
from plimsoll.gateway.http2.heads import request_head
from plimsoll.gateway.http2.inbound import Inbound
from plimsoll.gateway.http2.streams import CallerStream
from plimsoll.gateway.http2.violations import ConnectionFailure, ErrorCode, StreamFailure

if TYPE_CHECKING:
    from plimsoll.gateway.http2.switchboard import Switchboard

_LAST_CALL: Final = b"lastcall"
"""Payload of the PING behind the first GOAWAY: its answer comes after every call that crossed it."""


class ClientConnection(Inbound):
    """Reads calls and writes answers."""

    def __init__(self, board: Switchboard) -> None:
        limits = board.limits
        now = board.clock()
        super().__init__(
            board.outbox, limits, now, stream_window=limits.stream_window, max_streams=limits.client_streams
        )
        self._board = board
        self._preface = PREFACE
        self._heads = HeaderReader(request_head if board.access is None else guarded_head, limits.header_list)
        self._leaving_since: float | None = None
        board.came(self)

    def drain(self) -> None:
        """Asks the client to go elsewhere; the calls that it started before it knew are served (section 6.8)."""
        if self._leaving_since is None and not self.closing:
            self._leaving_since = self._board.clock()
            self.sender.frames.append(frames.goaway(MAX_STREAM_ID, ErrorCode.NO_ERROR, "The gateway ends."))
            self.sender.frames.append(frames.frame(frames.PING, 0, 0, _LAST_CALL))
            self.note()

    # ---- what the role adds
    @override
    def data_received(self, data: bytes) -> None:
        if self._preface:
            expected = self._preface
            if data[: len(expected)] != expected[: len(data)]:
                self.fail(ErrorCode.PROTOCOL_ERROR, "This port speaks HTTP/2 with prior knowledge (gRPC) only.")
                return
            self._preface = expected[len(data) :]
            data = data[len(expected) :]
        super().data_received(data)

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if len(self._board.clients) <= self.limits.clients:
            super().connection_made(transport)
            return
        # Not a word: to gRPC's clients a connection with SETTINGS was a success, after which they try again at once and
        # for ever. One that ends before them has them wait longer each time.
        self._board.counters.failures[ErrorCode.ENHANCE_YOUR_CALM] += 1
        self.closing = True
        self.transport = cast("asyncio.Transport", transport)
        self.transport.close()

    @override
    def opening(self) -> None:
        limits = self.limits
        self.sender.frames.append(
            frames.settings(
                [
                    (Setting.MAX_CONCURRENT_STREAMS, limits.client_streams),
                    (Setting.INITIAL_WINDOW_SIZE, limits.stream_window),
                    (Setting.MAX_HEADER_LIST_SIZE, limits.header_list),
                ]
            )
        )

    @override
    def head_received(self, number: int, block: bytes, *, ended: bool) -> None:
        if not self._note_number(number):
            self._heads.skip(block)
            self._trailers(number, ended=ended)
            return
        head = self._heads.read(block)
        if self._board.access is not None:
            head = admitted(head, self._board.access)
        self.abuse.opened += 1
        if self.draining or len(self.streams) >= self.limits.client_streams:
            self.abuse.reset()
            self.abuse.check_resets()
            raise StreamFailure(number, ErrorCode.REFUSED_STREAM, "No more streams.")
        stream = CallerStream(self, number)
        stream.ended_there = ended
        self.streams[number] = stream
        Exchange(self._board, stream, head, self._board.clock()).begin(ended=ended)

    @override
    def data_of(self, stream: Stream, payload: bytes, *, ended: bool) -> None:
        assert isinstance(stream, CallerStream)  # noqa: S101 - this connection makes no others
        if stream.exchange is not None:
            stream.exchange.request_data(payload, ended=ended)

    @override
    def stream_ended(self, stream: Stream, code: int) -> None:
        assert isinstance(stream, CallerStream)  # noqa: S101 - as above
        exchange = stream.exchange
        if exchange is not None:
            if code != ErrorCode.CONNECT_ERROR and not exchange.answered:
                self.abuse.reset()
            exchange.caller_left()

    @override
    def end_written(self, stream: Stream) -> None:
        # The answer is complete, and what the client still wants to send interests nobody (section 8.1).
        if stream.ended_there:
            self.forget(stream)
        else:
            self.reset(stream, ErrorCode.NO_ERROR)

    @override
    def goaway_received(self, last: int, code: int) -> None:
        """The client opens no more streams. Its calls go on."""

    @override
    def is_idle_stream(self, number: int) -> bool:
        return number > self.last_peer_stream or number % 2 == 0

    @override
    def ping_answered(self, payload: bytes) -> None:
        if payload == _LAST_CALL:
            self._say_last()

    @override
    def tick(self, now: float) -> None:
        super().tick(now)
        if self._leaving_since is not None and now - self._leaving_since > 1:
            self._say_last()
        for stream in list(self.streams.values()):
            exchange = stream.exchange if isinstance(stream, CallerStream) else None
            if exchange and not exchange.named and now - exchange.started_at > self.limits.first_message_s:
                exchange.never_named()

    @override
    def idle(self) -> None:
        self.drain()

    @override
    def fail(self, code: ErrorCode, message: str) -> None:
        self._board.counters.failures[code] += 1
        super().fail(code, message)

    @override
    def lost(self) -> None:
        self._board.left(self)

    # ---- parts
    def _note_number(self, number: int) -> bool:
        """Tells a new stream from trailers of an open one, and refuses the rest."""
        if number > self.last_peer_stream and number % 2:
            self.last_peer_stream = number
            return True
        if number % 2 == 0:
            raise ConnectionFailure(ErrorCode.PROTOCOL_ERROR, f"A client cannot open stream {number}.")
        if number not in self.streams and number not in self._reset:
            raise ConnectionFailure(ErrorCode.STREAM_CLOSED, f"Stream {number} is closed.")
        return False

    def _trailers(self, number: int, *, ended: bool) -> None:
        """Trailers of a request say nothing in gRPC: they end it."""
        stream = self.streams.get(number)
        if stream is None:
            self.abuse.stray()
            return
        if not ended or stream.ended_there:
            raise StreamFailure(number, ErrorCode.PROTOCOL_ERROR, "A second head.")
        stream.ended_there = True
        self.data_of(stream, b"", ended=True)

    @override
    def _rst_stream(self, number: int, code: int) -> None:
        super()._rst_stream(number, code)
        self.abuse.check_resets()

    @override
    def _stream_failed(self, failure: StreamFailure) -> None:
        super()._stream_failed(failure)
        self.abuse.check_resets()

    def _say_last(self) -> None:
        if not self.draining and not self.closing:
            self.draining = True
            self.sender.frames.append(frames.goaway(self.last_peer_stream, ErrorCode.NO_ERROR, "The gateway ends."))
            self.note()
            if not self.streams:
                self.close()
