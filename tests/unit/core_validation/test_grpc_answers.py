"""Reading gRPC's answers, against messages that protobuf's own library wrote."""

import struct
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tritonclient.grpc import service_pb2 as pb

from plimsoll.api.vocabulary import DataType
from plimsoll.core.validation.answers import Unreadable
from plimsoll.core.validation.grpc_answers import read_grpc_answer
from plimsoll.core.validation.outputs import Output

FP32, INT64 = DataType.FP32, DataType.INT64
ONE_TWO = struct.pack("<2f", 1, 2)


def answer(*outputs: dict[str, Any], raw: list[bytes] | None = None) -> bytes:
    message = pb.ModelInferResponse(model_name="digits", model_version="1", id="7", raw_output_contents=raw or [])
    message.parameters["a"].int64_param = -1
    for output in outputs:
        message.outputs.add(**output)
    return bytes(message.SerializeToString())


Y = {"name": "y", "datatype": "FP32", "shape": [1, 2]}


def test_raw_contents() -> None:
    message = answer(Y, {"name": "z", "datatype": "INT64", "shape": []}, raw=[ONE_TWO, b"12345678"])
    assert read_grpc_answer(message) == (
        Output("y", FP32, (1, 2), ONE_TWO),
        Output("z", INT64, (), b"12345678"),
    )


def test_typed_contents_are_read_where_they_are_the_elements_bytes() -> None:
    message = answer({**Y, "contents": {"fp32_contents": [1, 2]}})
    assert read_grpc_answer(message) == (Output("y", FP32, (1, 2), ONE_TWO),)
    message = answer({"name": "z", "datatype": "INT64", "shape": [1], "contents": {"int64_contents": [1]}})
    assert read_grpc_answer(message) == (Output("z", INT64, (1,)),)


def test_an_output_without_data() -> None:
    assert read_grpc_answer(answer(Y)) == (Output("y", FP32, (1, 2), b""),)


def test_no_outputs_and_odd_ones() -> None:
    assert read_grpc_answer(answer()) == ()
    assert read_grpc_answer(answer({"shape": [-1]})) == (Output("", None, (-1,), b""),)


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (answer(Y, raw=[ONE_TWO, ONE_TWO]), "has 1 outputs and the data of 2"),
        (answer(Y, raw=[ONE_TWO])[:-1], "is no ModelInferResponse"),
        (b"\xff" * 20, "is no ModelInferResponse"),
        (b"\x2a\x03\x0a\x01\xff", "is no ModelInferResponse"),
    ],
)
def test_what_is_no_answer(message: bytes, why: str) -> None:
    with pytest.raises(Unreadable, match=why):
        read_grpc_answer(message)


@given(message=st.binary(max_size=200))
def test_whatever_comes_is_read_or_refused(message: bytes) -> None:
    with suppress(Unreadable):
        read_grpc_answer(message)


@given(at=st.integers(min_value=0, max_value=200), byte=st.integers(min_value=0, max_value=255))
def test_one_byte_changed(at: int, byte: int) -> None:
    message = bytearray(answer(Y, {**Y, "name": "z"}, raw=[ONE_TWO, ONE_TWO]))
    message[at % len(message)] = byte
    with suppress(Unreadable):
        read_grpc_answer(bytes(message))
