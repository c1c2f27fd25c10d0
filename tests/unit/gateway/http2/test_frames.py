"""Frames: what is read, what is refused, and that it does not matter how the bytes arrive."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.gateway.http2 import frames
from plimsoll.gateway.http2.frames import Frame, FrameReader, Setting
from plimsoll.gateway.http2.violations import ConnectionFailure, ErrorCode


def read(data: bytes, limit: int = frames.MIN_FRAME_LIMIT) -> list[Frame]:
    return list(FrameReader(limit).feed(data))


ANY_FRAMES = st.lists(
    st.one_of(
        st.tuples(st.just(frames.DATA), st.integers(0, 255), st.integers(1, frames.MAX_STREAM_ID), st.binary()),
        st.tuples(st.just(frames.PING), st.integers(0, 255), st.just(0), st.binary(min_size=8, max_size=8)),
        st.tuples(st.integers(10, 255), st.integers(0, 255), st.integers(0, frames.MAX_STREAM_ID), st.binary()),
    ),
    max_size=8,
)


@given(ANY_FRAMES, st.lists(st.integers(0, 400)))
def test_frames_are_the_same_however_the_bytes_are_split(sent: list[Frame], cuts: list[int]) -> None:
    data = b"".join(frames.frame(*each) for each in sent)
    reader = FrameReader()
    received: list[Frame] = []
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    for start, end in pairwise(edges):
        received += reader.feed(data[start:end])
    assert received == sent
    assert not reader.waits_for_more


def test_a_frame_that_is_not_whole_waits() -> None:
    reader = FrameReader()
    whole = frames.frame(frames.DATA, 0, 1, b"abc")
    assert list(reader.feed(whole[:-1])) == []
    assert reader.waits_for_more
    assert list(reader.feed(whole[-1:])) == [(frames.DATA, 0, 1, b"abc")]


def test_the_reserved_bit_of_a_stream_id_is_ignored() -> None:
    data = bytearray(frames.frame(frames.DATA, 0, 5, b"x"))
    data[5] |= 0x80
    assert read(bytes(data)) == [(frames.DATA, 0, 5, b"x")]


REFUSED = [
    ("longer than announced", frames.frame(frames.DATA, 0, 1, bytes(16385)), ErrorCode.FRAME_SIZE_ERROR),
    ("DATA on the connection", frames.frame(frames.DATA, 0, 0), ErrorCode.PROTOCOL_ERROR),
    ("HEADERS on the connection", frames.frame(frames.HEADERS, 0, 0), ErrorCode.PROTOCOL_ERROR),
    ("CONTINUATION on the connection", frames.frame(frames.CONTINUATION, 0, 0), ErrorCode.PROTOCOL_ERROR),
    ("RST_STREAM on the connection", frames.frame(frames.RST_STREAM, 0, 0, bytes(4)), ErrorCode.PROTOCOL_ERROR),
    ("PRIORITY on the connection", frames.frame(frames.PRIORITY, 0, 0, bytes(5)), ErrorCode.PROTOCOL_ERROR),
    ("SETTINGS on a stream", frames.frame(frames.SETTINGS, 0, 1), ErrorCode.PROTOCOL_ERROR),
    ("PING on a stream", frames.frame(frames.PING, 0, 1, bytes(8)), ErrorCode.PROTOCOL_ERROR),
    ("GOAWAY on a stream", frames.frame(frames.GOAWAY, 0, 1, bytes(8)), ErrorCode.PROTOCOL_ERROR),
    ("SETTINGS of half a parameter", frames.frame(frames.SETTINGS, 0, 0, bytes(7)), ErrorCode.FRAME_SIZE_ERROR),
    ("acknowledgement with content", frames.frame(frames.SETTINGS, 1, 0, bytes(6)), ErrorCode.FRAME_SIZE_ERROR),
    ("PING of 7 bytes", frames.frame(frames.PING, 0, 0, bytes(7)), ErrorCode.FRAME_SIZE_ERROR),
    ("RST_STREAM of 5 bytes", frames.frame(frames.RST_STREAM, 0, 1, bytes(5)), ErrorCode.FRAME_SIZE_ERROR),
    ("WINDOW_UPDATE of 3 bytes", frames.frame(frames.WINDOW_UPDATE, 0, 1, bytes(3)), ErrorCode.FRAME_SIZE_ERROR),
    ("PRIORITY of 4 bytes", frames.frame(frames.PRIORITY, 0, 1, bytes(4)), ErrorCode.FRAME_SIZE_ERROR),
    ("GOAWAY of 7 bytes", frames.frame(frames.GOAWAY, 0, 0, bytes(7)), ErrorCode.FRAME_SIZE_ERROR),
]


@pytest.mark.parametrize(("data", "code"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_a_frame_that_cannot_be_is_refused_after_those_before_it(data: bytes, code: ErrorCode) -> None:
    reader = FrameReader().feed(frames.frame(frames.PING, 0, 0, b"12345678") + data)
    assert next(reader) == (frames.PING, 0, 0, b"12345678")
    with pytest.raises(ConnectionFailure) as caught:
        next(reader)
    assert caught.value.code == code


def test_a_frame_is_refused_by_its_head_alone() -> None:
    head = frames.frame(frames.DATA, 0, 1, bytes(20_000))[: frames.HEAD_BYTES]
    with pytest.raises(ConnectionFailure):
        read(head)


PADDINGS = [
    (frames.DATA, 0, b"abc", b"abc"),
    (frames.DATA, frames.PADDED, b"\x02abc\0\0", b"abc"),
    (frames.DATA, frames.PADDED, b"\x03\0\0\0", b""),
    (frames.HEADERS, frames.PRIORITY_FLAG, b"12345abc", b"abc"),
    (frames.HEADERS, frames.PADDED | frames.PRIORITY_FLAG, b"\x0112345abc\0", b"abc"),
]


@pytest.mark.parametrize(("kind", "flags", "payload", "content"), PADDINGS)
def test_padding_and_priority_are_taken_off(kind: int, flags: int, payload: bytes, content: bytes) -> None:
    assert frames.unpadded(kind, flags, payload) == content


@pytest.mark.parametrize(
    ("kind", "flags", "payload"),
    [
        (frames.DATA, frames.PADDED, b"\x04\0\0\0"),
        (frames.DATA, frames.PADDED, b""),
        (frames.HEADERS, frames.PRIORITY_FLAG, b"1234"),
    ],
)
def test_padding_longer_than_its_frame_is_refused(kind: int, flags: int, payload: bytes) -> None:
    with pytest.raises(ConnectionFailure):
        frames.unpadded(kind, flags, payload)


@given(st.binary(max_size=200), st.integers(1, 60), st.booleans())
def test_a_long_block_continues_in_frames_that_the_peer_accepts(block: bytes, limit: int, ended: bool) -> None:  # noqa: FBT001 - hypothesis passes it
    received = read(frames.headers(3, block, ended=ended, limit=limit), limit)
    assert b"".join(payload for *_, payload in received) == block
    assert [kind for kind, *_ in received] == [frames.HEADERS, *[frames.CONTINUATION] * (len(received) - 1)]
    assert [bool(flags & frames.END_HEADERS) for _, flags, *_ in received] == [False] * (len(received) - 1) + [True]
    assert bool(received[0][1] & frames.END_STREAM) is ended


def test_what_is_written_is_read_back() -> None:
    (_, _, _, payload), *_ = read(frames.settings([(Setting.INITIAL_WINDOW_SIZE, 7), (Setting.ENABLE_PUSH, 0)]))
    assert list(frames.read_settings(payload)) == [(4, 7), (2, 0)]
    (_, _, _, payload), *_ = read(frames.goaway(9, ErrorCode.ENHANCE_YOUR_CALM, "why"))
    assert (frames.read_goaway(payload), payload[8:]) == ((9, 11), b"why")
    (_, _, stream, payload), *_ = read(frames.window_update(3, 1000))
    assert (stream, frames.read_uint(payload)) == (3, 1000)
    (_, _, stream, payload), *_ = read(frames.reset(5, ErrorCode.CANCEL))
    assert (stream, frames.read_uint(payload)) == (5, ErrorCode.CANCEL)
