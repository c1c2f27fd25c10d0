"""Elements as bytes, compared with reading them one by one."""

import struct
from fractions import Fraction
from math import isfinite, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.inference import FORMS

from plimsoll.api.vocabulary import DataType
from plimsoll.core.validation.elements import FLOATS, count_in, first_not_finite, has_order, packed, values_of

FP16, BF16, FP32, FP64 = DataType.FP16, DataType.BF16, DataType.FP32, DataType.FP64


@pytest.mark.parametrize("data_type", sorted(FLOATS))
@given(data=st.binary(max_size=400), bad=st.sampled_from([b"\x7f", b"\xff", b"\x7c", b"\x80", b"\xf0"]))
def test_the_first_that_is_not_finite(data_type: DataType, data: bytes, bad: bytes) -> None:
    size = 8 if data_type is FP64 else 4 if data_type is FP32 else 2
    data = (data.replace(b"\x01", bad) + bad * size)[: (len(data) + size) // size * size]
    values = list(values_of(data_type, data))
    expected = next((place for place, value in enumerate(values) if not isfinite(value)), -1)
    assert first_not_finite(data_type, data) == expected


@pytest.mark.parametrize("data_type", sorted(set(DataType) - FLOATS))
def test_types_without_infinity_have_none(data_type: DataType) -> None:
    assert first_not_finite(data_type, b"\xff" * 64) == -1


@pytest.mark.parametrize("place", [0, 1, 65_535, 65_536, 131_072, 199_999])
def test_a_place_far_behind(place: int) -> None:
    data = bytearray(struct.pack("<200000f", *[3e38] * 200_000))
    data[4 * place : 4 * place + 4] = struct.pack("<f", nan)
    assert first_not_finite(FP32, bytes(data)) == place


def test_bf16_is_the_upper_half_of_fp32() -> None:
    data = b"".join(struct.pack("<f", value)[2:] for value in (1.0, -2.5, 0.0))
    assert list(values_of(BF16, data)) == [1.0, -2.5, 0.0]


@pytest.mark.parametrize("data_type", [kind for kind in FORMS if has_order(kind)])
@given(value=st.integers(min_value=0, max_value=100))
def test_a_number_as_an_element(data_type: DataType, value: int) -> None:
    assert packed(data_type, Fraction(value)) == struct.pack("<" + FORMS[data_type], value)


@pytest.mark.parametrize(
    ("data_type", "value"),
    [
        (DataType.UINT8, Fraction(256)),
        (DataType.UINT8, Fraction(-1)),
        (DataType.INT8, Fraction(128)),
        (DataType.INT64, Fraction(1, 2)),
        (FP16, Fraction(10**6)),
        (FP32, Fraction(10**39)),
        (BF16, Fraction(34 * 10**37 + 5 * 10**35)),
        (FP64, Fraction(10**400)),
    ],
)
def test_a_number_that_a_type_does_not_have(data_type: DataType, value: Fraction) -> None:
    assert packed(data_type, value) is None


def test_the_nearest_bf16() -> None:
    assert packed(BF16, Fraction(1)) == b"\x80\x3f"
    assert packed(BF16, 1 + Fraction(1, 128)) == b"\x81\x3f"
    assert packed(BF16, 1 + Fraction(1, 256)) == b"\x80\x3f"
    assert packed(BF16, 1 + Fraction(3, 256)) == b"\x82\x3f"


@pytest.mark.parametrize(
    ("data_type", "data", "count"),
    [
        (FP32, b"", 0),
        (FP32, b"1234", 1),
        (FP32, b"12345", -1),
        (DataType.BYTES, b"", 0),
        (DataType.BYTES, b"\0\0\0\0", 1),
        (DataType.BYTES, b"\1\0\0\0a\0\0\0\0", 2),
        (DataType.BYTES, b"\1\0\0\0", -1),
        (DataType.BYTES, b"\xff\xff\xff\xffa", -1),
        (DataType.BYTES, b"\0\0", -1),
        (DataType.BYTES, b"\0\0\0\0" * 11, -1),
    ],
)
def test_how_many_elements_bytes_hold(data_type: DataType, data: bytes, count: int) -> None:
    assert count_in(data_type, data, most=10) == count
