"""Connections to model servers, kept for reuse: per endpoint the last one that became free is the next one taken."""

from __future__ import annotations

import asyncio
from typing import Protocol, cast

from typing_extensions import override

from plimsoll.core.routing.headers import REVISION_HEADER
from plimsoll.gateway.http1.limits import Limits
from plimsoll.gateway.http1.upstream import Home, UpstreamConnection
from plimsoll.gateway.targets import EndpointTarget


class Waiting(Protocol):
    """Who asked for a connection. The ticket tells which of its wishes it was."""

    def connected(self, connection: UpstreamConnection, ticket: int) -> bool:
        """Takes a new connection; returns False when it is no longer wanted."""

    def not_connected(self, why: str, ticket: int) -> None:
        """There is none."""


class Pool(Home):
    """Connections to one endpoint, which belongs to a revision."""

    __slots__ = ("_connecting", "_endpoint", "_idle", "_limits", "_open")

    def __init__(self, endpoint: EndpointTarget, revision: str, limits: Limits) -> None:
        super().__init__(f"{REVISION_HEADER}: {revision}\r\n".encode())
        self._endpoint = endpoint
        self._limits = limits
        self._idle: list[UpstreamConnection] = []
        self._open: set[UpstreamConnection] = set()
        self._connecting: set[asyncio.Task[None]] = set()

    def take(self) -> UpstreamConnection | None:
        """Returns an idle connection; None where there is none."""
        idle = self._idle
        while idle:
            connection = idle.pop()
            if not connection.closed:
                return connection
        return None

    def connect(self, waiting: Waiting, ticket: int) -> None:
        """Makes a new connection for `waiting`."""
        task = asyncio.get_running_loop().create_task(self._connect(waiting, ticket))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    @override
    def release(self, connection: UpstreamConnection) -> None:
        """Takes a connection back that is free again."""
        if self._endpoint.gone:
            connection.close()
        else:
            self._idle.append(connection)

    @override
    def lost(self, connection: UpstreamConnection) -> None:
        """Forgets a connection that has ended."""
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)

    def sweep(self) -> None:
        """Closes what has been idle for too long."""
        most = self._limits.upstream_idle_s / self._limits.sweep_s
        for connection in self._idle:
            connection.unused_sweeps += 1
        while self._idle and self._idle[0].unused_sweeps > most:
            self._idle.pop(0).close()

    def close_idle(self) -> None:
        """Closes what is idle; the others close when they are released."""
        while self._idle:
            self._idle.pop().close()

    def close(self) -> list[asyncio.Task[None]]:
        """Ends everything at once; the caller awaits the returned tasks."""
        for connection in list(self._open):
            connection.close()
        tasks = list(self._connecting)
        for task in tasks:
            task.cancel()
        return tasks

    async def _connect(self, waiting: Waiting, ticket: int) -> None:
        endpoint = self._endpoint.endpoint
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._limits.connect_s):
                _, made = await loop.create_connection(self._make, endpoint.ip, self._limits.upstream_port)
        except TimeoutError:
            waiting.not_connected(f"no connection within {self._limits.connect_s:g} s", ticket)
        except OSError as failure:
            waiting.not_connected(f"no connection ({failure.strerror or failure})", ticket)
        else:
            self._hand_over(cast("UpstreamConnection", made), waiting, ticket)

    def _make(self) -> asyncio.Protocol:
        return cast("asyncio.Protocol", UpstreamConnection(self, self._limits))

    def _hand_over(self, connection: UpstreamConnection, waiting: Waiting, ticket: int) -> None:
        if connection.closed:
            waiting.not_connected("the connection ended at once", ticket)
            return
        self._open.add(connection)
        if not waiting.connected(connection, ticket):
            self.release(connection)


class Pools:
    """The pools of all endpoints."""

    __slots__ = ("_limits", "_of")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._of: dict[EndpointTarget, Pool] = {}

    def of(self, endpoint: EndpointTarget, revision: str) -> Pool:
        """Returns the pool of an endpoint, which belongs to this revision."""
        pool = self._of.get(endpoint)
        if pool is None:
            pool = Pool(endpoint, revision, self._limits)
            if not endpoint.gone:  # Of one that is gone nobody would say so again.
                self._of[endpoint] = pool
                endpoint.on_gone.append(lambda: self._forget(endpoint))
        return pool

    def sweep(self) -> None:
        """Closes what has been idle for too long, everywhere."""
        for pool in self._of.values():
            pool.sweep()

    async def close(self) -> None:
        """Ends all connections at once."""
        tasks = [task for pool in self._of.values() for task in pool.close()]
        await asyncio.gather(*tasks, return_exceptions=True)

    def _forget(self, endpoint: EndpointTarget) -> None:
        self._of.pop(endpoint).close_idle()
