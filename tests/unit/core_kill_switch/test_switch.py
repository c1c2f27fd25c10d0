"""When a switch trips, how soon, and how long it stays so."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.api.degradation import KillAction, KillSwitch
from plimsoll.core.kill_switch.policy import KillPolicy, kill_policy_of
from plimsoll.core.kill_switch.switch import Switch, Trip

LOOK_S = 0.25
"""A gateway looks at least this often."""


def policy(
    rate: str = "20%", window: str = "1m", requests: int = 50, action: KillAction = KillAction.STOPPED
) -> KillPolicy:
    made = kill_policy_of(KillSwitch(error_rate=rate, window=window, min_requests=requests, action=action))
    assert made is not None
    return made


@dataclass
class Load:
    """Requests at a steady pace through a switch that is looked at as a gateway does, in virtual time."""

    switch: Switch
    now: float = 1000.0
    looked_at: float = 1000.0

    def run(self, seconds: float, per_s: float, failing: float) -> float | None:
        """Sends requests of which a share fails, evenly; returns when the switch tripped, in seconds from now."""
        began, owed = self.now, 0.0
        for _ in range(round(seconds * per_s)):
            owed += failing
            failed, owed = (True, owed - 1) if owed >= 1 else (False, owed)
            if self.pass_by(1 / per_s) or self.switch.ended(self.now, failed=failed):
                return self.now - began
        return None

    def pass_by(self, seconds: float) -> bool:
        """Lets time pass; returns whether the switch changed."""
        until = self.now + seconds
        while self.looked_at + LOOK_S <= until:
            self.looked_at += LOOK_S
            self.now = self.looked_at
            if self.switch.look(self.now):
                return True
        self.now = until
        return False


@pytest.mark.parametrize(
    ("name", "per_s", "healthy_s", "failing", "within_s"),
    [
        ("everything fails after a good minute: a fifth of the window", 100, 120, 1.0, 12.3),
        ("everything fails from the start: as soon as there are enough", 100, 0, 1.0, 0.51),
        ("half fails", 100, 120, 0.5, 24.3),
        ("half fails of few", 2, 120, 0.5, 24.8),
    ],
)
def test_it_trips_as_soon_as_the_window_has_crossed(
    name: str, per_s: float, healthy_s: float, failing: float, within_s: float
) -> None:
    load = Load(Switch(policy()))
    assert load.run(healthy_s, per_s, 0.0) is None, name
    tripped = load.run(60, per_s, failing)
    assert tripped is not None
    assert within_s - 1 <= tripped <= within_s, name


@pytest.mark.parametrize(
    ("rate", "requests", "failed", "judged", "over"),
    [
        ("20%", 50, 10, 50, True),
        ("20%", 50, 9, 50, False),
        ("20%", 50, 49, 49, False),
        ("20%", 50, 10, 51, False),
        ("100%", 1, 1, 1, True),
        ("100%", 1, 999, 1000, False),
        ("0.001%", 1, 1, 100_000, True),
        ("0.001%", 1, 1, 100_001, False),
        ("33.333%", 3, 1, 3, True),
        ("20%", 1, 0, 1000, False),
    ],
)
def test_what_is_too_much(rate: str, requests: int, failed: int, judged: int, *, over: bool) -> None:
    assert policy(rate, requests=requests).is_over(failed, judged) is over


@given(st.lists(st.booleans(), max_size=300), st.integers(1, 100), st.integers(1, 60))
def test_it_trips_exactly_when_a_failure_finds_the_share_reached(ends: list[bool], percent: int, least: int) -> None:
    switch = Switch(policy(f"{percent}%", requests=least))
    for count, failed in enumerate(ends, 1):
        tripped = switch.ended(5.0, failed=failed)
        failures = sum(ends[:count])
        assert tripped == (failed and count >= least and failures * 100 >= percent * count)
        if tripped:
            assert switch.trip == Trip(KillAction.STOPPED, failures, count)
            return


def test_a_success_that_leaves_the_window_trips_it_with_the_next_look() -> None:
    load = Load(Switch(policy("50%", "10s", 10)))
    assert load.run(5, 10, 0.0) is None
    assert load.run(4, 10, 1.0) is None
    tripped = load.pass_by(8)
    assert tripped
    assert 1010.0 <= load.now <= 1011.5


@pytest.mark.parametrize("action", [KillAction.FALLBACK, KillAction.STOPPED])
def test_one_that_acts_stays_tripped_whatever_happens(action: KillAction) -> None:
    load = Load(Switch(policy(action=action)))
    assert load.run(60, 100, 1.0) is not None
    trip = load.switch.trip
    assert load.run(600, 10, 0.0) is None
    assert not load.pass_by(3600)
    assert load.switch.trip is trip


def test_an_alert_is_over_after_a_window_in_which_it_was_not_too_bad() -> None:
    load = Load(Switch(policy("50%", "10s", 10, KillAction.ALERT)))
    assert load.run(20, 10, 1.0) is not None
    assert load.run(5, 10, 1.0) is None
    assert load.switch.trip is not None
    ended = load.run(60, 10, 0.0)
    assert ended is not None
    assert 14 <= ended <= 16, "half a window to become good enough, and a whole one of that"
    assert load.switch.trip is None


def test_an_alert_tells_its_end_when_it_is_looked_at() -> None:
    switch = Switch(policy("50%", "10s", 1, KillAction.ALERT))
    assert switch.ended(0.0, failed=True)
    assert not switch.look(9.0)
    assert switch.trip is not None
    assert switch.look(19.1)
    assert switch.trip is None
    assert switch.ended(20.0, failed=True), "and it can trip again"


def test_the_words_of_a_spec() -> None:
    assert kill_policy_of(None) is None
    assert kill_policy_of(KillSwitch()) == KillPolicy(20_000, 60.0, 50, KillAction.ALERT)
    assert policy("0.001%", "1m30s", 1) == KillPolicy(1, 90.0, 1, KillAction.STOPPED)
