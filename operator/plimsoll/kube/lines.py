"""Cuts a stream of bytes into lines, wherever the network cut it."""

from __future__ import annotations

MAX_LINE_BYTES = 64 * 1024 * 1024
"""etcd refuses objects above 1.5 MB, aggregated API servers allow more; beyond this the stream is not a watch."""


class LineSplitter:
    """Feed chunks, get complete lines. A long line costs its length, not its length times its chunks."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines that this chunk completes, without their ends and without empty ones.

        Raises:
            ValueError: A line is longer than `MAX_LINE_BYTES`.
        """
        first, *rest = chunk.split(b"\n")
        self._parts.append(first)
        self._size += len(first)
        if self._size > MAX_LINE_BYTES:
            raise ValueError(f"A line of the stream is longer than {MAX_LINE_BYTES} bytes")
        if not rest:
            return []
        lines = [b"".join(self._parts), *rest[:-1]]
        self._parts = [rest[-1]]
        self._size = len(rest[-1])
        return [line for line in lines if line.strip()]
