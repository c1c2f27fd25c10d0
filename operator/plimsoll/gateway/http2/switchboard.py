"""What the connections of a gateway share: routes, limits, the clock, the pools of upstream connections."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from plimsoll.core.names import GRPC_PORT
from plimsoll.core.records.grpc_status import Status
from plimsoll.core.routing.table import Endpoint
from plimsoll.gateway.access import Access
from plimsoll.gateway.http2 import refusals
from plimsoll.gateway.http2.call import Call
from plimsoll.gateway.http2.connection import Connection, Outbox, as_protocol
from plimsoll.gateway.http2.deadlines import Wheel
from plimsoll.gateway.http2.limits import Limits
from plimsoll.gateway.http2.replay import ReplayBudget
from plimsoll.gateway.http2.upstream_pool import UpstreamPool
from plimsoll.gateway.http2.violations import ErrorCode
from plimsoll.gateway.targets import EndpointTarget, RevisionTarget, Targets

if TYPE_CHECKING:
    from plimsoll.gateway.http2.client_connection import ClientConnection
    from plimsoll.gateway.http2.upstream_connection import UpstreamConnection

_WAYS_KEPT = 1024

Connect = Callable[["UpstreamConnection", Endpoint], Awaitable[None]]


@dataclass(slots=True)
class Counters:
    """For metrics: what the records of revisions do not say.

    Attributes:
        refused: Calls that the gateway answered itself, by status.
        failures: Client connections that were ended, by error code.
        second_attempts: Calls that were sent a second time.
        unprocessed: Calls that a pod refused unseen, and that went to another connection.
    """

    refused: Counter[Status] = field(default_factory=Counter)
    failures: Counter[ErrorCode] = field(default_factory=Counter)
    second_attempts: int = 0
    unprocessed: int = 0


class Switchboard:
    """Shared by all connections of one event loop.

    Attributes:
        replay: Bytes held for second attempts, by all calls together.
        clients: Open client connections.
        deserted: Set while there is none.
    """

    __slots__ = (
        "_pools",
        "_ways",
        "access",
        "clients",
        "clock",
        "connect",
        "counters",
        "deserted",
        "limits",
        "outbox",
        "replay",
        "targets",
        "wheel",
    )

    def __init__(
        self,
        targets: Targets,
        clock: Callable[[], float],
        limits: Limits | None = None,
        connect: Connect | None = None,
        access: Access | None = None,
    ) -> None:
        """Makes one.

        Args:
            targets: The routes, which change underneath.
            clock: Monotonic, in seconds.
            limits: The default ones where None.
            connect: Connects to a pod; over plain TCP to its gRPC port where None.
            access: Whose calls are let in; everybody's where None.
        """
        self.targets = targets
        self.clock = clock
        self.limits = limits or Limits()
        self.connect = connect or _connect
        self.access = access
        self.outbox = Outbox()
        self.wheel: Wheel[Call] = Wheel(clock())
        self.counters = Counters()
        self.clients: set[ClientConnection] = set()
        self.deserted = asyncio.Event()
        self.deserted.set()
        self.replay = ReplayBudget(self.limits.replay_total)
        self._pools: dict[EndpointTarget, UpstreamPool] = {}
        self._ways: dict[tuple[str, int], bytes] = {}

    def came(self, client: ClientConnection) -> None:
        """Notes a client's connection."""
        self.clients.add(client)
        self.deserted.clear()

    def left(self, client: ClientConnection) -> None:
        """Forgets it."""
        self.clients.discard(client)
        if not self.clients:
            self.deserted.set()

    def pool_of(self, endpoint: EndpointTarget) -> UpstreamPool:
        """Returns the connections to a pod."""
        pool = self._pools.get(endpoint)
        if pool is None:
            pool = self._pools[endpoint] = UpstreamPool(self, endpoint)
        return pool

    def pool_shrank(self, endpoint: EndpointTarget) -> None:
        """Forgets the pool of a pod that is gone, when nothing is left of it."""
        pool = self._pools.get(endpoint)
        if endpoint.gone and pool is not None and pool.is_empty:
            del self._pools[endpoint]

    def connections(self) -> list[Connection]:
        """Returns all that are open, of both roles."""
        return [*self.clients, *(each for pool in self._pools.values() for each in pool.connections)]

    def about_the_way(self, revision: RevisionTarget | None, attempt: int) -> bytes:
        """Returns the encoded fields that say who answered."""
        key = (revision.route.name if revision is not None else "", attempt)
        way = self._ways.get(key)
        if way is None:
            if len(self._ways) >= _WAYS_KEPT:
                self._ways.clear()
            way = self._ways[key] = refusals.about_the_way(*key)
        return way

    def flush_soon(self) -> None:
        """Writes what a call collected that something else than its own connections woke: a timer, or another call."""
        asyncio.get_running_loop().call_soon(self.outbox.flush)

    def expire(self, now: float) -> None:
        """Ends the calls whose time is over."""
        for exchange in self.wheel.due(now):
            exchange.expired()
        self.outbox.flush()

    def tick(self, now: float) -> None:
        """Notices what did not happen in time, and who holds too much, on all connections."""
        connections = self.connections()
        for connection in connections:
            connection.tick(now)
        held = sum(connection.sender.held for connection in connections)
        for connection in sorted(connections, key=lambda each: -each.sender.held):
            if held <= self.limits.held_total:
                break
            held -= connection.sender.held
            connection.fail(ErrorCode.ENHANCE_YOUR_CALM, "Too many bytes wait for this receiver.")
        self.outbox.flush()

    async def close(self) -> None:
        """Ends all connections at once."""
        for client in list(self.clients):
            client.close()
        for pool in list(self._pools.values()):
            await pool.close()
        self.outbox.flush()
        await _rounds()
        for client in list(self.clients):  # over TLS the end of one waits for the client's word
            if client.transport is not None:
                client.transport.abort()
        await _rounds()


async def _rounds() -> None:
    """Lets the event loop write what was collected, tell connections of their end, and free their sockets."""
    for _ in range(3):
        await asyncio.sleep(0)


async def _connect(connection: UpstreamConnection, endpoint: Endpoint) -> None:
    loop = asyncio.get_running_loop()
    await loop.create_connection(lambda: as_protocol(connection), endpoint.ip, GRPC_PORT)
