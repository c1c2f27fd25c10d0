"""What a model's cache gives, keeps and counts, and what becomes of requests that wait for one another."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat

import pytest
from tests.support.kept_answers import Kept, answer

from plimsoll.core.cache.comparison import difference
from plimsoll.core.cache.policy import CachePolicy
from plimsoll.gateway.cache.model_cache import Errand, ModelCache
from plimsoll.gateway.cache.store import Answer

KEY, OTHER = b"k" * 32, b"o" * 32
NEVER, ALWAYS = 1.0, 0.0
"""Tosses."""


class Asker:
    """A request, and what it was told."""

    def __init__(self, name: str, said: list[str]) -> None:
        self._name = name
        self._said = said

    def answered(self, answer: Answer) -> None:
        self._said.append(f"{self._name} answered {answer.value.outputs[0].data[0]}")

    def lead(self) -> None:
        self._said.append(f"{self._name} leads")

    def go_alone(self) -> None:
        self._said.append(f"{self._name} alone")


class Subject:
    """A cache with what is around it."""

    def __init__(self, tosses: Iterator[float]) -> None:
        self.store = Kept()
        self.said: list[str] = []
        self.mismatches: list[bytes] = []
        self.cache = ModelCache(
            CachePolicy(60, 1 << 20, recheck=0.01),
            self.store,
            lambda: next(tosses),
            lambda one, other: not difference(one.value, other.value),
            self.mismatches.append,
        )

    def ask(self, name: str = "a", key: bytes = KEY) -> Answer | Errand | None:
        return self.cache.look_up(key, Asker(name, self.said))

    def errand(self, name: str = "a", key: bytes = KEY) -> Errand:
        errand = self.ask(name, key)
        assert isinstance(errand, Errand)
        return errand


@pytest.fixture
def subject() -> Subject:
    return Subject(repeat(NEVER))


# ---- hits and misses ----
def test_an_answer_is_kept_and_given(subject: Subject) -> None:
    subject.cache.landed(subject.errand(), answer())
    assert subject.ask() == answer()
    assert subject.store.ttl_s == [60]
    counts = subject.cache.counts
    assert (counts.misses, counts.hits, counts.served_bytes, counts.saved_s) == (1, 1, 1, 0.25)


def test_a_failure_is_not_kept(subject: Subject) -> None:
    subject.cache.failed(subject.errand())
    assert isinstance(subject.ask(), Errand)
    assert not subject.store.answers


def test_another_question_is_another_errand(subject: Subject) -> None:
    subject.cache.landed(subject.errand(), answer())
    assert isinstance(subject.ask(key=OTHER), Errand)
    assert (subject.cache.holds(KEY), subject.cache.holds(OTHER)) == (True, False)


# ---- one answer for all that wait ----
def test_requests_that_ask_the_same_at_once_are_one(subject: Subject) -> None:
    errand = subject.errand("a")
    assert [subject.ask("b"), subject.ask("c")] == [None, None]
    subject.cache.landed(errand, answer())
    assert subject.said == ["b answered 1", "c answered 1"]
    assert subject.cache.counts.misses == 1


def test_after_a_failure_each_goes_alone(subject: Subject) -> None:
    errand = subject.errand("a")
    subject.ask("b")
    subject.ask("c")
    subject.cache.failed(errand)
    assert subject.said == ["b alone", "c alone"]
    assert isinstance(subject.ask("d"), Errand)


def test_when_the_first_client_goes_the_next_request_is_the_first(subject: Subject) -> None:
    errand = subject.errand("a")
    subject.ask("b")
    subject.ask("c")
    subject.cache.abandoned(errand)
    assert subject.said == ["b leads"]
    subject.cache.landed(Errand(KEY), answer())
    assert subject.said == ["b leads", "c answered 1"]


def test_when_nobody_waits_the_next_request_begins_anew(subject: Subject) -> None:
    subject.cache.abandoned(subject.errand("a"))
    assert isinstance(subject.ask("b"), Errand)


def test_one_that_left_is_told_nothing(subject: Subject) -> None:
    errand = subject.errand("a")
    gone = Asker("b", subject.said)
    subject.cache.look_up(KEY, gone)
    subject.ask("c")
    subject.cache.leave(KEY, gone)
    subject.cache.leave(KEY, gone)
    subject.cache.landed(errand, answer())
    assert subject.said == ["c answered 1"]


def test_what_a_waiting_request_got_counts_as_saved(subject: Subject) -> None:
    assert subject.cache.shared(answer()) == answer()
    assert (subject.cache.counts.shared, subject.cache.counts.saved_s) == (1, 0.25)


# ---- re-checks ----
def rechecked(fresh: Answer) -> Subject:
    subject = Subject(iter([ALWAYS, NEVER]))
    subject.cache.landed(subject.errand(), answer(1))
    errand = subject.errand()
    assert errand.kept == answer(1)
    subject.cache.landed(errand, fresh)
    return subject


def test_a_hit_that_is_sent_all_the_same_confirms_the_answer() -> None:
    subject = rechecked(answer(1))
    assert (subject.cache.counts.rechecked, subject.cache.counts.mismatched, subject.mismatches) == (1, 0, [])


def test_a_model_that_changes_its_mind_is_caught() -> None:
    subject = rechecked(answer(2))
    assert (subject.cache.counts.rechecked, subject.cache.counts.mismatched, subject.mismatches) == (1, 1, [KEY])
    assert subject.ask() == answer(2)


def test_a_re_check_that_fails_says_nothing_about_the_answer() -> None:
    subject = Subject(iter([ALWAYS, ALWAYS, NEVER]))
    subject.cache.landed(subject.errand(), answer())
    subject.cache.failed(subject.errand())
    subject.cache.abandoned(subject.errand())
    assert subject.ask() == answer()
    assert (subject.cache.counts.mismatched, subject.cache.counts.unchecked) == (0, 1)


def test_a_re_check_is_not_waited_for() -> None:
    subject = Subject(iter([ALWAYS, NEVER]))
    subject.cache.landed(subject.errand(), answer())
    subject.errand("a")
    assert subject.ask("b") == answer()
