"""What is said to a store that gateways share, and what is understood of its replies, whatever they are."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.core.cache.resp import ErrorReply, Garbled, Reply, ReplyReader, command

MOST = 100


def read(data: bytes) -> list[Reply]:
    return ReplyReader(MOST).feed(data)


def test_a_command_says_how_long_each_part_is() -> None:
    assert command(b"SET", b"a\r\nb", b"") == b"*3\r\n$3\r\nSET\r\n$4\r\na\r\nb\r\n$0\r\n\r\n"


@pytest.mark.parametrize(
    ("data", "reply"),
    [
        (b"+OK\r\n", b"OK"),
        (b":12\r\n", 12),
        (b":-2\r\n", -2),
        (b"$-1\r\n", None),
        (b"$0\r\n\r\n", b""),
        (b"$4\r\n\r\n\r\n\r\n", b"\r\n\r\n"),
        (b"-OOM command not allowed\r\n", ErrorReply("OOM")),
        (b"-WRONGPASS user 'secret'\r\n", ErrorReply("WRONGPASS")),
        (b"-something\r\n", ErrorReply("ERR")),
    ],
)
def test_a_reply(data: bytes, reply: Reply) -> None:
    assert read(data) == [reply]
    assert read(data[:-1]) == []


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 400 Bad Request\r\n",
        b"*4294967295\r\n",
        b"*1\r\n:1\r\n",
        b"%1\r\n",
        b"\0",
        b":1.5\r\n",
        b":\r\n",
        b"$-2\r\n",
        b"$101\r\n",
        b"$99999999999999999999\r\n",
        b"$1\r\nabc",
        b"+" + b"a" * 2000,
    ],
)
def test_what_is_no_reply_ends_it_at_once(data: bytes) -> None:
    with pytest.raises(Garbled):
        read(data)


REPLIES = st.lists(
    st.one_of(
        st.integers(-(10**17), 10**17).map(lambda number: (b":%d\r\n" % number, number)),
        st.binary(max_size=MOST).map(lambda value: (b"$%d\r\n%b\r\n" % (len(value), value), value)),
        st.just((b"$-1\r\n", None)),
        st.just((b"-LOADING it\r\n", ErrorReply("LOADING"))),
    )
)


@given(REPLIES, st.lists(st.integers(0, 300)))
def test_replies_are_the_same_however_they_are_cut(replies: list[tuple[bytes, Reply]], cuts: list[int]) -> None:
    data = b"".join(said for said, _ in replies)
    reader, got, at = ReplyReader(MOST), list[Reply](), 0
    for cut in [*sorted(cuts), len(data)]:
        got += reader.feed(data[at:cut])
        at = max(at, cut)
    assert got == [reply for _, reply in replies]


@given(st.binary(max_size=300))
def test_nothing_else_comes_of_noise(noise: bytes) -> None:
    with contextlib.suppress(Garbled):
        read(noise)
