"""How a gateway acts on kill switches by itself, in virtual time, and what makes it stop."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import pytest
from tests.support.recorded import Recorded
from tests.support.virtual_time import run_virtually

from plimsoll.api.degradation import KillAction, KillSwitch
from plimsoll.api.routing import Traffic
from plimsoll.core.kill_switch.policy import kill_policy_of
from plimsoll.core.kill_switch.switch import Trip
from plimsoll.core.records.outcome import Outcome
from plimsoll.core.routing.ladder import Ladder
from plimsoll.core.routing.limits import RequestLimits
from plimsoll.core.routing.table import Endpoint, ModelRoute, RevisionRoute
from plimsoll.gateway.kill_switches import KillSwitches
from plimsoll.gateway.targets import ModelTarget, Targets


def virtually(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    @functools.wraps(test)
    def run(*args: Any, **names: Any) -> None:
        run_virtually(test(*args, **names))

    return run


def route(
    action: KillAction = KillAction.STOPPED,
    *,
    revision: str = "r1",
    reset: str = "",
    traffic: Traffic = Traffic.NORMAL,
    uid: str = "uid",
) -> ModelRoute:
    kill = kill_policy_of(KillSwitch(error_rate="20%", window="10s", min_requests=10, action=action))
    stable = RevisionRoute(revision, 1000, (Endpoint("a", "10.0.0.1"),))
    return ModelRoute("digits", uid, 1, traffic, stable, ladder=Ladder("small", kill=kill, reset=reset))


class House:
    """One model behind a switch."""

    def __init__(self, first: ModelRoute) -> None:
        loop = asyncio.get_running_loop()
        self.switches = KillSwitches(loop.time)
        self.told = 0
        self.switches.told = self._told
        self.targets = Targets(lambda *_: Recorded(), lambda: b"key", loop.time, switches=self.switches)
        self.targets.follow(first)

    def _told(self) -> None:
        self.told += 1

    @property
    def model(self) -> ModelTarget:
        return self.targets.models["digits"]

    def end(self, outcome: Outcome, times: int = 1, *, granted_s: float | None = None, exempt: bool = False) -> None:
        assert self.model.watch is not None
        for _ in range(times):
            self.model.watch.ended(outcome, granted_s=granted_s, exempt=exempt)

    @property
    def diverted(self) -> bool | None:
        """Whether it stops, or falls back; None where it does neither."""
        return self.model.diversion and self.model.diversion.stops


@pytest.mark.parametrize(
    ("action", "stops"), [(KillAction.ALERT, None), (KillAction.FALLBACK, False), (KillAction.STOPPED, True)]
)
@virtually
async def test_it_acts_with_the_failure_that_is_too_much(action: KillAction, *, stops: bool | None) -> None:
    house = House(route(action))
    house.end(Outcome.SUCCEEDED, 8)
    house.end(Outcome.SERVER_FAULT)
    await asyncio.sleep(0)
    assert (house.diverted, house.switches.trips(), house.told) == (None, {}, 0)
    house.end(Outcome.BROKEN)
    await asyncio.sleep(0)
    assert (house.diverted, house.switches.trips(), house.told) == (stops, {"uid": Trip(action, 2, 10)}, 1)
    (figures,) = house.switches.figures()
    assert (figures.action, figures.tripped, figures.trips) == (action.value, True, 1)


@pytest.mark.parametrize(
    "outcome",
    [Outcome.CLIENT_FAULT, Outcome.SHED, Outcome.CANCELLED, Outcome.SUCCEEDED, Outcome.ABSTAINED],
    ids=lambda outcome: outcome.name,
)
@virtually
async def test_what_is_not_the_models_fault_never_trips_it(outcome: Outcome) -> None:
    house = House(route())
    house.end(outcome, 1000)
    house.end(Outcome.INVALID_OUTPUT, 1000, exempt=True)
    await asyncio.sleep(5)
    assert house.diverted is None


@pytest.mark.parametrize("outcome", [Outcome.CLIENT_FAULT, Outcome.SHED, Outcome.CANCELLED])
@virtually
async def test_nor_does_it_make_an_error_rate_look_lower(outcome: Outcome) -> None:
    house = House(route())
    house.end(outcome, 1000)
    house.end(Outcome.TIMED_OUT, 10)
    await asyncio.sleep(0)
    assert house.diverted


@pytest.mark.parametrize(
    ("promise_s", "granted_s", "trips"),
    [
        (None, None, True),
        (None, 1.0, True),
        (None, 0.999, False),
        (0.2, 0.2, True),
        (0.2, 0.1, False),
        (3.0, 1.0, False),
    ],
)
@virtually
async def test_a_client_without_patience_cannot_have_a_model_stopped(
    promise_s: float | None, granted_s: float | None, *, trips: bool
) -> None:
    house = House(route())
    house.targets.follow(replace(route(), limits=RequestLimits(promise_s=promise_s)))
    house.end(Outcome.TIMED_OUT, 20, granted_s=granted_s)
    await asyncio.sleep(0)
    assert bool(house.diverted) is trips


@virtually
async def test_a_window_that_crosses_by_time_alone_is_seen_within_a_second() -> None:
    house = House(route())
    looking = asyncio.create_task(house.switches.run())
    house.end(Outcome.SUCCEEDED, 100)
    await asyncio.sleep(5)
    house.end(Outcome.SERVER_FAULT, 10)
    await asyncio.sleep(4.5)
    assert house.diverted is None
    await asyncio.sleep(1)
    assert house.diverted
    looking.cancel()


@virtually
async def test_an_alert_ends_by_itself_and_is_told() -> None:
    house = House(route(KillAction.ALERT))
    looking = asyncio.create_task(house.switches.run())
    house.end(Outcome.SERVER_FAULT, 10)
    await asyncio.sleep(1)
    assert house.told == 1
    await asyncio.sleep(25)
    assert (house.switches.trips(), house.told) == ({}, 2)
    looking.cancel()


RELEASES = {
    "another revision serves": route(revision="r2"),
    "somebody says so": route(reset="2026-11-22 fixed the node"),
    "another switch": route(KillAction.FALLBACK),
    "no switch": replace(route(), ladder=Ladder()),
    "another ModelDeployment of that name": route(uid="other"),
}
STAYS = {
    "nothing": route(),
    "another epoch": replace(route(), epoch=7),
    "a candidate": replace(route(), candidate=RevisionRoute("r2", 0)),
    "another fallback": replace(route(), ladder=replace(route().ladder, fallback="tiny")),
    "no pod": replace(route(), stable=RevisionRoute("r1", 1000)),
}


@pytest.mark.parametrize("change", RELEASES.values(), ids=RELEASES.keys())
@virtually
async def test_what_releases_it(change: ModelRoute) -> None:
    house = House(route())
    house.end(Outcome.SERVER_FAULT, 10)
    await asyncio.sleep(0)
    assert house.diverted
    house.targets.follow(change)
    assert (house.diverted, house.switches.trips(), house.told) == (None, {}, 2)
    if house.model.watch is not None:
        house.end(Outcome.SERVER_FAULT, 9)
        await asyncio.sleep(0)
        assert house.diverted is None, "it starts with an empty window"


@pytest.mark.parametrize("change", STAYS.values(), ids=STAYS.keys())
@virtually
async def test_what_does_not(change: ModelRoute) -> None:
    house = House(route())
    house.end(Outcome.SERVER_FAULT, 10)
    await asyncio.sleep(0)
    house.targets.follow(change)
    await asyncio.sleep(3600)
    assert (house.diverted, house.told) == (True, 1)


@virtually
async def test_traffic_goes_before_the_switch_and_hides_it_no_longer_than_it_is_there() -> None:
    house = House(route(KillAction.FALLBACK))
    house.end(Outcome.SERVER_FAULT, 10)
    await asyncio.sleep(0)
    house.targets.follow(route(KillAction.FALLBACK, traffic=Traffic.STOPPED))
    assert house.diverted is True
    house.targets.follow(route(KillAction.FALLBACK))
    assert house.diverted is False


@virtually
async def test_a_model_that_is_gone_leaves_nothing() -> None:
    house = House(route())
    house.end(Outcome.SERVER_FAULT, 10)
    house.targets.forget("digits")
    await asyncio.sleep(1)
    assert (house.switches.trips(), house.switches.figures()) == ({}, [])
