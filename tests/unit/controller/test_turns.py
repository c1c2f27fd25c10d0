"""What becomes of a key after its turn, and of turns when the queue closes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram
from tests.support.fakeapi.clocks import ManualClock

from plimsoll.controller.turns import Turns
from plimsoll.controller.writer import NamespaceTerminating
from plimsoll.kube.errors import Conflict, NotFound, ServerError, Throttled
from plimsoll.kube.resources import Key
from plimsoll.kube.workqueue import WorkQueue

KEY = ("vision", "digits")


@dataclass
class Loop:
    """A queue with one key, and what happens in its turn."""

    happens: Callable[[], None]
    time: ManualClock = field(default_factory=lambda: ManualClock(chance=0.5))
    forgotten: list[Key] = field(default_factory=list)
    outcomes: Counter = field(default_factory=lambda: Counter("o", "o", ["outcome"], registry=CollectorRegistry()))

    async def first_turn(self) -> WorkQueue:
        queue = WorkQueue(self.time.clock)
        seconds = Histogram("s", "s", registry=CollectorRegistry())
        looked = asyncio.Event()

        async def look(_: Key) -> str:
            looked.set()
            self.happens()
            return "unchanged"

        queue.add(KEY)
        running = asyncio.create_task(Turns(queue, look, self.forgotten.append, self.outcomes, seconds).run())
        await looked.wait()
        for _ in range(5):
            await asyncio.sleep(0)
        running.cancel()
        await asyncio.wait([running])
        return queue

    def outcome(self) -> str:
        (sample,) = [s for m in self.outcomes.collect() for s in m.samples if s.name.endswith("_total")]
        return sample.labels["outcome"]


def raising(error: Exception) -> Callable[[], None]:
    def happens() -> None:
        raise error

    return happens


async def comes_back(loop: Loop, queue: WorkQueue, within_s: float) -> bool:
    await loop.time.advance(within_s)
    return queue.get_nowait() == KEY


@pytest.mark.parametrize(
    ("happens", "outcome", "back_within_s", "forgotten"),
    [
        pytest.param(lambda: None, "unchanged", None, [], id="nothing to do"),
        pytest.param(raising(NotFound(404, "NotFound", "gone")), "gone", None, [KEY], id="it is gone"),
        pytest.param(raising(NamespaceTerminating("going")), "gone", None, [KEY], id="its namespace is"),
        pytest.param(raising(Conflict(409, "Conflict", "late")), "conflict", 1.0, [], id="somebody was faster"),
        pytest.param(raising(ServerError(500, "E", "down")), "outage", 1.0, [], id="an outage"),
        pytest.param(
            raising(Throttled(429, "E", "later", retry_after=30.0)), "outage", 31.0, [], id="a server that says when"
        ),
        pytest.param(raising(ValueError("never")), "bug", 1.0, [], id="a bug"),
    ],
)
async def test_a_key_comes_back_when_it_must(
    happens: Callable[[], None], outcome: str, back_within_s: float | None, forgotten: list[Key]
) -> None:
    loop = Loop(happens)
    queue = await loop.first_turn()
    assert (loop.outcome(), loop.forgotten) == (outcome, forgotten)
    assert await comes_back(loop, queue, back_within_s or 3600.0) is (back_within_s is not None)


async def test_a_server_that_says_when_is_not_asked_before() -> None:
    loop = Loop(raising(Throttled(429, "E", "later", retry_after=30.0)))
    assert not await comes_back(loop, await loop.first_turn(), 29.0)


async def test_an_end_lets_a_turn_be_finished_although_others_are_idle() -> None:
    queue = WorkQueue(ManualClock().clock)
    begun, go_on, finished = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def look(_: Key) -> str:
        begun.set()
        await go_on.wait()
        finished.set()
        return "changed"

    outcomes = Counter("o", "o", ["outcome"], registry=CollectorRegistry())
    turns = Turns(queue, look, lambda _: None, outcomes, Histogram("s", "s", registry=CollectorRegistry()))
    queue.add(KEY)
    async with asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(turns.run())
        await begun.wait()
        queue.close()
        await asyncio.sleep(0)
        go_on.set()
    assert finished.is_set()
