"""When a gateway sees to a pod that nobody asks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.core.routing.warmth import offset_s, rest_s

KEEP = 300.0


@pytest.mark.parametrize(
    ("idle_s", "rest"),
    [(0, 300), (100, 200), (299, 1), (300, 0), (1e9, 0), (-5, 300)],
    ids=["just asked", "a while ago", "nearly", "for so long", "never asked", "a clock that is ahead"],
)
def test_rest(idle_s: float, rest: float) -> None:
    assert rest_s(idle_s, KEEP) == rest


@given(st.text(max_size=20), st.text(max_size=20), st.floats(10, 86_400))
def test_the_offset_is_the_same_each_time_and_less_than_a_tenth(pod: str, gateway: str, keep_warm_s: float) -> None:
    offset = offset_s(pod, gateway, keep_warm_s)
    assert 0 <= offset <= keep_warm_s / 10
    assert offset == offset_s(pod, gateway, keep_warm_s)


def test_the_work_is_spread_over_gateways() -> None:
    gateways = ["gateway-a", "gateway-b", "gateway-c"]
    first = [min(gateways, key=lambda one: offset_s(f"pod-{pod}", one, KEEP)) for pod in range(300)]
    assert all(70 < first.count(one) < 130 for one in gateways)
