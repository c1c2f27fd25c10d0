"""From a gateway's re-check to the ModelDeployment that is looked at again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tests.support.gateway_stream import POD_UID, SEED, admin_port

from plimsoll.controller.gateway_state import GatewayPod
from plimsoll.controller.gateway_stream import StreamSettings
from plimsoll.controller.gateways import Collector
from plimsoll.controller.report_key import ReportKey
from plimsoll.core.tokens import public_key
from plimsoll.kube.clock import SYSTEM_CLOCK


class Told:
    """A listener that writes down."""

    def __init__(self) -> None:
        self.mismatches: list[tuple[str, str, int]] = []

    def acknowledged(self, namespace: str, model_uid: str) -> None: ...

    def namespace_changed(self, namespace: str) -> None: ...

    def mismatched(self, model_uid: str, revision: str, count: int) -> None:
        self.mismatches.append((model_uid, revision, count))


async def until(condition: Callable[[], object]) -> None:
    while not condition():  # noqa: ASYNC110 - looks from outside
        await asyncio.sleep(0.01)


async def test_kept_answers_that_a_revision_contradicted_are_told_once() -> None:
    told = Told()
    async with admin_port() as gateway:
        key, settings = ReportKey(SEED, public_key(SEED)), StreamSettings(gateway.port)
        async with Collector(key, SYSTEM_CLOCK, settings, told) as collector, asyncio.timeout(20):
            collector.follow([GatewayPod("vision", "plimsoll-gateway-x", POD_UID, "127.0.0.1", ready=True)])
            heard = collector.gateways("vision")[POD_UID]
            await until(lambda: heard.heard_at is not None)
            gateway.request()
            gateway.recordings.of("digits", "r1").cache_mismatches = 2
            await until(lambda: told.mismatches)
            before = heard.seq
            gateway.stream.trip()
            await until(lambda: heard.seq > before)
    assert [(revision, count) for _, revision, count in told.mismatches] == [("r1", 2)]
