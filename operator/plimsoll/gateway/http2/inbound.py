"""Frames in: each to its place, after the checks that do not depend on the role."""

from __future__ import annotations

from abc import abstractmethod

from typing_extensions import override

from plimsoll.gateway.http2 import frames
from plimsoll.gateway.http2.connection import Connection, Outbox, Stream
from plimsoll.gateway.http2.flow import MAX_WINDOW
from plimsoll.gateway.http2.frames import Setting
from plimsoll.gateway.http2.headers import Malformed
from plimsoll.gateway.http2.limits import Limits
from plimsoll.gateway.http2.violations import ConnectionFailure, ErrorCode, StreamFailure


class Inbound(Connection):
    """A connection that reads."""

    def __init__(self, outbox: Outbox, limits: Limits, now: float, *, stream_window: int, max_streams: int) -> None:
        super().__init__(outbox, limits, now, stream_window=stream_window, max_streams=max_streams)
        self._reader = frames.FrameReader()
        self._block: list[bytes] | None = None
        self._block_of = (0, 0)
        self._block_bytes = 0
        self._partial_since: float | None = None
        self._heard = False

    @override
    def data_received(self, data: bytes) -> None:
        try:
            self._handle(data)
        except ConnectionFailure as failure:
            self.fail(failure.code, failure.message)
        if self.sender.frames:
            self.note()
        self._outbox.flush()

    # ---- what a role adds
    @abstractmethod
    def head_received(self, number: int, block: bytes, *, ended: bool) -> None:
        """Handles a whole header block."""

    @abstractmethod
    def data_of(self, stream: Stream, payload: bytes, *, ended: bool) -> None:
        """Handles DATA of an open stream."""

    @abstractmethod
    def goaway_received(self, last: int, code: int) -> None:
        """The peer takes no new streams, and handled none above `last`."""

    @abstractmethod
    def settled(self) -> None:
        """The peer's SETTINGS are known, or changed."""

    # ---- frames
    def _handle(self, data: bytes) -> None:
        for kind, flags, number, payload in self._reader.feed(data):
            if self.closing:
                return
            self._heard = True
            try:
                if self._block is not None and (kind != frames.CONTINUATION or number != self._block_of[0]):
                    raise ConnectionFailure(ErrorCode.PROTOCOL_ERROR, "A header block was interrupted.")
                if kind == frames.DATA and self._settled:
                    self._data(flags, number, payload)
                elif kind == frames.HEADERS and self._settled:
                    self._headers(flags, number, payload)
                else:
                    self._other(kind, flags, number, payload)
            except StreamFailure as failure:
                self._stream_failed(failure)

    def _other(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        if not self._settled and kind != frames.SETTINGS:
            raise ConnectionFailure(ErrorCode.PROTOCOL_ERROR, "The first frame was not SETTINGS.")
        if kind == frames.WINDOW_UPDATE:
            self._window_update(number, frames.read_uint(payload) & MAX_WINDOW)
        elif kind == frames.SETTINGS:
            self._settings(flags, payload)
        elif kind == frames.PING:
            if not flags & frames.ACK:
                self.abuse.ping()
                self.sender.frames.append(frames.frame(frames.PING, frames.ACK, 0, payload))
            else:
                self.ping_answered(payload)
        elif kind == frames.RST_STREAM:
            self._rst_stream(number, frames.read_uint(payload))
        elif kind == frames.CONTINUATION:
            self._continuation(flags, payload)
        elif kind == frames.GOAWAY:
            self.goaway_received(*frames.read_goaway(payload))
        elif kind == frames.PUSH_PROMISE:
            raise ConnectionFailure(ErrorCode.PROTOCOL_ERROR, "PUSH_PROMISE is never accepted.")
        else:  # PRIORITY means nothing any more, and unknown types are to be ignored; both still cost work.
            self.abuse.stray()

    @abstractmethod
    def ping_answered(self, payload: bytes) -> None:
        """The peer answered a PING of ours."""

    @abstractmethod
    def is_idle_stream(self, number: int) -> bool:
        """Tells whether a stream was never opened."""

    def _data(self, flags: int, number: int, payload: bytes) -> None:
        size = len(payload)
        self.receiver.received(size)
        stream = self.streams.get(number)
        if stream is None or stream.ended_there:
            self._stray(number)
            return
        self.receiver.received_on(stream, size)
        ended = bool(flags & frames.END_STREAM)
        if flags & frames.PADDED:
            payload = frames.unpadded(frames.DATA, flags, payload)
            self.receiver.credit(stream, size - len(payload))
        if ended:
            stream.ended_there = True
        elif not payload:
            self.abuse.empty()
            return
        self.data_of(stream, payload, ended=ended)

    def _stray(self, number: int) -> None:
        """A frame on a stream that is not open: the peer's error, unless it crossed our RST_STREAM."""
        if self.is_idle_stream(number):
            raise ConnectionFailure(ErrorCode.PROTOCOL_ERROR, f"Stream {number} was never opened.")
        self.abuse.stray()
        if number not in self._reset:
            raise StreamFailure(number, ErrorCode.STREAM_CLOSED, "The stream is closed.")

    def _headers(self, flags: int, number: int, payload: bytes) -> None:
        if flags & (frames.PADDED | frames.PRIORITY_FLAG):
            payload = frames.unpadded(frames.HEADERS, flags, payload)
        if flags & frames.END_HEADERS:
            self._whole_head(number, payload, ended=bool(flags & frames.END_STREAM))
            return
        self._block, self._block_of, self._block_bytes = [payload], (number, flags), len(payload)

    def _continuation(self, flags: int, payload: bytes) -> None:
        block = self._block
        if block is None:
            raise ConnectionFailure(ErrorCode.PROTOCOL_ERROR, "CONTINUATION continues nothing.")
        block.append(payload)
        self._block_bytes += len(payload)
        if self._block_bytes > self.limits.header_block or len(block) > self.limits.continuations:
            raise ConnectionFailure(
                ErrorCode.ENHANCE_YOUR_CALM,
                f"A header block has more than {self.limits.header_block} bytes or {self.limits.continuations} frames.",
            )
        if flags & frames.END_HEADERS:
            self._block = None
            number, first_flags = self._block_of
            self._whole_head(number, b"".join(block), ended=bool(first_flags & frames.END_STREAM))

    def _whole_head(self, number: int, block: bytes, *, ended: bool) -> None:
        try:
            self.head_received(number, block, ended=ended)
        except Malformed as error:
            raise StreamFailure(number, ErrorCode.PROTOCOL_ERROR, str(error)) from error

    def _window_update(self, number: int, increment: int) -> None:
        if not number:
            self.sender.connection_window(increment)
        else:
            stream = self.streams.get(number)
            if stream is not None:
                self.sender.stream_window(stream, increment)
            elif self.is_idle_stream(number):
                raise ConnectionFailure(ErrorCode.PROTOCOL_ERROR, f"Stream {number} was never opened.")
        if self.sender.waits:
            self.note()

    def _rst_stream(self, number: int, code: int) -> None:
        stream = self.streams.get(number)
        if stream is not None:
            self.forget(stream)
            self.stream_ended(stream, code)
        elif self.is_idle_stream(number):
            raise ConnectionFailure(ErrorCode.PROTOCOL_ERROR, f"Stream {number} was never opened.")
        else:
            self.abuse.stray()

    def _settings(self, flags: int, payload: bytes) -> None:
        if flags & frames.ACK:
            if not self._acknowledged:
                self._acknowledged = True
                self.receiver.acknowledged(self._open())
            return
        self.abuse.setting()
        for key, value in frames.read_settings(payload):
            self._setting(key, value)
        self.sender.frames.append(frames.frame(frames.SETTINGS, frames.ACK, 0))
        self._settled = True
        self.settled()
        if self.sender.waits:
            self.note()

    def _setting(self, key: int, value: int) -> None:
        if key == Setting.INITIAL_WINDOW_SIZE:
            self.sender.change_initial_window(value, self._open())
        elif key == Setting.MAX_FRAME_SIZE:
            if not frames.MIN_FRAME_LIMIT <= value <= frames.MAX_FRAME_LIMIT:
                raise ConnectionFailure(ErrorCode.PROTOCOL_ERROR, f"MAX_FRAME_SIZE cannot be {value}.")
            self.sender.frame_limit = value
        elif key == Setting.ENABLE_PUSH and value > 1:
            raise ConnectionFailure(ErrorCode.PROTOCOL_ERROR, f"ENABLE_PUSH cannot be {value}.")
        elif key == Setting.MAX_CONCURRENT_STREAMS:
            self.peer_allows(value)

    @abstractmethod
    def peer_allows(self, streams: int) -> None:
        """Follows the peer's MAX_CONCURRENT_STREAMS."""

    def _stream_failed(self, failure: StreamFailure) -> None:
        stream = self.streams.get(failure.stream)
        if stream is not None:
            self._end(stream, failure.code)
        else:
            self.abuse.stray()
            self._write_reset(failure.stream, failure.code)

    @override
    def _check_times(self, now: float) -> None:
        super()._check_times(now)
        if self._block is None and (self._heard or not self._reader.waits_for_more):
            self._partial_since = None
        elif self._partial_since is None:
            self._partial_since = now
        elif now - self._partial_since > (self.limits.stall_s if self._block is None else self.limits.preface_s):
            raise ConnectionFailure(ErrorCode.ENHANCE_YOUR_CALM, "A frame or a header block did not become whole.")
        self._heard = False
