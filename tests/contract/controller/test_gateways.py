"""The collector over real sockets: gateways as ours are, and whatever else may stand at their address."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import pairwise

import pytest
from aiohttp import web
from tests.support.controller_process import free_port
from tests.support.gateway_stream import POD_UID, SEED, AdminPort, admin_port
from tests.support.recordings import epochs, route, table
from tests.support.records import NOW, UID, cut, record
from typing_extensions import override

from plimsoll.controller.gateway_state import GatewayPod
from plimsoll.controller.gateway_stream import StreamSettings
from plimsoll.controller.gateways import Collector
from plimsoll.controller.report_key import ReportKey
from plimsoll.core.records.fence import Fence
from plimsoll.core.records.outcome import Outcome
from plimsoll.core.records.pool import Evidence, Pool
from plimsoll.core.records.record import Cut, Hello
from plimsoll.core.records.wire import MAX_LINE_BYTES, encode_cut, encode_hello
from plimsoll.core.tokens import public_key
from plimsoll.kube.clock import SYSTEM_CLOCK, Clock

POD = GatewayPod("vision", "plimsoll-gateway-x", POD_UID, "127.0.0.1", ready=True)
HURRIED = replace(SYSTEM_CLOCK, sleep=lambda seconds: asyncio.sleep(seconds / 50))
"""Pauses between attempts, and between looks at who is silent, are short."""


@dataclass
class Told:
    """A listener that writes down."""

    acknowledgements: list[tuple[str, str]] = field(default_factory=list)
    namespaces: list[str] = field(default_factory=list)

    def acknowledged(self, namespace: str, model_uid: str) -> None:
        self.acknowledgements.append((namespace, model_uid))

    def mismatched(self, model_uid: str, revision: str, count: int) -> None: ...

    def namespace_changed(self, namespace: str) -> None:
        self.namespaces.append(namespace)


@asynccontextmanager
async def collecting(
    port: int,
    *pods: GatewayPod,
    told: Told | None = None,
    stalled_s: float = 15.0,
    unavailable_after_s: float = 30.0,
    pool: Pool | None = None,
    clock: Clock = HURRIED,
) -> AsyncIterator[Collector]:
    settings = StreamSettings(port, open_s=min(5.0, stalled_s), stalled_s=stalled_s)
    key = ReportKey(SEED, public_key(SEED))
    async with Collector(
        key, clock, settings, told or Told(), pool=pool, unavailable_after_s=unavailable_after_s
    ) as collector:
        collector.follow(pods or [POD])
        yield collector


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - looks from outside
            await asyncio.sleep(0.01)


def acks(collector: Collector, pod_uid: str = POD_UID) -> dict[str, int]:
    found = collector.gateways("vision").get(pod_uid)
    return found.acks if found else {}


def why(collector: Collector) -> str:
    return collector.gateways("vision")[POD_UID].why


@asynccontextmanager
async def stranger(answer: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[int]:
    """Whatever else listens there."""
    app = web.Application()
    app.add_routes([web.get("/v1/records", answer)])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.01)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield port
    finally:
        await runner.cleanup()


def saying(*chunks: bytes, then_s: float = 0.0) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """A stream of these bytes that stays open for a while."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for chunk in chunks:
            await response.write(chunk)
        await asyncio.sleep(then_s)
        return response

    return answer


HELLO = encode_hello(Hello("b1", "plimsoll-gateway-x", "0.1.0"))


# ---- gateways as ours are ----
async def test_what_a_gateway_follows_and_counts_is_known() -> None:
    told = Told()
    async with admin_port() as gateway, collecting(gateway.port, told=told) as collector:
        await until(lambda: acks(collector))
        assert (acks(collector), told.acknowledgements) == ({"uid-digits": 1}, [("vision", "uid-digits")])
        gateway.request(times=3)
        gateway.stream.trip()
        known = collector.gateways("vision")[POD_UID]
        before = known.seq
        await until(lambda: known.seq > before)
        pooled = collector.pool.take("uid-digits", NOW).revisions["r1"]
        assert (pooled.arrivals, sum(pooled.outcomes), pooled.in_flight) == (3, 3, 0)
        assert (known.version, known.why) == ("0.1.0", "")


async def test_a_draining_pod_that_has_no_request_left_wakes_whoever_waits_for_it() -> None:
    told = Told()
    async with admin_port() as gateway, collecting(gateway.port, told=told) as collector:
        await until(lambda: acks(collector))
        gateway.in_flight["uid-digits"] = {"a": 1}
        await until(lambda: collector.in_flight("vision", "uid-digits") == {"a": 1})
        gateway.in_flight["uid-digits"] = {"a": 0}
        await until(lambda: collector.in_flight("vision", "uid-digits") == {"a": 0})
        assert len(told.acknowledgements) == 2


async def test_an_acknowledgement_wakes_whoever_waits_for_it() -> None:
    told = Told()
    async with admin_port() as gateway, collecting(gateway.port, told=told) as collector:
        await until(lambda: acks(collector))
        assert collector.lagging("vision", "uid-digits", 2) == [POD.name]
        newer = table(route("digits", ("r1", 900), ("r2", 100), epoch=2))
        gateway.stream.follow(newer, epochs(newer))
        await until(lambda: len(told.acknowledgements) == 2)
        assert collector.lagging("vision", "uid-digits", 2) == []


async def test_every_ready_gateway_has_to_acknowledge_and_no_other() -> None:
    second = "5f0c8e2a-0000-4000-8000-00000000000b"
    port = free_port()
    not_ready = replace(POD, uid="new", name="new", ip="", ready=False)
    other = replace(POD, uid=second, name="plimsoll-gateway-y", ip="127.0.0.2")
    async with admin_port(port=port), collecting(port, POD, other, not_ready) as collector:
        await until(lambda: acks(collector))
        assert collector.lagging("vision", "uid-digits", 1) == ["plimsoll-gateway-y"]
        collector.follow([POD, not_ready])
        assert collector.lagging("vision", "uid-digits", 1) == []


async def test_a_gateway_that_started_anew_has_acknowledged_nothing_until_it_says_so_and_leaves_a_gap() -> None:
    port, told = free_port(), Told()
    async with collecting(port, told=told) as collector:
        async with admin_port(port=port, boot="b1") as gateway:
            await until(lambda: acks(collector))
            gateway.request()
            gateway.stream.trip()
            await until(lambda: collector.gateways("vision")[POD_UID].seq > 1)
        async with admin_port(port=port, boot="b2", routes=table()):
            await until(lambda: collector.gateways("vision")[POD_UID].boot == "b2")
            assert acks(collector) == {}
            assert told.acknowledgements == [("vision", "uid-digits")] * 2
            await until(lambda: collector.gateways("vision")[POD_UID].seq)
            assert [gap.cuts for gap in collector.pool.take("uid-digits", NOW).gaps] == [None]


async def test_a_controller_that_started_anew_uses_nothing_twice() -> None:
    async with admin_port() as gateway:
        async with collecting(gateway.port) as collector:
            gateway.request(times=5)
            await until(lambda: acks(collector))
            saved = dict(collector.pool.fence.last)
            used = collector.pool.take("uid-digits", NOW).revisions["r1"].arrivals
        gateway.request(times=7)
        async with collecting(gateway.port, pool=Pool(Fence(saved))) as collector:
            await until(lambda: acks(collector))
            found = collector.pool.take("uid-digits", NOW).revisions.get("r1")
            assert collector.pool.fence.last["b1"] > saved["b1"]
            assert used + (found.arrivals if found else 0) <= 12


async def test_of_two_controllers_the_newer_one_reads() -> None:
    async with admin_port() as gateway, collecting(gateway.port, clock=SYSTEM_CLOCK) as former:
        await until(lambda: acks(former))
        async with collecting(gateway.port) as newer:
            await until(lambda: acks(newer))
            await until(lambda: why(former))
            assert len(gateway.trusts) >= 2


async def test_a_pod_with_another_address_is_read_there() -> None:
    async with admin_port() as gateway, collecting(gateway.port, replace(POD, ip="")) as collector:
        assert acks(collector) == {}
        collector.follow([POD])
        await until(lambda: acks(collector))


async def test_a_gateway_that_is_gone_is_forgotten() -> None:
    told = Told()
    async with admin_port() as gateway, collecting(gateway.port, told=told) as collector:
        await until(lambda: acks(collector))
        collector.follow([])
        assert (collector.gateways("vision"), dict(collector.pool.fence.last)) == ({}, {})
        assert told.namespaces == ["vision", "vision"]
        await until(lambda: not gateway.stream.is_read or gateway.stream.trip())


# ---- what is not heard ----
async def test_evidence_is_unavailable_when_a_ready_gateway_is_not_heard() -> None:
    told = Told()
    async with collecting(free_port(), told=told, unavailable_after_s=0.05) as collector:
        await until(lambda: collector.unavailable("vision"))
        found = collector.unavailable("vision")
        assert found
        assert (found.silent, found.ready) == (1, 1)
        assert "it cannot be connected to" in found.message
        assert told.namespaces == ["vision", "vision"]
        collector.follow([replace(POD, ready=False)])
        await until(lambda: not collector.unavailable("vision"))


async def test_and_available_again_when_it_is() -> None:
    port = free_port()
    async with collecting(port, unavailable_after_s=0.3) as collector:
        await until(lambda: collector.unavailable("vision"))
        async with admin_port(port=port) as gateway:

            def heard() -> bool:
                gateway.stream.trip()
                return not collector.unavailable("vision")

            await until(heard)


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        pytest.param(saying(b"garbage\n"), "refused: it is not JSON", id="garbage"),
        pytest.param(saying(encode_cut(cut(1))), "before the greeting", id="no greeting"),
        pytest.param(saying(HELLO, HELLO), "a second greeting", id="two greetings"),
        pytest.param(saying(HELLO, b'{"seq":1}\n'), "at is missing", id="half a cut"),
        pytest.param(saying(HELLO, b"\x00" * 4096, b"\n"), "not JSON", id="bytes"),
        pytest.param(saying(encode_hello(Hello("b", "p", "v", wire=9))), "wire version 9", id="a version far ahead"),
        pytest.param(saying(HELLO, *[b"x" * 1_000_000] * 100), f"than {MAX_LINE_BYTES} bytes", id="a line of 100 MB"),
        pytest.param(saying(*[b"x" * 1_000_000] * 100), f"than {MAX_LINE_BYTES} bytes", id="a greeting of 100 MB"),
        pytest.param(saying(HELLO), "it ended the stream", id="an end"),
        pytest.param(saying(HELLO, then_s=9), "no line came for 0.3 s", id="silence"),
        pytest.param(saying(then_s=9), "did not answer within 0.3 s", id="no greeting in time"),
    ],
)
async def test_what_else_may_answer(answer: Callable[..., Awaitable[web.StreamResponse]], wanted: str) -> None:
    async with stranger(answer) as port, collecting(port, stalled_s=0.3) as collector:
        await until(lambda: why(collector))
        assert wanted in why(collector)
        assert collector.pool.take(UID, NOW) == Evidence()


async def test_bytes_without_a_line_are_silence() -> None:
    async def trickle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(HELLO)
        while True:
            await response.write(b"x")
            await asyncio.sleep(0.02)

    async with stranger(trickle) as port, collecting(port, stalled_s=0.3) as collector:
        await until(lambda: why(collector))
        assert why(collector) == "no line came for 0.3 s"


async def test_a_port_that_accepts_and_says_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        async with collecting(server.getsockname()[1], stalled_s=0.2) as collector:
            await until(lambda: why(collector))
            assert why(collector) == "it did not answer within 0.2 s"


@pytest.mark.parametrize(
    ("status", "wanted"),
    [(401, "status 401: it has expired"), (302, "status 302: it has expired"), (503, "status 503: it has expired")],
)
async def test_a_refusal_is_told_with_its_reason_and_nobody_is_sent_elsewhere(status: int, wanted: str) -> None:
    async def refuse(_: web.Request) -> web.Response:
        return web.Response(status=status, text="it has\nexpired" + "\n" * 500, headers={"Location": "http://[::1]:1/"})

    async with stranger(refuse) as port, collecting(port) as collector:
        await until(lambda: why(collector))
        assert why(collector) == f"it answers with {wanted}"


async def test_cuts_out_of_order_and_twice_are_used_once() -> None:
    lines = [encode_cut(cut(seq, record(), at=NOW + seq)) for seq in (1, 3, 2, 3, 4)]
    async with stranger(saying(HELLO, *lines, then_s=5)) as port, collecting(port) as collector:
        await until(lambda: collector.gateways("vision")[POD_UID].seq == 4)
        evidence = collector.pool.take(UID, NOW + 10)
        assert [pooled.arrivals for pooled in evidence.revisions.values()] == [3 * record().arrivals]
        assert [(gap.since, gap.until, gap.cuts) for gap in evidence.gaps] == [(NOW + 1, NOW + 3, 1)]


async def test_a_broken_line_loses_that_stream_and_not_the_next_one() -> None:
    answers = iter([saying(HELLO, b"garbage\n"), saying(HELLO, encode_cut(cut(2, record())), then_s=5)])

    async def in_turn(request: web.Request) -> web.StreamResponse:
        return await next(answers)(request)

    async with stranger(in_turn) as port, collecting(port) as collector:
        await until(lambda: collector.pool.take(UID, NOW).revisions)


async def test_a_listener_with_a_bug_does_not_end_the_reading() -> None:
    class Broken(Told):
        def acknowledged(self, namespace: str, model_uid: str) -> None:
            super().acknowledged(namespace, model_uid)
            if len(self.acknowledgements) == 1:
                raise KeyError(model_uid)

    told = Broken()
    async with admin_port() as gateway, collecting(gateway.port, told=told) as collector:
        await until(lambda: collector.gateways("vision")[POD_UID].seq > 1)


# ---- chaos ----
class Witness(Pool):
    """A pool that remembers which cuts were used."""

    def __init__(self) -> None:
        super().__init__()
        self.used: list[tuple[str, Cut]] = []

    @override
    def add(self, gateway: str, boot: str, cut: Cut) -> bool:
        fresh = super().add(gateway, boot, cut)
        if fresh:
            self.used.append((boot, cut))
        return fresh


def load(gateway: AdminPort, number: int) -> int:
    """Requests that arrive, and most that end; returns how many arrived."""
    recording = gateway.recordings.of("digits", "r1")
    for _ in range(number % 7):
        recording.arrived()
    while recording.in_flight > number % 5:
        recording.ended(Outcome(number % len(Outcome)), 0.01, "pod")
    return number % 7


@pytest.mark.parametrize("boot", ["b1", "b2"])
async def test_outcomes_and_requests_in_flight_are_the_arrivals_whatever_becomes_of_the_streams(boot: str) -> None:
    """Load goes on while streams break and controllers change."""
    pool, arrived = Witness(), 0
    async with admin_port(boot=boot) as gateway:
        for life in range(5):
            async with collecting(gateway.port, pool=pool):
                await until(lambda: gateway.stream.is_read)
                for number in range(80):
                    arrived += load(gateway, number)
                    if number % 3 == life % 3:
                        gateway.stream.trip()
                    if number == 40:
                        gateway.stream.close()
                    await asyncio.sleep(0.001)
            arrived += load(gateway, life)
        gateway.stream.trip()
        made = [each for _, each in gateway.sums.added if each.revision == "r1"]
    assert sum(each.arrivals for each in made) == arrived
    assert arrived == sum(sum(each.outcomes) for each in made) + made[-1].in_flight

    evidence = pool.take("uid-digits", NOW)
    used = [each for _, told in pool.used for each in told.records]
    assert len({told.seq for _, told in pool.used}) == len(pool.used)
    assert 0 < evidence.revisions["r1"].arrivals == sum(each.arrivals for each in used) < arrived
    # What one record leaves in flight the next one begins with, but after a gap.
    breaks = sum(one.in_flight != other.in_flight_before for one, other in pairwise(used))
    assert breaks <= len(evidence.gaps)
    assert evidence.gaps
