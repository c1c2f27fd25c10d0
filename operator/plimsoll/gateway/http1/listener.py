"""Accepts clients, looks at everybody's deadline, and ends without losing a request."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from time import monotonic
from typing import cast

from plimsoll.gateway.access import Access
from plimsoll.gateway.doors import Door, Opened, PlainDoor
from plimsoll.gateway.http1.client import ClientConnection
from plimsoll.gateway.http1.limits import Limits
from plimsoll.gateway.http1.shared import Meter, Shared, Uncounted
from plimsoll.gateway.targets import Targets

_BACKLOG = 4096


class Listener:
    """The HTTP/1.1 side of a gateway.

    Args:
        targets: Where requests go.
        limits: Every bound.
        meter: Counts for people.
        door: What connections come through; a plain one where None.
        access: Whose requests are let in; everybody's where None.
    """

    def __init__(
        self,
        targets: Targets,
        limits: Limits | None = None,
        meter: Meter | None = None,
        *,
        door: Door | None = None,
        access: Access | None = None,
    ) -> None:
        self._shared = Shared(targets, limits or Limits(), meter or Uncounted(), access)
        self._clients: set[ClientConnection] = set()
        self._door = door or PlainDoor()
        self._opened: Opened | None = None
        self._sweep: asyncio.TimerHandle | None = None
        self._drained = asyncio.Event()

    @property
    def connections(self) -> int:
        """Client connections that are open."""
        return len(self._clients)

    async def start(self, host: str | None, port: int) -> int:
        """Listens, on all addresses where `host` is None, and returns the port, which differs where 0 was asked for."""
        loop = asyncio.get_running_loop()
        self._opened = await self._door.open(self._accept, host, port, _BACKLOG)
        self._sweep = loop.call_later(self._shared.limits.sweep_s, self._look, loop)
        return self._opened.port

    async def drain(self, deadline_s: float) -> None:
        """Takes no new connection, lets every request end, and closes; after `deadline_s` what is left is cut off.

        A client that uses its connection learns from its next answer that it ends. One that is idle is closed only
        after a while, because a request may be on its way.
        """
        if self._opened is not None:
            self._opened.close()
        self._shared.draining = True
        for client in self._clients:
            client.drain(monotonic())
        with suppress(TimeoutError):
            async with asyncio.timeout(deadline_s):
                if self._opened is not None:
                    await self._opened.settled()
                self._drained.clear()
                await self._drained.wait()
        await self.close()

    async def close(self) -> None:
        """Ends everything at once."""
        if self._opened is not None:
            self._opened.abort()
            await self._opened.settled()
        if self._sweep is not None:
            self._sweep.cancel()
        for client in self._clients:
            client.abort()
        await self._shared.pools.close()
        # The event loop tells connections of their end, and frees the sockets, in its next rounds.
        for _ in range(3):
            await asyncio.sleep(0)

    def _accept(self) -> asyncio.Protocol:
        return cast("asyncio.Protocol", ClientConnection(self._shared, self._clients))

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """Finds deadlines that have passed: one timer for all connections costs less than one for each request."""
        now = monotonic()
        for client in [client for client in self._clients if client.deadline <= now]:
            client.expire(now)
        self._shared.pools.sweep()
        if self._shared.draining and not self._clients:
            self._drained.set()
        self._sweep = loop.call_later(self._shared.limits.sweep_s, self._look, loop)
