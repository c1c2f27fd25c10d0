"""How many calls a second the gRPC path forwards on one core, beside the same load without it.

    python -m tests.scale.bench_gateway.grpc_path [--profile] [--haproxy PROGRAM]

The gateway, and HAProxy where it is given, have a core of their own; callers and pod share the other. CPU per call is
the steadier figure: with one connection the callers wait while the proxy works, and the other way round.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import json
import multiprocessing
import os
import pstats
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from multiprocessing.connection import Connection
from pathlib import Path

import uvloop
from tests.scale.bench_gateway.grpc_peers import Caller, Pod, message
from tests.support.grpc_gateway import revision, running_gateway, table

SECONDS = 3.0


def serve(pipe: Connection, port: int, core: int, *, profile: bool) -> None:
    os.sched_setaffinity(0, {core})

    async def main() -> None:
        routes = table(revision("r1", "a", weight=950), revision("r2", "b", weight=50))
        async with running_gateway(routes, {"a": port, "b": port}, tick_s=1.0) as gateway:
            pipe.send(gateway.port)
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(None, pipe.recv)

    if not profile:
        uvloop.run(main())
        return
    profiler = cProfile.Profile()
    profiler.enable()
    uvloop.run(main())
    profiler.disable()
    pstats.Stats(profiler).sort_stats("tottime").print_stats(35)


async def measure(port: int, body: bytes, streams: int, connections: int, *, proxy: int | None) -> dict[str, float]:
    loop = asyncio.get_running_loop()
    callers = []
    for _ in range(connections):
        caller = Caller(body, streams // connections)
        await loop.create_connection(lambda caller=caller: caller, "127.0.0.1", port)
        callers.append(caller)
    await asyncio.sleep(0.2)
    for caller in callers:
        caller.begin()
    await asyncio.sleep(0.5)
    cpu = cpu_of(proxy)
    done, began = sum(caller.done for caller in callers), time.perf_counter()
    await asyncio.sleep(SECONDS)
    calls, took = sum(caller.done for caller in callers) - done, time.perf_counter() - began
    cpu = cpu_of(proxy) - cpu
    for caller in callers:
        caller.transport.abort()
    await asyncio.sleep(0.2)
    return {"calls_per_s": round(calls / took), "cpu_us_per_call": round(cpu / max(calls, 1) * 1e6, 1)}


HAPROXY = """
global
  nbthread 1
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
frontend f
  bind 127.0.0.1:{front} proto h2
  default_backend b
backend b
  server s 127.0.0.1:{back} proto h2
"""


@contextmanager
def haproxy(program: str, port: int, core: int) -> Iterator[tuple[int, int]]:
    """Yields its port and process id."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        front = free.getsockname()[1]
    with tempfile.NamedTemporaryFile("w", suffix=".cfg") as file:
        file.write(HAPROXY.format(front=front, back=port))
        file.flush()
        process = subprocess.Popen(["taskset", "-c", str(core), program, "-db", "-f", file.name])
        time.sleep(1)
        try:
            yield front, process.pid
        finally:
            process.terminate()
            process.wait()


def cpu_of(process: int | None) -> float:
    """CPU seconds that a process has used."""
    if process is None:
        return 0.0
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def compare(*, profile: bool, program: str | None) -> None:
    os.sched_setaffinity(0, {0})
    loop = asyncio.get_running_loop()
    bodies = {"small": message(b"\0" * 64), "64k": message(b"\0" * 65536)}
    shapes = ((1, 1), (64, 1), (64, 16)) if not profile else ((64, 1),)
    result: dict[str, dict[str, float]] = {}
    for name, body in bodies.items():
        server = await loop.create_server(lambda body=body: Pod(body), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        here, there = multiprocessing.Pipe()
        process = multiprocessing.get_context("spawn").Process(
            target=serve, args=(there, port, 1), kwargs={"profile": profile}, daemon=True
        )
        process.start()
        gateway_port = await loop.run_in_executor(None, here.recv)
        with haproxy(program, port, 1) if program else nullcontext((0, 0)) as (other_port, other):
            for streams, connections in shapes:
                label = f"{name}_{streams}_on_{connections}"
                asked = (body, streams, connections)
                result[f"{label}_direct"] = await measure(port, *asked, proxy=None)
                result[f"{label}_gateway"] = await measure(gateway_port, *asked, proxy=process.pid)
                if program:
                    result[f"{label}_haproxy"] = await measure(other_port, *asked, proxy=other)
        here.send("end")
        process.join()
        server.close()
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--haproxy", help="its program, to measure it in the same run")
    given = parser.parse_args()
    uvloop.run(compare(profile=given.profile, program=given.haproxy))
