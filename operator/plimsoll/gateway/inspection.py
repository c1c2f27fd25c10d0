"""What is looked at of a model's requests and answers: values, cache, copies, sequences. Of most models nothing is.

One `Inspection` for each model that has, behind one attribute of its `ModelTarget`; a request of any other model pays
for the look at that attribute.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from plimsoll.core.inference.answer import InferAnswer
from plimsoll.core.inference.limits import Limits
from plimsoll.core.inference.request import InferRequest
from plimsoll.core.routing.table import ModelRoute, RevisionRoute
from plimsoll.gateway.cache.caches import Caches
from plimsoll.gateway.cache.model_cache import ModelCache
from plimsoll.gateway.repeated import Repeated
from plimsoll.monitoring.inspection_metrics import CacheFigures, InspectionFigures

SEQUENCES: Final = (
    "This model keeps a state between the requests of a sequence, so all of them have to reach one replica. Send them "
    "over one gRPC stream (ModelStreamInfer): a stream stays on its replica. Single requests would be spread."
)
READ: Final = Limits(body_bytes=1 << 20, parsed_bytes=256 << 10, looked_at=1 << 16)
"""How much of a request or an answer is read. JSON that is made to be slow takes 25 ms here, in which nobody else is
served; an honest one of this size 2 ms."""
_COPIED: Final = 256 << 10
"""Bytes of a request and its answer together that are copied for a candidate."""
_COMPARED: Final = 64 << 10
"""Bytes of an answer of them. Comparing so many takes 3 ms at most, in which nobody else is served."""
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


@dataclass(frozen=True, slots=True)
class Copy:
    """A request to stable that was answered.

    Attributes:
        request, answer: Read what was asked and what stable gave; raise `Malformed`.
        request_bytes, answer_bytes: Sizes as they came.
    """

    request: Callable[[], InferRequest]
    answer: Callable[[], InferAnswer]
    request_bytes: int
    answer_bytes: int


def may_be_copied(request_bytes: int, answer_bytes: int) -> bool:
    """Tells whether a request of this size that got an answer of that size is not too long to be copied."""
    return answer_bytes <= _COMPARED and request_bytes + answer_bytes <= _COPIED


class Copies(Protocol):
    """Has a candidate answer requests to stable, too."""

    def wants(self) -> bool:
        """Tosses for a request that could be copied, and returns whether it is to be."""

    def dropped(self) -> None:
        """Counts a request that was to be copied and is not."""

    def send(self, copy: Copy) -> None:
        """Sends it, when everything that waits now is done."""


class Copying(Protocol):
    """Makes what takes copies."""

    def of(self, route: ModelRoute) -> Copies:
        """Returns that of a model under its new route; it has a candidate."""

    def forget(self, uid: str) -> None:
        """The ModelDeployment has gone."""


class Inspection:
    """One model's.

    Attributes:
        route: What the model follows.
        cache: Its cache; None where it has none.
        budget: For what is held.
        invalid: Requests and answers in which something was wrong, by subject and kind.
        passed: Requests and answers that passed without a look, by subject and reason.
        stateful: Its revisions whose answers depend on the requests before.
        copies: Takes copies of requests for a candidate; None where none are wanted.
        confidence: Answers that were judged by their confidence, by what came of it.
        repeated: Requests that were answered from the cache.
    """

    __slots__ = ("budget", "cache", "confidence", "copies", "invalid", "passed", "repeated", "route", "stateful")

    def __init__(self, route: ModelRoute, cache: ModelCache | None, budget: Budget) -> None:
        self.route = route
        self.cache = cache
        self.budget = budget
        self.invalid: Counter[tuple[str, str]] = Counter()
        self.passed: Counter[tuple[str, str]] = Counter()
        self.stateful: frozenset[str] = frozenset()
        self.copies: Copies | None = None
        self.confidence: Counter[str] = Counter()
        self.repeated = Repeated()

    def reads_requests(self, revision: RevisionRoute) -> bool:
        """Tells whether requests for this revision are read before they are sent."""
        rules = revision.rules
        return (rules is not None and rules.on_invalid is not None) or self.keeps(revision)

    def keeps(self, revision: RevisionRoute) -> bool:
        """Tells whether answers of this revision are kept."""
        return self.cache is not None and revision.cacheable

    def is_stateful(self, revision: RevisionRoute) -> bool:
        """Tells whether answers of this revision depend on the requests before."""
        return revision.name in self.stateful

    def looks_at(self, revision: RevisionRoute) -> bool:
        """Tells whether anything is looked at of what is between clients and this revision."""
        judges = self.route.confidence is not None
        return revision.rules is not None or self.keeps(revision) or judges or self._is_copied(revision)

    def _is_copied(self, revision: RevisionRoute) -> bool:
        stable = self.route.stable
        return self.copies is not None and stable is not None and revision.name == stable.name


class Inspections:
    """Those of all models.

    Args:
        caches: The caches.
        budget: For what is held.

    Attributes:
        stateful: Whether answers of a revision depend on the requests before, by its name; those that were asked.
    """

    __slots__ = ("_budget", "_by_uid", "_caches", "_copying", "stateful")

    def __init__(self, caches: Caches, budget: Budget | None = None) -> None:
        self._copying: Copying | None = None
        self._caches = caches
        self._budget = budget or Budget()
        self._by_uid: dict[str, Inspection] = {}
        self.stateful: dict[str, bool] = {}

    def of(self, route: ModelRoute) -> Inspection | None:
        """Returns what is looked at of a model under its new route; None where nothing is."""
        cache = self._caches.of(route)
        arms = [arm for arm in (route.stable, route.candidate) if arm is not None]
        if not arms and self._copying is not None:
            self._copying.forget(route.uid)
        stateful = frozenset(arm.name for arm in arms if self.stateful.get(arm.name))
        copies = self._copies(route)
        looks = any(arm.rules is not None or (cache is not None and arm.cacheable) for arm in arms)
        if not (looks or stateful or copies is not None or route.confidence is not None):
            self._by_uid.pop(route.uid, None)
            return None
        inspection = self._by_uid.get(route.uid)
        if inspection is None:
            inspection = self._by_uid[route.uid] = Inspection(route, cache, self._budget)
        inspection.route = route
        inspection.cache = cache
        inspection.stateful = stateful
        inspection.copies = copies
        inspection.repeated.clear()
        return inspection

    def _copies(self, route: ModelRoute) -> Copies | None:
        """Copies are made between revisions that are known to keep no state, or they would change the candidate's."""
        stable, candidate = route.stable, route.candidate
        if self._copying is None or stable is None or candidate is None or not candidate.shadow_permille:
            return None
        if self.stateful.get(stable.name, True) or self.stateful.get(candidate.name, True):
            return None
        return self._copying.of(route)

    def copy_to(self, copying: Copying) -> None:
        """Has copies taken by what this makes for a model from its next route on; without it none are made."""
        self._copying = copying

    def figures(self) -> list[InspectionFigures]:
        """Returns what metrics tell."""
        return [
            InspectionFigures(
                one.route.model,
                dict(one.invalid),
                dict(one.passed),
                _figures(one.cache) if one.cache is not None else None,
                dict(one.confidence),
            )
            for one in self
        ]

    def __iter__(self) -> Iterator[Inspection]:
        return iter(list(self._by_uid.values()))


def _figures(cache: ModelCache) -> CacheFigures:
    counts = cache.counts
    return CacheFigures(
        {"hit": counts.hits, "remote": counts.remote, "shared": counts.shared, "miss": counts.misses},
        {"begun": counts.rechecked, "different": counts.mismatched, "failed": counts.unchecked},
        counts.served_bytes,
        counts.saved_s,
        cache.held_bytes,
    )
