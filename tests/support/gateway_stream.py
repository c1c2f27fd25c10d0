"""A gateway's admin port with nothing behind it but counters."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web
from tests.support.controller_process import free_port
from tests.support.recordings import SUCCEEDED, Sums, epochs, route, table

from plimsoll.core.kill_switch.switch import Trip
from plimsoll.core.routing.table import RouteTable
from plimsoll.core.tokens import public_key
from plimsoll.gateway.record_stream import Identity, RecordStream
from plimsoll.gateway.recordings import Clocks, Recordings

SEED = bytes(range(32))
POD_UID = "5f0c8e2a-0000-4000-8000-00000000000a"
MOVING = table(route("digits", ("r1", 990), ("r2", 10)))


@dataclass
class AdminPort:
    """A gateway as the controller sees it.

    Attributes:
        port: Where it listens.
        stream: What is served there.
        recordings: What it counts.
        sums: Every record it made, read or not.
        trusts: How often it was shaken hands with.
        in_flight: What it says of pods that drain.
        trips: What it says of kill switches.
    """

    port: int
    stream: RecordStream
    recordings: Recordings
    sums: Sums
    trusts: list[None] = field(default_factory=list)
    in_flight: dict[str, dict[str, int]] = field(default_factory=dict)
    trips: dict[str, Trip] = field(default_factory=dict)

    def request(self, times: int = 1) -> None:
        """A request of the stable revision that succeeds."""
        recording = self.recordings.of("digits", "r1")
        for _ in range(times):
            recording.arrived()
            recording.ended(SUCCEEDED, 0.01, "pod")


@asynccontextmanager
async def admin_port(
    *, boot: str = "b1", pod_uid: str = POD_UID, port: int = 0, routes: RouteTable = MOVING
) -> AsyncIterator[AdminPort]:
    """Serves until the block ends, and cuts on the real clock."""
    clocks = Clocks(time.monotonic, time.time, time.process_time)
    sums = Sums()
    recordings = Recordings(clocks, sums)
    trusts: list[None] = []
    identity = Identity(boot, "plimsoll-gateway-x", pod_uid, "0.1.0", public_key(SEED))
    in_flight: dict[str, dict[str, int]] = {}
    trips: dict[str, Trip] = {}
    stream = RecordStream(identity, recordings, clocks, lambda: trusts.append(None), in_flight.copy, trips.copy)
    stream.follow(routes, epochs(routes))
    app = web.Application()
    app.add_routes(stream.routes())
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    port = port or free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    cutting = asyncio.create_task(stream.run())
    try:
        yield AdminPort(port, stream, recordings, sums, trusts, in_flight, trips)
    finally:
        cutting.cancel()
        stream.close()
        await runner.cleanup()
