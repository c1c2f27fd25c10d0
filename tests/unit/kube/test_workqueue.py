"""The work queue: once, serial, delayed, backed off, fair."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.fakeapi.clocks import ManualClock

from plimsoll.kube.workqueue import QueueClosed, WorkQueue

A, B, C = ("ns", "a"), ("ns", "b"), ("ns", "c")


def drain(queue: WorkQueue) -> list[tuple[str, str]]:
    taken = []
    while key := queue.get_nowait():
        taken.append(key)
        queue.done(key)
    return taken


def test_a_waiting_key_waits_once() -> None:
    queue = WorkQueue(ManualClock().clock)
    for key in (A, B, A, A):
        queue.add(key)
    assert queue.depth == 2
    assert drain(queue) == [A, B]


def test_a_running_key_is_not_given_out_twice_but_redone() -> None:
    queue = WorkQueue(ManualClock().clock)
    queue.add(A)
    assert queue.get_nowait() == A
    queue.add(A)
    queue.add(A)
    assert queue.get_nowait() is None
    assert queue.depth == 0
    queue.done(A)
    assert drain(queue) == [A]
    assert drain(queue) == []


def test_namespaces_take_turns() -> None:
    queue = WorkQueue(ManualClock().clock)
    crowd = [("busy", f"m{number}") for number in range(4)]
    for key in [*crowd, ("quiet", "x"), ("calm", "y")]:
        queue.add(key)
    assert drain(queue) == [crowd[0], ("quiet", "x"), ("calm", "y"), *crowd[1:]]


def test_a_delayed_key_comes_when_due_and_not_before() -> None:
    time = ManualClock()
    queue = WorkQueue(time.clock)
    queue.add_after(A, 10)
    time.now = 9.9
    assert drain(queue) == []
    time.now = 10
    assert drain(queue) == [A]
    time.now = 100
    assert drain(queue) == []


@pytest.mark.parametrize("delays", [(10, 3), (3, 10)])
def test_the_earliest_of_several_delays_holds(delays: tuple[float, float]) -> None:
    time = ManualClock()
    queue = WorkQueue(time.clock)
    for delay in delays:
        queue.add_after(A, delay)
    time.now = 3
    assert drain(queue) == [A]
    time.now = 20
    assert drain(queue) == []


def test_a_key_added_now_needs_no_later_visit() -> None:
    time = ManualClock()
    queue = WorkQueue(time.clock)
    queue.add_after(A, 5)
    queue.add(A)
    assert drain(queue) == [A]
    time.now = 6
    assert drain(queue) == []


def test_no_delay_means_now() -> None:
    queue = WorkQueue(ManualClock().clock)
    queue.add_after(A, -3)
    assert drain(queue) == [A]


def test_a_delay_that_ends_while_the_key_runs_redoes_it() -> None:
    time = ManualClock()
    queue = WorkQueue(time.clock)
    queue.add(A)
    queue.get_nowait()
    queue.add_after(A, 1)
    time.now = 2
    assert queue.get_nowait() is None
    queue.done(A)
    assert drain(queue) == [A]


def test_back_off_doubles_to_its_limit_and_is_forgotten_after_success() -> None:
    queue = WorkQueue(ManualClock(chance=1.0).clock, base_delay_s=1, max_delay_s=10)
    assert [queue.add_rate_limited(A) for _ in range(6)] == [1, 2, 4, 8, 10, 10]
    assert queue.add_rate_limited(B) == 1, "each key has its own"
    queue.forget(A)
    assert queue.add_rate_limited(A) == 1


def test_back_off_is_jittered_by_half() -> None:
    queue = WorkQueue(ManualClock(chance=0.0).clock, base_delay_s=1, max_delay_s=10)
    assert [queue.add_rate_limited(A) for _ in range(3)] == [0.5, 1, 2]


def test_back_off_never_overflows() -> None:
    queue = WorkQueue(ManualClock(chance=1.0).clock, base_delay_s=1, max_delay_s=300)
    for _ in range(2000):
        queue.add_rate_limited(A)
    assert queue.add_rate_limited(A) == 300


def test_cancelled_delays_do_not_pile_up() -> None:
    queue = WorkQueue(ManualClock().clock)
    for _ in range(10_000):
        queue.add_after(A, 600)
        queue.add(A)
        drain(queue)
    assert len(queue._heap) < 200  # noqa: SLF001 - the leak has no other sign


async def test_a_waiter_gets_the_key_that_is_added() -> None:
    queue = WorkQueue(ManualClock().clock)
    waiter = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.add(A)
    assert await waiter == A


async def test_every_waiter_is_served() -> None:
    queue = WorkQueue(ManualClock().clock)
    waiters = [asyncio.create_task(queue.get()) for _ in range(3)]
    await asyncio.sleep(0)
    for key in (A, B, C):
        queue.add(key)
    assert set(await asyncio.gather(*waiters)) == {A, B, C}


async def test_a_waiter_wakes_when_a_delay_ends() -> None:
    time = ManualClock()
    queue = WorkQueue(time.clock)
    waiter = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.add_after(A, 60)
    queue.add_after(B, 30)
    await time.advance(30)
    assert waiter.done()
    assert await waiter == B
    later = asyncio.create_task(queue.get())
    await time.advance(30)
    assert await later == A


async def test_a_cancelled_waiter_does_not_swallow_a_key() -> None:
    queue = WorkQueue(ManualClock().clock)
    chosen = asyncio.create_task(queue.get())
    other = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.add(A)  # wakes the first waiter, which is cancelled before it can look
    chosen.cancel()
    assert await other == A
    assert chosen.cancelled()


async def test_work_that_never_waits_does_not_starve_others() -> None:
    queue = WorkQueue(ManualClock().clock)
    for number in range(1000):
        queue.add(("ns", f"m{number}"))

    async def work() -> None:
        while True:
            queue.done(await queue.get())

    worker = asyncio.create_task(work())
    for _ in range(10):
        await asyncio.sleep(0)
    assert queue.depth > 900
    worker.cancel()
    await asyncio.wait([worker])


async def test_closing_wakes_everybody_and_drops_the_rest() -> None:
    time = ManualClock()
    queue = WorkQueue(time.clock)
    queue.add_after(A, 60)
    waiters = [asyncio.create_task(queue.get()) for _ in range(2)]
    await asyncio.sleep(0)
    queue.close()
    for outcome in await asyncio.gather(*waiters, return_exceptions=True):
        assert isinstance(outcome, QueueClosed)
    queue.add(B)
    with pytest.raises(QueueClosed):
        await queue.get()


_KEYS = st.sampled_from([("n1", "a"), ("n1", "b"), ("n2", "a"), ("n3", "a")])
_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), _KEYS),
        st.tuples(st.just("after"), _KEYS, st.floats(0, 20)),
        st.tuples(st.just("fail"), _KEYS),
        st.tuples(st.just("take")),
        st.tuples(st.just("done"), _KEYS),
        st.tuples(st.just("time"), st.floats(0, 10)),
    ),
    max_size=60,
)


@given(_STEPS)
def test_no_key_is_lost_or_run_twice_at_a_time(steps: list[Any]) -> None:
    """Whatever happens in whatever order: every key asked for is given out, and never to two workers."""
    time = ManualClock()
    queue = WorkQueue(time.clock, max_delay_s=30)
    running: set[tuple[str, str]] = set()
    owed: set[tuple[str, str]] = set()
    for step in steps:
        match step:
            case ("add", key):
                queue.add(key)
                owed.add(key)
            case ("after", key, delay):
                queue.add_after(key, delay)
                owed.add(key)
            case ("fail", key):
                queue.add_rate_limited(key)
                owed.add(key)
            case ("take",):
                if key := queue.get_nowait():
                    assert key not in running
                    running.add(key)
                    owed.discard(key)
            case ("done", key) if key in running:
                running.remove(key)
                queue.done(key)
            case ("time", seconds):
                time.now += seconds
            case _:
                pass
    for key in running:
        queue.done(key)
    time.now += 100
    assert set(drain(queue)) == owed
    time.now += 100
    assert (queue.depth, drain(queue)) == (0, []), "nothing is given out twice"
