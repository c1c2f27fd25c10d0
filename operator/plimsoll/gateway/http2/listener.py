"""The gRPC port: from its opening to its end."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

from plimsoll.gateway.doors import Door, Opened, PlainDoor
from plimsoll.gateway.http2.client_connection import ClientConnection
from plimsoll.gateway.http2.connection import as_protocol
from plimsoll.gateway.http2.deadlines import SLOT_S
from plimsoll.gateway.http2.switchboard import Switchboard

_BACKLOG: Final = 1024


class GrpcListener:
    """Accepts clients, and keeps the time of everything behind the port.

    Args:
        board: What the connections share.
        tick_s: How often connections are looked after, in seconds.
        door: What connections come through; a plain one where None.
    """

    def __init__(self, board: Switchboard, *, tick_s: float = 1.0, door: Door | None = None) -> None:
        self._board = board
        self._tick_s = tick_s
        self._door = door or PlainDoor()
        self._opened: Opened | None = None
        self._timekeeper: asyncio.Task[None] | None = None

    async def start(self, host: str | None, port: int) -> int:
        """Opens the port and returns its number.

        Args:
            host: Address to listen on; all where None.
            port: 0 for any free one.
        """
        loop = asyncio.get_running_loop()
        self._opened = await self._door.open(lambda: as_protocol(ClientConnection(self._board)), host, port, _BACKLOG)
        self._timekeeper = loop.create_task(self._keep_time())
        return self._opened.port

    async def drain(self, deadline_s: float) -> None:
        """Takes no new connections, asks clients to go, and waits for their calls; then ends what is left.

        Args:
            deadline_s: For the calls that are under way.
        """
        if self._opened is not None:
            self._opened.close()
        self._dismiss()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(deadline_s):
                if self._opened is not None:
                    await self._opened.settled()
                    self._dismiss()
                await self._board.deserted.wait()
        await self.close()

    async def close(self) -> None:
        """Ends everything at once."""
        if self._opened is not None:
            self._opened.abort()
            await self._opened.settled()
        await self._board.close()
        if self._timekeeper is not None:
            self._timekeeper.cancel()
            await asyncio.gather(self._timekeeper, return_exceptions=True)
            self._timekeeper = None

    def _dismiss(self) -> None:
        for client in list(self._board.clients):
            client.drain()
        self._board.outbox.flush()

    async def _keep_time(self) -> None:
        ticked = self._board.clock()
        while True:
            await asyncio.sleep(SLOT_S)
            now = self._board.clock()
            self._board.expire(now)
            if now - ticked >= self._tick_s:
                ticked = now
                self._board.tick(now)
