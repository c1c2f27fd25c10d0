"""Answers in memory: for their time, within the bound, and what is asked for most stays."""

from __future__ import annotations

import pytest

from plimsoll.api.vocabulary import DataType
from plimsoll.core.inference.answer import InferAnswer
from plimsoll.core.inference.request import Tensor
from plimsoll.gateway.cache.memory import MemoryStore
from plimsoll.gateway.cache.store import Answer

MEBIBYTE = 1 << 20


class Clock:
    """Seconds, as they are set."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> MemoryStore:
    return MemoryStore(MEBIBYTE, clock)


def answer(size: int) -> Answer:
    return Answer(InferAnswer("digits", "1", (Tensor("y", DataType.UINT8, (size,), bytes(size)),)), took_s=0.01)


def key(number: int) -> bytes:
    return number.to_bytes(32, "big")


def test_what_was_put_is_got(store: MemoryStore) -> None:
    store.put(key(1), answer(10), 60)
    assert store.get(key(1)) == answer(10)
    assert store.get(key(2)) is None


def test_an_answer_lives_for_its_time(store: MemoryStore, clock: Clock) -> None:
    store.put(key(1), answer(10), 60)
    clock.now += 59.9
    assert store.get(key(1)) is not None
    clock.now += 0.1
    assert store.get(key(1)) is None


def test_a_new_answer_lives_anew(store: MemoryStore, clock: Clock) -> None:
    store.put(key(1), answer(10), 60)
    clock.now += 59
    store.put(key(1), answer(11), 60)
    clock.now += 59
    assert store.get(key(1)) == answer(11)


def test_the_bound_holds_after_every_answer(store: MemoryStore) -> None:
    for number in range(2000):
        store.put(key(number), answer(5000), 60)
        assert store.size <= MEBIBYTE


def test_an_answer_that_would_push_out_too_many_is_not_kept(store: MemoryStore) -> None:
    store.put(key(1), answer(MEBIBYTE // 8), 60)
    assert store.get(key(1)) is None


def test_a_bound_of_nothing_keeps_nothing(clock: Clock) -> None:
    empty = MemoryStore(0, clock)
    empty.put(key(1), answer(0), 60)
    assert empty.get(key(1)) is None


def test_what_is_asked_for_often_outlives_what_is_asked_for_once(store: MemoryStore) -> None:
    """A scan over many questions must not push out the few that everybody asks."""
    popular = range(20)
    for number in range(80):
        store.put(key(number), answer(10_000), 60)
    for _ in range(20):
        for number in popular:
            store.get(key(number))
    for number in range(1000, 3000):
        store.get(key(number))
        store.put(key(number), answer(10_000), 60)
    assert sum(store.get(key(number)) is not None for number in popular) >= 15
