"""The HTTP port by which a process is watched: liveness, readiness, metrics, and what it adds of its own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from plimsoll.monitoring.metrics import LOOP_LAG_SECONDS

_BEAT_S = 1.0
_DEAD_AFTER_S = 30.0
"""A loop that has not turned for this long will not turn again."""
_PATIENCE_S = 1.0
"""Longest wait for open requests at the end: nobody is served here but those who watch."""


class Heartbeat:
    """Proves that the event loop turns. Liveness knows nothing else: an API outage is no reason to lose the caches."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    async def run(self) -> None:
        """Beats until cancelled."""
        while True:
            await asyncio.sleep(_BEAT_S)
            now = time.monotonic()
            LOOP_LAG_SECONDS.set(max(0.0, now - self._last - _BEAT_S))
            self._last = now

    def alive(self) -> bool:
        """Tells whether the loop turned lately."""
        return time.monotonic() - self._last < _DEAD_AFTER_S


async def serve_health(
    port: int,
    alive: Callable[[], bool],
    unready: Callable[[], str],
    refresh: Callable[[], None],
    routes: Iterable[web.AbstractRouteDef] = (),
) -> web.AppRunner:
    """Starts the port and returns its runner, to be cleaned up at the end.

    Args:
        port: TCP port on all addresses.
        alive: The process is worth keeping.
        unready: Why it is not ready; empty when it is.
        refresh: Called before metrics are read.
        routes: What is served beside it.

    Raises:
        OSError: The port is taken.
    """
    app = web.Application()
    app.add_routes([*_watched(alive, unready, refresh), *routes])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_PATIENCE_S)
    await runner.setup()
    try:
        await web.TCPSite(runner, port=port).start()
    except OSError:
        await runner.cleanup()
        raise
    return runner


def _watched(
    alive: Callable[[], bool], unready: Callable[[], str], refresh: Callable[[], None]
) -> list[web.AbstractRouteDef]:
    async def livez(_: web.Request) -> web.Response:
        return web.Response(text="ok\n") if alive() else web.Response(status=500, text="the event loop does not turn\n")

    async def readyz(_: web.Request) -> web.Response:
        why = unready()
        return web.Response(status=503, text=f"{why}\n") if why else web.Response(text="ok\n")

    async def metrics(_: web.Request) -> web.Response:
        refresh()
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return [web.get("/livez", livez), web.get("/readyz", readyz), web.get("/metrics", metrics)]
