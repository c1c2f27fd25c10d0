"""How a request can fail, by what that says about whom."""

from __future__ import annotations

from typing import Final

import grpc  # type: ignore[import-untyped]

_MOST_WORDS: Final = 500
"""Characters kept of what a server says: a Python model's error is a whole traceback, its end least telling."""
_STUB: Final = "stub process"
_QUEUE_FULL: Final = "maximum queue size"
_QUEUE_TIMEOUT: Final = "timeout expired"


class CallError(Exception):
    """A request without an answer.

    Attributes:
        message: The server's words, or ours where it said nothing.
        rows: Batch size of the request; 0 for one that asks about the server.
    """

    def __init__(self, message: str, rows: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.rows = rows


class RefusedError(CallError):
    """The server answered, and the answer is an error: the model refused these values, or failed on them."""


class OverloadedError(CallError):
    """The server's queue was full or the request waited in it for too long: says nothing about the model's answer."""


class NoAnswerError(CallError):
    """No answer within the time a request may take: the model hangs."""


class ServerGoneError(CallError):
    """The connection broke, or the model's process inside the server died."""


def classify(error: grpc.aio.AioRpcError, rows: int, timeout_s: float) -> CallError:
    """Says what a gRPC status means here.

    Triton answers UNAVAILABLE when a queue is full, and gRPC says the same of a broken connection; only the words
    differ.
    """
    said = str(error.details() or error.code().name)[:_MOST_WORDS]
    lower = said.lower()
    match error.code():
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return NoAnswerError(f"no answer within {timeout_s:g} s", rows)
        case grpc.StatusCode.UNAVAILABLE if _QUEUE_FULL in lower or _QUEUE_TIMEOUT in lower:
            return OverloadedError(said, rows)
        case grpc.StatusCode.UNAVAILABLE | grpc.StatusCode.CANCELLED:
            return ServerGoneError(said, rows)
        case _ if _STUB in lower:
            return ServerGoneError(said, rows)
        case _:
            return RefusedError(said, rows)
