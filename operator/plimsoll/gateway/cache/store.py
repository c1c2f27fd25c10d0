"""Where answers are kept, as the rest of the gateway sees it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from plimsoll.core.inference.answer import InferAnswer

_OVERHEAD = 512
"""Bytes that an entry takes beside its data: the key, the objects, the policy's books."""
_PER_OUTPUT = 256


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful answer.

    Attributes:
        value: What it says, in the form that all transports share.
        took_s: What the model took for it, in seconds: what each use of it saves.
    """

    value: InferAnswer
    took_s: float

    @property
    def data_bytes(self) -> int:
        """Bytes of its outputs."""
        return sum(len(output.data) for output in self.value.outputs)

    @property
    def size(self) -> int:
        """Bytes of memory that keeping it takes, about."""
        return self.data_bytes + _OVERHEAD + _PER_OUTPUT * (len(self.value.outputs) + len(self.value.parameters))


class Store(Protocol):
    """Keeps answers for a while. It may forget any of them at any time, and never gives back another one."""

    def get(self, key: bytes) -> Answer | None:
        """Returns the answer that is kept under a key; None where none is, or its time is over."""

    def put(self, key: bytes, answer: Answer, ttl_s: float) -> None:
        """Keeps an answer for a number of seconds, in place of one that was kept under the same key."""

    @property
    def size(self) -> int:
        """Bytes of memory that are taken, about."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a store that gateways share said.

    Attributes:
        answer: That is kept; None where none is.
        ttl_s: How long it is kept yet, in seconds.
        held: Something is kept under one of the other keys.
    """

    answer: Answer | None
    ttl_s: float
    held: bool


class Inquiry:
    """A question to such a store.

    Args:
        told: Called with what it said, None where it said nothing; once at most.
    """

    __slots__ = ("_told",)

    def __init__(self, told: Callable[[Found | None], None]) -> None:
        self._told: Callable[[Found | None], None] | None = told

    def tell(self, found: Found | None) -> None:
        """Tells it, if that has not been done."""
        told, self._told = self._told, None
        if told is not None:
            told(found)

    def cancel(self) -> None:
        """Nobody wants to know any more."""
        self._told = None


class Remote(Protocol):
    """One model's part of a store that gateways share. Nothing of it fails, and nothing of it takes time.

    Attributes:
        longest_wait_s: No request waits longer for it, in seconds.
    """

    longest_wait_s: float

    def ask(self, key: bytes, others: Sequence[bytes], wait_s: float, inquiry: Inquiry) -> bool:
        """Asks what is kept, and returns whether the inquiry will be told: not before this has returned.

        Args:
            key: Under which.
            others: Keys of which it is enough to know whether anything is kept.
            wait_s: After so many seconds the inquiry is told None.
            inquiry: Who wants to know.
        """

    def put(self, key: bytes, answer: Answer, ttl_s: float) -> None:
        """Keeps an answer, some time soon, or not."""
