"""The controller's own HTTP port: liveness, readiness, metrics."""

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
    port: int, alive: Callable[[], bool], unsynced: Callable[[], Iterable[str]], refresh: Callable[[], None]
) -> web.AppRunner:
    """Starts the port and returns its runner, to be cleaned up at the end.

    Args:
        port: TCP port on all addresses.
        alive: The process is worth keeping.
        unsynced: Kinds whose cache is not filled yet; none means ready. A standby is ready.
        refresh: Called before metrics are read.
    """

    async def livez(_: web.Request) -> web.Response:
        return web.Response(text="ok\n") if alive() else web.Response(status=500, text="the event loop does not turn\n")

    async def readyz(_: web.Request) -> web.Response:
        waiting = ", ".join(unsynced())
        return web.Response(status=503, text=f"waiting for {waiting}\n") if waiting else web.Response(text="ok\n")

    async def metrics(_: web.Request) -> web.Response:
        refresh()
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.add_routes([web.get("/livez", livez), web.get("/readyz", readyz), web.get("/metrics", metrics)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, port=port).start()
    return runner
