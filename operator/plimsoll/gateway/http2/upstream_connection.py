"""A connection to a model pod: the client's role of HTTP/2."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Final

from typing_extensions import override

from plimsoll.gateway.http2 import frames
from plimsoll.gateway.http2.attempts import Attempts
from plimsoll.gateway.http2.connection import Stream
from plimsoll.gateway.http2.frames import MAX_STREAM_ID, PREFACE, Setting
from plimsoll.gateway.http2.headers import HeaderReader
from plimsoll.gateway.http2.heads import response_head
from plimsoll.gateway.http2.inbound import Inbound
from plimsoll.gateway.http2.streams import PodStream
from plimsoll.gateway.http2.violations import ConnectionFailure, ErrorCode, StreamFailure

if TYPE_CHECKING:
    from plimsoll.gateway.http2.switchboard import Switchboard
    from plimsoll.gateway.http2.upstream_pool import UpstreamPool

_NOTICED_DEAD_MS: Final = 20_000
"""How long a pod's kernel may leave bytes unacknowledged: the host is gone. PINGs would say it too, but gRPC servers
take more than two in five minutes for abuse."""


class UpstreamConnection(Inbound):
    """Writes calls and reads answers.

    Attributes:
        usable: Set when the pod's SETTINGS came, or never will.
    """

    def __init__(self, board: Switchboard, pool: UpstreamPool) -> None:
        limits = board.limits
        super().__init__(
            board.outbox,
            limits,
            board.clock(),
            stream_window=limits.upstream_window,
            max_streams=limits.upstream_streams,
        )
        self._pool = pool
        self._allowed = limits.upstream_streams
        self._next = 1
        self.usable = asyncio.Event()
        self._heads = HeaderReader(response_head, limits.header_list)

    @property
    def takes_calls(self) -> bool:
        """Whether another stream may be opened."""
        if self.draining or self.closing or not self._settled or len(self.streams) >= self._allowed:
            return False
        transport = self.transport
        return not self.sender.paused or (
            transport is not None and transport.get_write_buffer_size() <= self.limits.backlog
        )

    def open(self, exchange: Attempts) -> None:
        """Opens a stream for a call."""
        stream = PodStream(self, self._next, exchange)
        self.streams[self._next] = stream
        self._next += 2
        if self._next > MAX_STREAM_ID - 2:
            self.draining = True
        exchange.opened(stream)

    def drain(self) -> None:
        """Takes no more calls, and closes after the last."""
        self.draining = True
        if not self.streams and not self.closing:
            self.fail(ErrorCode.NO_ERROR, "")

    # ---- what the role adds
    @override
    def opening(self) -> None:
        limits = self.limits
        self.sender.frames.append(PREFACE)
        self.sender.frames.append(
            frames.settings(
                [
                    (Setting.ENABLE_PUSH, 0),
                    (Setting.INITIAL_WINDOW_SIZE, limits.upstream_window),
                    (Setting.MAX_HEADER_LIST_SIZE, limits.header_list),
                ]
            )
        )
        raw = self.transport.get_extra_info("socket") if self.transport is not None else None
        if raw is not None and raw.family in {socket.AF_INET, socket.AF_INET6}:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 10)
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5)
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _NOTICED_DEAD_MS)

    @override
    def head_received(self, number: int, block: bytes, *, ended: bool) -> None:
        head = self._heads.read(block)
        stream = self.streams.get(number)
        if stream is None or stream.ended_there:
            self._stray(number)
            return
        stream.ended_there = ended
        exchange = stream.exchange if isinstance(stream, PodStream) else None
        if exchange is not None and not exchange.pod_head(head, ended=ended):
            raise StreamFailure(number, ErrorCode.PROTOCOL_ERROR, "A head that cannot stand here.")
        if ended:
            self._over(stream)

    @override
    def data_of(self, stream: Stream, payload: bytes, *, ended: bool) -> None:
        assert isinstance(stream, PodStream)  # noqa: S101 - this connection makes no others
        exchange = stream.exchange
        if exchange is not None:
            if not (exchange.answered or exchange.holding):
                raise StreamFailure(stream.number, ErrorCode.PROTOCOL_ERROR, "DATA before a head.")
            exchange.pod_data(payload, ended=ended)
        if ended:
            self._over(stream)

    @override
    def stream_ended(self, stream: Stream, code: int) -> None:
        exchange = stream.exchange if isinstance(stream, PodStream) else None
        if exchange is not None:
            exchange.pod_reset(code)

    @override
    def goaway_received(self, last: int, code: int) -> None:
        self.draining = True
        for stream in [stream for stream in self._open_streams() if stream.number > last]:
            exchange = stream.exchange if isinstance(stream, PodStream) else None
            self.forget(stream)
            if exchange is not None:
                exchange.not_processed()
        if not self.streams:
            self.close()
        self._pool.shrunk()

    @override
    def peer_allows(self, streams: int) -> None:
        self._allowed = min(streams, self.limits.upstream_streams)

    @override
    def settled(self) -> None:
        self.usable.set()
        self._pool.ready(self)

    @override
    def room_made(self) -> None:
        self._pool.ready(self)

    @override
    def ping_answered(self, payload: bytes) -> None:
        """Of no use: none is sent to a pod."""

    @override
    def is_idle_stream(self, number: int) -> bool:
        return number >= self._next or number % 2 == 0

    @override
    def idle(self) -> None:
        """Stays: the next call finds it warm."""

    @override
    def lost(self) -> None:
        self.usable.set()
        self._pool.lost(self)

    # ---- parts
    def _over(self, stream: Stream) -> None:
        """The answer is whole; a request that is not has become pointless."""
        if stream.ended_here and not stream.queue:
            self.forget(stream)
        else:
            self.reset(stream, ErrorCode.CANCEL)

    @override
    def _setting(self, key: int, value: int) -> None:
        if key == Setting.ENABLE_PUSH and value:
            raise ConnectionFailure(ErrorCode.PROTOCOL_ERROR, "A server cannot enable push.")
        super()._setting(key, value)
