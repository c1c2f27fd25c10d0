"""Pods that nobody asks get a small request of the gateway's own: one of them, of one gateway, at the right time."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, field

import pytest
from tests.support.http_gateway import Gateway, gateway
from tests.support.looked import rules
from tests.support.scripted_http import Asked, ok, scripted

from plimsoll.api.degradation import KillAction
from plimsoll.api.routing import Traffic
from plimsoll.core.inference.http_body import read_http
from plimsoll.core.kill_switch.switch import Trip
from plimsoll.core.routing.ladder import diversion_of
from plimsoll.core.routing.limits import RequestLimits
from plimsoll.core.validation.rules import Rules
from plimsoll.gateway.asides import Asides
from plimsoll.gateway.warmth import KeepWarm, Warmed

KEEP = RequestLimits(keep_warm_s=300.0)
LATE = 300.0 * 1.1
"""After this long every gateway has looked."""


@dataclass
class Pod:
    """A pod with a clock: it tells when it last computed, and computes.

    Attributes:
        now: Seconds since 1970.
        last: When it last computed.
        asked: Paths, but for statistics.
        status: Of its answers.
    """

    now: float = 1000.0
    last: float = 1000.0
    asked: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    status: bytes = b"200 OK"

    async def __call__(self, asked: Asked) -> None:
        body = await asked.read_body()
        path = asked.head.split(b" ")[1].decode().removeprefix("/v2/models/digits/")
        if path == "stats":
            asked.writer.write(ok(json.dumps({"model_stats": [{"last_inference": int(self.last * 1000)}]}).encode()))
            return
        self.asked.append(path)
        self.bodies.append(body)
        if path == "infer":
            self.last = self.now
        asked.writer.write(ok().replace(b"200 OK", self.status))


@asynccontextmanager
async def keeping(
    pod: Pod, names: tuple[str, ...] = ("gateway-a",), known: Rules | None = None, *, stateful: bool | None = False
) -> AsyncIterator[tuple[Gateway, list[KeepWarm]]]:
    """Gateways of these names before one pod."""
    told = {} if stateful is None else {"r1": stateful}
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(scripted(pod))
        subject = await stack.enter_async_context(gateway(port=server.port))
        subject.route([server.ip], limits=KEEP, rules=known)
        asides = await stack.enter_async_context(aclosing(Asides(server.port)))
        yield subject, [KeepWarm(subject.targets, asides, name, lambda: pod.now, told) for name in names]


async def at(pod: Pod, seconds: float, *gateways: KeepWarm) -> None:
    """The clocks show this many seconds after the beginning, and every gateway looks."""
    pod.now = 1000.0 + seconds
    for one in gateways:
        await one.look(seconds)


async def test_an_idle_pod_gets_the_smallest_request_and_nobody_records_it() -> None:
    pod = Pod()
    async with keeping(pod, known=rules()) as (subject, (warmth,)):
        await at(pod, 0, warmth)
        await at(pod, 299, warmth)
        assert pod.asked == []
        await at(pod, LATE, warmth)
        assert pod.asked == ["infer"]
        request = read_http(pod.bodies[0], pod.bodies[0].rindex(b"}") + 1)
        assert [(tensor.name, tensor.shape) for tensor in request.inputs] == [("x", (1, 2))]
        assert [(one.result, one.count) for one in warmth.figures()] == [(Warmed.INFERRED, 1)]
        assert (subject.records["r1"].arrivals, subject.outstanding) == (0, 0)


async def test_a_pod_that_others_asked_is_left_alone_until_its_time() -> None:
    pod = Pod()
    async with keeping(pod, known=rules()) as (_, (warmth,)):
        await at(pod, 0, warmth)
        pod.last = 1200.0  # By another gateway's user.
        await at(pod, LATE, warmth)
        assert pod.asked == []
        await at(pod, 200 + LATE, warmth)
        assert pod.asked == ["infer"]


async def test_of_several_gateways_one_sends() -> None:
    pod = Pod()
    names = tuple(f"gateway-{number}" for number in range(5))
    async with keeping(pod, names, rules()) as (_, gateways):
        for second in range(1000):
            await at(pod, second, *gateways)
        assert 2 <= len(pod.asked) <= 3, "once in five minutes and a little, not once for each gateway"


@pytest.mark.parametrize(
    ("known", "stateful"),
    [
        pytest.param(None, False, id="an interface that is not known"),
        pytest.param(rules(), True, id="a model that keeps a state"),
        pytest.param(rules(), None, id="a model that may keep a state"),
    ],
)
async def test_where_no_request_can_be_made_it_is_asked_whether_it_is_ready(
    known: Rules | None,
    stateful: bool | None,  # noqa: FBT001 - a column of the table
) -> None:
    pod = Pod()
    async with keeping(pod, known=known, stateful=stateful) as (_, (warmth,)):
        await at(pod, 0, warmth)
        await at(pod, LATE, warmth)
        assert pod.asked == ["ready"]
        assert [(one.result, one.count) for one in warmth.figures()] == [(Warmed.READY, 1)]


async def test_a_pod_that_refuses_is_counted_and_asked_again_after_the_same_time() -> None:
    pod = Pod(status=b"400 Bad Request")
    async with keeping(pod, known=rules()) as (_, (warmth,)):
        await at(pod, 0, warmth)
        await at(pod, LATE, warmth)
        await at(pod, LATE + 299, warmth)
        assert [(one.result, one.count) for one in warmth.figures()] == [(Warmed.FAILED, 1)]
        await at(pod, 2 * LATE, warmth)
        assert [(one.result, one.count) for one in warmth.figures()] == [(Warmed.FAILED, 2)]


async def test_a_pod_that_computes_now_needs_nothing() -> None:
    pod = Pod()
    async with keeping(pod, known=rules()) as (subject, (warmth,)):
        await at(pod, 0, warmth)
        stable = subject.targets.models["digits"].stable
        assert stable
        stable.endpoints[0].outstanding += 1
        await at(pod, LATE, warmth)
        stable.endpoints[0].outstanding -= 1
        assert pod.asked == []


async def test_a_model_without_pods_stays_without() -> None:
    pod = Pod()
    async with keeping(pod, known=rules()) as (subject, (warmth,)):
        subject.route([], limits=KEEP, rules=rules())
        await at(pod, 0, warmth)
        await at(pod, LATE, warmth)
        assert (pod.asked, list(warmth.figures())) == ([], [])


async def test_nothing_is_sent_while_a_kill_switch_keeps_everybody_away() -> None:
    pod = Pod()
    async with keeping(pod, known=rules()) as (subject, (warmth,)):
        await at(pod, 0, warmth)
        model = subject.targets.models["digits"]
        model.diversion = diversion_of("digits", Traffic.NORMAL, Trip(KillAction.STOPPED, 5, 10))
        await at(pod, LATE, warmth)
        assert pod.asked == []
        model.diversion = None
        await at(pod, 2 * LATE, warmth)
        await at(pod, 3 * LATE, warmth)
        assert pod.asked == ["infer"]


@pytest.mark.parametrize(
    ("limits", "traffic"),
    [
        pytest.param(RequestLimits(), Traffic.NORMAL, id="not asked for"),
        pytest.param(KEEP, Traffic.STOPPED, id="stopped"),
    ],
)
async def test_nothing_is_sent_where_nothing_is_asked_for_or_traffic_is_stopped(
    limits: RequestLimits, traffic: Traffic
) -> None:
    pod = Pod()
    async with keeping(pod, known=rules()) as (subject, (warmth,)):
        await at(pod, 0, warmth)
        subject.route(["127.0.0.2"], limits=limits, rules=rules(), traffic=traffic)
        await at(pod, LATE, warmth)
        assert pod.asked == []
