"""What a gateway looks into in tests: a store that forgets nothing, a toss that a test decides, and a model's rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.support.inference import taking
from tests.support.kept_answers import Kept

from plimsoll.api.requests_validation import InputChecks
from plimsoll.api.vocabulary import DataType
from plimsoll.core.validation.rules import Rules
from plimsoll.core.validation.schema import Checks
from plimsoll.gateway.cache.caches import Caches
from plimsoll.gateway.cache.model_cache import ModelCache
from plimsoll.gateway.cache.store import Remote
from plimsoll.gateway.inspection import Budget, Inspection, Inspections

SCHEMA = taking({"x": (DataType.FP32, (-1, 2))}, 8, {"y": (DataType.FP32, (-1, 1))})
"""A batch of pairs in, a batch of numbers out."""


class Looked:
    """The parts of one gateway.

    Args:
        remote_of: The parts of models in a store that gateways share.

    Attributes:
        tossed: What the next toss gives: 1 never re-checks.
        toss: Tosses, by default that.
        mismatches: Models of which a re-check found another answer.
        stores: What is kept, one for each cache.
    """

    def __init__(self, remote_of: Callable[[str], Remote] | None = None) -> None:
        self.tossed = 1.0
        self.toss: Callable[[], float] = lambda: self.tossed
        self.mismatches: list[str] = []
        self.stores: list[Kept] = []
        self.budget = Budget()
        self.inspections = Inspections(Caches(self._store, self._toss, self.mismatches.append, remote_of), self.budget)

    def _toss(self) -> float:
        return self.toss()

    def _store(self, most: int) -> Kept:
        self.stores.append(Kept(most))
        return self.stores[-1]

    @property
    def inspection(self) -> Inspection:
        """The one model's."""
        (only,) = self.inspections
        return only

    @property
    def cache(self) -> ModelCache:
        """The one model's."""
        cache = self.inspection.cache
        assert cache
        return cache


def rules(revision: str = "r1", **spec: Any) -> Rules:
    """The rules for a model that takes and gives what `SCHEMA` says, under this part of `spec.requests`."""
    return Rules(revision, SCHEMA, Checks(), None, fails_invalid_outputs=True).under(InputChecks.model_validate(spec))
