"""Have the stores seen what we wrote? Until then the owner must not be planned: it would be planned from the past."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from plimsoll.kube.clock import SYSTEM_CLOCK, Clock
from plimsoll.kube.resources import Key, Resource, version_number

SEEN_WITHIN_S = 10.0
"""A write not seen after this long is no longer waited for: a plan from the past is corrected by the next one, an owner
that is never planned is not."""


class KnowsVersions(Protocol):
    """The part of a store this tracker reads."""

    def version_of(self, key: Key) -> int:
        """Newest resourceVersion known for the key, its deletion included."""
        ...


class _Expected(NamedTuple):
    version: int
    deadline: float


class OwnWrites:
    """The newest version written per object, grouped by the owner that caused the write."""

    def __init__(self, stores: Mapping[Resource, KnowsVersions], clock: Clock = SYSTEM_CLOCK) -> None:
        self._stores = stores
        self._clock = clock
        self._expected: dict[Key, dict[tuple[Resource, Key], _Expected]] = {}

    def wrote(self, owner: Key, resource: Resource, key: Key, resource_version: str) -> None:
        """Expects this version or a newer one. A malformed version, or a kind without a store, expects nothing."""
        self._expect(owner, resource, key, version_number(resource_version))

    def deleted(self, owner: Key, resource: Resource, key: Key, last_version: str) -> None:
        """Expects anything newer than the version that was deleted: its tombstone, or its deletionTimestamp."""
        version = version_number(last_version)
        self._expect(owner, resource, key, version + 1 if version else 0)

    def behind(self, owner: Key) -> bool:
        """Whether a store has yet to see one of the owner's writes; forgets what was seen or took over 10 s.

        An event that only raises a version calls no subscriber back, so ask again after a short delay.
        """
        expected = self._expected.pop(owner, None)
        if not expected:
            return False
        now = self._clock.monotonic()
        unseen = {
            (resource, key): want
            for (resource, key), want in expected.items()
            if want.deadline > now and self._stores[resource].version_of(key) < want.version
        }
        if unseen:
            self._expected[owner] = unseen
        return bool(unseen)

    def forget(self, owner: Key) -> None:
        """Drops all expectations of an owner that is gone."""
        self._expected.pop(owner, None)

    def _expect(self, owner: Key, resource: Resource, key: Key, version: int) -> None:
        if version and resource in self._stores:
            deadline = self._clock.monotonic() + SEEN_WITHIN_S
            self._expected.setdefault(owner, {})[resource, key] = _Expected(version, deadline)
