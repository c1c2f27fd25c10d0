"""How often what was asked, and how often it changed anything."""

from __future__ import annotations

from collections import Counter

WRITES = frozenset({"create", "update", "patch", "apply", "delete"})


class Counters:
    """Counts by `verb Kind` or `verb Kind/subresource`.

    Attributes:
        requests: Everything that was asked, refused requests and dry runs included.
        changes: Writes that stored something.
        noops: Writes that were accepted and changed nothing.
        failures: Refusals, by `code verb Kind`.
    """

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()
        self.changes: Counter[str] = Counter()
        self.noops: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()

    @property
    def writes(self) -> int:
        """All write requests, whatever came of them."""
        return sum(count for what, count in self.requests.items() if what.split()[0] in WRITES)

    def reset(self) -> None:
        """Starts from zero."""
        for counter in (self.requests, self.changes, self.noops, self.failures):
            counter.clear()

    def snapshot(self) -> dict[str, dict[str, int] | int]:
        """As JSON."""
        return {
            "writes": self.writes,
            "requests": dict(self.requests),
            "changes": dict(self.changes),
            "noops": dict(self.noops),
            "failures": dict(self.failures),
        }
