"""Questions to the store, and answers to it: bounded in time, number and bytes, and counted."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Final

from plimsoll.core.cache.breaker import BreakerState
from plimsoll.core.cache.remote_form import MOST_BYTES, read_remote, remote_name, write_remote
from plimsoll.core.cache.resp import ErrorReply, Reply, command
from plimsoll.core.inference.malformed import Malformed
from plimsoll.gateway.cache.remote.link import Direction, Link
from plimsoll.gateway.cache.remote.login import Login
from plimsoll.gateway.cache.remote.wire import Wire
from plimsoll.gateway.cache.store import Answer, Found, Inquiry
from plimsoll.gateway.config import RedisSettings
from plimsoll.monitoring.remote_cache_metrics import LinkFigures, RemoteCacheFigures

_QUESTIONS: Final = 64
_ANSWERS: Final = 256
_ANSWER_BYTES: Final = 4 << 20
"""Under way at a time; a question beyond is not asked, an answer beyond is not stored."""
ANSWER_S: Final = 0.02
"""How long a request waits. In the same network an answer takes 1 ms; a store that takes longer than this has failed:
it would slow down more requests than it spares."""
_STORE_S: Final = 1.0
"""After which an answer that is not stored means that the store is gone. Nobody waits for it."""
_NOT_OURS: Final = "WRONGTYPE"
_GONE: Final = -2
_FULL: Final = ": its memory is full; give it more, or an eviction policy (maxmemory-policy allkeys-lru)"


class Looked(StrEnum):
    """What became of a question: label values of a metric, as below."""

    HIT = "hit"
    MISS = "miss"
    UNREADABLE = "unreadable"
    FAILED = "failed"
    SKIPPED = "skipped"


class Written(StrEnum):
    """What became of an answer that was to be stored."""

    STORED = "stored"
    FAILED = "failed"
    DROPPED = "dropped"


class RemoteStore:
    """The store.

    Args:
        settings: Where it is.
        clock: Monotonic time in seconds.
        toss: Returns a random number from 0 to 1.
        answer_s: A question without an answer after so many seconds means that the store is gone.
    """

    def __init__(
        self,
        settings: RedisSettings,
        clock: Callable[[], float] = time.monotonic,
        toss: Callable[[], float] = random.random,
        answer_s: float = ANSWER_S,
    ) -> None:
        self.answer_s = answer_s
        self._links = {direction: _link(direction, settings, clock, toss) for direction in Direction}
        self.looked: Counter[Looked] = Counter()
        self.written: Counter[Written] = Counter()

    async def run(self) -> None:
        """Keeps the connections up until cancelled."""
        async with asyncio.TaskGroup() as group:
            for link in self._links.values():
                group.create_task(link.run(), name=f"cache-{link.direction.value}")

    def of(self, uid: str) -> RemoteModel:
        """Returns the part of a ModelDeployment."""
        return RemoteModel(self, uid)

    def state(self, direction: Direction) -> BreakerState:
        """Returns what the breaker of one direction is at."""
        return self._links[direction].state

    def connected(self, direction: Direction) -> bool:
        """Tells whether there is a connection for one direction."""
        return self._links[direction].connected

    def figures(self) -> RemoteCacheFigures:
        """Returns what metrics tell."""
        return RemoteCacheFigures(
            {looked.value: self.looked[looked] for looked in Looked},
            {written.value: self.written[written] for written in Written},
            {link.direction.value: LinkFigures(link.state.value, link.connected) for link in self._links.values()},
        )

    def ask(self, name: bytes, others: Sequence[bytes], wait_s: float, inquiry: Inquiry) -> bool:
        """Asks what lies under a name, and whether anything does under others. Returns whether it is asked at all."""
        link = self._links[Direction.READ]
        wire = link.ready(_QUESTIONS, _ANSWER_BYTES)
        if wire is None:
            self.looked[Looked.SKIPPED] += 1
            return False
        # GETRANGE, because GET would bring whatever size somebody has written there.
        commands = [command(b"GETRANGE", name, b"0", b"%d" % MOST_BYTES), command(b"PTTL", name)]
        if others:
            commands.append(command(b"EXISTS", *others))

        def done(replies: list[Reply] | None) -> None:
            inquiry.tell(self._found(link, wire, name, replies))

        if wait_s < self.answer_s:
            # This one's patience ends before: that is no failure of the store.
            asyncio.get_running_loop().call_later(wait_s, inquiry.tell, None)
        wire.send(b"".join(commands), len(commands), self.answer_s, done)
        return True

    def put(self, name: bytes, answer: Answer, ttl_s: float) -> None:
        """Stores an answer some time soon, or not."""
        link = self._links[Direction.WRITE]
        wire = link.ready(_ANSWERS, _ANSWER_BYTES)
        value = write_remote(name, answer.value, answer.took_s) if wire is not None else b""
        if wire is None or len(value) > MOST_BYTES:
            self.written[Written.DROPPED] += 1
            return

        def done(replies: list[Reply] | None) -> None:
            self._stored(link, wire, replies)

        wire.send(command(b"SET", name, value, b"PX", b"%d" % max(1, int(ttl_s * 1000))), 1, _STORE_S, done)

    def _found(self, link: Link, wire: Wire, name: bytes, replies: list[Reply] | None) -> Found | None:
        if replies is None:
            self.looked[Looked.FAILED] += 1
            return None
        refused = next((one for one in replies if isinstance(one, ErrorReply) and one.code != _NOT_OURS), None)
        value, left_ms, *others = replies
        if refused is not None or not isinstance(left_ms, int):
            self.looked[Looked.FAILED] += 1
            wire.fail(f"it answers {refused.code if refused is not None else 'something else than was asked'}")
            return None
        link.answered()
        held = bool(others and others[0])
        if value == b"" or left_ms == _GONE:
            self.looked[Looked.MISS] += 1
            return Found(None, 0.0, held=held)
        answer = _read(name, value)
        if answer is None or left_ms < 0:
            self.looked[Looked.UNREADABLE] += 1
            return Found(None, 0.0, held=held)
        self.looked[Looked.HIT] += 1
        return Found(answer, left_ms / 1000, held=held)

    def _stored(self, link: Link, wire: Wire, replies: list[Reply] | None) -> None:
        if replies == [b"OK"]:
            self.written[Written.STORED] += 1
            link.answered()
            return
        self.written[Written.FAILED] += 1
        if replies is not None:
            (reply,) = replies
            code = reply.code if isinstance(reply, ErrorReply) else "nothing that is known"
            wire.fail(f"it answers {code}{_FULL if code == 'OOM' else ''}")


class RemoteModel:
    """The part of one ModelDeployment; a `Remote`."""

    __slots__ = ("_store", "_uid", "longest_wait_s")

    def __init__(self, store: RemoteStore, uid: str) -> None:
        self._store = store
        self._uid = uid
        self.longest_wait_s = store.answer_s

    def ask(self, key: bytes, others: Sequence[bytes], wait_s: float, inquiry: Inquiry) -> bool:
        """As `Remote` says."""
        uid = self._uid
        return self._store.ask(remote_name(uid, key), [remote_name(uid, other) for other in others], wait_s, inquiry)

    def put(self, key: bytes, answer: Answer, ttl_s: float) -> None:
        """As `Remote` says."""
        self._store.put(remote_name(self._uid, key), answer, ttl_s)


def _read(name: bytes, value: Reply) -> Answer | None:
    try:
        return Answer(*read_remote(name, value)) if isinstance(value, bytes) else None
    except Malformed:
        return None


def _link(direction: Direction, settings: RedisSettings, clock: Callable[[], float], toss: Callable[[], float]) -> Link:
    login = Login(settings)
    return Link(direction, f"{login.address.host}:{login.address.port}", login.connect, clock, toss)
