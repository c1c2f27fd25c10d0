"""A port behind which TLS is spoken.

    accepted -> first byte looked at, not taken -> handshake -> the protocol behind
                        |                            ends after 10 s
                        '- no TLS: told so, or let in as it is where the chart says so

Connections are accepted here and not by the event loop's server, because each gets the certificate of its moment, and
because only a peek tells TLS from plain text before either side has said something.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, cast

from typing_extensions import override

from plimsoll.gateway.doors import Behind, Opened

_log = logging.getLogger(__name__)

_AT_ONCE: Final = 64
"""Connections that are accepted before others get their turn."""
_EXHAUSTED_S: Final = 0.5
"""Pause where the process has no descriptors left."""
_HANDSHAKE: Final = b"\x16"
"""First byte of a TLS connection: the content type of a record with a handshake (RFC 8446, section 5.1)."""
_LAST_WORDS_S: Final = 1.0
_TAKEN: Final = 64 << 10


class Arrival(StrEnum):
    """What became of a connection that came to a port with TLS: label values of a metric."""

    LET_IN = "let_in"
    PLAIN = "plain"
    REFUSED = "refused"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    CROWDED_OUT = "crowded_out"
    LEFT = "left"


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of what a client may cost that has not been let in.

    Attributes:
        greeting_s: From the connection to the end of its handshake, in seconds.
        farewell_s: That a client may take for the last bytes of a connection and to acknowledge its end, in seconds.
            The protocols behind are less patient where nothing waits to be sent.
        greeted: Connections in that state; one more ends the oldest, so that slow ones do not keep others out.
    """

    greeting_s: float = 10.0
    farewell_s: float = 30.0
    greeted: int = 4096


class TlsDoor:
    """Lets in who completes a handshake.

    Args:
        context: Returns what a connection is greeted with now.
        turned_away: What is said to somebody who speaks plain text; None lets them in.
        noted: Told of each connection.
        bounds: Limits.
    """

    def __init__(
        self,
        context: Callable[[], ssl.SSLContext],
        turned_away: bytes | None,
        noted: Callable[[Arrival], None],
        bounds: Bounds | None = None,
    ) -> None:
        self.context = context
        self.turned_away = turned_away
        self.noted = noted
        self.bounds = bounds or Bounds()

    async def open(self, behind: Behind, host: str | None, port: int, backlog: int) -> Opened:
        """Opens a port, as `doors.Door.open`."""
        return _TlsPort(self, behind, _listening(host, port, backlog))


class _TlsPort:
    def __init__(self, door: TlsDoor, behind: Behind, listening: socket.socket) -> None:
        self._door = door
        self._behind = behind
        self._listening = listening
        self._loop = asyncio.get_running_loop()
        self._greeted: dict[asyncio.Task[None], None] = {}
        self._pause: asyncio.TimerHandle | None = None
        self._number = int(listening.getsockname()[1])
        self._open = True
        self._loop.add_reader(listening.fileno(), self._accept)

    @property
    def port(self) -> int:
        return self._number

    def close(self) -> None:
        if self._open:
            self._open = False
            self._loop.remove_reader(self._listening.fileno())
            if self._pause is not None:
                self._pause.cancel()
            self._listening.close()

    async def settled(self) -> None:
        if self._greeted:
            await asyncio.wait(self._greeted)

    def abort(self) -> None:
        self.close()
        for task in list(self._greeted):
            task.cancel()

    def _accept(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                connection, _address = self._listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._rest(error)
                return
            connection.setblocking(False)
            self._greet(connection)

    def _rest(self, error: OSError) -> None:
        """Waits for descriptors: the port stays readable, and the loop would do nothing else."""
        _log.warning("tls.accept_failed", extra={"why": str(error)})
        self._loop.remove_reader(self._listening.fileno())
        self._pause = self._loop.call_later(
            _EXHAUSTED_S, lambda: self._loop.add_reader(self._listening.fileno(), self._accept)
        )

    def _greet(self, connection: socket.socket) -> None:
        if len(self._greeted) >= self._door.bounds.greeted:
            oldest = next(iter(self._greeted))
            # Out of the count at once: its end comes in a later turn.
            del self._greeted[oldest]
            oldest.cancel()
            self._door.noted(Arrival.CROWDED_OUT)
        task = self._loop.create_task(self._let_in(connection))
        self._greeted[task] = None
        task.add_done_callback(lambda task: self._greeted.pop(task, None))

    async def _let_in(self, connection: socket.socket) -> None:
        door = self._door
        try:
            async with asyncio.timeout(door.bounds.greeting_s):
                door.noted(await self._arrive(connection))
        except TimeoutError:
            door.noted(Arrival.TIMED_OUT)
        except OSError:  # of TLS, too
            door.noted(Arrival.FAILED)

    async def _arrive(self, connection: socket.socket) -> Arrival:
        try:
            first = await _peek(self._loop, connection)
        except BaseException:
            connection.close()
            raise
        if first == _HANDSHAKE:
            await self._shake_hands(connection)
            return Arrival.LET_IN
        if first and self._door.turned_away is None:
            await self._loop.connect_accepted_socket(self._behind, connection)
            return Arrival.PLAIN
        with connection:
            if not first:
                return Arrival.LEFT
            await _say(self._loop, connection, self._door.turned_away or b"")
            return Arrival.REFUSED

    async def _shake_hands(self, connection: socket.socket) -> None:
        bounds = self._door.bounds
        await self._loop.connect_accepted_socket(
            lambda: _Entrance(self._behind),
            connection,
            ssl=self._door.context(),
            ssl_handshake_timeout=bounds.greeting_s,
            ssl_shutdown_timeout=bounds.farewell_s,
        )


class _Entrance(asyncio.Protocol):
    """Makes the protocol behind when the handshake is complete, so that nothing is spent on clients that never do."""

    def __init__(self, behind: Behind) -> None:
        self._behind = behind

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        protocol = self._behind()
        cast("asyncio.Transport", transport).set_protocol(protocol)
        protocol.connection_made(transport)


async def _peek(loop: asyncio.AbstractEventLoop, connection: socket.socket) -> bytes:
    """Returns the first byte and leaves it there; nothing where the client has gone."""
    while True:
        try:
            return connection.recv(1, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            await _readable(loop, connection)


async def _readable(loop: asyncio.AbstractEventLoop, connection: socket.socket) -> None:
    ready: asyncio.Future[None] = loop.create_future()

    def woken() -> None:
        if not ready.done():
            ready.set_result(None)

    loop.add_reader(connection.fileno(), woken)
    try:
        await ready
    finally:
        loop.remove_reader(connection.fileno())


async def _say(loop: asyncio.AbstractEventLoop, connection: socket.socket, last_words: bytes) -> None:
    """Sends something, and takes what comes for a moment: bytes left unread would destroy what was sent."""
    connection.recv(_TAKEN)
    connection.send(last_words)
    connection.shutdown(socket.SHUT_WR)
    try:
        async with asyncio.timeout(_LAST_WORDS_S):
            while True:
                await _readable(loop, connection)
                if not connection.recv(_TAKEN):
                    return
    except (TimeoutError, BlockingIOError):
        return


def _listening(host: str | None, port: int, backlog: int) -> socket.socket:
    """Returns a socket that listens; without a host on all addresses, of IPv4 and where there is one of IPv6."""
    if host is None and socket.has_dualstack_ipv6():
        listening = socket.create_server(("", port), family=socket.AF_INET6, backlog=backlog, dualstack_ipv6=True)
    else:
        family = socket.AF_INET6 if host and ":" in host else socket.AF_INET
        listening = socket.create_server((host or "", port), family=family, backlog=backlog)
    listening.setblocking(False)
    return listening
