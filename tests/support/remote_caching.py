"""Gateways before a store that they share: what they ask, and what becomes of the store."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self

from tests.support.http_gateway import Answer, Gateway, gateway, infer, until
from tests.support.scripted_http import Asked, Scripted, ok

from plimsoll.core.cache.breaker import BreakerState
from plimsoll.core.cache.policy import CachePolicy
from plimsoll.gateway.cache.remote.link import Direction
from plimsoll.gateway.cache.remote.store import RemoteStore, Written

KEPT = CachePolicy(ttl_s=60.0, max_bytes=1 << 20)
CLIENTS = 8


def asking(value: float = 1, head: bytes = b"") -> bytes:
    x = {"name": "x", "datatype": "FP32", "shape": [1, 1], "data": [value]}
    return infer(json.dumps({"inputs": [x]}).encode(), head)


async def doubling(asked: Asked) -> None:
    x = json.loads(await asked.read_body())["inputs"][0]["data"][0]
    y = {"name": "y", "datatype": "FP32", "shape": [1, 1], "data": [2 * x]}
    asked.writer.write(ok(json.dumps({"model_name": "digits", "model_version": "1", "outputs": [y]}).encode()))


def y_of(answer: Answer) -> float:
    assert answer.status == 200, answer
    return float(json.loads(answer.body)["outputs"][0]["data"][0])


def how(answer: Answer) -> str | None:
    return answer.field("x-plimsoll-cache")


@asynccontextmanager
async def one_gateway(server: Scripted, store: RemoteStore) -> AsyncIterator[Gateway]:
    async with gateway(port=server.port, remote_of=store.of) as subject:
        subject.route([server.ip], cache=KEPT)
        yield subject


async def stored(store: RemoteStore, count: int = 1) -> None:
    await until(lambda: store.written[Written.STORED] >= count)


class Load:
    """Clients that ask without a pause, each time something new, and take nothing but the right answer."""

    def __init__(self, subject: Gateway) -> None:
        self.answers = 0
        self._subject = subject
        self._values = itertools.count(1)
        self._ends = False

    async def __aenter__(self) -> Self:
        self._clients = [asyncio.create_task(self._client()) for _ in range(CLIENTS)]
        await self.goes_on()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._ends = True
        await asyncio.gather(*self._clients)

    async def goes_on(self) -> None:
        """Waits until every client has had answers since."""
        wanted = self.answers + 10 * CLIENTS
        await until(lambda: self.answers >= wanted)

    async def _client(self) -> None:
        client = await self._subject.connect()
        while not self._ends:
            value = next(self._values)
            assert y_of(await client.ask(asking(value))) == 2 * value
            self.answers += 1
        client.close()


async def opens(store: RemoteStore) -> None:
    await until(lambda: all(store.state(direction) is BreakerState.OPEN for direction in Direction), 40)


async def closes(store: RemoteStore) -> None:
    await until(lambda: all(store.state(direction) is BreakerState.CLOSED for direction in Direction), 40)
