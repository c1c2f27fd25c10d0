"""The own-writes tracker: behind, equal, ahead, malformed, late, forgotten."""

from __future__ import annotations

import pytest
from tests.support.fakeapi.clocks import ManualClock

from plimsoll.kube.resources import DEPLOYMENTS, PODS, SERVICES, Key
from plimsoll.kube.writes import SEEN_WITHIN_S, OwnWrites

OWNER, CHILD = ("ns", "digits"), ("ns", "digits-1")


class Seen:
    def __init__(self, version: int = 0) -> None:
        self.version = version

    def version_of(self, _: Key) -> int:
        return self.version


@pytest.mark.parametrize(
    ("written", "seen", "behind"),
    [
        ("100", 99, True),
        ("100", 100, False),
        ("100", 101, False),
        ("100", 0, True),
        ("9", 10, False),  # decimal, not text
        ("", 0, False),
        ("not-a-number", 0, False),
    ],
)
def test_the_owner_waits_for_its_own_writes(written: str, seen: int, *, behind: bool) -> None:
    writes = OwnWrites({DEPLOYMENTS: Seen(seen)}, ManualClock().clock)
    writes.wrote(OWNER, DEPLOYMENTS, CHILD, written)
    assert writes.behind(OWNER) is behind


@pytest.mark.parametrize(("deleted", "seen", "behind"), [("100", 100, True), ("100", 101, False), ("", 0, False)])
def test_a_deletion_is_seen_as_anything_newer(deleted: str, seen: int, *, behind: bool) -> None:
    writes = OwnWrites({DEPLOYMENTS: Seen(seen)}, ManualClock().clock)
    writes.deleted(OWNER, DEPLOYMENTS, CHILD, deleted)
    assert writes.behind(OWNER) is behind


def test_all_writes_must_be_seen() -> None:
    deployments, services = Seen(), Seen()
    writes = OwnWrites({DEPLOYMENTS: deployments, SERVICES: services}, ManualClock().clock)
    writes.wrote(OWNER, DEPLOYMENTS, CHILD, "5")
    writes.wrote(OWNER, SERVICES, CHILD, "6")
    deployments.version = 6
    assert writes.behind(OWNER)
    services.version = 6
    assert not writes.behind(OWNER)


def test_what_was_seen_is_not_asked_again() -> None:
    store = Seen(5)
    writes = OwnWrites({DEPLOYMENTS: store}, ManualClock().clock)
    writes.wrote(OWNER, DEPLOYMENTS, CHILD, "5")
    assert not writes.behind(OWNER)
    store.version = 0
    assert not writes.behind(OWNER)


def test_other_owners_do_not_wait() -> None:
    writes = OwnWrites({DEPLOYMENTS: Seen()}, ManualClock().clock)
    writes.wrote(OWNER, DEPLOYMENTS, CHILD, "5")
    assert not writes.behind(("ns", "other"))


def test_a_write_that_is_never_seen_is_given_up() -> None:
    time = ManualClock()
    writes = OwnWrites({DEPLOYMENTS: Seen()}, time.clock)
    writes.wrote(OWNER, DEPLOYMENTS, CHILD, "5")
    time.now = SEEN_WITHIN_S - 0.1
    assert writes.behind(OWNER)
    time.now = SEEN_WITHIN_S
    assert not writes.behind(OWNER)


def test_a_kind_that_nobody_stores_is_not_waited_for() -> None:
    writes = OwnWrites({DEPLOYMENTS: Seen()}, ManualClock().clock)
    writes.wrote(OWNER, PODS, CHILD, "5")
    assert not writes.behind(OWNER)


def test_an_owner_that_is_gone_is_forgotten() -> None:
    writes = OwnWrites({DEPLOYMENTS: Seen()}, ManualClock().clock)
    writes.wrote(OWNER, DEPLOYMENTS, CHILD, "5")
    writes.forget(OWNER)
    writes.forget(OWNER)
    assert not writes.behind(OWNER)
