"""Many calls through windows of any size, with peers that stop reading now and then: nothing is lost, nothing stalls.

Peers on raw sockets, because real ones do not let a test choose their windows. Sizes and pauses follow from a seed.
"""

from __future__ import annotations

import asyncio
import random

import pytest
from tests.support.grpc_gateway import eventually, revision, running_gateway, table
from tests.support.http2_peer import Fields, Peer, client_of, message, pod_that

from plimsoll.core.records.outcome import Outcome
from plimsoll.gateway.http2 import frames
from plimsoll.gateway.http2.frames import DATA, MAX_STREAM_ID, Setting
from plimsoll.gateway.http2.limits import Limits

HEAD: Fields = [(":status", "200"), ("content-type", "application/grpc")]
OK: Fields = [("grpc-status", "0")]
CALLS = 60


class Windowed:
    """A peer that keeps to the other's windows, and grants its own a little at a time."""

    def __init__(self, peer: Peer, chance: random.Random, initial: int) -> None:
        self.peer = peer
        self.chance = chance
        self.initial = initial
        self.window = 65_535
        self.windows: dict[int, int] = {}
        self.peer_initial = 65_535
        self.waiting: dict[int, bytes] = {}
        self.after: dict[int, Fields | None] = {}
        self.handled = 0
        self.owed: dict[int, int] = {}

    def send(self, stream: int, payload: bytes, trailers: Fields | None) -> None:
        self.windows.setdefault(stream, self.peer_initial)
        self.waiting[stream] = payload
        self.after[stream] = trailers
        self.pump()

    def pump(self) -> None:
        for stream in list(self.waiting):
            while (payload := self.waiting[stream]) and (size := self._size(stream, payload)) > 0:
                self.window -= size
                self.windows[stream] -= size
                self.waiting[stream] = payload[size:]
                trailers = self.after[stream]
                self.peer.body(stream, payload[:size], ended=size == len(payload) and trailers is None)
            if not self.waiting[stream]:
                del self.waiting[stream]
                trailers = self.after.pop(stream)
                if trailers is not None:
                    self.peer.head(stream, trailers, ended=True)

    def _size(self, stream: int, payload: bytes) -> int:
        wanted = self.chance.randint(1, 16_384)
        return min(len(payload), wanted, self.window, self.windows[stream])

    def hear(self) -> None:
        """Follows what came since the last time."""
        for kind, flags, stream, payload in self.peer.seen[self.handled :]:
            if kind == frames.SETTINGS and not flags & frames.ACK:
                for key, value in frames.read_settings(payload):
                    if key == Setting.INITIAL_WINDOW_SIZE:
                        self.windows = {each: size + value - self.peer_initial for each, size in self.windows.items()}
                        self.peer_initial = value
            elif kind == frames.WINDOW_UPDATE and not stream:
                self.window += frames.read_uint(payload)
            elif kind == frames.WINDOW_UPDATE and stream in self.windows:
                self.windows[stream] += frames.read_uint(payload)
            elif kind == DATA and payload:
                self.owed[stream] = self.owed.get(stream, 0) + len(payload)
                self.owed[0] = self.owed.get(0, 0) + len(payload)
        self.handled = len(self.peer.seen)
        self.pump()

    def grant(self) -> None:
        """Returns some of what it owes."""
        for stream in list(self.owed):
            if self.chance.random() < 0.7:
                self.peer.send(frames.window_update(stream, self.owed.pop(stream)))

    async def life(self, done: asyncio.Event) -> None:
        granting = asyncio.ensure_future(self._grants(done))
        try:
            while not done.is_set():
                before = len(self.peer.seen)
                await self.peer.until(lambda: len(self.peer.seen) > before or done.is_set(), 30)  # noqa: B023
                self.hear()
                self.heard()
                if self.chance.random() < 0.1:
                    await asyncio.sleep(0.003)
        finally:
            granting.cancel()

    def heard(self) -> None:
        """What else it does with what came."""

    async def _grants(self, done: asyncio.Event) -> None:
        while not done.is_set():
            await asyncio.sleep(0.001)
            self.grant()


class EchoPod(Windowed):
    """Answers with the request's own bytes."""

    def __init__(self, peer: Peer, chance: random.Random, initial: int) -> None:
        super().__init__(peer, chance, initial)
        self.answered: set[int] = set()

    def heard(self) -> None:
        for stream in self.peer.ended - self.answered:
            self.answered.add(stream)
            self.peer.head(stream, HEAD)
            self.send(stream, self.peer.data[stream], OK)


@pytest.mark.parametrize("seed", range(6))
async def test_every_call_comes_back_whole(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - a reproducible choice
    client_window, pod_window = chance.choice([1, 17, 1000, 70_000]), chance.choice([50, 3000, 65_535])
    own = chance.choice([1000, 40_000, 262_144])
    limits = Limits(stream_window=own, upstream_window=chance.choice([500, 65_535]), collected=20_000, buffered=5_000)
    done = asyncio.Event()

    async def pod(peer: Peer) -> None:
        await peer.preface()
        peer.send(frames.settings([(Setting.INITIAL_WINDOW_SIZE, pod_window), (Setting.MAX_CONCURRENT_STREAMS, 7)]))
        await EchoPod(peer, random.Random(seed + 1), pod_window).life(done)  # noqa: S311 - as above

    async with pod_that(pod) as port, running_gateway(table(revision("r1", "a")), {"a": port}, limits) as gateway:
        async with client_of(gateway.port) as peer:
            peer.begin((Setting.INITIAL_WINDOW_SIZE, client_window))
            client = Windowed(peer, chance, client_window)
            bodies: dict[int, bytes] = {}
            largest = 300 if client_window < 100 else 60_000
            for stream in range(1, 2 * CALLS, 2):
                bodies[stream] = message(chance.randbytes(chance.randint(0, largest)))
                peer.head(stream)
                client.send(stream, bodies[stream], None)
            living = asyncio.ensure_future(client.life(done))
            await eventually(lambda: len(peer.ended) == CALLS, f"only {len(peer.ended)} of {CALLS} came back")
            done.set()
            peer.send(frames.frame(frames.PING, 0, 0, bytes(8)))
            await living
            assert peer.data == bodies
            assert {heads[-1]["grpc-status"] for heads in peer.heads.values()} == {"0"}
        assert gateway.record("r1").outcomes == [Outcome.SUCCEEDED] * CALLS
        assert [each.sender.held for each in gateway.board.connections()] == [0] * len(gateway.board.connections())
        await eventually(lambda: not gateway.board.clients, "the client was left behind")


async def test_one_client_that_reads_nothing_stalls_nobody_else() -> None:
    """Both clients' calls share the connection to the pod."""
    body = message(bytes(60_000))

    async def pod(peer: Peer) -> None:
        await peer.preface()
        peer.send(frames.settings([(Setting.INITIAL_WINDOW_SIZE, 1 << 20)]), frames.window_update(0, 1 << 30))
        echo = EchoPod(peer, random.Random(1), 1 << 20)  # noqa: S311 - a reproducible choice
        await echo.life(asyncio.Event())

    async with (
        pod_that(pod) as port,
        running_gateway(table(revision("r1", "a")), {"a": port}) as gateway,
        client_of(gateway.port) as stuck,
        client_of(gateway.port) as good,
    ):
        stuck.begin((Setting.INITIAL_WINDOW_SIZE, 0))
        for stream in range(1, 81, 2):
            stuck.head(stream)
            for start in range(0, len(body), 16_384):
                stuck.body(stream, body[start : start + 16_384], ended=start + 16_384 >= len(body))
            await stuck.drained()
        await eventually(lambda: gateway.record("r1").arrivals == 40, "the calls did not come")
        good.begin((Setting.INITIAL_WINDOW_SIZE, 1 << 20))
        good.send(frames.window_update(0, 1 << 30))
        for stream in range(1, 101, 2):
            good.call(stream)
            assert (await good.answer(stream))["grpc-status"] == "0"
        held = sum(connection.sender.held for connection in gateway.board.connections())
        assert held <= 40 * len(body) < MAX_STREAM_ID
        assert len(gateway.board.connections()) == 3
