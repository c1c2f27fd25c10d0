"""Answers in this process: bounded in bytes, and what is asked for most stays (W-TinyLFU, arXiv:1512.00727)."""

from __future__ import annotations

from collections.abc import Callable

from moka_py import Moka

from plimsoll.gateway.cache.store import Answer

_SHARE = 8
"""One answer may take an eighth of the memory: a larger one would push out too many others."""

_Entry = tuple[Answer, float]


class MemoryStore:
    """A `Store` of one model.

    Args:
        max_bytes: Memory for answers.
        clock: Monotonic time in seconds. It decides when an answer is too old; the library's own, when its memory is
            freed.
    """

    __slots__ = ("_clock", "_entries", "_most")

    def __init__(self, max_bytes: int, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._most = max_bytes // _SHARE
        self._entries: Moka[bytes, _Entry] = Moka(max_bytes, weigher=_weight)

    def get(self, key: bytes) -> Answer | None:
        """As `Store` says."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        answer, ends = entry
        return answer if self._clock() < ends else None

    def put(self, key: bytes, answer: Answer, ttl_s: float) -> None:
        """As `Store` says; an answer that is too large is not kept."""
        if answer.size > self._most:
            return
        self._entries.set(key, (answer, self._clock() + ttl_s), ttl=ttl_s)
        # Evictions wait for company otherwise, and the bound would be passed meanwhile.
        self._entries.run_pending_tasks()

    @property
    def size(self) -> int:
        """Bytes that are taken."""
        return self._entries.weighted_size()


def _weight(_key: bytes, entry: _Entry) -> int:
    return entry[0].size
