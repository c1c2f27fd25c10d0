"""Cuts a stream of bytes into lines, wherever the network cut it."""

from __future__ import annotations

MAX_LINE_BYTES = 64 * 1024 * 1024
"""etcd refuses objects above 1.5 MB, aggregated API servers allow more; beyond this the stream is not a watch."""


class LineSplitter:
    """Feed chunks, get complete lines. A long line costs its length, not its length times its chunks.

    Args:
        limit: Longest line, in bytes; `MAX_LINE_BYTES` without one.
    """

    def __init__(self, limit: int | None = None) -> None:
        self._limit = limit or MAX_LINE_BYTES
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines that this chunk completes, without their ends and without empty ones.

        Raises:
            ValueError: A line is longer than the limit.
        """
        first, *rest = chunk.split(b"\n")
        self._parts.append(first)
        self._size += len(first)
        if self._size > self._limit:
            raise ValueError(f"A line of the stream is longer than {self._limit} bytes")
        if not rest:
            return []
        lines = [b"".join(self._parts), *rest[:-1]]
        self._parts = [rest[-1]]
        self._size = len(rest[-1])
        return [line for line in lines if line.strip()]
