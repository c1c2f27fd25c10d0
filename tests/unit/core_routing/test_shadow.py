"""The share of copies: what the spec says, and which requests these are."""

from __future__ import annotations

import pytest

from plimsoll.api.rollout import Rollout
from plimsoll.api.routing import WHOLE, RoutedRevision, Routing, Traffic
from plimsoll.core.routing.build import Declared, follow, route
from plimsoll.core.routing.shadow import Pace, shadow_permille
from plimsoll.core.routing.split import Split
from plimsoll.core.routing.table import Endpoint


@pytest.mark.parametrize(
    ("shadow", "permille"),
    [(None, None), ("0.1%", 1), ("5%", 50), ("12.34%", 123), ("0.999%", 9), ("100%", 1000)],
)
def test_parts_per_thousand_rounded_down_so_that_it_is_never_more(shadow: str | None, permille: int | None) -> None:
    assert shadow_permille(Rollout(shadow=shadow)) == permille


def test_without_a_rollout_nothing_is_copied() -> None:
    assert shadow_permille(None) is None


@pytest.mark.parametrize("permille", [1, 10, 50, 500, 1000])
def test_the_share_is_exact_in_each_block(permille: int) -> None:
    split = Split(b"copies")
    for _ in range(3):
        assert sum(split.toss(permille) for _ in range(WHOLE)) == permille


def copied(
    *, trusted: bool = True, traffic: Traffic = Traffic.NORMAL, ready: bool = True, weight: int = 0
) -> int | None:
    revisions = [
        RoutedRevision(name="r1", weight_permille=1000 - weight),
        RoutedRevision(name="r2", weight_permille=weight, shadow_permille=50),
    ]
    held = follow(None, Declared("uid", traffic, Routing(epoch=1, revisions=revisions)))
    pods = {"r1": (Endpoint("a", "10.0.0.1"),), "r2": (Endpoint("b", "10.0.0.2"),) if ready else ()}
    made = route("digits", held, lambda revision: pods[revision], trusted=trusted)
    assert made.stable
    assert made.stable.shadow_permille == 0
    return made.candidate.shadow_permille if made.candidate else None


def test_copies_go_where_requests_might() -> None:
    assert copied() == 50
    assert copied(trusted=False) == 0, "no live controller watches over it"
    assert copied(traffic=Traffic.STABLE_ONLY) == 0
    assert copied(traffic=Traffic.FALLBACK) == 0
    assert copied(ready=False) == 0
    assert copied(weight=1) == 0, "users wait for its pods"


SECOND = [float(millisecond) / 1000 for millisecond in range(1000)]


@pytest.mark.parametrize(
    ("request_bytes", "answer_bytes", "made"),
    [
        pytest.param(0, 0, 350, id="250 small ones a second, and 100 that were saved up"),
        pytest.param(192 << 10, 64 << 10, 27, id="20 of the largest, and 7"),
    ],
)
def test_copies_take_a_twentieth_of_a_core(request_bytes: int, answer_bytes: int, made: int) -> None:
    pace, count = Pace(0), 0
    for now in SECOND:
        if pace.allows(now):
            pace.spend(request_bytes, answer_bytes)
            count += 1
    assert count == pytest.approx(made, abs=2)


def test_an_idle_hour_saves_up_no_more_than_20_ms() -> None:
    pace, count = Pace(0), 0
    while pace.allows(3600):
        pace.spend(0, 0)
        count += 1
    assert count == pytest.approx(100, abs=1)
