"""Copies of requests to stable that the candidate gets, too: its answers are compared, and given to nobody.

A copy begins when the user's answer has gone out, so it cannot make that later or other. It is dropped where it would
wait: copies are the first that a busy gateway does without.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from enum import StrEnum
from typing import Final, Protocol

from plimsoll.core.cache.comparison import difference
from plimsoll.core.inference.answer import InferAnswer
from plimsoll.core.inference.http_answer import read_http_answer
from plimsoll.core.inference.http_body import write_http
from plimsoll.core.inference.malformed import Malformed
from plimsoll.core.inference.request import InferRequest
from plimsoll.core.routing.shadow import Pace
from plimsoll.core.routing.split import Split
from plimsoll.core.routing.table import ModelRoute, RevisionRoute
from plimsoll.gateway.asides import Asides, Said, Unanswered
from plimsoll.gateway.inspection import READ, Copy
from plimsoll.monitoring.aside_metrics import ShadowFigures

MOST_COPIES: Final = 8
"""Under way at a time, of all models. Each holds 2 MiB at most: a request and two answers, as they came and as read."""
_OK: Final = 200


class Fate(StrEnum):
    """What became of a request that was to be copied: label values of a metric."""

    AGREED = "agreed"
    """The candidate gave the same answer, within the tolerance of `core.cache.comparison`."""
    DIFFERED = "differed"
    FAILED = "failed"
    """The candidate gave an error, none in time, or one that cannot be read."""
    UNREAD = "unread"
    """The request, or stable's answer, cannot be read here, so nothing was sent."""
    DROPPED = "dropped"
    """As many copies as may be were under way, as much time as is spared was spent on them, or it is too long."""


class Recorder(Protocol):
    """Counts for the controller what became of copies; see `core.records.record`."""

    copies_agreed: int
    copies_differed: int
    copies_failed: int


class Shadow:
    """One model's.

    Attributes:
        route: What it follows.
        candidate: Name of the revision that got copies last.
        fates: What became of them.
    """

    def __init__(self, route: ModelRoute, shadows: Shadows, key: bytes) -> None:
        self.route = route
        self.candidate = ""
        self.fates: Counter[Fate] = Counter()
        self._shadows = shadows
        self._split = Split(key)
        self._turn = 0

    def follow(self, route: ModelRoute) -> None:
        """Follows a new route; what became of copies for another candidate is forgotten."""
        self.route = route
        if route.candidate is not None and route.candidate.name != self.candidate:
            self.candidate = route.candidate.name
            self.fates.clear()

    def wants(self) -> bool:
        """Tosses for a request that could be copied, and returns whether it is to be."""
        candidate = self.route.candidate
        if candidate is None or not candidate.endpoints or not self._split.toss(candidate.shadow_permille):
            return False
        if self._shadows.has_room:
            return True
        self.dropped()
        return False

    def dropped(self) -> None:
        """Counts a request that was to be copied and is not."""
        self.fates[Fate.DROPPED] += 1

    def send(self, copy: Copy) -> None:
        """Has the candidate answer it, too."""
        if self.route.candidate is not None:
            self._shadows.begin(self._compare(copy, self.route.candidate), copy)

    async def _compare(self, copy: Copy, candidate: RevisionRoute) -> None:
        fate = await self._fate(copy, candidate)
        if candidate.name != self.candidate:
            return
        self.fates[fate] += 1
        recorder = self._shadows.recorder_of(self.route.model, candidate.name)
        recorder.copies_agreed += fate is Fate.AGREED
        recorder.copies_differed += fate is Fate.DIFFERED
        recorder.copies_failed += fate is Fate.FAILED

    async def _fate(self, copy: Copy, candidate: RevisionRoute) -> Fate:
        try:
            asked, given = copy.request(), copy.answer()
        except Malformed:
            return Fate.UNREAD
        self._turn += 1
        endpoint = candidate.endpoints[self._turn % len(candidate.endpoints)]
        said = await self._shadows.ask(self.route.model, endpoint.ip, asked)
        return _compared(said, given)


class Shadows:
    """Those of all models.

    Args:
        asides: To ask with.
        key: Returns a new random key each time.
        recorder_of: Returns the counters of a model's revision, the same ones every time.
        clock: Monotonic time in seconds.
    """

    def __init__(
        self,
        asides: Asides,
        key: Callable[[], bytes],
        recorder_of: Callable[[str, str], Recorder],
        clock: Callable[[], float],
    ) -> None:
        self.recorder_of = recorder_of
        self._clock = clock
        self._pace = Pace(clock())
        self._is_closed = False
        self._asides = asides
        self._key = key
        self._by_uid: dict[str, Shadow] = {}
        self._under_way: set[asyncio.Task[None]] = set()

    def of(self, route: ModelRoute) -> Shadow:
        """Returns a model's under its new route."""
        shadow = self._by_uid.get(route.uid)
        if shadow is None:
            shadow = self._by_uid[route.uid] = Shadow(route, self, self._key())
        shadow.follow(route)
        return shadow

    def forget(self, uid: str) -> None:
        """Drops what is known of a ModelDeployment that has gone."""
        self._by_uid.pop(uid, None)

    @property
    def has_room(self) -> bool:
        """One more copy may be under way."""
        return not self._is_closed and len(self._under_way) < MOST_COPIES and self._pace.allows(self._clock())

    @property
    def idle(self) -> bool:
        """None is under way."""
        return not self._under_way

    def begin(self, comparison: Coroutine[None, None, None], copy: Copy) -> None:
        """Has it run beside what users wait for."""
        self._pace.spend(copy.request_bytes, copy.answer_bytes)
        task = asyncio.get_running_loop().create_task(comparison)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def ask(self, model: str, ip: str, request: InferRequest) -> Said | None:
        """Returns what the pod says to a request, all data in binary form; None where it says nothing."""
        outputs = tuple(replace(output, binary=True) for output in request.outputs)
        body, length = write_http(replace(request, id="", outputs=outputs, binary=True))
        version = f"/versions/{request.version}" if request.version else ""
        try:
            return await self._asides.ask(ip, f"/v2/models/{model}{version}/infer", body, length)
        except Unanswered:
            return None

    async def aclose(self) -> None:
        """Ends what is under way, for good."""
        self._is_closed = True
        tasks = list(self._under_way)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def figures(self) -> Iterator[ShadowFigures]:
        """Returns what metrics tell."""
        for one in self._by_uid.values():
            for fate, count in one.fates.items():
                yield ShadowFigures(one.route.model, one.candidate, fate.value, count)


def _compared(said: Said | None, given: InferAnswer) -> Fate:
    if said is None or said.status != _OK:
        return Fate.FAILED
    try:
        answer = read_http_answer(said.body, said.json_bytes, READ)
    except Malformed:
        return Fate.FAILED
    return Fate.DIFFERED if difference(given, answer) else Fate.AGREED
