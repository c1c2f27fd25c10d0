"""Where the controller reads the records: two paths of the admin port.

The stream never holds the gateway up. Its lines wait in a buffer of a fixed size; a reader who lets it fill up is sent
away, and sees by the numbers of the cuts, when it comes back, that something is missing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from aiohttp import web

from plimsoll.core import tokens
from plimsoll.core.kill_switch.switch import Trip
from plimsoll.core.records.record import Hello
from plimsoll.core.records.wire import encode_hello
from plimsoll.core.routing.table import RouteTable
from plimsoll.gateway.cutting import Cutter
from plimsoll.gateway.recordings import Clocks, Recordings

_log = logging.getLogger(__name__)

MAX_WAITING_BYTES = 1024 * 1024
"""Of lines that are made and not written. A second of a gateway with 3 busy revisions is 5 KB."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who this gateway is.

    Attributes:
        boot: Random, new with every start.
        pod: Name of its pod.
        pod_uid: Whom a token has to be for.
        version: Of the program.
        controller_key: The controller's public key, in base64url.
    """

    boot: str
    pod: str
    pod_uid: str
    version: str
    controller_key: str


class RecordStream:
    """One stream at a time: a newer one takes over, for its reader is the newer leader.

    Args:
        identity: Who this gateway is.
        recordings: What the stream is about.
        clocks: Time.
        trusted: Called when a stream opens with a valid token: a live controller knows this start of the gateway.
        in_flight, trips: As the `Cutter` takes them.

    Raises:
        ValueError: the controller's key is none.
    """

    def __init__(
        self,
        identity: Identity,
        recordings: Recordings,
        clocks: Clocks,
        trusted: Callable[[], None],
        in_flight: Callable[[], Mapping[str, Mapping[str, int]]] = dict,
        trips: Callable[[], Mapping[str, Trip]] = dict,
    ) -> None:
        tokens.refusal("", identity.controller_key, identity.pod_uid, 0)  # a wrong key is to be told at the start
        self._identity = identity
        self._clocks = clocks
        self._trusted = trusted
        self._cutter = Cutter(recordings, clocks, self._offer, in_flight, trips)
        self._reader: _Reader | None = None
        self._hello = encode_hello(Hello(identity.boot, identity.pod, identity.version))

    def routes(self) -> list[web.RouteDef]:
        """Returns the paths to be served."""
        # No HEAD: it would take the stream over and read nothing.
        return [web.get("/v1/hello", self._say_hello), web.get("/v1/records", self._stream, allow_head=False)]

    def follow(self, table: RouteTable, acknowledged: Mapping[str, int]) -> None:
        """Takes a new table, and the epochs to acknowledge within a quarter of a second, by uid."""
        self._cutter.follow(table, acknowledged)

    def trip(self) -> None:
        """Tells at once what happened."""
        self._cutter.trip()

    async def run(self) -> None:
        """Cuts records until cancelled, read or not."""
        await self._cutter.run()

    def close(self) -> None:
        """Sends the reader away; call it when the port closes, which else waits for it."""
        self._replace(None, "the gateway stops")

    @property
    def is_read(self) -> bool:
        """A controller is connected."""
        return self._reader is not None

    def _offer(self, line: bytes) -> None:
        reader = self._reader
        if reader and not reader.offer(line):
            self._replace(None, "it reads too slowly")

    def _replace(self, reader: _Reader | None, why: str) -> None:
        former, self._reader = self._reader, reader
        if former:
            _log.info("record_stream.closed", extra={"why": why})
            former.close()

    async def _say_hello(self, _: web.Request) -> web.Response:
        return web.Response(body=self._hello, content_type="application/json")

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        why = self._refusal(request.headers.get("Authorization", ""))
        if why:
            _log.warning("record_stream.refused", extra={"why": why})
            return web.Response(status=401, text=f"a token is needed: {why}\n", headers={"WWW-Authenticate": "Bearer"})
        reader = _Reader(request.transport)
        reader.offer(self._hello)
        self._replace(reader, "another reader took over")
        self._cutter.begin()
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson", "Cache-Control": "no-store"})
        try:
            await response.prepare(request)
            self._trusted()
            while lines := await reader.lines():
                await response.write(lines)
        except OSError:
            pass  # it went away, or was sent away; either way it may come again
        finally:
            if self._reader is reader:
                self._reader = None
        return response

    def _refusal(self, authorization: str) -> str | None:
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            return "there is none"
        identity = self._identity
        return tokens.refusal(token, identity.controller_key, identity.pod_uid, self._clocks.wall())


class _Reader:
    """What one reader has yet to get."""

    def __init__(self, transport: asyncio.Transport | None) -> None:
        self._transport = transport
        self._lines: list[bytes] = []
        self._size = 0
        self._closed = False
        self._news = asyncio.Event()

    def offer(self, line: bytes) -> bool:
        """Keeps a line until it can be written; returns whether there was room."""
        if self._size + len(line) > MAX_WAITING_BYTES:
            return False
        self._lines.append(line)
        self._size += len(line)
        self._news.set()
        return True

    async def lines(self) -> bytes:
        """Waits for lines and takes all of them; returns nothing when it is over."""
        await self._news.wait()
        if self._closed:
            return b""
        taken = b"".join(self._lines)
        self._lines.clear()
        self._size = 0
        self._news.clear()
        return taken

    def close(self) -> None:
        """Ends the stream, in the middle of a write too."""
        self._closed = True
        self._news.set()
        if self._transport:
            self._transport.abort()
