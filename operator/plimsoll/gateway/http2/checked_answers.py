"""Which gRPC answers are held until they have been checked, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from plimsoll.core.confidence.abstention import instead_of_grpc
from plimsoll.core.validation.answers import Unreadable
from plimsoll.core.validation.grpc_answers import read_grpc_answer
from plimsoll.core.validation.outputs import HELD_BYTES, Output, problems_of_answer
from plimsoll.core.validation.problem import Kind, Problem
from plimsoll.core.validation.schema import Schema

_PREFIX_BYTES: Final = 5
"""gRPC's head of a message: whether it is compressed, and its length in 4 bytes."""


class HeldMessage:
    """The DATA of a unary answer. Nothing of it has gone to the client, so that a second attempt is still possible."""

    __slots__ = ("_most", "_size", "chunks")

    def __init__(self, most: int = HELD_BYTES) -> None:
        self._most = most
        self._size = 0
        self.chunks: list[bytes] = []

    def add(self, payload: bytes) -> bool:
        """Takes the next bytes; returns False where the answer is not to be held any longer: long, or compressed."""
        self.chunks.append(payload)
        self._size += len(payload)
        return self._size <= self._most + _PREFIX_BYTES and self._first_byte() in {0, None}

    def problems(self, schema: Schema, asked: Mapping[str, int], batch: int | None) -> tuple[Problem, ...]:
        """Returns what is wrong with it, all of it being here; nothing where it is an answer.

        Args:
            schema: What the model is to give.
            asked: Outputs that the request names, and as how many classes; empty where it asks for all.
            batch: Of the request; None where it is not known, or the model does not batch.
        """
        try:
            outputs = self.outputs()
        except Unreadable as unreadable:
            return (Problem(Kind.UNREADABLE, "", f"The answer {unreadable}."),)
        return problems_of_answer(outputs, schema, asked, batch)

    def outputs(self) -> Sequence[Output]:
        """Returns its outputs, all of it being here.

        Raises:
            Unreadable: It is no answer.
        """
        return read_grpc_answer(_message(b"".join(self.chunks)))

    def abstention(self) -> bytes:
        """Returns the message that is given in its place, where it has outputs that are not sure enough; framed."""
        return framed(instead_of_grpc(_message(b"".join(self.chunks))))

    def _first_byte(self) -> int | None:
        return next((chunk[0] for chunk in self.chunks if chunk), None)


def framed(message: bytes) -> bytes:
    """Returns a message in gRPC's frame, not compressed."""
    return b"\0" + len(message).to_bytes(4, "big") + message


def _message(data: bytes) -> bytes:
    """Returns the one message of a unary answer."""
    length = int.from_bytes(data[1:_PREFIX_BYTES], "big")
    if len(data) != _PREFIX_BYTES + length:
        raise Unreadable(f"has {len(data)} bytes where its one message announces {length}")
    return data[_PREFIX_BYTES:]
