"""Header blocks: read once while they repeat, refused when they are bombs, written without a table."""

from __future__ import annotations

import contextlib

import pytest
from hpack import Decoder, Encoder
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.gateway.http2.headers import NO_TABLE, Field, HeaderReader, Malformed, checked, encode
from plimsoll.gateway.http2.violations import ConnectionFailure, ErrorCode

HEAD = [(b":method", b"POST"), (b":path", b"/x"), (b"te", b"trailers"), (b"user-agent", b"grpc-c/54")]
FIELDS = st.lists(st.tuples(st.binary(max_size=200), st.binary(max_size=200)), max_size=12)


class Reading:
    """A reader that counts how often it had to make sense of a block."""

    def __init__(self, limit: int = 32768) -> None:
        self.times = 0
        self.reader = HeaderReader(self.meaning, limit)

    def meaning(self, fields: list[Field]) -> tuple[Field, ...]:
        self.times += 1
        return tuple((bytes(name), bytes(value)) for name, value in fields)


def test_a_block_that_repeats_is_read_once_when_the_table_stands_still() -> None:
    reading, encoder = Reading(), Encoder()
    for _ in range(10):
        assert reading.reader.read(encoder.encode(HEAD)) == tuple(HEAD)
    assert reading.times == 2  # the first fills the table, the second is indices into it


def test_the_same_bytes_mean_something_else_after_the_table_changed() -> None:
    reading, encoder = Reading(), Encoder()
    encoder.encode([(b"a", b"1")])
    reading.reader.read(Encoder().encode([(b"a", b"1")]))
    block = b"\xbe"  # the newest entry
    assert reading.reader.read(block) == ((b"a", b"1"),)
    reading.reader.read(Encoder().encode([(b"b", b"2")]))
    assert reading.reader.read(block) == ((b"b", b"2"),)


def test_a_table_that_was_emptied_forgets_what_blocks_meant() -> None:
    reading = Reading()
    reading.reader.read(Encoder().encode([(b"a", b"1")]))
    assert reading.reader.read(b"\xbe") == ((b"a", b"1"),)
    reading.reader.read(b"\x20\x3f\xe1\x1f")  # size 0, then 4096 again
    with pytest.raises(ConnectionFailure):
        reading.reader.read(b"\xbe")


@given(st.lists(st.lists(st.sampled_from(HEAD + [(b"x", b"y" * n) for n in range(8)]), max_size=6), max_size=30))
def test_a_reader_that_remembers_reads_what_one_that_does_not_reads(heads: list[list[Field]]) -> None:
    reading, encoder, plain = Reading(), Encoder(), Decoder()
    for head in heads:
        block = encoder.encode(head)
        assert reading.reader.read(block) == tuple(plain.decode(block, raw=True)) == tuple(head)


def test_what_is_remembered_is_bounded() -> None:
    reading = Reading()
    for number in range(2000):
        reading.reader.read(encode([(b"x-request-id", str(number).encode())]))
    assert len(reading.reader._known) <= 64  # noqa: SLF001 - memory has no public face


def test_a_small_block_that_means_much_is_not_remembered() -> None:
    reading = Reading()
    reading.reader.read(Encoder().encode([(b"a", b"x" * 3000)], huffman=False))
    for _ in range(2):
        reading.reader.read(b"\xbe" * 4)
    assert reading.times == 3


@given(FIELDS)
def test_what_is_written_means_the_same_to_any_decoder(fields: list[Field]) -> None:
    decoder = Decoder(max_header_list_size=1 << 20)
    assert list(decoder.decode(NO_TABLE + encode(fields), raw=True)) == fields
    assert len(decoder.header_table.dynamic_entries) == 0


BOMBS = [
    ("an entry of 4 KB, 100 times over", Encoder().encode([(b"a", b"x" * 4000)], huffman=False) + b"\xbe" * 100),
    ("a thousand empty fields", encode([(b"a", b"")] * 1200)),
    ("an index beyond the table", b"\xff\xff\x7f"),
    ("a number without end", b"\xff" + b"\xff" * 20),
    ("a value beyond its block", b"\x00\x01a\x7f\xff\x01x"),
    ("a table larger than allowed", b"\x3f\xe1\xff\x03"),
    ("bad Huffman code", b"\x00\x01a\x84\xff\xff\xff\xff"),
    ("a change of the table behind a field", b"\x82\x20"),
]


@pytest.mark.parametrize("block", [row[1] for row in BOMBS], ids=[row[0] for row in BOMBS])
def test_a_bomb_ends_the_connection(block: bytes) -> None:
    with pytest.raises(ConnectionFailure) as caught:
        Reading().reader.read(block)
    assert caught.value.code is ErrorCode.COMPRESSION_ERROR


@given(st.binary(max_size=80))
def test_no_block_fails_in_another_way(block: bytes) -> None:
    with contextlib.suppress(ConnectionFailure):
        Reading().reader.read(block)


MALFORMED = [
    ("upper case", [(b"Te", b"trailers")]),
    ("a space in a name", [(b"a b", b"")]),
    ("an empty name", [(b"", b"")]),
    ("a line break in a value", [(b"a", b"b\r\nc")]),
    ("a NUL in a value", [(b"a", b"\0")]),
    ("connection", [(b"connection", b"close")]),
    ("transfer-encoding", [(b"transfer-encoding", b"chunked")]),
    ("te of another kind", [(b"te", b"gzip")]),
    ("a pseudo-field behind others", [(b"a", b"b"), (b":path", b"/")]),
    ("a pseudo-field twice", [(b":path", b"/"), (b":path", b"/")]),
    ("too many", [(b"a", b"")] * 257),
]


@pytest.mark.parametrize("fields", [row[1] for row in MALFORMED], ids=[row[0] for row in MALFORMED])
def test_what_no_head_may_have(fields: list[Field]) -> None:
    with pytest.raises(Malformed):
        checked(fields)


def test_a_malformed_head_leaves_the_table_in_step() -> None:
    def meaning(fields: list[Field]) -> tuple[Field, ...]:
        checked(fields)
        return tuple(fields)

    reader, encoder = HeaderReader(meaning, 32768), Encoder()
    reader.read(encoder.encode([(b"first", b"1")]))
    with pytest.raises(Malformed):
        reader.read(encoder.encode([(b"Bad", b"2"), (b"third", b"3")]))
    assert reader.read(encoder.encode([(b"third", b"3"), (b"first", b"1")])) == ((b"third", b"3"), (b"first", b"1"))
