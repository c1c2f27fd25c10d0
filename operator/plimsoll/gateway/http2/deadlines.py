"""When calls run out of time: a wheel of coarse slots, because a timer for each call would cost more than the call."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Generic, TypeVar

Entry = TypeVar("Entry")

SLOT_S: Final = 0.02
"""A deadline is noticed at most this late. The model pod has the same deadline from the call's head."""


class Wheel(Generic[Entry]):
    """Entries by the slot in which they are due."""

    __slots__ = ("_next", "_slots")

    def __init__(self, now: float) -> None:
        self._slots: dict[int, dict[Entry, None]] = {}
        self._next = int(now / SLOT_S)

    def add(self, entry: Entry, due: float) -> int:
        """Adds an entry and returns its slot; one that is overdue gets the next."""
        slot = max(int(due / SLOT_S) + 1, self._next)
        self._slots.setdefault(slot, {})[entry] = None
        return slot

    def remove(self, entry: Entry, slot: int) -> None:
        """Forgets an entry, if it is still there."""
        entries = self._slots.get(slot)
        if entries is not None:
            entries.pop(entry, None)
            if not entries:
                del self._slots[slot]

    def due(self, now: float) -> Iterator[Entry]:
        """Yields and forgets the entries whose time has come."""
        last = int(now / SLOT_S)
        # After a pause of the process there may be more slots between than entries.
        passed = range(self._next, last + 1)
        slots = passed if len(passed) <= len(self._slots) else sorted(slot for slot in self._slots if slot <= last)
        self._next = max(self._next, last + 1)
        for slot in list(slots):
            yield from list(self._slots.pop(slot, ()))
