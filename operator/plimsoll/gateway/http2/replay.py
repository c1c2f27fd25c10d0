"""A request's bytes, kept until its answer begins: a second attempt sends them again."""

from __future__ import annotations

import sys

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
        most: Bytes that may come, kept or not.
    """

    __slots__ = ("_budget", "_came", "_limit", "_size", "chunks", "is_whole", "most")

    def __init__(self, budget: ReplayBudget, limits: Limits) -> None:
        self._budget = budget
        self._limit = limits.replay
        self._size = 0
        self._came = 0
        self.chunks: list[bytes] = []
        self.is_whole = True
        self.most = sys.maxsize

    @property
    def is_too_large(self) -> bool:
        """Whether more bytes came than may."""
        return self._came > self.most

    def keep(self, payload: bytes, *, needed: bool) -> None:
        """Keeps bytes, or gives up keeping when they are too many.

        Args:
            payload: Of one DATA frame.
            needed: Nobody has them yet, so they are kept in any case; the stream's window bounds them.
        """
        size = len(payload)
        self._came += size
        if not self.is_whole:
            return
        budget = self._budget
        if not needed and (self._size + size > self._limit or budget.held + size > budget.limit):
            self.drop()
            return
        self.chunks.append(payload)
        self._size += size
        budget.held += size

    @property
    def size(self) -> int:
        """Bytes that are kept."""
        return self._size

    def replace(self, payload: bytes) -> None:
        """Keeps other bytes in their place."""
        self._budget.held += len(payload) - self._size
        self._size = len(payload)
        self.chunks = [payload]

    def drop(self) -> None:
        """Forgets the bytes: there is no second attempt."""
        self.is_whole = False
        self._budget.held -= self._size
        self._size = 0
        self.chunks = []
