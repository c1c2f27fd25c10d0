"""Which step of the ladder a model is on, and what is said of it."""

from __future__ import annotations

import pytest

from plimsoll.api.degradation import Fallback, KillAction, KillSwitch
from plimsoll.api.requests import Overload, OverloadAction
from plimsoll.api.routing import Traffic
from plimsoll.core.kill_switch.policy import kill_policy_of
from plimsoll.core.kill_switch.switch import Trip
from plimsoll.core.routing.ladder import Ladder, degraded, diversion_of, ladder_of

ALERT, FALLBACK, STOPPED = (Trip(action, 30, 100) for action in KillAction)


@pytest.mark.parametrize(
    ("traffic", "trip", "stops", "because"),
    [
        (Traffic.NORMAL, None, None, ""),
        (Traffic.STABLE_ONLY, None, None, ""),
        (Traffic.DIRECT, None, None, ""),
        (Traffic.NORMAL, ALERT, None, ""),
        (Traffic.NORMAL, FALLBACK, False, "kill-switch"),
        (Traffic.STABLE_ONLY, STOPPED, True, "kill-switch"),
        (Traffic.FALLBACK, None, False, "traffic"),
        (Traffic.FALLBACK, STOPPED, False, "traffic"),
        (Traffic.STOPPED, None, True, "traffic"),
        (Traffic.STOPPED, FALLBACK, True, "traffic"),
    ],
)
def test_what_a_person_says_goes_before_what_the_switch_does(
    traffic: Traffic, trip: Trip | None, *, stops: bool | None, because: str
) -> None:
    diversion = diversion_of("digits", traffic, trip)
    assert (diversion and diversion.stops, diversion.because if diversion else "") == (stops, because)


def test_who_gets_no_answer_is_told_why_with_the_numbers() -> None:
    for trip in (FALLBACK, STOPPED):
        diversion = diversion_of("digits", Traffic.NORMAL, trip)
        assert diversion is not None
        assert "the kill switch of digits has tripped: 30 of 100 requests failed" in diversion.sentence


def test_the_words_of_a_spec() -> None:
    assert ladder_of(None, None, None) == Ladder()
    assert ladder_of(Fallback(name="small"), Overload(), None) == Ladder("small")
    kill = kill_policy_of(KillSwitch())
    full = ladder_of(Fallback(name="small"), Overload(action=OverloadAction.FALLBACK), kill, "monday")
    assert full == Ladder("small", on_overload=True, kill=kill, reset="monday")


def test_the_header_is_an_item_of_rfc_8941() -> None:
    assert degraded("digits-small", "overload") == "fallback; model=digits-small; reason=overload"
