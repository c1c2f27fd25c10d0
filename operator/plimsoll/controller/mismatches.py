"""Kept answers that a model contradicts, as gateways tell of them: collected, so that there is one Event a minute."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

PAUSE_S = 60.0
"""Between two Events about one ModelDeployment."""


class Mismatches:
    """Those that have not been told of.

    Args:
        now: Monotonic time in seconds.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._found: dict[str, Counter[str]] = {}
        self._told_at: dict[str, float] = {}

    def add(self, model_uid: str, revision: str, count: int) -> None:
        """Takes note of some that a gateway tells."""
        self._found.setdefault(model_uid, Counter())[revision] += count

    def due(self, model_uid: str) -> bool:
        """Tells whether there is anything to tell of a ModelDeployment, and the time for it."""
        last = self._told_at.get(model_uid)
        return model_uid in self._found and (last is None or self._now() - last >= PAUSE_S)

    def take(self, model_uid: str) -> Mapping[str, int]:
        """Returns what is to be told now, by revision, and forgets it."""
        if not self.due(model_uid):
            return {}
        self._told_at[model_uid] = self._now()
        return self._found.pop(model_uid)

    def forget(self, model_uid: str) -> None:
        """The ModelDeployment is gone."""
        self._found.pop(model_uid, None)
        self._told_at.pop(model_uid, None)
