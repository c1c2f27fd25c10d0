"""What is looked at of a model's requests and answers: rules for values, and the cache. Most models have nothing of it.

One `Inspection` for each model that has, behind one attribute of its `ModelTarget`; a request of any other model pays
for the look at that attribute.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from enum import StrEnum
from typing import Final

from plimsoll.core.inference.limits import Limits
from plimsoll.core.routing.table import ModelRoute, RevisionRoute
from plimsoll.gateway.cache.caches import Caches
from plimsoll.gateway.cache.model_cache import ModelCache
from plimsoll.gateway.repeated import Repeated
from plimsoll.monitoring.inspection_metrics import CacheFigures, InspectionFigures

READ: Final = Limits(body_bytes=1 << 20, parsed_bytes=256 << 10, looked_at=1 << 16)
"""How much of a request or an answer is read. JSON that is made to be slow takes 25 ms here, in which nobody else is
served; an honest one of this size 2 ms."""
HELD_TOTAL: Final = 64 << 20
"""Bytes of requests and answers that are held at a time, of all models together; those beyond pass as they come."""


class Subject(StrEnum):
    """What was looked at: label values of a metric, as all below."""

    REQUEST = "request"
    ANSWER = "answer"


class Budget:
    """Bytes that may be held at a time.

    Attributes:
        held: That are.
    """

    __slots__ = ("_most", "held")

    def __init__(self, most: int = HELD_TOTAL) -> None:
        self._most = most
        self.held = 0

    def take(self, size: int) -> bool:
        """Returns whether there was room for so many more; they are given back by `give`."""
        if self.held + size > self._most:
            return False
        self.held += size
        return True

    def give(self, size: int) -> None:
        """Gives them back."""
        self.held -= size


class Inspection:
    """One model's.

    Attributes:
        route: What the model follows.
        cache: Its cache; None where it has none.
        budget: For what is held.
        invalid: Requests and answers in which something was wrong, by subject and kind.
        passed: Requests and answers that passed without a look, by subject and reason.
        repeated: Requests that were answered from the cache.
    """

    __slots__ = ("budget", "cache", "invalid", "passed", "repeated", "route")

    def __init__(self, route: ModelRoute, cache: ModelCache | None, budget: Budget) -> None:
        self.route = route
        self.cache = cache
        self.budget = budget
        self.invalid: Counter[tuple[str, str]] = Counter()
        self.passed: Counter[tuple[str, str]] = Counter()
        self.repeated = Repeated()

    def reads_requests(self, revision: RevisionRoute) -> bool:
        """Tells whether requests for this revision are read before they are sent."""
        rules = revision.rules
        return (rules is not None and rules.on_invalid is not None) or self.keeps(revision)

    def keeps(self, revision: RevisionRoute) -> bool:
        """Tells whether answers of this revision are kept."""
        return self.cache is not None and revision.cacheable

    def looks_at(self, revision: RevisionRoute) -> bool:
        """Tells whether anything is looked at of what is between clients and this revision."""
        return revision.rules is not None or self.keeps(revision)


class Inspections:
    """Those of all models.

    Args:
        caches: The caches.
        budget: For what is held.
    """

    __slots__ = ("_budget", "_by_uid", "_caches")

    def __init__(self, caches: Caches, budget: Budget | None = None) -> None:
        self._caches = caches
        self._budget = budget or Budget()
        self._by_uid: dict[str, Inspection] = {}

    def of(self, route: ModelRoute) -> Inspection | None:
        """Returns what is looked at of a model under its new route; None where nothing is."""
        cache = self._caches.of(route)
        arms = [arm for arm in (route.stable, route.candidate) if arm is not None]
        if not any(arm.rules is not None or (cache is not None and arm.cacheable) for arm in arms):
            self._by_uid.pop(route.uid, None)
            return None
        inspection = self._by_uid.get(route.uid)
        if inspection is None:
            inspection = self._by_uid[route.uid] = Inspection(route, cache, self._budget)
        inspection.route = route
        inspection.cache = cache
        inspection.repeated.clear()
        return inspection

    def figures(self) -> list[InspectionFigures]:
        """Returns what metrics tell."""
        return [
            InspectionFigures(
                one.route.model,
                dict(one.invalid),
                dict(one.passed),
                _figures(one.cache) if one.cache is not None else None,
            )
            for one in self
        ]

    def __iter__(self) -> Iterator[Inspection]:
        return iter(list(self._by_uid.values()))


def _figures(cache: ModelCache) -> CacheFigures:
    counts = cache.counts
    return CacheFigures(
        {"hit": counts.hits, "shared": counts.shared, "miss": counts.misses},
        {"begun": counts.rechecked, "different": counts.mismatched},
        counts.served_bytes,
        counts.saved_s,
        cache.held_bytes,
    )
