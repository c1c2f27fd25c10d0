"""The HTTP side of a gateway in this process, the routes it follows, and what it recorded."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

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
from plimsoll.gateway.http1.limits import Limits
from plimsoll.gateway.http1.listener import Listener
from plimsoll.gateway.http1.refusals import Reason
from plimsoll.gateway.kill_switches import KillSwitches
from plimsoll.gateway.targets import Targets


@dataclass
class Meter:
    """What the meter was told."""

    refusals: Counter[Reason] = field(default_factory=Counter)
    retries: int = 0
    reconnects: int = 0

    def refused(self, reason: Reason) -> None:
        self.refusals[reason] += 1

    def retried(self) -> None:
        self.retries += 1

    def reconnected(self) -> None:
        self.reconnects += 1


@dataclass
class Gateway:
    """A running one. `records` are by revision: `r1` is stable, `r2` the candidate."""

    listener: Listener
    targets: Targets
    port: int
    records: dict[str, Recorded]
    meter: Meter
    looked: Looked
    switches: KillSwitches
    epoch: int = 0

    def route(
        self,
        stable: Sequence[str] = (),
        candidate: Sequence[str] | None = None,
        weight: int = 0,
        traffic: Traffic = Traffic.NORMAL,
        limits: RequestLimits = NO_SAY,
        rules: Rules | None = None,
        cache: CachePolicy | None = None,
    ) -> None:
        """Routes the model `digits` to pods at these addresses; rules and cache are those of both revisions."""
        self.epoch += 1
        keeps = cache is not None
        second = None
        if candidate is not None:
            second = RevisionRoute("r2", weight, pods(candidate), cacheable=keeps, rules=rules)
        first = RevisionRoute("r1", 1000 - weight, pods(stable), cacheable=keeps, rules=rules)
        route = ModelRoute("digits", "uid", self.epoch, traffic, first, second, limits, cache)
        self.targets.apply(RouteTable({"digits": route}))

    @property
    def outstanding(self) -> int:
        """Requests that endpoints have not answered."""
        model = self.targets.models["digits"]
        revisions = [revision for revision in (model.stable, model.candidate) if revision]
        return sum(endpoint.outstanding for revision in revisions for endpoint in revision.endpoints)

    async def connect(self, tls: ssl.SSLContext | None = None) -> Client:
        """Opens a connection."""
        return Client(*await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 24, ssl=tls))

    async def ask(self, request: bytes) -> Answer:
        """Sends one request over a connection of its own."""
        client = await self.connect()
        try:
            return await client.ask(request)
        finally:
            client.close()


def pods(addresses: Sequence[str]) -> tuple[Endpoint, ...]:
    """Returns endpoints; the pod's name is the last number of its address."""
    return tuple(Endpoint(f"pod-{ip.rpartition('.')[2]}", ip) for ip in addresses)


@dataclass
class Answer:
    """One answer as it came."""

    head: bytes
    body: bytes

    @property
    def status(self) -> int:
        return int(self.head.split(b" ", 2)[1])

    def field(self, name: str) -> str | None:
        """Returns a header field's value."""
        for line in self.head.split(b"\r\n")[1:]:
            key, _, value = line.decode("latin-1").partition(":")
            if key.lower() == name:
                return value.strip()
        return None


@dataclass
class Client:
    """A client's connection, byte by byte."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def ask(self, request: bytes) -> Answer:
        """Sends a request and reads its answer."""
        self.writer.write(request)
        return await self.answer(bodiless=request.startswith(b"HEAD"))

    async def answer(self, *, bodiless: bool = False) -> Answer:
        """Reads one answer."""
        answer = Answer(await self.reader.readuntil(b"\r\n\r\n"), b"")
        length = answer.field("content-length")
        if bodiless or answer.status < 200:
            return answer
        if length is not None:
            answer.body = await self.reader.readexactly(int(length))
        else:
            assert answer.field("transfer-encoding") == "chunked"
            while not answer.body.endswith(b"0\r\n\r\n"):
                answer.body += await self.reader.readuntil(b"\r\n")
        return answer

    async def rest(self) -> bytes:
        """Reads until the connection ends."""
        return await self.reader.read()

    def close(self) -> None:
        """Closes it."""
        self.writer.close()


@asynccontextmanager
async def gateway(
    limits: Limits | None = None,
    *,
    port: int,
    door: Door | None = None,
    access: Access | None = None,
    remote_of: Callable[[str], Remote] | None = None,
) -> AsyncIterator[Gateway]:
    """Runs while the context lasts; `port` is the one of the model servers."""
    records: dict[str, Recorded] = {}
    looked = Looked(remote_of)
    switches = KillSwitches(time.monotonic)
    targets = Targets(
        lambda _, revision: records.setdefault(revision, Recorded()),
        lambda: b"key",
        inspections=looked.inspections,
        switches=switches,
    )
    meter = Meter()
    listener = Listener(targets, replace(limits or Limits(), upstream_port=port), meter, door=door, access=access)
    running = Gateway(listener, targets, await listener.start("127.0.0.1", 0), records, meter, looked, switches)
    try:
        yield running
    finally:
        await listener.close()
        assert all(len(record.ends) == record.arrivals for record in records.values()), records
        assert all(record.queued == 0 for record in records.values()), records
        assert looked.budget.held == 0


def infer(body: bytes = b'{"inputs":[]}', head: bytes = b"", path: bytes = b"/v2/models/digits/infer") -> bytes:
    """Returns an inference request."""
    return b"POST %s HTTP/1.1\r\nHost: digits\r\nContent-Length: %d\r\n%s\r\n%s" % (path, len(body), head, body)


async def until(condition: Callable[[], bool], within_s: float = 10.0) -> None:
    """Waits for what happens elsewhere in this process."""
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - what is waited for knows nothing of its watcher
            await asyncio.sleep(0.01)
