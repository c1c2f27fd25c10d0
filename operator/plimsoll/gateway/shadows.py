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
from plimsoll.core.routing.split import Split
from plimsoll.core.routing.table import ModelRoute
from plimsoll.gateway.asides import Asides, Said, Unanswered
from plimsoll.gateway.inspection import READ, Copy
from plimsoll.monitoring.aside_metrics import ShadowFigures

MOST_COPIES: Final = 8
"""Under way at a time, of all models: with `inspection.COPIED` bytes each at most 4 MiB are held."""
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
    """As many copies as may be were under way, or its body is too long."""


class Recorder(Protocol):
    """Counts for the controller what became of copies; see `core.records.record`."""

    copies_agreed: int
    copies_differed: int
    copies_failed: int


class Shadow:
    """One model's.

    Attributes:
        route: What it follows.
        fates: What became of its copies, by candidate.
    """

    def __init__(self, route: ModelRoute, shadows: Shadows, key: bytes) -> None:
        self.route = route
        self.fates: Counter[tuple[str, Fate]] = Counter()
        self._shadows = shadows
        self._split = Split(key)

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
        if self.route.candidate is not None:
            self.fates[self.route.candidate.name, Fate.DROPPED] += 1

    def send(self, copy: Copy) -> None:
        """Has the candidate answer it, too."""
        self._shadows.begin(self._compare(copy, self.route))

    async def _compare(self, copy: Copy, route: ModelRoute) -> None:
        candidate = route.candidate
        if candidate is None:
            return
        try:
            asked, given = copy.request(), copy.answer()
        except Malformed:
            self.fates[candidate.name, Fate.UNREAD] += 1
            return
        turn = self.fates.total() % len(candidate.endpoints)
        said = await self._shadows.ask(route.model, candidate.endpoints[turn].ip, asked)
        fate = _fate(said, given)
        self.fates[candidate.name, fate] += 1
        recorder = self._shadows.recorder_of(route.model, candidate.name)
        recorder.copies_agreed += fate is Fate.AGREED
        recorder.copies_differed += fate is Fate.DIFFERED
        recorder.copies_failed += fate is Fate.FAILED


class Shadows:
    """Those of all models.

    Args:
        asides: To ask with.
        key: Returns a new random key each time.
        recorder_of: Returns the counters of a model's revision, the same ones every time.
    """

    def __init__(self, asides: Asides, key: Callable[[], bytes], recorder_of: Callable[[str, str], Recorder]) -> None:
        self.recorder_of = recorder_of
        self._asides = asides
        self._key = key
        self._by_uid: dict[str, Shadow] = {}
        self._under_way: set[asyncio.Task[None]] = set()

    def of(self, route: ModelRoute) -> Shadow:
        """Returns a model's under its new route."""
        shadow = self._by_uid.get(route.uid)
        if shadow is None:
            for other in [uid for uid, one in self._by_uid.items() if one.route.model == route.model]:
                del self._by_uid[other]  # Of an object that was replaced.
            shadow = self._by_uid[route.uid] = Shadow(route, self, self._key())
        shadow.route = route
        return shadow

    @property
    def has_room(self) -> bool:
        """One more copy may be under way."""
        return len(self._under_way) < MOST_COPIES

    def begin(self, comparison: Coroutine[None, None, None]) -> None:
        """Has it run beside what users wait for."""
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
        """Ends what is under way."""
        tasks = list(self._under_way)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def figures(self) -> Iterator[ShadowFigures]:
        """Returns what metrics tell."""
        for one in self._by_uid.values():
            for (candidate, fate), count in one.fates.items():
                yield ShadowFigures(one.route.model, candidate, fate.value, count)


def _fate(said: Said | None, given: InferAnswer) -> Fate:
    if said is None or said.status != _OK:
        return Fate.FAILED
    try:
        answer = read_http_answer(said.body, said.json_bytes, READ)
    except Malformed:
        return Fate.FAILED
    return Fate.DIFFERED if difference(given, answer) else Fate.AGREED
