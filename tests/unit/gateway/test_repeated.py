"""What is remembered of requests that were answered from the cache, and that it is bounded."""

from __future__ import annotations

from plimsoll.core.inference.answer import InferAnswer
from plimsoll.core.inference.request import InferRequest
from plimsoll.gateway.cache.store import Answer
from plimsoll.gateway.repeated import LONGEST, Form, Repeat, Repeated

REQUEST = InferRequest("", ())
ANSWER = Answer(InferAnswer("digits", "1", ()), 0.1)


def form(body: bytes = b"{}", revision: str = "r1", version: str = "", fields: bytes = b"") -> Form:
    return Form(revision, version, fields, body)


def repeat(body: bytes = b"{}") -> Repeat:
    return Repeat(b"key", REQUEST, ANSWER, b"HTTP/1.1 200 OK\r\n\r\n", body)


def test_only_what_is_equal_in_all_that_decides_is_the_same() -> None:
    subject = Repeated()
    subject.keep(form(), repeat())
    assert subject.get(form())
    others = [form(b"{ }"), form(revision="r2"), form(version="2"), form(fields=b"\r\ncontent-encoding: gzip")]
    assert [subject.get(other) for other in others] == [None] * 4


def test_long_ones_are_not_remembered() -> None:
    subject = Repeated()
    subject.keep(form(bytes(LONGEST + 1)), repeat())
    subject.keep(form(), repeat(bytes(LONGEST + 1)))
    assert len(subject) == 0
    subject.keep(form(bytes(LONGEST)), repeat(bytes(LONGEST)))
    assert len(subject) == 1


def test_it_never_takes_more_memory_than_it_may() -> None:
    subject = Repeated(most=20_000)
    held = []
    for number in range(1000):
        subject.keep(form(b"%4d" % number), repeat())
        held.append(len(subject))
    assert 10 < max(held) < 20_000 / 1024


def test_the_same_one_again_takes_no_more_room() -> None:
    subject = Repeated(most=3000)
    for _ in range(100):
        subject.keep(form(), repeat())
    assert subject.get(form())
