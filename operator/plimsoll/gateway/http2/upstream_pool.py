"""The connections to one model pod: few, warm, and another one when they are full."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from plimsoll.gateway.http2.attempts import Attempts
from plimsoll.gateway.http2.call import Call
from plimsoll.gateway.http2.upstream_connection import UpstreamConnection
from plimsoll.gateway.targets import EndpointTarget

if TYPE_CHECKING:
    from plimsoll.gateway.http2.switchboard import Switchboard


class UpstreamPool:
    """Finds a stream for each call, or lets it wait for one.

    Attributes:
        connections: Those that are connected or about to be.
    """

    __slots__ = ("_board", "_connecting", "_endpoint", "_gone", "_waiting", "connections")

    def __init__(self, board: Switchboard, endpoint: EndpointTarget) -> None:
        self._board = board
        self._endpoint = endpoint
        self._waiting: dict[Attempts, None] = {}
        self._connecting: asyncio.Task[None] | None = None
        self._gone = False
        self.connections: list[UpstreamConnection] = []
        endpoint.on_gone.append(self.leave)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left of it."""
        return not self.connections and not self._waiting and self._connecting is None

    def submit(self, exchange: Attempts) -> None:
        """Opens a stream for the call, now or when one is free."""
        if self._gone:
            exchange.not_processed()
            return
        if not self._waiting:
            for connection in self.connections:
                if connection.takes_calls:
                    connection.open(exchange)
                    return
        self._waiting[exchange] = None
        self._grow()

    def withdraw(self, call: Call) -> None:
        """Forgets a call that waits."""
        if isinstance(call, Attempts):
            self._waiting.pop(call, None)

    def ready(self, connection: UpstreamConnection) -> None:
        """Gives a connection what waits."""
        waiting = self._waiting
        while waiting and connection.takes_calls:
            exchange = next(iter(waiting))
            del waiting[exchange]
            connection.open(exchange)

    def shrunk(self) -> None:
        """A connection takes no more calls: what waits may need another one."""
        if self._waiting:
            self._grow()

    def lost(self, connection: UpstreamConnection) -> None:
        """A connection is no more."""
        if connection in self.connections:
            self.connections.remove(connection)
        self.shrunk()
        self._board.pool_shrank(self._endpoint)

    def leave(self) -> None:
        """The pod takes no new calls: connections close when they are idle, and what waits goes elsewhere."""
        self._gone = True
        waiting, self._waiting = list(self._waiting), {}
        for exchange in waiting:
            exchange.not_processed()
        for connection in list(self.connections):
            connection.drain()
        self._board.outbox.flush()
        self._board.pool_shrank(self._endpoint)

    async def close(self) -> None:
        """Ends everything at once."""
        self._gone = True
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.gather(self._connecting, return_exceptions=True)
        for connection in list(self.connections):
            connection.close()

    def _grow(self) -> None:
        alive = [connection for connection in self.connections if not connection.draining]
        if self._connecting is None and len(alive) < self._board.limits.upstream_connections:
            self._connecting = asyncio.get_running_loop().create_task(self._connect())

    async def _connect(self) -> None:
        connection = UpstreamConnection(self._board, self)
        reason = ""
        try:
            async with asyncio.timeout(self._board.limits.connect_s):
                await self._board.connect(connection, self._endpoint.endpoint)
                self.connections.append(connection)
                await connection.usable.wait()
                reason = "it closed the connection" if connection.closing else ""
        except (OSError, TimeoutError) as error:
            reason = str(error) or "it did not answer in time"
        self._connecting = None
        if reason:
            connection.close()
            if connection in self.connections:
                self.connections.remove(connection)
            self._failed(reason)
        elif self._gone:
            connection.drain()
        elif self._waiting:
            self._grow()
        self._board.outbox.flush()
        self._board.pool_shrank(self._endpoint)

    def _failed(self, reason: str) -> None:
        """No connection: what waits fails, unless another connection will serve it."""
        if any(not connection.draining and not connection.closing for connection in self.connections):
            return
        waiting, self._waiting = list(self._waiting), {}
        for exchange in waiting:
            exchange.broken(f"The model pod {self._endpoint.endpoint.pod} could not be reached: {reason}.")
