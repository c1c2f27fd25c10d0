"""The parts of a gateway as users get it."""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
import sys
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final, Protocol

import prometheus_client
from aiohttp import web

from plimsoll.core.routing.table import RouteTable
from plimsoll.gateway.asides import Asides
from plimsoll.gateway.cache.caches import Caches
from plimsoll.gateway.cache.memory import MemoryStore
from plimsoll.gateway.config import GatewayConfig, Self
from plimsoll.gateway.guards import Guards
from plimsoll.gateway.http1 import refusals as http1_refusals
from plimsoll.gateway.http1.listener import Listener as HttpListener
from plimsoll.gateway.http2 import refusals as http2_refusals
from plimsoll.gateway.http2.listener import GrpcListener
from plimsoll.gateway.http2.switchboard import Switchboard
from plimsoll.gateway.inspection import Inspections
from plimsoll.gateway.kill_switches import KillSwitches
from plimsoll.gateway.kinds import Kinds
from plimsoll.gateway.parts import Listener, Parts
from plimsoll.gateway.record_stream import Identity, RecordStream
from plimsoll.gateway.recordings import Clocks, Recordings
from plimsoll.gateway.request_log import RequestLog
from plimsoll.gateway.routes import Routes
from plimsoll.gateway.shadows import Shadows
from plimsoll.gateway.targets import Targets
from plimsoll.gateway.tls import Application
from plimsoll.gateway.warmth import KeepWarm
from plimsoll.monitoring.aside_metrics import AsideMetrics, WarmthFigures
from plimsoll.monitoring.gateway_metrics import RequestMetrics
from plimsoll.monitoring.guard_metrics import GuardMetrics
from plimsoll.monitoring.inspection_metrics import InspectionMetrics
from plimsoll.monitoring.kill_switch_metrics import KillSwitchMetrics
from plimsoll.version import VERSION

if TYPE_CHECKING:
    from plimsoll.gateway.cache.remote.store import RemoteStore

_log = logging.getLogger(__name__)

_TOSS: Final = random.Random().random  # noqa: S311 - which hits are computed again is no secret
_KEY_BYTES: Final = 16
_CLOCKS = Clocks(monotonic=time.monotonic, wall=time.time, cpu=time.process_time)


class Assembly:
    """Puts the parts together; each is made when the process asks for it.

    Args:
        me: The pod that this process is.
        config: Its settings.
    """

    def __init__(self, me: Self, config: GatewayConfig) -> None:
        self._me = me
        totals = RequestMetrics()
        prometheus_client.REGISTRY.register(totals)
        self._log = RequestLog(config.access_log, _print, time.time, _TOSS) if config.access_log else None
        self._recordings = Recordings(_CLOCKS, totals, self._log)
        self._stream: RecordStream | None = None
        self._guards = Guards(config)
        if config.tls or config.keys:
            prometheus_client.REGISTRY.register(GuardMetrics(self._guards.figures))
        self._asides = Asides()
        self._shadows = Shadows(
            self._asides, lambda: secrets.token_bytes(_KEY_BYTES), self._recordings.of, time.monotonic
        )
        self._remote = _remote(config)
        remote_of = self._remote.of if self._remote is not None else None
        caches = Caches(lambda most: MemoryStore(most, time.monotonic), _TOSS, _mismatched, remote_of)
        self._inspections = Inspections(caches)
        self._inspections.copy_to(self._shadows)
        self._kinds: Kinds | None = None
        self._warmth: KeepWarm | None = None
        prometheus_client.REGISTRY.register(InspectionMetrics(self._inspections.figures))
        prometheus_client.REGISTRY.register(AsideMetrics(self._shadows.figures, self._warmed))
        self._switches = KillSwitches(time.monotonic)
        prometheus_client.REGISTRY.register(KillSwitchMetrics(self._switches.figures))

    def parts(self) -> Parts:
        """Returns the makers."""
        guards = self._guards
        return Parts(
            self._listeners,
            self._recordings.of,
            self._inspections,
            self._switches,
            self._admin,
            self._work,
            self._close,
            guards.prepared,
            guards.unready,
        )

    def _listeners(self, targets: Targets, config: GatewayConfig) -> Sequence[Listener]:
        guards = self._guards
        http = HttpListener(
            targets, door=guards.door(Application.HTTP1, http1_refusals.TLS_WANTED), access=guards.access
        )
        board = Switchboard(targets, time.monotonic, access=guards.access)
        grpc = GrpcListener(board, door=guards.door(Application.HTTP2, http2_refusals.TLS_WANTED))
        return _OnPort(http, config.http_port), _OnPort(grpc, config.grpc_port)

    def _admin(self, boot: str, routes: Routes) -> Sequence[web.AbstractRouteDef]:
        identity = Identity(boot, self._me.pod, self._me.uid, VERSION, self._me.controller_key)
        targets = routes.book.targets
        stream = self._stream = RecordStream(
            identity, self._recordings, _CLOCKS, routes.book.trust, targets.in_flight, self._switches.trips
        )
        self._switches.told = stream.trip
        routes.subscribe(lambda: stream.follow(_table(targets), routes.book.acknowledged))
        self._kinds = Kinds(targets, self._inspections, self._asides)
        self._warmth = KeepWarm(targets, self._asides, self._me.pod, time.time, self._inspections.stateful)
        return stream.routes()

    async def _work(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._guards.run(), name="guards")
                group.create_task(self._switches.run(), name="kill-switches")
                if self._remote is not None:
                    group.create_task(self._remote.run(), name="remote-cache")
                if self._stream:
                    group.create_task(self._stream.run(), name="records")
                if self._kinds:
                    group.create_task(self._kinds.run(), name="kinds")
                if self._warmth:
                    group.create_task(self._warmth.run(), name="keep-warm")
                if self._log is not None:
                    group.create_task(self._log.run(), name="request-log")
        finally:
            await self._shadows.aclose()
            await self._asides.aclose()

    def _warmed(self) -> Iterable[WarmthFigures]:
        return self._warmth.figures() if self._warmth else ()

    def _close(self) -> None:
        if self._stream:
            self._stream.close()


class _Opens(Protocol):
    async def start(self, host: str | None, port: int) -> int: ...

    async def drain(self, deadline_s: float) -> None: ...


class _OnPort:
    """A server on one port of all addresses of the pod."""

    def __init__(self, server: _Opens, port: int) -> None:
        self._server = server
        self._port = port

    async def start(self) -> None:
        await self._server.start(None, self._port)

    async def drain(self, deadline_s: float) -> None:
        await self._server.drain(deadline_s)


def _remote(config: GatewayConfig) -> RemoteStore | None:
    """Returns the store that gateways share; what it is made of is loaded only here."""
    if config.redis is None:
        return None
    from plimsoll.gateway.cache.remote.store import RemoteStore  # noqa: PLC0415
    from plimsoll.monitoring.remote_cache_metrics import RemoteCacheMetrics  # noqa: PLC0415

    store = RemoteStore(config.redis)
    prometheus_client.REGISTRY.register(RemoteCacheMetrics(store.figures))
    return store


def _print(lines: bytes) -> None:
    sys.stdout.buffer.write(lines)
    sys.stdout.buffer.flush()


def _mismatched(model: str) -> None:
    _log.error("cache.mismatched", extra={"model": model})


def _table(targets: Targets) -> RouteTable:
    """Returns the routes that targets follow."""
    return RouteTable({name: target.route for name, target in targets.models.items()})
