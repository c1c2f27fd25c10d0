"""What is recalled is what would have been read, whatever came before."""

from hypothesis import given
from hypothesis import strategies as st

from plimsoll.gateway.http1.answer_head import AnswerHead, BrokenAnswer, read_answer
from plimsoll.gateway.http1.fields import END
from plimsoll.gateway.http1.limits import Limits
from plimsoll.gateway.http1.refusals import Refused
from plimsoll.gateway.http1.remembered import Remembered
from plimsoll.gateway.http1.request_head import RequestHead, find_end, read_request

LIMITS = Limits(head_bytes=6000, body_bytes=1000)
LINES = [
    b"X: a\r\n",
    b"Connection: close\r\n",
    b"Expect: 100-continue\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"X: Content-Length: 7\r\n",
    b"X:" + b"a" * 5000 + b"\r\n",
]
LENGTHS = st.sampled_from(
    [b"", b"0", b"5", b"05", b"17", b"1000", b"1001", b"99999999999999999999", b"5 ", b"5x", b"+5"]
)
SPELLINGS = st.sampled_from([b"Content-Length: ", b"content-length:", b"CONTENT-LENGTH:\t"])


@st.composite
def heads(draw: st.DrawFn, line: bytes) -> bytes:
    length = draw(LENGTHS)
    fields = [
        *draw(st.lists(st.sampled_from(LINES), max_size=2)),
        *([draw(SPELLINGS) + length + b"\r\n"] if length else []),
    ]
    return line + b"Host: digits\r\n" + b"".join(draw(st.permutations(fields))) + b"\r\n"


REQUEST = b"POST /v2/models/digits/infer HTTP/1.1\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\n"


@given(st.lists(heads(REQUEST), min_size=1, max_size=8), st.binary(max_size=4))
def test_requests(sent: list[bytes], rest: bytes) -> None:
    remembered: Remembered[RequestHead] = Remembered(LIMITS.body_bytes)
    for head in sent:
        recalled = remembered.recall(head + rest)
        try:
            end = find_end(head + rest, LIMITS)
            read = read_request(head[:end], LIMITS)
        except Refused:
            assert recalled is None
            continue
        assert recalled is None or recalled == (read, end)
        remembered.remember(read, head[:end], varies=read.length > 0 and not read.expects)


@given(st.lists(heads(ANSWER), min_size=1, max_size=8), st.binary(max_size=4))
def test_answers(sent: list[bytes], rest: bytes) -> None:
    remembered: Remembered[AnswerHead] = Remembered(1 << 60)
    for head in sent:
        recalled = remembered.recall(head + rest)
        try:
            read = read_answer(head, b"x-plimsoll-revision: r1\r\n", LIMITS, to_head=False)
        except BrokenAnswer:
            assert recalled is None
            continue
        assert recalled is None or recalled == (read, head.index(END) + 4)
        remembered.remember(read, head, varies=read.length > 0)


def test_another_length_is_recalled_with_the_bytes_that_came() -> None:
    remembered: Remembered[RequestHead] = Remembered(LIMITS.body_bytes)
    first = REQUEST + b"Connection: keep-alive\r\nContent-Length: 5\r\nHost: a\r\n\r\n"
    assert remembered.recall(first) is None
    remembered.remember(read_request(first, LIMITS), first, varies=True)
    second = first.replace(b"5", b"123")
    assert remembered.recall(second + b"body") == (read_request(second, LIMITS), len(second))
    assert remembered.recall(second[:-1]) is None
    assert remembered.recall(first.replace(b"5", b"1001")) is None
