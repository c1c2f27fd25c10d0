"""How a port is opened: what stands between an accepted connection and the protocol behind it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

Behind = Callable[[], asyncio.Protocol]
"""Makes the protocol of a connection that has been let in."""


class Opened(Protocol):
    """An open port."""

    @property
    def port(self) -> int:
        """Its number."""

    def close(self) -> None:
        """Takes no new connections."""

    async def settled(self) -> None:
        """Returns when every connection that was taken has been let in or turned away."""

    def abort(self) -> None:
        """Takes no new connections, and turns away those that have not been let in."""


class Door(Protocol):
    """Opens ports."""

    async def open(self, behind: Behind, host: str | None, port: int, backlog: int) -> Opened:
        """Opens a port on all addresses where `host` is None; `port` 0 is any that is free.

        Raises:
            OSError: It is taken.
        """


class PlainDoor:
    """Lets everybody in at once."""

    async def open(self, behind: Behind, host: str | None, port: int, backlog: int) -> Opened:
        """Opens a port, as `Door.open`."""
        loop = asyncio.get_running_loop()
        return _PlainPort(await loop.create_server(behind, host, port, backlog=backlog))


class _PlainPort:
    def __init__(self, server: asyncio.Server) -> None:
        self._server = server

    @property
    def port(self) -> int:
        return int(self._server.sockets[0].getsockname()[1])

    def close(self) -> None:
        self._server.close()

    async def settled(self) -> None:
        """There is nothing to wait for."""

    def abort(self) -> None:
        self._server.close()
