"""Where a chunked body ends, whatever pieces it comes in."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.gateway.http1.bodies import Chunks
from plimsoll.gateway.http1.refusals import Refused

MOST = 1000


def end_of(body: bytes, pieces: list[int] | None = None) -> int:
    """The offset of the end, or -1; `pieces` are the offsets where one piece ends and the next begins."""
    chunks = Chunks(MOST)
    bounds = [0, *sorted({cut for cut in pieces or [] if 0 < cut < len(body)}), len(body)]
    for start, stop in pairwise(bounds):
        end = chunks.end_in(body[start:stop])
        if end >= 0:
            return start + end
    return -1


def result_of(body: bytes, pieces: list[int] | None = None) -> int:
    """As `end_of`, and the status as a negative number where it is refused."""
    try:
        return end_of(body, pieces)
    except Refused as refused:
        return -refused.refusal.status


WHOLE = [
    b"0\r\n\r\n",
    b"5\r\nhello\r\n0\r\n\r\n",
    b"00000003\r\na\r\n\r\n0000\r\n\r\n",
    b"A\r\n0123456789\r\n0\r\n\r\n",
]


@pytest.mark.parametrize("body", WHOLE)
def test_the_end_is_found_and_what_follows_is_left(body: bytes) -> None:
    assert result_of(body + b"POST /") == len(body)


@pytest.mark.parametrize("body", WHOLE)
def test_a_body_that_lacks_a_byte_goes_on(body: bytes) -> None:
    assert {result_of(body[:size]) for size in range(1, len(body))} == {-1}


REFUSED = {
    b"5;a=b\r\nhello\r\n0\r\n\r\n": "an extension",
    b"5 \r\nhello\r\n": "a space after the size",
    b" 5\r\nhello\r\n": "a space before the size",
    b"0x5\r\nhello\r\n": "a prefix",
    b"-1\r\n": "a sign",
    b"g\r\n": "no hexadecimal digit",
    b"\r\n": "no size",
    b"5\nhello\r\n": "a bare LF after the size",
    b"5\rhello\r\n": "a bare CR after the size",
    b"5\r\nhello0\r\n\r\n": "no line end after the data",
    b"5\r\nhello\n0\r\n\r\n": "a bare LF after the data",
    b"5\r\nhello!\r\n0\r\n\r\n": "more data than announced",
    b"0\r\nX: a\r\n\r\n": "a trailer",
    b"0\r\n\n": "a bare LF at the end",
    b"0\r\n\rX": "a bare CR at the end",
    b"000000005\r\nhello\r\n": "nine digits",
    b"FFFFFFFFFFFFFFFFF\r\n": "a number that overflows",
}


@pytest.mark.parametrize("body", REFUSED, ids=REFUSED.values())
def test_other_forms_are_refused(body: bytes) -> None:
    assert result_of(body) == -400


def test_more_than_the_most_is_refused_before_its_data() -> None:
    assert result_of(b"3e8\r\n" + b"x" * 1000 + b"\r\n0\r\n\r\n") > 0
    assert result_of(b"3e9\r\n") == -413
    assert result_of(b"1f4\r\n" + b"x" * 500 + b"\r\n1f5\r\n") == -413


@given(
    st.lists(st.sampled_from([b"5\r\nhello\r\n", b"1\r\n\n\r\n", b"0\r\n\r\n", b"\r", b"\n", b"f", b";"])), st.data()
)
def test_the_pieces_make_no_difference(parts: list[bytes], data: st.DataObject) -> None:
    body = b"".join(parts)
    cuts = data.draw(st.lists(st.integers(0, len(body))))
    assert result_of(body, cuts) == result_of(body) == result_of(body, list(range(len(body))))
