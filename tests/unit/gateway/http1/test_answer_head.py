"""What is accepted as the head of a model server's answer."""

import pytest

from plimsoll.gateway.http1.answer_head import AnswerHead, BrokenAnswer, find_end, read_answer
from plimsoll.gateway.http1.fields import CHUNKED
from plimsoll.gateway.http1.limits import Limits

LIMITS = Limits(head_bytes=300, fields=5)
OURS = b"x-plimsoll-revision: digits-1\r\n"
OK = b"HTTP/1.1 200 OK\r\n"


def read(head: bytes, *, to_head: bool = False) -> AnswerHead:
    return read_answer(head, OURS, LIMITS, to_head=to_head)


def test_an_answer_gets_our_line_and_is_else_unchanged() -> None:
    head = OK + b"Content-Type:application/json\r\nX:  a \r\nContent-Length: 12\r\n"
    assert read(head + b"\r\n") == AnswerHead(200, 12, True, head + OURS + b"\r\n", False)


def test_what_concerns_this_connection_alone_is_not_passed_on() -> None:
    head = read(OK + b"Connection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nContent-Length: 0\r\n\r\n")
    assert head == AnswerHead(200, 0, False, OK + b"Content-Length: 0\r\n" + OURS + b"\r\n", False)


@pytest.mark.parametrize(
    ("head", "to_head", "length"),
    [
        (OK + b"Transfer-Encoding: chunked\r\n\r\n", False, CHUNKED),
        (OK + b"Content-Length: 12\r\n\r\n", True, 0),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n", True, 0),
        (OK + b"\r\n", True, 0),
        (b"HTTP/1.1 204 No Content\r\n\r\n", False, 0),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 12\r\n\r\n", False, 0),
        (b"HTTP/1.1 503 \r\nContent-Length: 1\r\n\r\n", False, 1),
    ],
)
def test_how_long_the_body_is(head: bytes, to_head: bool, length: int) -> None:  # noqa: FBT001
    assert read(head, to_head=to_head).length == length


def test_an_informational_answer_is_passed_as_it_is() -> None:
    head = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
    assert read(head) == AnswerHead(103, 0, True, head, True)


BROKEN = {
    "no length": OK + b"\r\n",
    "another version": b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    "no space after the status": b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
    "a status of two digits": b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
    "a status of another class": b"HTTP/1.1 600 OK\r\nContent-Length: 0\r\n\r\n",
    "no status line": b"200 OK\r\nContent-Length: 0\r\n\r\n",
    "a control character in the reason": b"HTTP/1.1 200 O\x00K\r\nContent-Length: 0\r\n\r\n",
    "a switch of protocols": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
    "two lengths": OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
    "length and chunks": OK + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    "a folded field": OK + b"X: a\r\n b\r\nContent-Length: 0\r\n\r\n",
    "a bare LF": OK + b"X: a\nY: b\r\nContent-Length: 0\r\n\r\n",
    "too many fields": OK + b"X: a\r\n" * 6 + b"\r\n",
    "a body where there is none": b"HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\n",
    "chunks where there is no body": b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n",
}


@pytest.mark.parametrize("head", BROKEN.values(), ids=BROKEN.keys())
def test_an_answer_of_doubtful_form_is_broken(head: bytes) -> None:
    with pytest.raises(BrokenAnswer):
        read(head)


def test_a_head_that_does_not_end_is_broken() -> None:
    assert find_end(OK + b"X: " + b"a" * 100, LIMITS) == -1
    with pytest.raises(BrokenAnswer):
        find_end(OK + b"X: " + b"a" * 300, LIMITS)
