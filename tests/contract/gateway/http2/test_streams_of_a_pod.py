"""Pods that refuse streams, allow few, or go away in good order: their calls move, and are held against nobody.

A fake, because a real server refuses a stream only when it likes to.
"""

from __future__ import annotations

import asyncio

import pytest
from tests.support.grpc_gateway import eventually
from tests.support.http2_peer import Peer
from tests.support.http2_pods import answer, between, preface, serves

from plimsoll.core.records.outcome import Outcome
from plimsoll.gateway.http2 import frames
from plimsoll.gateway.http2.frames import (
    Setting,
)
from plimsoll.gateway.http2.limits import Limits
from plimsoll.gateway.http2.violations import ErrorCode

UNPROCESSED = [
    ("REFUSED_STREAM", frames.reset(1, ErrorCode.REFUSED_STREAM)),
    ("GOAWAY below it", frames.goaway(0, ErrorCode.NO_ERROR)),
]


@pytest.mark.parametrize("parts", [row[1] for row in UNPROCESSED], ids=[row[0] for row in UNPROCESSED])
async def test_a_call_that_was_not_processed_goes_to_a_fresh_connection_of_the_only_pod(parts: bytes) -> None:
    connections = 0

    async def script(peer: Peer) -> None:
        nonlocal connections
        connections += 1
        if connections > 1:
            await serves(peer)
        await preface(peer)
        await peer.until(lambda: 1 in peer.heads)
        peer.send(parts)
        if parts[3] == frames.RST_STREAM:
            await peer.until(lambda: 3 in peer.ended)
            answer(peer, 3)
        await peer.until_closed(60)

    async with between(script) as (gateway, peer):
        peer.call(1)
        said = await peer.answer(1)
        assert (said["grpc-status"], peer.data[1]) == ("0", b"answer")
        assert "x-plimsoll-attempt" not in peer.heads[1][0]
        assert gateway.record("r1").ends == [(Outcome.SUCCEEDED, "0")]
        assert gateway.board.counters.unprocessed == 1


async def test_a_pod_that_refuses_everything_is_not_asked_for_ever() -> None:
    async def script(peer: Peer) -> None:
        await preface(peer)
        refused: set[int] = set()
        while True:
            await peer.until(lambda: bool(peer.heads.keys() - refused), 60)
            for stream in peer.heads.keys() - refused:
                refused.add(stream)
                peer.send(frames.reset(stream, ErrorCode.REFUSED_STREAM))

    async with between(script) as (gateway, peer):
        peer.call(1)
        assert (await peer.answer(1))["grpc-status"] == "14"
        assert gateway.board.counters.unprocessed == 3


async def test_goaway_lets_the_calls_below_it_finish() -> None:
    async def script(peer: Peer) -> None:
        await preface(peer)
        if not served:
            served.append(peer)
            await peer.until(lambda: 3 in peer.ended)
            peer.send(frames.goaway(1, ErrorCode.NO_ERROR))
            await asyncio.sleep(0.1)
            answer(peer, 1, b"old")
            await peer.until_closed(60)
        else:
            await peer.until(lambda: 1 in peer.ended)
            answer(peer, 1, b"new")
            await peer.until_closed(60)

    served: list[Peer] = []
    async with between(script) as (gateway, peer):
        peer.call(1)
        peer.call(3)
        assert {(await peer.answer(stream))["grpc-status"] for stream in (1, 3)} == {"0"}
        assert (peer.data[1], peer.data[3]) == (b"old", b"new")
        assert gateway.record("r1").outcomes == [Outcome.SUCCEEDED] * 2
        await eventually(lambda: served[0].is_closed, "the old connection stayed open")


async def test_a_pod_that_allows_few_streams_gets_more_connections() -> None:
    most: list[int] = []

    async def script(peer: Peer) -> None:
        await preface(peer, (Setting.MAX_CONCURRENT_STREAMS, 2))
        done: set[int] = set()
        while True:
            await peer.until(lambda: bool(peer.ended - done), 60)
            most.append(len(peer.heads.keys() - done))
            await asyncio.sleep(0.02)
            for stream in sorted(peer.ended - done)[:1]:
                done.add(stream)
                answer(peer, stream)

    async with between(script, limits=Limits(upstream_connections=3)) as (gateway, peer):
        for stream in range(1, 41, 2):
            peer.call(stream)
        for stream in range(1, 41, 2):
            assert (await peer.answer(stream))["grpc-status"] == "0"
        assert max(most) <= 2
        assert len(gateway.board.connections()) == 4
