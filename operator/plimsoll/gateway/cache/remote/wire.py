"""One connection to the store: commands out, replies in, in the same order."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

from typing_extensions import override

from plimsoll.core.cache.remote_form import MOST_BYTES
from plimsoll.core.cache.resp import Garbled, Reply, ReplyReader

_GRACE_S = 0.001
"""After the time of an answer is over it may still lie in the socket: a loop that was busy looks at timers first."""

Done = Callable[[list[Reply] | None], None]
"""Takes the replies; None where the connection broke before they came."""


@dataclass(slots=True)
class _Asked:
    wanted: int
    size: int
    done: Done
    timer: asyncio.TimerHandle
    replies: list[Reply] = field(default_factory=list)


class Wire(asyncio.Protocol):
    """One connection.

    Args:
        lost: Called once with the reason when it is of no use any more; `idle` tells that nothing was under way.

    Attributes:
        under_way: What was sent and has no replies yet: how many times, and bytes of it.
    """

    def __init__(self, lost: Callable[[str, bool], None]) -> None:
        self._lost: Callable[[str, bool], None] | None = lost
        self._transport: asyncio.Transport | None = None
        self._reader = ReplyReader(MOST_BYTES + 1)
        self._asked: deque[_Asked] = deque()
        self._bytes = 0

    @property
    def under_way(self) -> tuple[int, int]:
        """How much was sent that has no replies yet."""
        return len(self._asked), self._bytes

    def send(self, commands: bytes, wanted: int, wait_s: float, done: Done) -> None:
        """Sends commands.

        Args:
            commands: One or more.
            wanted: How many.
            wait_s: A connection without replies after so many seconds has broken.
            done: Called once, not before this has returned.
        """
        loop = asyncio.get_running_loop()
        if self._transport is None or self._lost is None:
            loop.call_soon(done, None)
            return
        timer = loop.call_later(wait_s, self._late, wait_s)
        self._asked.append(_Asked(wanted, len(commands), done, timer))
        self._bytes += len(commands)
        self._transport.write(commands)

    def fail(self, why: str) -> None:
        """Ends it, and all that is under way."""
        lost, self._lost = self._lost, None
        if lost is None:
            return
        if self._transport is not None:
            self._transport.abort()
        asked, self._asked = self._asked, deque()
        self._bytes = 0
        lost(why, not asked)
        for one in asked:
            one.timer.cancel()
            one.done(None)

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by its class

    @override
    def data_received(self, data: bytes) -> None:
        if self._lost is None:
            return
        try:
            replies = self._reader.feed(data)
        except Garbled as garbled:
            self.fail(f"it does not speak as a store does: {garbled}")
            return
        for reply in replies:
            if not self._asked:
                self.fail("it does not speak as a store does: nothing was asked")
                return
            first = self._asked[0]
            first.replies.append(reply)
            if len(first.replies) == first.wanted:
                self._asked.popleft()
                self._bytes -= first.size
                first.timer.cancel()
                first.done(first.replies)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self.fail("the connection broke" if exc else "it closed the connection")

    def _late(self, wait_s: float) -> None:
        first = self._asked[0]
        first.timer = asyncio.get_running_loop().call_later(_GRACE_S, self._too_late, first, wait_s)

    def _too_late(self, first: _Asked, wait_s: float) -> None:
        if self._asked and self._asked[0] is first:
            self.fail(f"no answer came within {wait_s * 1000:g} ms")
