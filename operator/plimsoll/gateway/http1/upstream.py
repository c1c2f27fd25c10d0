"""A connection to a model server: sends one request at a time and cuts its answer out of what comes back."""

from __future__ import annotations

import asyncio
import sys
from abc import ABC, abstractmethod
from time import monotonic
from typing import Final, cast

from plimsoll.gateway.http1.answer_head import AnswerHead, BrokenAnswer, find_end, read_answer
from plimsoll.gateway.http1.bodies import Chunks
from plimsoll.gateway.http1.failures import Failure, is_failure
from plimsoll.gateway.http1.limits import Limits
from plimsoll.gateway.http1.refusals import Refused
from plimsoll.gateway.http1.remembered import Remembered

Piece = bytes | memoryview
COPIED_BYTES: Final = 4096
"""Up to here a copy is cheaper than a second buffer in the write."""
_MOST_INFORMATIONAL: Final = 8
_CONTINUE: Final = 100


class Carried(ABC):
    """The exchange whose request a connection carries. It is told of its end exactly once.

    Attributes:
        complete: The whole request has been sent.
    """

    __slots__ = ("complete",)

    def __init__(self) -> None:
        self.complete = False

    @abstractmethod
    def informed(self, head: bytes) -> None:
        """Takes an informational answer."""

    @abstractmethod
    def answered(self, head: AnswerHead, body: Piece) -> None:
        """Takes a whole answer. The connection is free already."""

    @abstractmethod
    def answer_begins(self, head: AnswerHead, piece: Piece) -> None:
        """Takes the head of an answer and what there is of its body."""

    @abstractmethod
    def answer_goes_on(self, piece: Piece) -> None:
        """Takes more of the body."""

    @abstractmethod
    def answer_ends(self, piece: Piece) -> None:
        """Takes the last of the body. The connection is free already."""

    @abstractmethod
    def went_stale(self) -> None:
        """The connection had been closed by the server before the request reached it."""

    @abstractmethod
    def broken(self, why: str) -> None:
        """The connection broke, or what it brought is no answer."""

    @abstractmethod
    def upstream_stuffed(self, *, stuffed: bool) -> None:
        """The server reads slower than the request comes in; or no longer."""


class Home(ABC):
    """Where a connection waits between requests.

    Attributes:
        signature: Our header lines for the answers of this server.
    """

    __slots__ = ("signature",)

    def __init__(self, signature: bytes) -> None:
        self.signature = signature

    @abstractmethod
    def release(self, connection: UpstreamConnection) -> None:
        """Takes a connection that is free again."""

    @abstractmethod
    def lost(self, connection: UpstreamConnection) -> None:
        """Forgets a connection that has ended."""


class UpstreamConnection:
    """One connection: an `asyncio.Protocol` without that base class, which mypyc could not compile.

    Attributes:
        closed: It takes no request any more.
        unused_sweeps: For how many sweeps it has been idle.
    """

    __slots__ = (
        "_begun",
        "_chunks",
        "_exchange",
        "_failure",
        "_home",
        "_in_body",
        "_informational",
        "_left",
        "_limits",
        "_partial",
        "_remembered",
        "_reusable",
        "_silent",
        "_stuffed",
        "_to_head",
        "_transport",
        "_uses",
        "closed",
        "unused_sweeps",
    )

    def __init__(self, home: Home, limits: Limits) -> None:
        self._home = home
        self._limits = limits
        self._transport: asyncio.Transport
        self._exchange: Carried | None = None
        self._remembered: Remembered[AnswerHead] = Remembered(sys.maxsize)
        self._partial = b""
        self._chunks: Chunks | None = None
        self._failure: Failure | None = None
        self._left = 0
        self._in_body = False
        self._reusable = False
        self._to_head = False
        self._silent = True
        self._stuffed = False
        self._informational = 0
        self._uses = 0
        self._begun = 0.0
        self.closed = False
        self.unused_sweeps = 0

    # ---- for the exchange ----------------------------------------------------------------------------------------

    def carry(self, exchange: Carried, now: float, *, to_head: bool) -> None:
        """Belongs to this exchange until its answer has ended; the caller sends the request with `send`."""
        self._exchange = exchange
        self._begun = now
        self._to_head = to_head
        self._silent = True
        self._informational = 0
        self._uses += 1
        self.unused_sweeps = 0

    def send(self, piece: Piece) -> None:
        """Sends a part of the request."""
        self._transport.write(piece)

    def close(self) -> None:
        """Ends the connection at once and tells its exchange nothing."""
        self._exchange = None
        if not self.closed:
            self.closed = True
            self._transport.abort()

    def hold(self, *, held: bool) -> None:
        """Stops reading the answer, or goes on."""
        if self.closed:
            return
        if held:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    # ---- for the event loop --------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Starts."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Takes what has come in."""
        exchange = self._exchange
        if exchange is None:
            self.close()  # Nothing was asked: what comes now would be taken for the next answer.
            return
        self._silent = False
        try:
            if self._in_body:
                self._read_body(exchange, data)
            else:
                self._read_head(exchange, self._partial + data if self._partial else data)
        except BrokenAnswer as broken:
            self._fail(exchange, str(broken))
        except Refused as refused:
            self._fail(exchange, f"its body is malformed: {refused}")

    def eof_received(self) -> None:
        """Takes the end of what the server sends."""
        self.closed = True

    def connection_lost(self, exc: Exception | None) -> None:
        """Takes the end of the connection."""
        self.closed = True
        self._home.lost(self)
        exchange, self._exchange = self._exchange, None
        if exchange is None:
            return
        if self._uses > 1 and self._silent and monotonic() - self._begun <= self._limits.race_s:
            exchange.went_stale()
        else:
            exchange.broken(f"the connection ended ({exc})" if exc else "the connection ended")

    def pause_writing(self) -> None:
        """The server takes less than comes."""
        self._stuffed = True
        if self._exchange is not None:
            self._exchange.upstream_stuffed(stuffed=True)

    def resume_writing(self) -> None:
        """The server has caught up."""
        self._stuffed = False
        if self._exchange is not None:
            self._exchange.upstream_stuffed(stuffed=False)

    # ---- reading an answer ---------------------------------------------------------------------------------------

    def _read_head(self, exchange: Carried, data: bytes) -> None:
        recalled = None if self._to_head else self._remembered.recall(data)
        if recalled is not None:
            head, end = recalled
        else:
            end = find_end(data, self._limits)
            if end < 0:
                self._partial = data
                return
            head = self._parse(data[:end])
        if self._partial:
            self._partial = b""
        if head.informational:
            self._inform(exchange, head, data[end:])
        else:
            self._open_body(exchange, head, data, end)

    def _parse(self, raw: bytes) -> AnswerHead:
        head = read_answer(raw, self._home.signature, self._limits, to_head=self._to_head)
        if not self._to_head and not head.informational:
            self._remembered.remember(head, raw, varies=head.length > 0)
        return head

    def _inform(self, exchange: Carried, head: AnswerHead, rest: bytes) -> None:
        self._informational += 1
        if self._informational > _MOST_INFORMATIONAL:
            raise BrokenAnswer(f"more than {_MOST_INFORMATIONAL} informational answers came before it")
        if head.status != _CONTINUE:
            exchange.informed(head.forward)
        if rest:
            self._read_head(exchange, rest)

    def _open_body(self, exchange: Carried, head: AnswerHead, data: bytes, start: int) -> None:
        size = len(data)
        if head.length >= 0:
            stop = start + head.length
            if stop > size:
                self._left, stop = stop - size, -1
        else:
            self._chunks = Chunks(sys.maxsize)
            stop = self._chunks.end_in(data, start)
        if 0 <= stop < size:
            raise BrokenAnswer("bytes follow its end")
        body = data[start:] if size - start <= COPIED_BYTES else memoryview(data)[start:]
        self._reusable = head.keep_alive
        if stop < 0:
            self._in_body = True
            if head.status >= 400 and is_failure(head):  # noqa: PLR2004 - spares a call per answer
                self._failure = Failure(head)
                self._hold(exchange, self._failure, body)
            else:
                exchange.answer_begins(head, body)
        else:
            self._set_free(exchange)
            exchange.answered(head, body)

    def _read_body(self, exchange: Carried, data: bytes) -> None:
        size = len(data)
        if self._chunks is None:
            self._left -= size
            stop = size + self._left if self._left <= 0 else -1
        else:
            stop = self._chunks.end_in(data)
        if 0 <= stop < size:
            raise BrokenAnswer("bytes follow its end")
        failure = self._failure
        if failure is not None:
            self._hold(exchange, failure, data, ended=stop >= 0)
        elif stop < 0:
            exchange.answer_goes_on(data)
        else:
            self._set_free(exchange)
            exchange.answer_ends(data)

    def _hold(self, exchange: Carried, failure: Failure, piece: Piece, *, ended: bool = False) -> None:
        """Keeps a piece of an answer that says that something failed, until it is whole or too long to be read."""
        is_short = failure.add(piece)
        if ended:
            self._set_free(exchange)
            exchange.answered(failure.head, failure.body)
        elif not is_short:
            self._failure = None
            exchange.answer_begins(failure.head, failure.body)

    def _set_free(self, exchange: Carried) -> None:
        self._exchange = None
        self._chunks = None
        self._failure = None
        self._in_body = False
        # A server that answers before it has taken the whole request may never take the rest.
        if self._reusable and exchange.complete and not self._stuffed and not self.closed:
            self._home.release(self)
        else:
            self.close()

    def _fail(self, exchange: Carried, why: str) -> None:
        self.close()
        exchange.broken(why)
