"""A request's bytes, kept until its answer begins: a second attempt sends them again."""

from __future__ import annotations

from plimsoll.gateway.http2.limits import Limits


class ReplayBudget:
    """What all calls together keep, in bytes."""

    __slots__ = ("held", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held = 0


class Replay:
    """One call's bytes.

    Attributes:
        chunks: The payloads of its DATA, in order.
        is_whole: Nothing was left out: the call can be sent from its beginning.
    """

    __slots__ = ("_budget", "_limit", "_size", "chunks", "is_whole")

    def __init__(self, budget: ReplayBudget, limits: Limits) -> None:
        self._budget = budget
        self._limit = limits.replay
        self._size = 0
        self.chunks: list[bytes] = []
        self.is_whole = True

    def keep(self, payload: bytes, *, needed: bool) -> None:
        """Keeps bytes, or gives up keeping when they are too many.

        Args:
            payload: Of one DATA frame.
            needed: Nobody has them yet, so they are kept in any case; the stream's window bounds them.
        """
        if not self.is_whole:
            return
        size = len(payload)
        budget = self._budget
        if not needed and (self._size + size > self._limit or budget.held + size > budget.limit):
            self.drop()
            return
        self.chunks.append(payload)
        self._size += size
        budget.held += size

    def drop(self) -> None:
        """Forgets the bytes: there is no second attempt."""
        self.is_whole = False
        self._budget.held -= self._size
        self._size = 0
        self.chunks = []
