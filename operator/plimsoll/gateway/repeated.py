"""Requests that were answered from the cache and come again, byte for byte: neither they nor the answer is read anew.

What a request asks is a function of its bytes, so what was found out of equal bytes stays true. Whether an answer is
still kept is asked each time. One per model, empty whenever its route changes.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from plimsoll.core.inference.request import InferRequest
from plimsoll.gateway.cache.store import Answer

LONGEST: Final = 4096
"""Bytes of a body, and of an answer: reading longer ones costs little beside moving them."""
MOST_BYTES: Final = 1 << 20
"""Memory for them, of each model that has a cache."""
_OVERHEAD: Final = 1024
"""Bytes that one takes beside its data."""


class Form(NamedTuple):
    """All of a request that decides what it asks, and of whom.

    Attributes:
        revision: That was tossed for it.
        version: Of the model, as the path names it.
        fields: Header lines that say how the body is to be read.
        body: As it came.
    """

    revision: str
    version: str
    fields: bytes
    body: bytes


class Repeat(NamedTuple):
    """What is known of a request.

    Attributes:
        key: Under which its answer is kept.
        request: What it asks.
        answer: That was kept when it came last.
        head, body: How that was written.
    """

    key: bytes
    request: InferRequest
    answer: Answer
    head: bytes
    body: bytes


class Repeated:
    """Those of one model."""

    __slots__ = ("_known", "_most", "_size")

    def __init__(self, most: int = MOST_BYTES) -> None:
        self._known: dict[Form, Repeat] = {}
        self._most = most
        self._size = 0

    def get(self, form: Form) -> Repeat | None:
        """Returns what is known of a request; None where it has not come before."""
        return self._known.get(form)

    def keep(self, form: Form, repeat: Repeat) -> None:
        """Takes note of one. Where there is no more room, all others are forgotten: what is hot comes again at once."""
        if len(form.body) > LONGEST or len(repeat.body) > LONGEST:
            return
        if form not in self._known:
            # The body is here as it came, and as numbers of at most twice its length.
            self._size += 3 * len(form.body) + len(repeat.body) + _OVERHEAD
        if self._size > self._most:
            self.clear()
            return
        self._known[form] = repeat

    def clear(self) -> None:
        """Forgets all."""
        self._known.clear()
        self._size = 0

    def __len__(self) -> int:
        return len(self._known)
