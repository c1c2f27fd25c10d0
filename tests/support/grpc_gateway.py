"""The gateway's gRPC path in this process, before real gRPC servers: what tests and benchmarks of it start."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tests.support.looked import Looked
from tests.support.recorded import Recorded

from plimsoll.api.routing import Traffic
from plimsoll.core.cache.policy import CachePolicy
from plimsoll.core.routing.limits import RequestLimits
from plimsoll.core.routing.table import NO_SAY, Endpoint, ModelRoute, RevisionRoute, RouteTable
from plimsoll.core.validation.rules import Rules
from plimsoll.gateway.access import Access
from plimsoll.gateway.cache.store import Remote
from plimsoll.gateway.doors import Door
from plimsoll.gateway.http2.connection import as_protocol
from plimsoll.gateway.http2.limits import Limits
from plimsoll.gateway.http2.listener import GrpcListener
from plimsoll.gateway.http2.switchboard import Switchboard
from plimsoll.gateway.http2.upstream_connection import UpstreamConnection
from plimsoll.gateway.kill_switches import KillSwitches
from plimsoll.gateway.targets import Targets


@dataclass
class Gateway:
    """A running gateway.

    Attributes:
        address: `host:port` for clients.
        ports: Where each pod listens, by its name.
    """

    address: str
    board: Switchboard
    listener: GrpcListener
    ports: dict[str, int]
    recorders: dict[str, Recorded]
    looked: Looked
    switches: KillSwitches

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    def route(self, table: RouteTable) -> None:
        self.board.targets.apply(table)
        self.board.outbox.flush()

    def cut(self, pod: str) -> None:
        """Breaks the connections to a pod, as a host that dies does."""
        for connection in self.board.connections():
            transport = connection.transport
            if transport is not None and transport.get_extra_info("peername")[1] == self.ports[pod]:
                transport.abort()

    def record(self, revision: str) -> Recorded:
        return self.recorders[revision]

    @property
    def outstanding(self) -> int:
        revisions = [each for model in self.board.targets.models.values() for each in (model.stable, model.candidate)]
        return sum(endpoint.outstanding for each in revisions if each for endpoint in each.endpoints)


def revision(
    name: str, *pods: str, weight: int = 1000, rules: Rules | None = None, cacheable: bool = False
) -> RevisionRoute:
    endpoints = tuple(Endpoint(pod, "127.0.0.1") for pod in pods)
    return RevisionRoute(name, weight, endpoints, cacheable=cacheable, rules=rules)


def table(
    stable: RevisionRoute | None,
    candidate: RevisionRoute | None = None,
    *,
    model: str = "digits",
    epoch: int = 1,
    traffic: Traffic = Traffic.NORMAL,
    limits: RequestLimits = NO_SAY,
    cache: CachePolicy | None = None,
) -> RouteTable:
    return RouteTable({model: ModelRoute(model, "uid", epoch, traffic, stable, candidate, limits, cache)})


@asynccontextmanager
async def running_gateway(
    routes: RouteTable,
    ports: dict[str, int],
    limits: Limits | None = None,
    *,
    tick_s: float = 0.05,
    door: Door | None = None,
    access: Access | None = None,
    remote_of: Callable[[str], Remote] | None = None,
) -> AsyncIterator[Gateway]:
    """Serves these routes, whose pods listen on these ports of the loopback."""
    recorders: dict[str, Recorded] = {}

    async def connect(connection: UpstreamConnection, endpoint: Endpoint) -> None:
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: as_protocol(connection), endpoint.ip, ports[endpoint.pod])

    looked = Looked(remote_of)
    switches = KillSwitches(time.monotonic)
    targets = Targets(
        lambda _, revision: recorders.setdefault(revision, Recorded()),
        lambda: b"key",
        inspections=looked.inspections,
        switches=switches,
    )
    board = Switchboard(targets, time.monotonic, limits, connect, access)
    listener = GrpcListener(board, tick_s=tick_s, door=door)
    port = await listener.start("127.0.0.1", 0)
    gateway = Gateway(f"127.0.0.1:{port}", board, listener, ports, recorders, looked, switches)
    gateway.route(routes)
    try:
        yield gateway
    finally:
        await listener.close()
        assert looked.budget.held == 0


async def eventually(condition: Callable[[], bool], what: str) -> None:
    """Waits until something holds that takes a turn or two."""
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError(what)
