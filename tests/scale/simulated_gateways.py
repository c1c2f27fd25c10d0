"""A thousand gateways in one process, as far as a collector can tell: `python -m tests.scale.simulated_gateways`.

Simulated, because a thousand real ones would take a thousand processes' memory, and because what they cost must not
stand in the way of what the collector costs: lines are made from a template, whose numbers and times are filled in. The
sockets, the HTTP framing, the tokens' way and the content of the lines are those of real gateways. Each has an address
of its own, 127.1.x.y, as pods have, and they cut at times spread over the interval, as gateways do that started at
different times.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from dataclasses import dataclass
from typing import cast

import uvloop
from typing_extensions import override

from plimsoll.core.records.outcome import Outcome
from plimsoll.core.records.record import CELLS_PER_S, Cell, Cut, Hello, Record
from plimsoll.core.records.wire import encode_cut, encode_hello

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
_RATE = 20
"""Requests per second, revision and gateway."""
_PODS = 2
_LATENCIES = {3: 2, 5: 4, 6: 6, 7: 3, 9: 2, 12: 1, 16: 1}


@dataclass(frozen=True, slots=True)
class Load:
    """What gateways tell.

    Attributes:
        revisions: Active ones per gateway.
        cut_s: Seconds between cuts.
    """

    revisions: int
    cut_s: float


def host_of(gateway: int) -> str:
    """Returns the address of a gateway, from 0."""
    return f"127.1.{gateway // 250}.{gateway % 250 + 1}"


_SEQ = 999_999_999
_AT = 1_000_000_000.125
"""What stands in a template where a line has its own."""


@dataclass(frozen=True, slots=True)
class Template:
    """A line of one gateway, to be filled in."""

    line: bytes
    cells: int

    @classmethod
    def of(cls, gateway: int, load: Load) -> Template:
        """Returns a gateway's."""
        records = tuple(record_of(gateway, revision, _AT, load.cut_s) for revision in range(load.revisions))
        return cls(encode_cut(Cut(_SEQ, _AT, 12.5, {}, records)), len(next(iter(records[0].cells.values()))))

    def filled(self, seq: int, at: float) -> bytes:
        """Returns a line with this number, made at this time."""
        line = self.line.replace(b"%d" % _SEQ, b"%d" % seq, 1).replace(b"%.3f" % _AT, b"%.3f" % at, 1)
        stands, last = int(_AT * CELLS_PER_S) - 1, int(at * CELLS_PER_S) - 1
        for back in range(self.cells):
            line = line.replace(b"%d" % (stands - back), b"%d" % (last - back))
        return line


def record_of(gateway: int, revision: int, at: float, cut_s: float) -> Record:
    """Returns what a revision with 20 requests a second over 2 pods counts in one cut.

    Two gateways at a time serve the same models, as the two replicas of a fleet do.
    """
    fleet = gateway // 2
    arrivals = max(1, round(_RATE * cut_s))
    last = int(at * CELLS_PER_S) - 1
    numbers = range(last - max(1, int(cut_s * CELLS_PER_S)) + 1, last + 1)
    per_cell = max(1, round(arrivals / len(numbers) / _PODS))
    return Record(
        uid=f"5f0c8e2a-0000-4000-8000-{fleet:06}{revision:06}",
        revision=f"digits-{fleet:05}{revision:05}",
        span_s=cut_s,
        arrivals=arrivals,
        outcomes=(arrivals, *[0] * (len(Outcome) - 1)),
        held_s=arrivals * 0.004,
        bytes_in=arrivals * 1800,
        bytes_out=arrivals * 900,
        latency=dict(list(_LATENCIES.items())[: min(len(_LATENCIES), arrivals)]) if arrivals > 18 else {5: arrivals},
        latency_sum_s=arrivals * 0.004,
        cells={
            f"digits-{fleet:05}{revision:05}-7d9c5b6f8-{pod}xk2p": tuple(Cell(n, per_cell, 0) for n in numbers)
            for pod in range(_PODS)
        },
    )


class _Gateways(asyncio.Protocol):
    """One connection to one of them; whoever asks for the records gets them."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._transport: asyncio.Transport | None = None
        self._seq = 0

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one without being a subclass
        host = transport.get_extra_info("sockname")[0].split(".")
        self._gateway = int(host[2]) * 250 + int(host[3]) - 1

    @override
    def data_received(self, data: bytes) -> None:
        if not data.startswith(b"GET /v1/records ") or not self._transport:
            return
        hello = Hello(f"boot-{self._gateway}", f"plimsoll-gateway-{self._gateway}", "0.1.0")
        self._transport.write(_HEAD + _chunk(encode_hello(hello)))
        acks = {f"5f0c8e2a-0000-4000-8000-{self._gateway // 2:06}{r:06}": 1 for r in range(self._load.revisions)}
        self._seq = 1
        self._transport.write(_chunk(encode_cut(Cut(1, time.time(), 0.0, acks))))
        self._template = Template.of(self._gateway, self._load)
        share = (self._gateway * 0.618034) % 1
        self._next = asyncio.get_running_loop().time() + share * self._load.cut_s
        self._plan()

    def _plan(self) -> None:
        asyncio.get_running_loop().call_at(self._next, self._tick)

    def _tick(self) -> None:
        if self._transport and not self._transport.is_closing():
            self._seq += 1
            self._transport.write(_chunk(self._template.filled(self._seq, time.time())))
            self._next += self._load.cut_s
            self._plan()


def _chunk(line: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(line), line)


async def _serve(load: Load, port: int) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Gateways(load), "0.0.0.0", port, backlog=2000)  # noqa: S104 - 127.1.x.y
    print(json.dumps({"port": port}), flush=True)
    async with server:
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)  # until whoever started it ends


def main() -> None:
    """Serves until standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--revisions", type=int, default=3)
    parser.add_argument("--cut-s", type=float, default=0.25)
    given = parser.parse_args()
    uvloop.run(_serve(Load(given.revisions, given.cut_s), given.port))


if __name__ == "__main__":
    main()
