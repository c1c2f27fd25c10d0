"""One HTTP/2 connection, of either role: frames in, frames out, and all that concerns the connection and not a call.

A protocol for `loop.create_server` and `loop.create_connection`, over any transport. It does not inherit from
`asyncio.Protocol`, so that it can be compiled.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Final, cast

from typing_extensions import override

from plimsoll.gateway.http2 import frames
from plimsoll.gateway.http2.abuse import Abuse
from plimsoll.gateway.http2.flow import MAX_WINDOW, Receiver, Sender, StreamFlow
from plimsoll.gateway.http2.headers import NO_TABLE
from plimsoll.gateway.http2.limits import Limits
from plimsoll.gateway.http2.violations import ConnectionFailure, ErrorCode

_RESET_KEPT: Final = 512
_CLOSING_S: Final = 5.0


class Outbox:
    """The connections that have something to write, so that each is written once after all was handled."""

    __slots__ = ("_connections",)

    def __init__(self) -> None:
        self._connections: list[Connection] = []

    def add(self, connection: Connection) -> None:
        """Notes a connection that collected frames."""
        self._connections.append(connection)

    def flush(self) -> None:
        """Writes. What is passed on here credits other connections, which then are written too."""
        connections = self._connections
        while connections:
            connections.pop().flush()


class Stream(StreamFlow):
    """One stream of a connection."""

    __slots__ = ("connection",)

    def __init__(self, connection: Connection, number: int) -> None:
        super().__init__(number, connection.sender.initial_window, connection.receiver.initial_room)
        self.connection = connection

    @override
    def finished(self) -> None:
        self.connection.end_written(self)


def as_protocol(connection: Connection) -> asyncio.Protocol:
    """Tells the type checker that a connection is a protocol in all but name."""
    return cast("asyncio.Protocol", connection)


class Connection(ABC):
    """What both roles have in common.

    Attributes:
        streams: The open ones, by id.
        draining: No new streams; closes when the last one ends.
        closing: Nothing is handled any more.
    """

    def __init__(self, outbox: Outbox, limits: Limits, now: float, *, stream_window: int, max_streams: int) -> None:
        self.limits = limits
        self.sender = Sender(limits.collected)
        # Every stream can be stalled with a full window, and there is room for the others.
        window = min(stream_window * max_streams, MAX_WINDOW)
        self.receiver = Receiver(self.sender.frames, stream_window, window)
        self.streams: dict[int, Stream] = {}
        self.draining = False
        self.closing = False
        self.abuse = Abuse(limits, now)
        self.transport: asyncio.Transport | None = None
        self.last_peer_stream = 0
        self._outbox = outbox
        self._noted = False
        self._table_announced = False
        self._reset: dict[int, None] = {}
        self._started_at = now
        self._settled = False
        self._acknowledged = False
        self._idle_since = now
        self._closing_since: float | None = None

    # ---- the transport's calls
    @abstractmethod
    def data_received(self, data: bytes) -> None:
        """Takes what came."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Starts the connection."""
        self.transport = cast("asyncio.Transport", transport)
        self.transport.set_write_buffer_limits(high=self.limits.buffered)
        self.opening()
        self.receiver.open()
        self.note()
        self._outbox.flush()

    def eof_received(self) -> bool:
        """Lets the transport close."""
        return False

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Ends whatever is open."""
        self.closing = True
        self.transport = None
        self._abandon()
        self.lost()
        self._outbox.flush()

    def pause_writing(self) -> None:
        """Has DATA wait from now on."""
        self.sender.paused = True

    def resume_writing(self) -> None:
        """Lets go what waits."""
        self.sender.paused = False
        if self.transport is not None and not self.transport.is_closing():
            self.transport.resume_reading()
        self.note()
        self.room_made()
        self._outbox.flush()

    # ---- what a role adds
    @abstractmethod
    def opening(self) -> None:
        """Writes what comes first on a connection of this role."""

    @abstractmethod
    def stream_ended(self, stream: Stream, code: int) -> None:
        """The peer, or an error, ended a stream: nothing more comes or goes."""

    @abstractmethod
    def room_made(self) -> None:
        """A stream was forgotten, or the transport takes bytes again."""

    @abstractmethod
    def lost(self) -> None:
        """The connection is no more."""

    # ---- what calls ask for
    def note(self) -> None:
        """Has this connection written at the end of the turn."""
        if not self._noted:
            self._noted = True
            self._outbox.add(self)

    def send_head(self, stream: Stream, block: bytes, *, ended: bool) -> None:
        """Writes HEADERS."""
        if not self._table_announced:
            self._table_announced = True
            block = NO_TABLE + block
        self.sender.frames.append(frames.headers(stream.number, block, ended=ended, limit=self.sender.frame_limit))
        self.note()
        if ended:
            stream.ended_here = True
            self.end_written(stream)

    def send_data(self, stream: Stream, payload: bytes, *, ended: bool) -> None:
        """Writes DATA, when the peer takes it."""
        self.sender.data(stream, payload, ended=ended)
        self.note()

    def send_trailers(self, stream: Stream, block: bytes) -> None:
        """Writes the HEADERS that end a stream, after its DATA."""
        self.sender.trailers(stream, block)
        self.note()

    def credit(self, stream: Stream, size: int) -> None:
        """Lets the peer send more on a stream."""
        self.receiver.credit(stream, size)
        if self.sender.frames:
            self.note()

    def reset(self, stream: Stream, code: ErrorCode) -> None:
        """Ends a stream at once."""
        if stream.closed:
            return
        self._write_reset(stream.number, code)
        self.forget(stream)
        self.note()

    def end_written(self, stream: Stream) -> None:
        """The last frame of a stream was written; it closes when the peer's last frame came too."""
        if stream.ended_there:
            self.forget(stream)

    def forget(self, stream: Stream) -> None:
        """Drops a stream that has ended."""
        if not stream.closed:
            stream.closed = True
            self.sender.give_up(stream)
            self.streams.pop(stream.number, None)
            self.room_made()
            if self.draining and not self.streams and not self.closing:
                self.close()

    def fail(self, code: ErrorCode, message: str) -> None:
        """Gives the connection up, and says why."""
        if not self.closing:
            self.sender.frames.append(frames.goaway(self.last_peer_stream, code, message))
            self.close()

    def close(self) -> None:
        """Writes what was collected and closes."""
        self.closing = True
        self.flush()
        if self.transport is not None:
            self.transport.close()
        self._abandon()

    def flush(self) -> None:
        """Writes what was collected and what may go now."""
        self._noted = False
        sender, transport = self.sender, self.transport
        if transport is None or transport.is_closing():
            sender.frames.clear()
            return
        while True:
            if sender.waits:
                sender.drain()
            if not sender.frames:
                return
            transport.write(sender.flushed())
            if sender.paused:
                if transport.get_write_buffer_size() > self.limits.backlog:
                    transport.pause_reading()
                return
            if not sender.waits:
                return

    def tick(self, now: float) -> None:
        """Notices what did not happen in time. Called about once a second, or as often as the limits need."""
        self.abuse.renew(now)
        if self.closing:
            self._closing_since = self._closing_since or now
            if self.transport is not None and now - self._closing_since > _CLOSING_S:
                self.transport.abort()
            return
        if self.streams:
            self._idle_since = now
        try:
            self._check_times(now)
        except ConnectionFailure as failure:
            self.fail(failure.code, failure.message)
        for stream in [stream for stream in self.streams.values() if stream.queue]:
            if stream.stuck_since is None:
                stream.stuck_since = now
            elif now - stream.stuck_since > self.limits.stall_s:
                self.stalled(stream)

    def stalled(self, stream: Stream) -> None:
        """The peer took none of a stream's waiting bytes for too long."""
        self._end(stream, ErrorCode.CANCEL)

    def idle(self) -> None:
        """There was no call for too long."""
        self.fail(ErrorCode.NO_ERROR, "No calls for a long time.")

    # ---- ends
    def _open(self) -> list[StreamFlow]:
        return list(self.streams.values())

    def _write_reset(self, number: int, code: ErrorCode) -> None:
        """Writes RST_STREAM, and remembers that frames of the stream may have crossed it."""
        self._reset[number] = None
        if len(self._reset) > _RESET_KEPT:
            del self._reset[next(iter(self._reset))]
        self.sender.frames.append(frames.reset(number, code))

    def _end(self, stream: Stream, code: ErrorCode) -> None:
        self.reset(stream, code)
        self.stream_ended(stream, code)

    def _abandon(self) -> None:
        for stream in self._open_streams():
            self.forget(stream)
            self.stream_ended(stream, ErrorCode.CONNECT_ERROR)

    def _open_streams(self) -> Sequence[Stream]:
        return list(self.streams.values())

    def _check_times(self, now: float) -> None:
        limits = self.limits
        age = now - self._started_at
        if not self._settled and age > limits.preface_s:
            raise ConnectionFailure(ErrorCode.SETTINGS_TIMEOUT, "No SETTINGS came.")
        if not self._acknowledged and age > limits.settings_s:
            raise ConnectionFailure(ErrorCode.SETTINGS_TIMEOUT, "Our SETTINGS were not acknowledged.")
        if not self.streams and now - self._idle_since > limits.idle_s:
            self.idle()
