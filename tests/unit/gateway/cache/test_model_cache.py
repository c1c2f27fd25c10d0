"""What a model's cache gives, keeps and counts, and what becomes of requests that wait for one another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import repeat

import pytest
from tests.support.kept_answers import Kept, answer

from plimsoll.core.cache.comparison import difference
from plimsoll.core.cache.policy import CachePolicy
from plimsoll.gateway.cache.model_cache import Errand, ModelCache
from plimsoll.gateway.cache.store import Answer, Found, Inquiry

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


class Elsewhere:
    """A store that gateways share, which answers when a test says so."""

    longest_wait_s = 0.02

    def __init__(self) -> None:
        self.inquiries: list[Inquiry] = []
        self.asked: list[tuple[bytes, tuple[bytes, ...]]] = []
        self.puts: list[bytes] = []
        self.listens = True

    def ask(self, key: bytes, others: Sequence[bytes], _wait_s: float, inquiry: Inquiry) -> bool:
        self.asked.append((key, tuple(others)))
        self.inquiries.append(inquiry)
        return self.listens

    def put(self, key: bytes, _answer: Answer, _ttl_s: float) -> None:
        self.puts.append(key)


class Subject:
    """A cache with what is around it."""

    def __init__(self, tosses: Iterator[float], remote: Elsewhere | None = None) -> None:
        self.store = Kept()
        self.said: list[str] = []
        self.mismatches: list[bytes] = []
        self.cache = ModelCache(
            CachePolicy(60, 1 << 20, recheck=0.01),
            self.store,
            lambda: next(tosses),
            lambda one, other: not difference(one.value, other.value),
            self.mismatches.append,
            remote,
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


# ---- a store that gateways share ----
class Inquirer:
    """A request that asks it, and what it was told."""

    def __init__(self, toss: float = NEVER) -> None:
        self.store = Elsewhere()
        self.subject = Subject(repeat(toss), self.store)
        self.told: list[tuple[Answer | Errand, bool]] = []
        self.errand = self.subject.errand()
        self.inquiry = self.subject.cache.inquire(
            self.errand, (OTHER,), 0.02, lambda found, held: self.told.append((found, held))
        )

    @property
    def counted(self) -> tuple[int, int, int]:
        counts = self.subject.cache.counts
        return counts.hits, counts.remote, counts.misses


def test_without_one_nobody_is_asked(subject: Subject) -> None:
    assert subject.cache.inquire(subject.errand(), (), 0.02, lambda *_: None) is None
    assert subject.cache.counts.misses == 1


@pytest.mark.parametrize("left_s", [10.0, 60.0, 600.0])
def test_what_it_has_is_given_to_all_that_wait_and_kept_for_the_time_that_is_left(left_s: float) -> None:
    one = Inquirer()
    one.subject.ask("b")
    one.store.inquiries[0].tell(Found(answer(), left_s, held=False))
    assert (one.told, one.subject.said) == ([(answer(), True)], ["b answered 1"])
    assert (one.store.asked, one.subject.store.ttl_s) == ([(KEY, (OTHER,))], [min(60, left_s)])
    assert one.counted == (0, 1, 0)
    assert one.subject.ask() == answer()
    assert one.store.puts == []


def test_what_it_has_may_be_checked_while_others_get_it() -> None:
    one = Inquirer(ALWAYS)
    one.subject.ask("b")
    one.store.inquiries[0].tell(Found(answer(), 60, held=False))
    assert (one.told, one.subject.said) == ([(Errand(KEY, answer()), True)], ["b answered 1"])


@pytest.mark.parametrize(
    ("found", "held"), [(None, False), (Found(None, 0, held=False), False), (Found(None, 0, held=True), True)]
)
def test_what_it_lacks_is_the_models_to_answer_and_lies_there_afterwards(found: Found | None, held: bool) -> None:  # noqa: FBT001
    one = Inquirer()
    one.store.inquiries[0].tell(found)
    one.store.inquiries[0].tell(Found(answer(), 60, held=True))
    assert (one.told, one.counted) == ([(one.errand, held)], (0, 0, 1))
    one.subject.cache.landed(one.errand, answer())
    assert one.store.puts == [KEY]


def test_one_that_does_not_listen_is_not_waited_for() -> None:
    one = Inquirer()
    one.store.listens = False
    assert one.subject.cache.inquire(one.subject.errand(key=OTHER), (), 0.02, lambda *_: None) is None
    assert one.counted == (0, 0, 1)


def test_a_request_that_went_is_told_nothing() -> None:
    one = Inquirer()
    assert one.inquiry
    one.inquiry.cancel()
    one.store.inquiries[0].tell(Found(answer(), 60, held=False))
    assert one.told == []
