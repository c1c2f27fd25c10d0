"""The log of requests: a line of JSON for each of a share of them, on standard output. Off unless it is asked for.

A line says which model, revision and pod, what became of the request and how long it took: nothing that a client sent.
What is written elsewhere, by a thread, never holds a request up: lines for which there is no room are counted instead.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import orjson

from plimsoll.core.records.outcome import Outcome

MOST_LINES: Final = 20_000
"""Between two writes; a line takes 200 bytes."""
PAUSE_S: Final = 0.25
_NAMES: Final = tuple(outcome.name.lower() for outcome in Outcome)
_SUCCEEDED: Final = Outcome.SUCCEEDED


class RequestLog:
    """Lines that have yet to be written.

    Attributes:
        unwritten: Requests of which there is no line because there was no room, or nobody takes lines.
    """

    __slots__ = ("_lines", "_share", "_toss", "_wall", "_write", "unwritten")

    def __init__(
        self, share: float, write: Callable[[bytes], object], wall: Callable[[], float], toss: Callable[[], float]
    ) -> None:
        """Makes an empty one.

        Args:
            share: Of the successes that get a line, from 0 to 1; whatever else became of a request, it gets one.
            write: Writes bytes, and may take its time; raises `OSError` where nobody takes them.
            wall: Seconds since 1970.
            toss: Returns a random number from 0 to 1, another one each time.
        """
        self._share = share
        self._write = write
        self._wall = wall
        self._toss = toss
        self._lines: list[bytes] = []
        self.unwritten = 0

    def note(self, model: str, revision: str, outcome: Outcome, latency_s: float, pod: str) -> None:
        """Takes note of the end of a request's first attempt, as `targets.Recorder.ended` does."""
        if outcome is _SUCCEEDED and self._share < 1 and self._toss() >= self._share:
            return
        if len(self._lines) >= MOST_LINES:
            self.unwritten += 1
            return
        which: int = outcome
        line = {
            "time": datetime.fromtimestamp(self._wall(), UTC),
            "event": "request",
            "model": model,
            "revision": revision,
            "pod": pod,
            "outcome": _NAMES[which],
            "latency_ms": round(latency_s * 1000, 3),
        }
        self._lines.append(orjson.dumps(line, option=orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE))

    async def run(self) -> None:
        """Writes what there is every `PAUSE_S`, and once more when it is cancelled."""
        try:
            while True:
                await asyncio.sleep(PAUSE_S)
                if self._lines:
                    await asyncio.to_thread(self._put, self._take())
        finally:
            self._put(self._take())

    def _take(self) -> list[bytes]:
        lines, self._lines = self._lines, []
        return lines

    def _put(self, lines: list[bytes]) -> None:
        if self.unwritten:
            lost, self.unwritten = self.unwritten, 0
            lines.append(orjson.dumps({"event": "requests.unwritten", "requests": lost}) + b"\n")
        try:
            self._write(b"".join(lines))
        except OSError:
            self.unwritten += len(lines)
