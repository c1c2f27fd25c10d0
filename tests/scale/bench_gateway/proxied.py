"""The gateway's HTTP path as a process to measure: a split between two revisions, records, retries armed, limits.

Usage: proxied.py PORT UPSTREAM_PORT [PROFILE]
"""

import asyncio
import cProfile
import signal
import sys

import uvloop

from plimsoll.core.records.outcome import Outcome
from plimsoll.core.routing.table import Endpoint, ModelRoute, RevisionRoute, RouteTable
from plimsoll.gateway.http1.limits import Limits
from plimsoll.gateway.http1.listener import Listener
from plimsoll.gateway.targets import Targets


class Counts:
    """Stands in for the record stream's counters, and does what they have to do at least."""

    __slots__ = ("arrivals", "latency_s", "outcomes", "queued")

    def __init__(self) -> None:
        self.arrivals = 0
        self.queued = 0
        self.outcomes = [0] * len(Outcome)
        self.latency_s = 0.0

    def arrived(self) -> None:
        """Counts."""
        self.arrivals += 1

    def ended(self, outcome: Outcome, latency_s: float, pod: str, *, exempt: bool = False) -> None:  # noqa: ARG002 - the protocol's
        """Counts."""
        self.outcomes[outcome] += 1
        self.latency_s += latency_s

    def rescued(self) -> None:
        """Counts nothing."""


async def serve(port: int, upstream_port: int) -> None:
    """Serves until SIGTERM."""
    counters: dict[str, Counts] = {}
    targets = Targets(lambda _, revision: counters.setdefault(revision, Counts()), lambda: b"key")
    stable = RevisionRoute("digits-1", 950, (Endpoint("a", "127.0.0.1"), Endpoint("b", "127.0.0.2")))
    candidate = RevisionRoute("digits-2", 50, (Endpoint("c", "127.0.0.3"),))
    targets.apply(RouteTable({"digits": ModelRoute("digits", "uid", 1, stable=stable, candidate=candidate)}))
    listener = Listener(targets, Limits(upstream_port=upstream_port))
    await listener.start("127.0.0.1", port)
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    await ended.wait()
    await listener.close()


def main() -> None:
    """Serves, under a profiler where a file for its result is named."""
    work = serve(int(sys.argv[1]), int(sys.argv[2]))
    if len(sys.argv) > 3:
        with cProfile.Profile() as profile:
            uvloop.run(work)
        profile.dump_stats(sys.argv[3])
    else:
        uvloop.run(work)


if __name__ == "__main__":
    main()
