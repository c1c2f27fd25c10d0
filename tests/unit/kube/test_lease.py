"""The lease decision, as a table, and the objects it is written in."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.kube.lease import (
    Acquire,
    Decision,
    Lease,
    Lost,
    Renew,
    Wait,
    decide,
    lease_of,
    render_lease,
    render_release,
)

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


def held_by(holder: str, duration_s: float = 15.0) -> Lease:
    return Lease(holder, duration_s, transitions=4, acquired_at="2026-03-01T11:00:00.000000Z", resource_version="77")


@pytest.mark.parametrize(
    ("lease", "leading", "observed_at", "now", "decision"),
    [
        pytest.param(None, False, 0, 0, Acquire(), id="nobody ever led"),
        pytest.param(None, True, 0, 5, Acquire(), id="our lease was deleted"),
        pytest.param(held_by(""), False, 0, 0, Acquire(), id="released"),
        pytest.param(held_by("me"), True, 0, 0, Renew(), id="ours"),
        pytest.param(held_by("me"), False, 0, 0, Renew(), id="ours, though the answer was lost"),
        pytest.param(held_by("you"), False, 100, 100, Wait(115), id="just seen: wait it out"),
        pytest.param(held_by("you"), False, 100, 114.9, Wait(115), id="not yet"),
        pytest.param(held_by("you"), False, 100, 115, Acquire(), id="unchanged for its whole duration"),
        pytest.param(held_by("you", 60), False, 100, 115, Wait(160), id="the holder's duration counts, not ours"),
        pytest.param(held_by("you"), True, 100, 100, Lost("you"), id="taken from us"),
        pytest.param(held_by("you"), True, 100, 999, Lost("you"), id="taken from us, and expired since"),
    ],
)
def test_decide(lease: Lease | None, *, leading: bool, observed_at: float, now: float, decision: Decision) -> None:
    assert decide(lease, "me", leading=leading, observed_at=observed_at, now=now) == decision


@given(st.floats(0, 1000), st.floats(0, 14.99))
def test_a_living_lease_is_never_taken(observed_at: float, since: float) -> None:
    now = observed_at + since
    assert isinstance(decide(held_by("you"), "me", leading=False, observed_at=observed_at, now=now), Wait)


@pytest.mark.parametrize(
    ("previous", "transitions", "acquired"),
    [
        (None, 0, "2026-03-01T12:00:00.000000Z"),
        (held_by("me"), 4, "2026-03-01T11:00:00.000000Z"),
        (held_by("you"), 5, "2026-03-01T12:00:00.000000Z"),
        (held_by(""), 5, "2026-03-01T12:00:00.000000Z"),
    ],
    ids=["first", "renewed", "taken over", "after a release"],
)
def test_render_lease(previous: Lease | None, transitions: int, acquired: str) -> None:
    obj = render_lease("plimsoll", "controller", "me", previous=previous, duration_s=15, now=NOW)
    assert obj["apiVersion"] == "coordination.k8s.io/v1"
    assert obj["metadata"].get("resourceVersion") == (previous.resource_version if previous else None)
    assert obj["spec"] == {
        "holderIdentity": "me",
        "leaseDurationSeconds": 15,
        "acquireTime": acquired,
        "renewTime": "2026-03-01T12:00:00.000000Z",
        "leaseTransitions": transitions,
    }


def test_what_is_rendered_is_read_back() -> None:
    obj = render_lease("plimsoll", "controller", "me", previous=held_by("you"), duration_s=15, now=NOW)
    assert lease_of(obj) == Lease("me", 15.0, 5, "2026-03-01T12:00:00.000000Z", "77")


def test_a_released_lease_lets_the_next_one_in() -> None:
    released = lease_of(render_release("plimsoll", "controller", previous=held_by("me"), now=NOW))
    assert decide(released, "you", leading=False, observed_at=0, now=0) == Acquire()
    assert released.transitions == 4


@pytest.mark.parametrize("spec", [None, {}, {"holderIdentity": None}])
def test_a_lease_without_content_is_free(spec: dict[str, Any] | None) -> None:
    lease = lease_of({"metadata": {"resourceVersion": "1"}, "spec": spec})
    assert decide(lease, "me", leading=False, observed_at=0, now=0) == Acquire()
