"""`make bench-collect`: what it costs the controller to listen to 1,000 gateways. The last line is one JSON object.

The collector runs in a process of its own, on the event loop that the controller runs on, and is asked every quarter of
a second for what it pooled, as a controller that decides on it does. The gateways are simulated in another process
(simulated_gateways.py says why and how); between them are 1,000 real connections.

Figures, for cuts every 250 ms (all of them in a roll-out) and every second: share of one core; resident memory, and
what of it came with the gateways; time from a cut to its being pooled; records pooled a second against those that were
due; and gaps, of which there must be none.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.scale.saying import say
from tests.scale.simulated_gateways import host_of
from tests.support.controller_process import ROOT, free_port
from typing_extensions import override

from plimsoll.controller.gateway_state import GatewayPod
from plimsoll.controller.gateway_stream import StreamSettings
from plimsoll.controller.gateways import Collector
from plimsoll.controller.report_key import ReportKey
from plimsoll.core.records.pool import Pool
from plimsoll.core.records.record import Cut
from plimsoll.core.tokens import public_key
from plimsoll.kube.clock import SYSTEM_CLOCK

_SEED = bytes(range(32))
_SETTLED_S = 5.0
_CONNECTED_WITHIN_S = 60
_DECIDES_EVERY_S = 0.25
_AT_A_TIME = 10
_LATE_CELLS_S = 0.5
_CUTS = (0.25, 1.0)


class TimedPool(Pool):
    """A pool that looks at the clock when it has added a cut."""

    def __init__(self) -> None:
        super().__init__()
        self.lags_s: list[float] = []
        self.records = 0
        self.gaps = 0
        self.uids: set[str] = set()

    @override
    def add(self, gateway: str, boot: str, cut: Cut) -> bool:
        fresh = super().add(gateway, boot, cut)
        self.records += len(cut.records)
        self.lags_s.append(time.time() - cut.at)
        self.uids.update(cut.acks)
        return fresh

    def reset(self) -> None:
        """Begins to measure."""
        self.lags_s.clear()
        self.records = 0


class _Nobody:
    """A listener that does what a work queue does with a key it has: nothing."""

    def acknowledged(self, namespace: str, model_uid: str) -> None: ...

    def mismatched(self, model_uid: str, revision: str, count: int) -> None: ...

    def namespace_changed(self, namespace: str) -> None: ...


async def measure(port: int, gateways: int, seconds: float) -> dict[str, float]:
    """Returns the figures of a collector in this process."""
    pods = [
        GatewayPod(f"team-{number // 2}", f"gateway-{number}", f"uid-{number}", host_of(number), ready=True)
        for number in range(gateways)
    ]
    pool = TimedPool()
    alone_mb = _resident_mb()
    key = ReportKey(_SEED, public_key(_SEED))
    async with Collector(key, SYSTEM_CLOCK, StreamSettings(port), _Nobody(), pool=pool) as collector:
        began = time.monotonic()
        collector.follow(pods)
        await _connected(collector, pods)
        connected_s = time.monotonic() - began
        deciding = asyncio.create_task(_decide(pool))
        await asyncio.sleep(_SETTLED_S)
        pool.reset()
        began, cpu = time.monotonic(), time.process_time()
        await asyncio.sleep(seconds)
        took, cpu = time.monotonic() - began, time.process_time() - cpu
        lags = sorted(pool.lags_s)
        deciding.cancel()
        return {
            "cpu_share": round(cpu / took, 3),
            "rss_mb": round(_resident_mb(), 1),
            "rss_of_gateways_mb": round(_resident_mb() - alone_mb, 1),
            "lag_p50_ms": round(1000 * lags[len(lags) // 2], 2),
            "lag_p99_ms": round(1000 * lags[int(0.99 * len(lags))], 2),
            "records_per_s": round(pool.records / took),
            "connected_s": round(connected_s, 2),
            "gaps": pool.gaps,
        }


async def _connected(collector: Collector, pods: list[GatewayPod]) -> None:
    """Waits until every gateway was heard."""
    async with asyncio.timeout(_CONNECTED_WITHIN_S):
        for pod in pods:
            while not collector.gateways(pod.namespace)[pod.uid].seq:  # noqa: ASYNC110 - as a reader of it would
                await asyncio.sleep(0.02)


async def _decide(pool: TimedPool) -> None:
    """Takes what is known of every model, a few times a second."""
    while True:
        await asyncio.sleep(_DECIDES_EVERY_S)
        for number, uid in enumerate(list(pool.uids)):
            if number % _AT_A_TIME == 0:
                await asyncio.sleep(0)  # as a work queue lets others have their turn between two keys
            pool.gaps += len(pool.take(uid, time.time(), _LATE_CELLS_S).gaps)


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


@contextmanager
def simulated(revisions: int, cut_s: float) -> Iterator[int]:
    """Runs the gateways and yields their port."""
    port = free_port()
    command = [sys.executable, "-m", "tests.scale.simulated_gateways", "--port", str(port)]
    command += ["--revisions", str(revisions), "--cut-s", str(cut_s)]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'operator'}:{ROOT}"}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT
    ) as process:
        try:
            assert process.stdout
            process.stdout.readline()
            yield port
        finally:
            process.terminate()


def collect(cut_s: float, gateways: int, revisions: int, seconds: float) -> dict[str, float]:
    """Runs both processes and returns the collector's figures."""
    say(
        f"{gateways} gateways with {revisions} active revisions, a cut every {1000 * cut_s:.0f} ms, for {seconds:.0f} s"
    )
    with simulated(revisions, cut_s) as port:
        command = [sys.executable, "-m", "tests.scale.bench_collect", "--collector", str(port)]
        command += ["--gateways", str(gateways), "--seconds", str(seconds)]
        environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'operator'}:{ROOT}"}
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT, check=True)
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    figures["records_due_per_s"] = round(gateways * revisions / cut_s)
    say(", ".join(f"{name} {value:g}" for name, value in figures.items()))
    return figures


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gateways", type=int, default=1000)
    parser.add_argument("--revisions", type=int, default=3, help="active ones per gateway")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--collector", type=int, help="run the collector alone, against this port")
    given = parser.parse_args()
    if given.collector:
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 100)  # as the controller sets it
        print(json.dumps(asyncio.run(measure(given.collector, given.gateways, given.seconds))))
        return
    figures: dict[str, float] = {"gateways": given.gateways, "revisions": given.revisions}
    for cut_s in _CUTS:
        found = collect(cut_s, given.gateways, given.revisions, given.seconds)
        figures |= {f"{name}_{1000 * cut_s:.0f}ms": value for name, value in found.items()}
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
