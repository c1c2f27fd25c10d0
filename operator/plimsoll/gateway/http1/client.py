"""A client's connection: cuts what comes in into requests, one at a time, and sends the answers in their order."""

from __future__ import annotations

import asyncio
from enum import Enum, auto
from time import monotonic
from typing import Final, cast

from typing_extensions import override

from plimsoll.gateway.http1.asker import Asker
from plimsoll.gateway.http1.attempts import CLOSE_LINE
from plimsoll.gateway.http1.bodies import Chunks
from plimsoll.gateway.http1.credentials import admitted, read_guarded
from plimsoll.gateway.http1.exchange import Exchange
from plimsoll.gateway.http1.fields import CHUNKED
from plimsoll.gateway.http1.refusals import Reason, Refusal, Refused, written
from plimsoll.gateway.http1.remembered import Remembered
from plimsoll.gateway.http1.request_head import RequestHead, find_end, read_request
from plimsoll.gateway.http1.shared import Shared
from plimsoll.gateway.http1.upstream import COPIED_BYTES, Piece


class _State(Enum):
    HEAD = auto()
    """Between requests, or within a head."""
    BODY = auto()
    """Within a request's body; its answer may have been sent already."""
    ANSWER = auto()
    """The request is complete, its answer is not."""
    ENDING = auto()
    """The last answer was sent; what still comes in is thrown away."""


_HEAD: Final = _State.HEAD
_BODY: Final = _State.BODY
_ANSWER: Final = _State.ANSWER
_ENDING: Final = _State.ENDING


class ClientConnection(Asker):
    """One connection: an `asyncio.Protocol` without that base class, which mypyc could not compile.

    Attributes:
        deadline: When `expire` is due, on the monotonic clock.
    """

    __slots__ = (
        "_all",
        "_chunks",
        "_exchange",
        "_held",
        "_left",
        "_pending",
        "_pumping",
        "_reading",
        "_remembered",
        "_shared",
        "_started",
        "_state",
        "_stuffed",
        "_transport",
        "deadline",
    )

    def __init__(self, shared: Shared, connections: set[ClientConnection]) -> None:
        self._shared = shared
        self._all = connections
        self._exchange = Exchange(shared, self)
        self._transport: asyncio.Transport
        self._state = _HEAD
        self._pending = b""
        self._remembered: Remembered[RequestHead] = Remembered(shared.limits.body_bytes)
        self._chunks: Chunks | None = None
        self._left = 0
        self._started = 0.0
        self._held = False
        self._stuffed = False
        self._reading = True
        self._pumping = False
        self.deadline = 0.0

    # ---- for the event loop --------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Starts."""
        self._transport = cast("asyncio.Transport", transport)
        limits = self._shared.limits
        full = len(self._all) >= limits.connections
        self._all.add(self)
        self.deadline = monotonic() + (limits.drain_idle_s if self._shared.draining else limits.idle_s)
        if full:
            self._reject(Refusal(503, Reason.CONNECTIONS, "This gateway has no free connection. Try again.", 1))

    def data_received(self, data: bytes) -> None:
        """Takes what has come in."""
        state = self._state
        if state is _HEAD:
            self._pending = self._pending + data if self._pending else data
            self._pump()
        elif state is _BODY:
            self._read_body(data)
        elif state is _ANSWER:
            self._pending += data
            self._update_reading()

    def eof_received(self) -> None:
        """Takes the end of what the client sends."""
        # Whether the client has gone or only ended its side cannot be told; as other proxies do, we take it for gone.
        if self._exchange.active:
            self._exchange.client_left()
        self._state = _ENDING

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Takes the end of the connection."""
        self._all.discard(self)
        self._state = _ENDING
        self._pending = b""
        if self._exchange.active:
            self._exchange.client_left()

    def pause_writing(self) -> None:
        """The client takes less than comes."""
        self._stuffed = True
        self.deadline = monotonic() + self._shared.limits.body_s
        self._exchange.client_stuffed(stuffed=True)

    def resume_writing(self) -> None:
        """The client has caught up."""
        self._stuffed = False
        limits = self._shared.limits
        if self._state is _ENDING:
            self.deadline = monotonic() + limits.linger_s
        else:
            self.deadline = monotonic() + (limits.response_s if self._exchange.active else limits.idle_s)
        self._exchange.client_stuffed(stuffed=False)
        if self._state is _HEAD:
            self._pump()

    # ---- for the listener ----------------------------------------------------------------------------------------

    def expire(self, now: float) -> None:
        """Acts on the deadline, which has passed."""
        exchange = self._exchange
        slow = Refusal(408, Reason.SLOW_CLIENT, "The request did not come in in time.")
        if self._state is _ENDING or self._stuffed:
            self._transport.abort()
        elif self._state is _HEAD:
            if self._pending:
                self._reject(slow)
            else:
                self._end(now)
        elif not exchange.active:
            self._transport.abort()
        elif self._state is _BODY and not self._held:
            exchange.client_failed(slow)
        else:
            exchange.timed_out()

    def drain(self, now: float) -> None:
        """Lets go of the connection when it stays unused; each answer from now on ends it anyway."""
        if self._state is _HEAD and not self._pending:
            self.deadline = min(self.deadline, now + self._shared.limits.drain_idle_s)

    def abort(self) -> None:
        """Ends the connection at once."""
        self._transport.abort()

    # ---- for the exchange ----------------------------------------------------------------------------------------

    @override
    def send(self, head: bytes, piece: Piece) -> None:
        """Sends the head of an answer and what there is of its body."""
        if len(piece) <= COPIED_BYTES:
            self._transport.write(head + piece)
        else:
            self._transport.writelines([head, piece])

    @override
    def send_more(self, piece: Piece) -> None:
        """Sends more of an answer."""
        limits = self._shared.limits
        self.deadline = monotonic() + (limits.body_s if self._state is _BODY else limits.response_s)
        self._transport.write(piece)

    @override
    def exchange_ended(self, now: float, *, keep: bool) -> None:
        """Goes on with the next request; with `keep` False ends."""
        if not keep:
            self._end(now, answered=True)
        elif self._state is _BODY:
            self.deadline = now + self._shared.limits.body_s
            self.hold(held=False)
        else:
            self._await_head(now)

    @override
    def refuse(self, answer: bytes, reason: Reason, *, keep: bool) -> None:
        """Answers with a refusal; with `keep` False ends."""
        self._shared.meter.refused(reason)
        self._transport.write(answer)
        self.exchange_ended(monotonic(), keep=keep)

    @override
    def cut(self) -> None:
        """Ends the connection in mid-answer, so that the client can tell."""
        self._state = _ENDING
        self.deadline = monotonic() + self._shared.limits.linger_s
        self._transport.close()

    @override
    def hold(self, *, held: bool) -> None:
        """Stops reading the request, or goes on."""
        if self._held is not held:
            self._held = held
            limits = self._shared.limits
            slow_client = self._state is _BODY and not held
            self.deadline = monotonic() + (limits.body_s if slow_client else limits.response_s)
            self._update_reading()

    # ---- within --------------------------------------------------------------------------------------------------

    def _pump(self) -> None:
        """Starts requests from what has come in, until one is under way or more bytes are needed."""
        if self._pumping:
            return  # An answer of our own ended the exchange within `begin`: the loop below goes on.
        self._pumping = True
        while self._state is _HEAD and self._pending and not self._stuffed and self._read_head():
            pass
        self._pumping = False
        self._update_reading()

    def _read_head(self) -> bool:
        """Starts one request; returns False where its head is not whole, or none."""
        data = self._pending
        recalled = self._remembered.recall(data)
        if recalled is not None:
            return self._open(recalled[0], data, recalled[1])
        try:
            end = find_end(data, self._shared.limits)
            if end < 0:
                self._await_rest_of_head()
                return False
            whole = data[:end]
            read = read_request if self._shared.access is None else read_guarded
            head = read(whole, self._shared.limits)
        except Refused as refused:
            self._reject(refused.refusal)
            return False
        self._remembered.remember(head, whole, varies=head.length > 0 and not head.expects)
        return self._open(head, data, end)

    def _open(self, head: RequestHead, data: bytes, end: int) -> bool:
        """Starts the request whose head ends at `end`; returns False where what there is of its body is malformed."""
        if self._shared.access is not None:
            head = admitted(head, self._shared.access)
        stop = self._find_stop(head, data, end)
        if stop is None:
            return False
        now = monotonic()
        started, self._started = self._started or now, 0.0
        complete = stop >= 0
        upto = stop if complete else len(data)
        self._pending = data[upto:] if upto < len(data) else b""
        limits = self._shared.limits
        if complete:
            self._state = _ANSWER
            self.deadline = now + limits.response_s
        else:
            self._state = _BODY
            self.deadline = now + limits.body_s
        if head.as_received:
            # A slice would be a copy where all of it is meant, as in most requests.
            whole = data if upto == len(data) else data[:upto]
            self._exchange.begin(head, whole, b"", started, complete=complete)
        elif upto - end <= COPIED_BYTES:
            self._exchange.begin(head, head.forward + data[end:upto], b"", started, complete=complete)
        else:
            self._exchange.begin(head, head.forward, memoryview(data)[end:upto], started, complete=complete)
        return True

    def _find_stop(self, head: RequestHead, data: bytes, end: int) -> int | None:
        """Returns the offset after the request, -1 where its body goes on, None where it was refused."""
        if head.length != CHUNKED:
            stop = end + head.length
            self._left = stop - len(data)
            return stop if self._left <= 0 else -1
        self._chunks = Chunks(self._shared.most_body(head.call))
        try:
            stop = self._chunks.end_in(data, end)
        except Refused as refused:
            self._reject(refused.refusal)
            return None
        if stop >= 0:
            self._chunks = None
        return stop

    def _read_body(self, data: bytes) -> None:
        size = len(data)
        if self._chunks is None:
            self._left -= size
            stop = size + self._left if self._left <= 0 else -1
        else:
            try:
                stop = self._chunks.end_in(data)
            except Refused as refused:
                self._fail(refused.refusal)
                return
        if stop < 0:
            self.deadline = monotonic() + self._shared.limits.body_s
            self._exchange.body(data, complete=False)
            return
        self._chunks = None
        ends_here = stop == size
        self._pending = b"" if ends_here else data[stop:]
        now = monotonic()
        if self._exchange.active:
            self._state = _ANSWER
            self.deadline = now + self._shared.limits.response_s
            self._exchange.body(data if ends_here else data[:stop], complete=True)
        else:
            self._await_head(now)

    def _await_head(self, now: float) -> None:
        limits = self._shared.limits
        self._state = _HEAD
        self.deadline = now + (limits.drain_idle_s if self._shared.draining else limits.idle_s)
        if self._held:
            self.hold(held=False)
        if self._pending:
            self._pump()

    def _await_rest_of_head(self) -> None:
        if not self._started:
            self._started = monotonic()
            self.deadline = self._started + self._shared.limits.head_s

    def _fail(self, refusal: Refusal) -> None:
        """Ends a request whose body cannot be followed any further."""
        if self._exchange.active:
            self._exchange.client_failed(refusal)
        else:
            self._end(monotonic())

    def _reject(self, refusal: Refusal) -> None:
        """Answers bytes that are no request, after which nothing can be told on this connection."""
        self._shared.meter.refused(refusal.reason)
        self._transport.write(written(refusal, CLOSE_LINE))
        self._end(monotonic())

    def _end(self, now: float, *, answered: bool = False) -> None:
        """Ends our side, and reads on for a while so that what is under way does not destroy the last answer."""
        self._state = _ENDING
        self._pending = b""
        self._held = False
        limits, transport = self._shared.limits, self._transport
        waits = False
        if not transport.is_closing():
            self._update_reading()
            if transport.can_write_eof():
                waits = transport.get_write_buffer_size() > 0
                transport.write_eof()
            else:
                # TLS has no half: what comes is thrown away until the client has closed too. How much of an answer has
                # yet to go is not known, so there is as much time for it as for any part of an answer.
                waits = answered
                transport.close()
        self.deadline = now + (limits.body_s if waits else limits.linger_s)

    def _update_reading(self) -> None:
        reading = not self._held and len(self._pending) <= self._shared.limits.pipeline_bytes
        if reading is self._reading or self._transport.is_closing():
            return
        self._reading = reading
        if reading:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()
