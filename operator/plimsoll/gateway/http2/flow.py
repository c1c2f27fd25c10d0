"""Flow control of one connection (RFC 9113, section 5.2), both directions, as plain arithmetic. No I/O.

Out: a frame goes when the stream's window, the connection's window, and the transport allow it; otherwise it waits in
its stream's queue, and streams that wait only for the connection take turns.

In: a stream's sender is credited when its bytes were passed on, not when they came, so what is held for a slow receiver
is at most a stream's window. The connection's window is credited as bytes come: it never is the bound, so streams that
are stalled cannot use up what the others need.
"""

from __future__ import annotations

from collections import deque

from plimsoll.gateway.http2.frames import DATA, END_STREAM, MIN_FRAME_LIMIT, frame, headers, window_update
from plimsoll.gateway.http2.violations import ConnectionFailure, ErrorCode, StreamFailure

MAX_WINDOW = (1 << 31) - 1
DEFAULT_WINDOW = 65_535
"""Of every stream and connection until told otherwise (RFC 9113, section 6.9.2)."""


class StreamFlow:
    """One stream's share.

    Attributes:
        number: Its id.
        window: Bytes that the peer still accepts; negative after it lowered its initial window.
        room: Bytes that the peer may still send.
        uncredited: Bytes that were passed on and are not announced yet.
        queue: Frames that wait: payload and whether it ends the stream; None is trailers.
        ended_here: END_STREAM was written or waits in the queue.
        ended_there: END_STREAM was received.
        closed: Nothing is sent or received any more.
    """

    __slots__ = (
        "closed",
        "ended_here",
        "ended_there",
        "in_turn",
        "number",
        "queue",
        "room",
        "stuck_since",
        "trailers",
        "uncredited",
        "window",
    )

    def __init__(self, number: int, window: int, room: int) -> None:
        self.number = number
        self.window = window
        self.room = room
        self.uncredited = 0
        self.queue: deque[tuple[bytes, bool]] | None = None
        self.trailers: bytes | None = None
        self.in_turn = False
        self.stuck_since: float | None = None
        self.ended_here = False
        self.ended_there = False
        self.closed = False

    def passed(self, size: int) -> None:
        """Called when `size` bytes of it were written."""

    def finished(self) -> None:
        """Called when the frame that ends it was written."""


class Sender:
    """What goes out on one connection: `frames` collects it until it is flushed.

    Attributes:
        frames: Written frames, in order.
        window: Bytes that the peer still accepts on the connection.
        initial_window: That a new stream gets.
        frame_limit: Longest payload that the peer accepts.
        paused: The transport takes no more.
        held: Bytes that wait, of all streams.
    """

    __slots__ = (
        "_collected",
        "_limit",
        "_turns",
        "frame_limit",
        "frames",
        "held",
        "initial_window",
        "paused",
        "window",
    )

    def __init__(self, limit: int) -> None:
        """Makes one that collects about `limit` bytes of DATA before it waits for a flush."""
        self._limit = limit
        self._collected = 0
        self._turns: deque[StreamFlow] = deque()
        self.frames: list[bytes] = []
        self.window = DEFAULT_WINDOW
        self.initial_window = DEFAULT_WINDOW
        self.frame_limit = MIN_FRAME_LIMIT
        self.paused = False
        self.held = 0

    @property
    def waits(self) -> bool:
        """Whether a stream waits for nothing but the connection."""
        return bool(self._turns)

    def data(self, stream: StreamFlow, payload: bytes, *, ended: bool) -> None:
        """Writes DATA now, or when the windows allow."""
        size = len(payload)
        if (
            stream.queue
            or self._turns
            or self.paused
            or self._collected >= self._limit
            or (size and (size > stream.window or size > self.window or size > self.frame_limit))
        ):
            self._wait(stream, payload, ended=ended)
            return
        stream.ended_here = ended
        self._write(stream, payload, ended=ended)

    def trailers(self, stream: StreamFlow, block: bytes) -> None:
        """Writes trailers after the DATA that waits."""
        stream.ended_here = True
        if stream.queue:
            stream.trailers = block
            return
        self.frames.append(headers(stream.number, block, ended=True, limit=self.frame_limit))
        stream.finished()

    def give_up(self, stream: StreamFlow) -> None:
        """Drops what waits."""
        if stream.queue:
            self.held -= sum(len(payload) for payload, _ in stream.queue)
        stream.queue = None
        stream.trailers = None
        stream.stuck_since = None

    def stream_window(self, stream: StreamFlow, increment: int) -> None:
        """Follows WINDOW_UPDATE of a stream.

        Raises:
            StreamFailure: The increment is 0, or the window grows beyond 2^31 - 1.
        """
        if not increment:
            raise StreamFailure(stream.number, ErrorCode.PROTOCOL_ERROR, "A WINDOW_UPDATE of 0.")
        if stream.window + increment > MAX_WINDOW:
            raise StreamFailure(stream.number, ErrorCode.FLOW_CONTROL_ERROR, "A window beyond 2^31 - 1.")
        stream.window += increment
        self._take_turn(stream)

    def connection_window(self, increment: int) -> None:
        """Follows WINDOW_UPDATE of the connection.

        Raises:
            ConnectionFailure: As for a stream.
        """
        if not increment:
            raise ConnectionFailure(ErrorCode.PROTOCOL_ERROR, "A WINDOW_UPDATE of 0 for the connection.")
        if self.window + increment > MAX_WINDOW:
            raise ConnectionFailure(ErrorCode.FLOW_CONTROL_ERROR, "The connection's window grows beyond 2^31 - 1.")
        self.window += increment

    def change_initial_window(self, size: int, streams: list[StreamFlow]) -> None:
        """Follows SETTINGS_INITIAL_WINDOW_SIZE, which moves the windows of all open streams (section 6.9.2).

        Raises:
            ConnectionFailure: A window would grow beyond 2^31 - 1.
        """
        if size > MAX_WINDOW:
            raise ConnectionFailure(ErrorCode.FLOW_CONTROL_ERROR, "The initial window is beyond 2^31 - 1.")
        change = size - self.initial_window
        self.initial_window = size
        for stream in streams:
            stream.window += change
            if stream.window > MAX_WINDOW:
                raise ConnectionFailure(ErrorCode.FLOW_CONTROL_ERROR, "A stream's window grows beyond 2^31 - 1.")
            self._take_turn(stream)

    def drain(self) -> None:
        """Writes what waits and may go: a frame of each stream in turn."""
        turns = self._turns
        while turns and not self.paused and self._collected < self._limit:
            stream = turns[0]
            if stream.queue and stream.window > 0 and stream.queue[0][0] and self.window <= 0:
                # An end without bytes behind it in line needs no window, but is not worth a second list.
                return
            turns.popleft()
            stream.in_turn = False
            if stream.queue:
                self._write_next(stream)
                self._take_turn(stream)

    def flushed(self) -> bytes:
        """Returns what was collected and starts anew."""
        collected = self.frames[0] if len(self.frames) == 1 else b"".join(self.frames)
        self.frames.clear()
        self._collected = 0
        return collected

    def _wait(self, stream: StreamFlow, payload: bytes, *, ended: bool) -> None:
        if stream.queue is None:
            stream.queue = deque()
        stream.queue.append((payload, ended))
        self.held += len(payload)
        stream.ended_here = ended
        self._take_turn(stream)

    def _take_turn(self, stream: StreamFlow) -> None:
        """Lines a stream up when it waits for the connection or the transport, not for its own window."""
        queue = stream.queue
        if queue and not stream.in_turn and (stream.window > 0 or not queue[0][0]):
            stream.in_turn = True
            self._turns.append(stream)

    def _write_next(self, stream: StreamFlow) -> None:
        queue = stream.queue
        assert queue  # noqa: S101 - the caller looked
        payload, ended = queue.popleft()
        size = min(len(payload), max(stream.window, 0), max(self.window, 0), self.frame_limit)
        if size < len(payload):
            queue.appendleft((payload[size:], ended))
            payload, ended = payload[:size], False
            if not size:
                return
        stream.stuck_since = None
        self.held -= size
        self._write(stream, payload, ended=ended)
        if not queue and stream.trailers is not None:
            block, stream.trailers = stream.trailers, None
            self.trailers(stream, block)

    def _write(self, stream: StreamFlow, payload: bytes, *, ended: bool) -> None:
        size = len(payload)
        stream.window -= size
        self.window -= size
        self._collected += size
        self.frames.append(frame(DATA, END_STREAM if ended else 0, stream.number, payload))
        if size:
            stream.passed(size)
        if ended:
            stream.finished()


class Receiver:
    """What comes in on one connection: who may send how much more.

    Args:
        frames: Where WINDOW_UPDATE goes.
        stream_window: Of a stream, in bytes; announced in SETTINGS.
        connection_window: Of the connection. At least `stream_window` times the streams that the peer may have open,
            or stalled streams would stall the others.
    """

    __slots__ = ("_connection_window", "_frames", "_room", "_stream_window", "_unannounced", "initial_room")

    def __init__(self, frames: list[bytes], stream_window: int, connection_window: int) -> None:
        self._frames = frames
        self._stream_window = stream_window
        self._connection_window = connection_window
        self._room = DEFAULT_WINDOW
        self._unannounced = 0
        # The peer goes by the default until it acknowledged our SETTINGS.
        self.initial_room = DEFAULT_WINDOW

    def open(self) -> None:
        """Raises the connection's window from the default to its size."""
        if self._connection_window > self._room:
            self._frames.append(window_update(0, self._connection_window - self._room))
            self._room = self._connection_window

    def acknowledged(self, streams: list[StreamFlow]) -> None:
        """The peer goes by our initial window from now on, for open streams too."""
        change = self._stream_window - self.initial_room
        self.initial_room = self._stream_window
        for stream in streams:
            stream.room += change

    def received(self, size: int) -> None:
        """Counts a DATA frame against the connection, whatever becomes of its stream.

        Args:
            size: Of the whole payload, padding included.

        Raises:
            ConnectionFailure: The peer sent more than it was allowed.
        """
        self._room -= size
        if self._room < 0:
            raise ConnectionFailure(ErrorCode.FLOW_CONTROL_ERROR, "More DATA than the connection's window.")
        self._unannounced += size
        if self._unannounced * 2 >= self._connection_window or self._room * 2 < self._unannounced:
            self._frames.append(window_update(0, self._unannounced))
            self._room += self._unannounced
            self._unannounced = 0

    def received_on(self, stream: StreamFlow, size: int) -> None:
        """Counts a DATA frame against its stream.

        Raises:
            StreamFailure: The peer sent more than it was allowed.
        """
        stream.room -= size
        if stream.room < 0:
            raise StreamFailure(stream.number, ErrorCode.FLOW_CONTROL_ERROR, "More DATA than the stream's window.")

    def credit(self, stream: StreamFlow, size: int) -> None:
        """Lets a stream's peer send `size` bytes more, because as many were passed on; announced in portions."""
        if stream.ended_there or stream.closed:
            return
        stream.uncredited += size
        if stream.uncredited * 2 >= self._stream_window:
            self._frames.append(window_update(stream.number, stream.uncredited))
            stream.room += stream.uncredited
            stream.uncredited = 0
