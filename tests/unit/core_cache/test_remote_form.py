"""An answer in a store that others may write to: it comes back as it was, or not at all."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.inference import tensor, texts

from plimsoll.api.vocabulary import DataType
from plimsoll.core.cache.remote_form import MOST_BYTES, read_remote, remote_name, write_remote
from plimsoll.core.inference.answer import InferAnswer
from plimsoll.core.inference.malformed import Malformed

KEY, OTHER = bytes(range(32)), bytes(32)
NAME = remote_name("uid-1", KEY)
ANSWER = InferAnswer(
    "digits",
    "3",
    (tensor("y", DataType.FP32, (2,), 0.5, float("inf")), texts("label", (2,), "a", "")),
    {"sequence_end": True, "left": 3, "note": "é"},
)
VALUE = write_remote(NAME, ANSWER, 0.25)


def test_it_comes_back_as_it_was() -> None:
    assert read_remote(NAME, VALUE) == (ANSWER, 0.25)


def test_a_name_is_readable_and_another_one_for_each_model_and_question() -> None:
    assert remote_name("uid-1", KEY) == b"plimsoll:1:uid-1:" + KEY.hex().encode()
    assert len({NAME, remote_name("uid-2", KEY), remote_name("uid-1", OTHER)}) == 3


@pytest.mark.parametrize("name", [remote_name("uid-2", KEY), remote_name("uid-1", OTHER), b""])
def test_an_answer_to_another_question_is_none(name: bytes) -> None:
    with pytest.raises(Malformed):
        read_remote(name, VALUE)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"1",
        VALUE[:-1],
        VALUE + b"\0",
        b"x" + VALUE[1:],
        VALUE.replace(b"kept-1", b"kept-2"),
        VALUE + bytes(MOST_BYTES),
        write_remote(NAME, ANSWER, float("nan")),
        write_remote(NAME, ANSWER, -1.0),
        write_remote(NAME, ANSWER, 1e300),
        VALUE.replace(struct.pack("<f", 0.5), b""),
    ],
)
def test_what_is_no_answer_of_ours_is_none(value: bytes) -> None:
    with pytest.raises(Malformed):
        read_remote(NAME, value)


@given(st.integers(0, len(VALUE) - 1), st.integers(0, 255), st.integers(0, 3))
def test_a_damaged_one_is_read_as_an_answer_or_refused(at: int, byte: int, gone: int) -> None:
    damaged = VALUE[:at] + bytes([byte]) + VALUE[at + 1 + gone :]
    try:
        answer, took_s = read_remote(NAME, damaged)
    except Malformed:
        return
    assert isinstance(answer, InferAnswer)
    assert 0 <= took_s <= 86_400


@given(st.binary(max_size=400))
def test_noise_is_refused(noise: bytes) -> None:
    with pytest.raises(Malformed):
        read_remote(NAME, noise)
