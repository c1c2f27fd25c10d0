"""Tensor values in binary form."""

import struct
from typing import Any

import numpy as np
import pytest

from plimsoll.api.vocabulary import DataType
from plimsoll.core.triton import rawdata
from plimsoll.core.triton.tensors import ELEMENT_SIZE, config_type, protocol_type

NUMPY = {
    DataType.BOOL: np.bool_,
    DataType.UINT8: np.uint8,
    DataType.UINT16: np.uint16,
    DataType.UINT32: np.uint32,
    DataType.UINT64: np.uint64,
    DataType.INT8: np.int8,
    DataType.INT16: np.int16,
    DataType.INT32: np.int32,
    DataType.INT64: np.int64,
    DataType.FP16: np.float16,
    DataType.FP32: np.float32,
    DataType.FP64: np.float64,
}


@pytest.mark.parametrize("data_type", NUMPY)
def test_the_same_bytes_as_numpy(data_type: DataType) -> None:
    values = [[0, 1], [1, 0]]
    assert rawdata.encode(values, data_type) == np.array(values, dtype=NUMPY[data_type]).tobytes()


def test_strings_have_their_length_in_front() -> None:
    assert rawdata.encode(["ä", ""], DataType.BYTES) == struct.pack("<I", 2) + "ä".encode() + struct.pack("<I", 0)


def test_bfloat16_is_the_upper_half_of_a_float() -> None:
    assert rawdata.encode([1.0, -2.0], DataType.BF16) == b"\x80\x3f\x00\xc0"


@pytest.mark.parametrize(
    ("values", "data_type", "says"),
    [
        ([256], DataType.UINT8, "does not fit UINT8"),
        ([-1], DataType.UINT64, "does not fit UINT64"),
        ([1.5], DataType.INT32, "must be a whole number"),
        ([True], DataType.INT32, "must be a whole number"),
        (["1"], DataType.FP32, "must be a number"),
        ([1e60], DataType.BF16, "does not fit BF16"),
        ([10**400], DataType.FP64, "does not fit FP64"),
        ([1], DataType.BYTES, "must be a string"),
        (["yes"], DataType.BOOL, "must be true or false"),
    ],
)
def test_values_that_do_not_fit(values: Any, data_type: DataType, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        rawdata.encode(values, data_type)


@pytest.mark.parametrize("data_type", DataType)
def test_made_up_values_have_the_right_size(data_type: DataType) -> None:
    assert len(rawdata.generated(1000, data_type)) == 1000 * ELEMENT_SIZE.get(data_type, 5)


def test_made_up_floats_are_small_and_differ() -> None:
    values = np.frombuffer(rawdata.generated(200, DataType.FP32), dtype=np.float32)
    assert 0 < values.min() < values.max() < 1


@pytest.mark.parametrize(("data_type", "values"), [(DataType.INT16, [1, 2, 3]), (DataType.BYTES, ["a", "bcd", ""])])
def test_the_first_elements(data_type: DataType, values: list[Any]) -> None:
    raw = rawdata.encode(values, data_type)
    assert rawdata.first_elements(raw, 2, data_type) == rawdata.encode(values[:2], data_type)


def test_deep_nesting_is_no_danger() -> None:
    values: Any = 1
    for _ in range(100_000):
        values = [values]
    assert rawdata.count(values) == 1


@pytest.mark.parametrize("data_type", DataType)
def test_type_names_go_both_ways(data_type: DataType) -> None:
    assert protocol_type(config_type(data_type)) is data_type
    assert protocol_type("TYPE_FLOAT") is None
