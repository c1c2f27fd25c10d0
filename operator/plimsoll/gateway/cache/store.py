"""Where answers are kept, as the rest of the gateway sees it."""

from __future__ import annotations

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
