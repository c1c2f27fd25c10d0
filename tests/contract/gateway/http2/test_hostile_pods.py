"""Model pods that break off, dawdle, or answer nonsense, on raw sockets; and what becomes of the calls they have.

A fake, because a real server refuses a stream or breaks a frame only when it likes to.
"""

from __future__ import annotations

import asyncio

import pytest
from tests.support.grpc_gateway import eventually
from tests.support.http2_peer import Peer, message
from tests.support.http2_pods import HEAD, OK, Script, after_call, answer, between, encoded, preface, serves

from plimsoll.core.records.outcome import Outcome
from plimsoll.gateway.http2 import frames
from plimsoll.gateway.http2.frames import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PADDED,
    PING,
    PREFACE,
    PUSH_PROMISE,
    Setting,
    frame,
)
from plimsoll.gateway.http2.limits import Limits
from plimsoll.gateway.http2.violations import ErrorCode

BREAKING: list[tuple[str, bytes]] = [
    ("garbage", b"\xff" * 100),
    ("DATA before a head", frame(DATA, 0, 1, b"x")),
    ("trailers before a head", encoded(OK, ended=True)),
    ("a second head", encoded(HEAD) + encoded(HEAD)),
    ("trailers that do not end", encoded(HEAD) + encoded([("x", "y")])),
    ("a head that is malformed", encoded([(":status", "x")])),
    ("RST_STREAM", frames.reset(1, ErrorCode.INTERNAL_ERROR)),
    ("RST_STREAM without error", frames.reset(1, ErrorCode.NO_ERROR)),
    ("PUSH_PROMISE", frame(PUSH_PROMISE, END_HEADERS, 1, bytes(8))),
    ("an even stream", frame(DATA, 0, 2, b"x")),
    ("a stream that was never opened", frame(DATA, 0, 99, b"x")),
    ("a CONTINUATION flood", frame(HEADERS, 0, 1, b"") + frame(CONTINUATION, 0, 1) * 100),
    ("padding beyond its frame", encoded(HEAD) + frame(DATA, PADDED, 1, b"\x09a")),
    ("a window that overflows", frames.window_update(0, (1 << 31) - 1)),
    ("push that is switched on", frames.settings([(Setting.ENABLE_PUSH, 1)])),
    ("more than its window", encoded(HEAD) + frame(DATA, 0, 1, bytes(16384)) * 40),
    ("GOAWAY, then the end", frames.goaway(1, ErrorCode.INTERNAL_ERROR)),
]


@pytest.mark.parametrize("parts", [row[1] for row in BREAKING], ids=[row[0] for row in BREAKING])
async def test_a_pod_that_breaks_the_protocol_is_broken_and_the_client_is_told(parts: bytes) -> None:
    async with between(after_call(parts, stays_s=0.5)) as (gateway, peer):
        peer.call(1)
        said = await peer.answer(1)
        assert said["grpc-status"] == "14"
        assert gateway.record("r1").ends == [(Outcome.BROKEN, "0")]


@pytest.mark.parametrize("parts", [row[1] for row in BREAKING[:3]], ids=[row[0] for row in BREAKING[:3]])
async def test_nothing_of_it_is_seen_where_another_pod_answers(parts: bytes) -> None:
    async with between(after_call(parts, stays_s=0.1), serves) as (gateway, peer):
        for stream in range(1, 13, 2):
            peer.call(stream)
            assert (await peer.answer(stream))["grpc-status"] == "0"
        record = gateway.record("r1")
        assert record.arrivals == 6
        assert record.outcomes.count(Outcome.BROKEN) == record.rescues > 0


async def silence(peer: Peer) -> None:
    await peer.until_closed(60)


async def hang_up(_: Peer) -> None:
    """Returning closes the connection."""


async def http_1(peer: Peer) -> None:
    peer.send(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
    await peer.until_closed(60)


@pytest.mark.parametrize("script", [silence, hang_up, http_1])
async def test_a_pod_that_accepts_and_is_no_server(script: Script) -> None:
    async with between(script, limits=Limits(connect_s=0.3)) as (gateway, peer):
        peer.call(1)
        said = await peer.answer(1)
        assert said["grpc-status"] == "14"
        assert "could not be reached" in said["grpc-message"]
        assert gateway.record("r1").ends == [(Outcome.BROKEN, "0")]


async def test_a_second_attempt_credits_no_byte_twice() -> None:
    async def breaks_off(peer: Peer) -> None:
        await preface(peer, (Setting.INITIAL_WINDOW_SIZE, 1 << 20))
        peer.send(frames.window_update(0, 1 << 20))
        await peer.until(lambda: len(peer.data.get(1, b"")) == len(body))

    async def serves_the_same(peer: Peer) -> None:
        await serves(peer, (Setting.INITIAL_WINDOW_SIZE, 1 << 20))

    body = message(bytes(50_000))
    tried = 0
    async with between(breaks_off, serves_the_same, limits=Limits(stream_window=65_535)) as (gateway, peer):
        for stream in range(1, 9, 2):
            peer.head(stream)
            for start in range(0, len(body), 16_384):
                peer.body(stream, body[start : start + 16_384], ended=False)
            broken = len(gateway.record("r1").ends) + 1
            await peer.until(lambda stream=stream: peer.credited(stream) > 0)
            await asyncio.sleep(0.05)
            tried += len(gateway.record("r1").ends) == broken
            peer.body(stream, b"", ended=True)
            assert (await peer.answer(stream))["grpc-status"] == "0"
            assert peer.credited(stream) <= len(body)
        assert tried > 0


async def test_a_call_that_waits_for_a_stream_survives_the_connection_it_waits_for() -> None:
    connections = 0

    async def one_at_a_time(peer: Peer) -> None:
        nonlocal connections
        connections += 1
        if connections > 1:
            await serves(peer)
        await preface(peer, (Setting.MAX_CONCURRENT_STREAMS, 1))
        await peer.until(lambda: 1 in peer.ended)
        await asyncio.sleep(0.1)

    async with between(one_at_a_time, limits=Limits(upstream_connections=1)) as (gateway, peer):
        peer.call(1)
        peer.call(3)
        assert [(await peer.answer(stream))["grpc-status"] for stream in (1, 3)] == ["14", "0"]
        assert sorted(gateway.record("r1").outcomes) == [Outcome.SUCCEEDED, Outcome.BROKEN]


async def never_answers(peer: Peer) -> None:
    await preface(peer)
    await peer.until_closed(60)


async def test_a_deadline_is_kept_though_the_pod_forgets_it() -> None:
    async with between(never_answers) as (gateway, peer):
        peer.call(1, ("grpc-timeout", "100m"))
        said = await peer.answer(1)
        assert (said["grpc-status"], "0.1 s" in said["grpc-message"]) == ("4", True)
        assert gateway.record("r1").ends == [(Outcome.TIMED_OUT, "0")]


async def test_a_deadline_in_mid_answer_ends_it_with_a_status() -> None:
    async with between(after_call(encoded(HEAD), frame(DATA, 0, 1, b"half"))) as (_, peer):
        peer.call(1, ("grpc-timeout", "100m"))
        said = await peer.answer(1)
        assert (said["grpc-status"], peer.data[1]) == ("4", b"half")


async def test_a_pod_that_takes_no_bytes_stalls_its_call_and_no_other() -> None:
    async def takes_nothing(peer: Peer) -> None:
        await preface(peer, (Setting.INITIAL_WINDOW_SIZE, 0))
        await peer.until_closed(60)

    async with between(takes_nothing, serves, limits=Limits(stall_s=0.5)) as (gateway, peer):
        for stream in range(1, 21, 2):
            peer.call(stream)
        statuses = [(await peer.answer(stream))["grpc-status"] for stream in range(1, 21, 2)]
        assert statuses == ["0"] * 10
        assert gateway.record("r1").rescues == gateway.record("r1").outcomes.count(Outcome.BROKEN) > 0


async def test_an_answer_before_the_request_is_whole_ends_both() -> None:
    reset: list[int] = []

    async def script(peer: Peer) -> None:
        await preface(peer)
        await peer.until(lambda: 1 in peer.heads)
        answer(peer, 1)
        await peer.until(lambda: 1 in peer.resets)
        reset.append(peer.resets[1])

    async with between(script) as (gateway, peer):
        peer.head(1)
        peer.body(1, message(bytes(1000)), ended=False)
        assert (await peer.answer(1))["grpc-status"] == "0"
        await peer.until(lambda: 1 in peer.resets)
        assert peer.resets == {1: ErrorCode.NO_ERROR}
        await eventually(lambda: reset == [ErrorCode.CANCEL], "the pod was not told")
        assert gateway.record("r1").outcomes == [Outcome.SUCCEEDED]


async def test_an_answer_without_trailers_is_the_pods_fault() -> None:
    async with between(after_call(encoded(HEAD), frame(DATA, END_STREAM, 1, b"all"))) as (gateway, peer):
        peer.call(1)
        await peer.answer(1)
        assert peer.data[1] == b"all"
        assert gateway.record("r1").outcomes == [Outcome.SERVER_FAULT]


async def test_interim_heads_are_left_out() -> None:
    async with between(after_call(encoded([(":status", "103")]), encoded([*HEAD, *OK], ended=True))) as (_, peer):
        peer.call(1)
        assert (await peer.answer(1))["grpc-status"] == "0"
        assert len(peer.heads[1]) == 1


async def test_a_pod_may_ping_and_is_answered() -> None:
    answered: list[bytes] = []

    async def script(peer: Peer) -> None:
        await preface(peer)
        await peer.until(lambda: 1 in peer.ended)
        peer.send(frame(PING, 0, 0, b"12345678"))
        await peer.until(lambda: any(kind == PING for kind, *_ in peer.seen))
        answered.extend(payload for kind, _, _, payload in peer.seen if kind == PING)
        answer(peer, 1)
        await peer.until_closed(60)

    async with between(script) as (_, peer):
        peer.call(1)
        assert (await peer.answer(1))["grpc-status"] == "0"
        assert answered == [b"12345678"]


async def test_a_connection_breaks_in_mid_answer() -> None:
    async def script(peer: Peer) -> None:
        await preface(peer)
        await peer.until(lambda: 1 in peer.ended)
        peer.send(encoded(HEAD), frame(DATA, 0, 1, b"half"))

    async with between(script, serves) as (gateway, peer):
        outcomes = []
        for stream in (1, 3, 5):
            peer.call(stream)
            outcomes.append((await peer.answer(stream))["grpc-status"])
        assert set(outcomes) == {"0", "14"}
        assert gateway.record("r1").outcomes.count(Outcome.BROKEN) == outcomes.count("14")
        assert gateway.record("r1").rescues == 0


async def test_the_first_bytes_are_the_preface() -> None:
    got: list[bytes] = []

    async def script(peer: Peer) -> None:
        got.append(await peer.preface())
        peer.send(frames.settings([]))
        await peer.until(lambda: 1 in peer.ended)
        answer(peer, 1)
        await peer.until_closed(60)

    async with between(script) as (_, peer):
        peer.call(1)
        await peer.answer(1)
    assert got == [PREFACE]
