"""A store that gateways share, which is a real Redis: what they get from it, and that they never depend on it."""

from __future__ import annotations

import asyncio
import signal
import struct
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.grpc_gateway import revision, table
from tests.support.grpc_stage import stage
from tests.support.http_gateway import gateway, until
from tests.support.redis_server import RedisServer, redis_server, store_at
from tests.support.remote_caching import (
    CLIENTS,
    KEPT,
    Load,
    asking,
    closes,
    doubling,
    how,
    one_gateway,
    opens,
    stored,
    y_of,
)
from tests.support.scripted_http import scripted
from tritonclient.grpc import service_pb2 as pb

from plimsoll.api.vocabulary import DataType
from plimsoll.core.cache.breaker import BreakerState
from plimsoll.core.cache.policy import CachePolicy
from plimsoll.core.inference.answer import InferAnswer
from plimsoll.core.inference.request import Tensor
from plimsoll.gateway.cache.remote.link import Direction
from plimsoll.gateway.cache.remote.store import Looked, Written
from plimsoll.gateway.cache.store import Answer as KeptAnswer
from plimsoll.gateway.cache.store import Inquiry


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path) as server:
        yield server


# ---- what they share -------------------------------------------------------------------------------------------------
async def test_what_one_gateway_was_told_another_one_knows(redis: RedisServer) -> None:
    async with (
        scripted(doubling) as server,
        store_at(redis.url) as one,
        store_at(redis.url) as other,
        one_gateway(server, one) as first,
        one_gateway(server, other) as second,
    ):
        assert how(await first.ask(asking())) == "miss"
        await stored(one)
        assert 55_000 < int(redis.say("PTTL", *redis.names())) <= 60_000
        given = await second.ask(asking())
        assert (y_of(given), how(given), given.field("x-plimsoll-revision")) == (2, "hit", "r1")
        assert 55 < second.looked.stores[0].ttl_s[0] <= 60, "it is kept no longer here than there"
        assert how(await second.ask(asking())) == "hit"
        counts = second.looked.cache.counts
        assert (counts.remote, counts.hits, counts.misses, len(server.asked)) == (1, 1, 0, 1)
        record = second.records["r1"]
        assert (record.exempt, record.cache_hits) == (2, 2)
        assert [other.looked[looked] for looked in (Looked.HIT, Looked.MISS)] == [1, 0]


async def test_what_either_arm_holds_there_is_no_evidence(redis: RedisServer) -> None:
    async with (
        scripted(doubling) as server,
        store_at(redis.url) as one,
        store_at(redis.url) as other,
        one_gateway(server, one) as first,
        one_gateway(server, other) as second,
    ):
        first.route([server.ip], [server.ip], weight=1000, cache=KEPT)
        await first.ask(asking())
        await stored(one)
        second.route([server.ip], [server.ip], weight=0, cache=KEPT)
        assert how(await second.ask(asking())) == "miss", "no revision gives another one's answer"
        assert second.records["r1"].exempt == 1
        await second.ask(asking(2))
        assert second.records["r1"].exempt == 1


async def test_models_of_two_objects_never_meet(redis: RedisServer) -> None:
    async with scripted(doubling) as server, store_at(redis.url) as one:
        async with one_gateway(server, one) as first:
            await first.ask(asking())
        await stored(one)
        async with gateway(port=server.port, remote_of=lambda _: one.of("another-uid")) as second:
            second.route([server.ip], cache=KEPT)
            assert how(await second.ask(asking())) == "miss"


async def test_a_share_of_its_hits_is_checked_too(redis: RedisServer) -> None:
    async with (
        scripted(doubling) as server,
        store_at(redis.url) as one,
        one_gateway(server, one) as first,
        one_gateway(server, one) as second,
    ):
        await first.ask(asking())
        await stored(one)
        second.route([server.ip], cache=CachePolicy(60.0, 1 << 20, recheck=0.5))
        second.looked.tossed = 0.4
        assert how(await second.ask(asking())) == "recheck"
        counts = second.looked.cache.counts
        assert (counts.remote, counts.rechecked, counts.mismatched) == (1, 1, 0)


async def test_requests_that_ask_the_same_ask_it_once(redis: RedisServer) -> None:
    async with scripted(doubling) as server, store_at(redis.url) as one:
        async with one_gateway(server, one) as first:
            await first.ask(asking())
        await stored(one)
        async with one_gateway(server, one) as second:
            clients = [await second.connect() for _ in range(5)]
            for client in clients:
                client.writer.write(asking())
            answers = [await client.answer() for client in clients]
            assert {y_of(answer) for answer in answers} == {2}
            assert (one.looked[Looked.HIT], len(server.asked)) == (1, 1)
            for client in clients:
                client.close()


async def test_over_grpc_and_over_http_it_is_one_answer(redis: RedisServer) -> None:
    request = pb.ModelInferRequest(
        model_name="digits",
        id="7",
        inputs=[pb.ModelInferRequest.InferInputTensor(name="x", datatype="FP32", shape=[1, 1])],
        raw_input_contents=[struct.pack("<f", 1)],
    )
    async with scripted(doubling) as server, store_at(redis.url) as one:
        async with one_gateway(server, one) as first:
            await first.ask(asking())
        await stored(one)
        async with stage("a", remote_of=one.of) as on:
            on.gateway.route(table(revision("r1", "a", cacheable=True), epoch=2, cache=KEPT))
            call = on.stub.ModelInfer(request)
            answer = await call
            assert (answer.id, answer.raw_output_contents) == ("7", [struct.pack("<f", 2)])
            assert dict(await call.initial_metadata())["x-plimsoll-cache"] == "hit"
            assert on.pods["a"].requests == []


# ---- a store that is in trouble --------------------------------------------------------------------------------------
@pytest.mark.parametrize("trouble", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "hangs"])
async def test_a_store_that_fails_fails_no_request_and_is_found_again(
    redis: RedisServer, trouble: signal.Signals
) -> None:
    async with (
        scripted(doubling) as server,
        store_at(redis.url, answer_s=0.5) as store,
        one_gateway(server, store) as subject,
    ):
        async with Load(subject) as load:
            redis.signal(trouble)
            await opens(store)
            skipped = store.looked[Looked.SKIPPED]
            await load.goes_on()
            asked_before = CLIENTS  # at most so many of the answers since
            since = store.looked[Looked.SKIPPED] - skipped
            assert since >= 10 * CLIENTS - asked_before, "it is not asked while it is in trouble"
            assert store.looked[Looked.FAILED] <= CLIENTS, "nobody waited but who had asked when it began"
            if trouble is signal.SIGSTOP:
                redis.signal(signal.SIGCONT)
            else:
                redis.start()
            await closes(store)
            misses = store.looked[Looked.MISS]
            await until(lambda: store.looked[Looked.MISS] > misses)
        assert subject.records["r1"].arrivals == load.answers
        assert subject.looked.cache.counts.misses == load.answers


async def test_a_store_that_restarts_under_load(redis: RedisServer) -> None:
    async with (
        scripted(doubling) as server,
        store_at(redis.url) as store,
        one_gateway(server, store) as subject,
        Load(subject) as load,
    ):
        for _ in range(3):
            redis.signal(signal.SIGKILL)
            redis.start()
            await closes(store)
            await stored(store, store.written[Written.STORED] + 1)
            await load.goes_on()


async def test_a_store_that_is_full_is_read_all_the_same(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with redis_server(tmp_path) as redis:
        async with scripted(doubling) as server, store_at(redis.url) as store, one_gateway(server, store) as subject:
            await subject.ask(asking())
            await stored(store)
            redis.say("CONFIG", "SET", "maxmemory", "1")
            await subject.ask(asking(2))
            await until(lambda: store.written[Written.FAILED] == 1)
            async with one_gateway(server, store) as second:
                assert how(await second.ask(asking())) == "hit"
            async with Load(subject):
                await until(lambda: store.state(Direction.WRITE) is BreakerState.OPEN)
            assert store.state(Direction.READ) is BreakerState.CLOSED
    said = [record for record in caplog.records if "OOM" in getattr(record, "why", "")]
    assert len(said) == 1
    assert "maxmemory-policy" in said[0].why  # type: ignore[attr-defined]


PLANTED: dict[str, list[list[str]]] = {
    "noise": [["SET", "ONE", "plimsoll-kept-1\n and noise", "PX", "60000"], ["SET", "TWO", "x", "PX", "60000"]],
    "each other's": [["RENAME", "ONE", "aside"], ["RENAME", "TWO", "ONE"], ["RENAME", "aside", "TWO"]],
    "lists": [["DEL", "ONE", "TWO"], ["RPUSH", "ONE", "a"], ["RPUSH", "TWO", "a"]],
    "kept for ever": [["PERSIST", "ONE"], ["PERSIST", "TWO"]],
    "a hundred MiB": [["SETRANGE", "ONE", str(100 << 20), "a"], ["SETRANGE", "TWO", str(100 << 20), "a"]],
}


@pytest.mark.parametrize("planted", PLANTED.values(), ids=PLANTED)
async def test_what_others_wrote_there_is_no_answer(redis: RedisServer, planted: list[list[str]]) -> None:
    async with scripted(doubling) as server, store_at(redis.url) as one:
        async with one_gateway(server, one) as first:
            for value in (1, 2):
                await first.ask(asking(value))
        await stored(one, 2)
        names = dict(zip(("ONE", "TWO"), redis.names(), strict=True))
        for said in planted:
            redis.say(*(names.get(part, part) for part in said))
        async with one_gateway(server, one) as second:
            for value in (1, 2):
                given = await second.ask(asking(value))
                assert (y_of(given), how(given)) == (2 * value, "miss")
            assert one.looked == {Looked.MISS: 2, Looked.UNREADABLE: 2}
            assert one.state(Direction.READ) is BreakerState.CLOSED, "that is not the store's failure"
        await stored(one, 4)
        async with one_gateway(server, one) as third:
            assert how(await third.ask(asking())) == "hit", "what was there has been written over"


async def noise(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(10)
    writer.write(b"*4294967295\r\nHTTP/1.1 400 Bad Request\r\n")
    await reader.read()
    writer.close()


async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(-1)
    writer.close()


async def no_more_than_a_greeting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers the first PING, and nothing else as it should."""
    await reader.read(100)
    writer.write(b"+PONG\r\n")
    await reader.read(10)
    writer.write(b"+OK\r\n+OK\r\n+OK\r\n+OK\r\n")
    await reader.read()
    writer.close()


@pytest.mark.parametrize("behaviour", [noise, silence, no_more_than_a_greeting])
async def test_what_is_no_store_at_all_is_left_alone(behaviour: object) -> None:
    stranger = await asyncio.start_server(behaviour, "127.0.0.1", 0)  # type: ignore[arg-type]
    port = stranger.sockets[0].getsockname()[1]
    async with (
        scripted(doubling) as server,
        store_at(f"redis://127.0.0.1:{port}", connects=False, answer_s=0.5) as store,
        one_gateway(server, store) as subject,
        Load(subject) as load,
    ):
        await until(lambda: store.state(Direction.READ) is BreakerState.OPEN, 30)
        await load.goes_on()
    stranger.close()


# ---- patience --------------------------------------------------------------------------------------------------------
async def test_a_client_that_goes_while_the_store_is_asked_is_forgotten(redis: RedisServer) -> None:
    async with scripted(doubling) as server, store_at(redis.url) as store, one_gateway(server, store) as subject:
        redis.signal(signal.SIGSTOP)
        client = await subject.connect()
        client.writer.write(asking())
        await until(lambda: subject.records["r1"].arrivals == 1)
        client.close()
        await until(lambda: len(subject.records["r1"].ends) == 1)
        redis.signal(signal.SIGCONT)
        assert y_of(await subject.ask(asking())) == 2


class Deaf:
    """A store that never answers, and how long each request was to wait for it."""

    longest_wait_s = 0.02

    def __init__(self) -> None:
        self.waits: list[float] = []

    def ask(self, _key: bytes, _others: Sequence[bytes], wait_s: float, inquiry: Inquiry) -> bool:
        self.waits.append(wait_s)
        asyncio.get_running_loop().call_later(0, inquiry.tell, None)
        return True

    def put(self, _key: bytes, _answer: object, _ttl_s: float) -> None:
        """Keeps nothing."""


async def test_it_gets_a_small_part_of_the_time_that_a_client_grants() -> None:
    deaf = Deaf()
    async with (
        scripted(doubling) as server,
        gateway(port=server.port, remote_of=lambda _: deaf) as subject,
        stage("a", remote_of=lambda _: deaf) as on,
    ):
        subject.route([server.ip], cache=KEPT)
        for head in (b"", b"x-plimsoll-timeout-ms: 60000\r\n", b"x-plimsoll-timeout-ms: 60\r\n"):
            await subject.ask(asking(len(deaf.waits), head))
        on.gateway.route(table(revision("r1", "a", cacheable=True), epoch=2, cache=KEPT))
        x = pb.ModelInferRequest.InferInputTensor(name="x", datatype="UINT8", shape=[1])
        await on.stub.ModelInfer(pb.ModelInferRequest(model_name="digits", inputs=[x], raw_input_contents=[b"1"]))
    assert deaf.waits[:2] == [0.02, 0.02]
    assert 0 < deaf.waits[2] <= 0.015
    assert deaf.waits[3] == 0.02


async def test_what_is_to_be_stored_is_bounded_while_it_hangs(redis: RedisServer) -> None:
    large = KeptAnswer(InferAnswer("digits", "1", (Tensor("y", DataType.UINT8, (200_000,), bytes(200_000)),)), 0.1)
    async with store_at(redis.url) as store:
        redis.signal(signal.SIGSTOP)
        for number in range(100):
            store.of("uid").put(number.to_bytes(32, "big"), large, 60)
        assert store.written[Written.DROPPED] == 100 - 21, "4 MiB are under way"
        redis.signal(signal.SIGCONT)
        await stored(store, 21)
        store.of("uid").put(bytes(32), replace(large, value=replace(large.value, model="m" * 400_000)), 60)
        assert store.written[Written.DROPPED] == 100 - 20, "one is too long"
