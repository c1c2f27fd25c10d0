"""Model pods that run scripts on raw sockets, with the gateway and a raw client before them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from hpack import Encoder
from tests.support.grpc_gateway import Gateway, eventually, revision, running_gateway, table
from tests.support.http2_peer import Fields, Peer, client_of, pod_that

from plimsoll.gateway.http2 import frames
from plimsoll.gateway.http2.frames import (
    Setting,
)
from plimsoll.gateway.http2.limits import Limits

Script = Callable[[Peer], Awaitable[None]]
HEAD: Fields = [(":status", "200"), ("content-type", "application/grpc")]
OK: Fields = [("grpc-status", "0")]


async def preface(peer: Peer, *settings: tuple[Setting, int]) -> None:
    await peer.preface()
    peer.send(frames.settings(settings))


def answer(peer: Peer, stream: int, payload: bytes = b"answer") -> None:
    peer.head(stream, HEAD)
    peer.body(stream, payload, ended=False)
    peer.head(stream, OK, ended=True)


async def serves(peer: Peer, *settings: tuple[Setting, int]) -> None:
    """Answers every call when it is whole."""
    await preface(peer, *settings)
    peer.send(frames.window_update(0, 1 << 24))
    done: set[int] = set()
    while True:
        await peer.until(lambda: bool(peer.ended - done), 60)
        for stream in peer.ended - done:
            done.add(stream)
            answer(peer, stream)


@asynccontextmanager
async def between(*scripts: Script, limits: Limits | None = None) -> AsyncIterator[tuple[Gateway, Peer]]:
    """A client, the gateway, and pods that run scripts, as pods `0`, `1`, ... of one revision."""
    async with pods_that(scripts) as ports:
        routes = table(revision("r1", *ports))
        async with running_gateway(routes, ports, limits, tick_s=0.02) as gateway, client_of(gateway.port) as peer:
            peer.begin()
            yield gateway, peer
            await eventually(lambda: gateway.outstanding == 0, "a call was left behind")
            assert len(gateway.record("r1").ends) == gateway.record("r1").arrivals
            assert gateway.board.replay.held == 0


@asynccontextmanager
async def pods_that(scripts: tuple[Script, ...]) -> AsyncIterator[dict[str, int]]:
    async with AsyncExitStack() as stack:
        yield {str(number): await stack.enter_async_context(pod_that(script)) for number, script in enumerate(scripts)}


def after_call(*parts: bytes, stays_s: float = 60) -> Script:
    """A pod that sends these bytes when the first call of a connection is whole, and closes a while later."""

    async def script(peer: Peer) -> None:
        await preface(peer)
        await peer.until(lambda: 1 in peer.ended)
        peer.send(*parts)
        await peer.until_closed(stays_s)

    return script


def encoded(fields: Fields, *, ended: bool = False) -> bytes:
    return frames.headers(1, Encoder().encode(fields), ended=ended)
