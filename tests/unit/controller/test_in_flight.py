"""When it is known how many requests a draining pod has: when every gateway that counts has told."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from tests.support.records import cut

from plimsoll.controller.gateway_state import GatewayPod
from plimsoll.controller.gateway_stream import StreamSettings
from plimsoll.controller.gateways import Collector
from plimsoll.controller.report_key import ReportKey
from plimsoll.core.records.record import Hello
from plimsoll.core.tokens import public_key
from plimsoll.kube.clock import SYSTEM_CLOCK

SEED = bytes(range(32))


class Ignored:
    def acknowledged(self, namespace: str, model_uid: str) -> None: ...

    def mismatched(self, model_uid: str, revision: str, count: int) -> None: ...

    def namespace_changed(self, namespace: str) -> None: ...


@dataclass
class Said:
    """A gateway: what it said of pods that drain, None where it was never heard, and how long ago that was."""

    in_flight: dict[str, int] | None
    ready: bool = True
    ago_s: float = 0.0


ZERO, TWO, NOTHING, NEVER = Said({"a": 0}), Said({"a": 2}), Said({}), Said(None)


@pytest.mark.parametrize(
    ("gateways", "known"),
    [
        pytest.param([ZERO], {"a": 0}, id="one"),
        pytest.param([ZERO, TWO], {"a": 2}, id="the sum of two"),
        pytest.param([Said({"a": 0, "b": 1}), ZERO], {"a": 0}, id="of another pod one has not told"),
        pytest.param([ZERO, NOTHING], {}, id="one does not say: it is too old, or has not followed"),
        pytest.param([ZERO, NEVER], {}, id="one was never heard"),
        pytest.param([ZERO, Said({"a": 0}, ago_s=60)], {}, id="one is silent"),
        pytest.param([ZERO, Said({"a": 3}, ready=False)], {"a": 3}, id="one that ends still has requests"),
        pytest.param([ZERO, Said({}, ready=False)], {}, id="one that starts does not follow yet"),
        pytest.param(
            [ZERO, Said(None, ready=False)], {"a": 0}, id="one that is neither ready nor heard does not count"
        ),
        pytest.param([ZERO, Said({"a": 3}, ready=False, ago_s=60)], {"a": 0}, id="nor one that has gone silent"),
        pytest.param([], {}, id="none"),
    ],
)
async def test_requests_of_draining_pods(gateways: list[Said], known: dict[str, int]) -> None:
    now = 1000.0
    clock = replace(SYSTEM_CLOCK, monotonic=lambda: now)
    pods = [GatewayPod("vision", f"gw-{n}", f"uid-{n}", "", ready=said.ready) for n, said in enumerate(gateways)]
    async with Collector(ReportKey(SEED, public_key(SEED)), clock, StreamSettings(8080), Ignored()) as collector:
        collector.follow(pods)
        for pod, said in zip(pods, gateways, strict=True):
            if said.in_flight is not None:
                gateway = collector.gateways("vision")[pod.uid]
                gateway.opened(Hello("b1", pod.name, "0.1.0"), now - said.ago_s)
                gateway.told(cut(1, in_flight={"digits": said.in_flight}), now - said.ago_s)
        assert collector.in_flight("vision", "digits") == known
