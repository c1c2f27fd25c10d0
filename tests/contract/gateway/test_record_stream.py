"""The record stream over real sockets: who may read, who takes over, and what a reader that does not read loses."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from tests.support.gateway_stream import POD_UID, SEED, admin_port
from tests.support.recordings import Sums, route, table

from plimsoll.api.degradation import KillAction
from plimsoll.core.kill_switch.switch import Trip
from plimsoll.core.records.record import Cut, Hello
from plimsoll.core.records.wire import decode
from plimsoll.core.tokens import public_key, sign
from plimsoll.gateway import record_stream
from plimsoll.gateway.record_stream import Identity, RecordStream
from plimsoll.gateway.recordings import Clocks, Recordings

HELLO = Hello("b1", "plimsoll-gateway-x", "0.1.0")


def bearer(seed: bytes = SEED, audience: str = POD_UID, ago_s: float = 0.0) -> dict[str, str]:
    return {"Authorization": f"Bearer {sign(seed, audience, time.time() - ago_s)}"}


@asynccontextmanager
async def opened(port: int, headers: dict[str, str] | None = None) -> AsyncIterator[aiohttp.ClientResponse]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}/v1/records", headers=headers or bearer()) as response,
    ):
        yield response


async def told(response: aiohttp.ClientResponse) -> Hello | Cut:
    return decode(await asyncio.wait_for(response.content.readline(), 10))


async def cut_of(response: aiohttp.ClientResponse) -> Cut:
    found = await told(response)
    assert isinstance(found, Cut)
    return found


async def until_unread(stream: RecordStream) -> None:
    """A write finds out that nobody is there any more."""
    async with asyncio.timeout(10):
        while stream.is_read:
            stream.trip()
            await asyncio.sleep(0.01)


async def test_a_stream_begins_with_hello_and_all_that_is_followed() -> None:
    async with admin_port() as gateway, opened(gateway.port) as response:
        assert response.status == 200
        assert response.content_type == "application/x-ndjson"
        assert await told(response) == HELLO
        assert (await cut_of(response)).acks == {"uid-digits": 1}
        assert len(gateway.trusts) == 1


async def test_what_happens_is_told() -> None:
    async with admin_port() as gateway, opened(gateway.port) as response:
        await told(response)
        await told(response)
        gateway.request(times=5)
        cut = await cut_of(response)
        assert [(record.revision, record.arrivals) for record in cut.records] == [("r1", 5)]


async def test_a_kill_switch_is_told_when_it_trips_and_when_it_is_released() -> None:
    trip = Trip(KillAction.STOPPED, 20, 100)
    async with admin_port() as gateway, opened(gateway.port) as response:
        await told(response)
        assert (await cut_of(response)).trips == {}
        gateway.trips["uid-digits"] = trip
        gateway.stream.trip()
        assert (await cut_of(response)).trips == {"uid-digits": trip}
        gateway.trips.clear()
        gateway.stream.trip()
        assert (await cut_of(response)).trips == {"uid-digits": None}


async def test_a_trip_does_not_wait_for_the_next_tick() -> None:
    async with admin_port() as gateway, opened(gateway.port) as response:
        await told(response)
        before = (await cut_of(response)).seq
        gateway.request()
        gateway.stream.trip()
        assert (await cut_of(response)).seq == before + 1


async def test_hello_is_for_everybody_and_holds_no_secret() -> None:
    async with (
        admin_port() as gateway,
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{gateway.port}/v1/hello") as response,
    ):
        assert decode(await response.read()) == HELLO
        assert gateway.trusts == []


@pytest.mark.parametrize(
    ("headers", "why"),
    [
        pytest.param({"X-None": "1"}, "there is none", id="no token"),
        pytest.param({"Authorization": "Basic eDp5"}, "there is none", id="another scheme"),
        pytest.param({"Authorization": "Bearer x"}, "not signed by this pod's controller", id="none of ours"),
        pytest.param(bearer(seed=bytes(32)), "not signed by this pod's controller", id="another controller's"),
        pytest.param(bearer(audience="another"), "it is for another pod", id="another pod's"),
        pytest.param(bearer(ago_s=3600), "it has expired", id="an old one"),
    ],
)
async def test_without_a_valid_token_there_is_nothing_but_the_reason(headers: dict[str, str], why: str) -> None:
    async with admin_port() as gateway, opened(gateway.port, headers) as response:
        assert response.status == 401
        assert why in await response.text()
        assert (gateway.trusts, gateway.stream.is_read) == ([], False)


async def test_asking_without_wanting_an_answer_takes_nothing_over() -> None:
    async with (
        admin_port() as gateway,
        aiohttp.ClientSession() as session,
        session.head(f"http://127.0.0.1:{gateway.port}/v1/records", headers=bearer()) as response,
    ):
        assert (response.status, gateway.trusts) == (405, [])


def test_a_key_that_is_none_is_told_at_the_start() -> None:
    clocks = Clocks(time.monotonic, time.time, time.process_time)
    with pytest.raises(ValueError, match="base64url"):
        RecordStream(Identity("b", "p", "u", "v", "no key"), Recordings(clocks, Sums()), clocks, lambda: None)
    assert public_key(SEED)


async def test_a_newer_stream_takes_over() -> None:
    async with admin_port() as gateway, opened(gateway.port) as older:
        await told(older)
        last = (await cut_of(older)).seq
        async with opened(gateway.port) as newer:
            assert await told(newer) == HELLO
            first = await cut_of(newer)
            assert (first.seq > last, first.acks) == (True, {"uid-digits": 1})
            with pytest.raises(aiohttp.ClientError):
                await older.content.read()
            gateway.request()
            assert (await cut_of(newer)).records
        await until_unread(gateway.stream)


async def test_a_reader_that_went_away_is_noticed_and_the_next_one_sees_the_gap() -> None:
    async with admin_port() as gateway:
        async with opened(gateway.port) as response:
            await told(response)
            seen = (await cut_of(response)).seq
        gateway.request()
        gateway.stream.trip()
        gateway.stream.trip()
        await until_unread(gateway.stream)
        async with opened(gateway.port) as response:
            await told(response)
            assert (await cut_of(response)).seq > seen + 1


async def test_a_reader_that_does_not_read_is_sent_away_and_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_stream, "MAX_WAITING_BYTES", 64 * 1024)
    models = [route(f"model-{number}", ("r1", 1000)) for number in range(500)]
    async with admin_port(routes=table(*models)) as gateway, opened(gateway.port) as response:
        for number in range(500):
            gateway.recordings.of(f"model-{number}", "r1")
        async with asyncio.timeout(30):
            while gateway.stream.is_read:  # some megabytes fit into the buffers of the sockets
                gateway.stream.trip()
                await asyncio.sleep(0)
        with pytest.raises(aiohttp.ClientError):
            await response.content.read()
        async with opened(gateway.port) as again:
            assert await told(again) == HELLO
            assert (await cut_of(again)).seq > 10


async def test_the_port_closes_although_somebody_reads() -> None:
    async with admin_port() as gateway:
        async with opened(gateway.port) as response:
            await told(response)
            gateway.stream.close()
            with pytest.raises(aiohttp.ClientError):
                await response.content.read()
        assert not gateway.stream.is_read
