"""When two answers count as the same."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as tensors
from numpy.typing import NDArray

from plimsoll.api.preflight_report import DeterminismLevel
from plimsoll.api.vocabulary import DataType
from plimsoll.core.preflight.comparison import (
    Comparison,
    Tolerance,
    compare,
    default_tolerance,
    invalid,
    labels_equal,
    level_of,
)

FLOATS = default_tolerance(DataType.FP32)
EXACTLY = default_tolerance(DataType.INT64)
NAN, INF = np.nan, np.inf


def f32(*values: float) -> NDArray[np.float32]:
    return np.array(values, dtype=np.float32)


def texts(*values: str | bytes) -> NDArray[np.object_]:
    return np.array(values, dtype=np.object_)


@pytest.mark.parametrize("data_type", list(DataType))
def test_only_floats_are_tolerated_unless_the_user_says_otherwise(data_type: DataType):
    floats = {DataType.FP16, DataType.BF16, DataType.FP32, DataType.FP64}

    assert default_tolerance(data_type).exact == (data_type not in floats)


@pytest.mark.parametrize(
    ("data_type", "neighbour"),
    [(DataType.FP16, 1 + 2**-10), (DataType.BF16, 1 + 2**-7), (DataType.FP32, 1 + 2**-23), (DataType.FP64, 1 + 2**-52)],
)
def test_the_next_number_of_a_type_is_tolerated(data_type: DataType, neighbour: float):
    assert compare(np.array([1.0]), np.array([neighbour]), default_tolerance(data_type)).within


@pytest.mark.parametrize(
    ("expected", "actual", "equal", "within"),
    [
        pytest.param(f32(1, 2), f32(1, 2), True, True, id="same bits"),
        pytest.param(f32(1000), f32(1000.9), False, True, id="within the relative tolerance only"),
        pytest.param(f32(0), f32(9e-6), False, True, id="within the absolute tolerance only"),
        pytest.param(f32(0), f32(2e-5), False, False, id="nothing is relative to zero"),
        pytest.param(f32(1000), f32(1002), False, False, id="beyond both"),
        pytest.param(f32(1, 1, 1), f32(1, 1, 2), False, False, id="one element is enough"),
        pytest.param(f32(0.0), f32(-0.0), False, True, id="signed zero has other bits"),
        pytest.param(f32(NAN), f32(NAN), True, True, id="the same NaN"),
        pytest.param(f32(NAN), f32(-NAN), False, True, id="a NaN with other bits"),
        pytest.param(f32(NAN), f32(1), False, False, id="a number for a NaN"),
        pytest.param(f32(1), f32(NAN), False, False, id="a NaN for a number"),
        pytest.param(f32(INF), f32(INF), True, True, id="the same infinity"),
        pytest.param(f32(INF), f32(-INF), False, False, id="the other infinity"),
        pytest.param(f32(INF), f32(1), False, False, id="infinity has no relative tolerance"),
        pytest.param(f32(1), f32(INF), False, False, id="infinity for a number"),
        pytest.param(f32(), f32(), True, True, id="empty"),
        pytest.param(np.float32([[]]), f32(), False, False, id="empty, another shape"),
        pytest.param(f32(1), np.array([1.0]), False, True, id="another width"),
        pytest.param(np.array([-1.7e308]), np.array([1.7e308]), False, False, id="difference overflows"),
        pytest.param(np.float32(1), np.float32(1), True, True, id="scalars"),
    ],
)
def test_floats(expected: NDArray[np.float32], actual: NDArray[np.float32], equal: bool, within: bool):  # noqa: FBT001
    comparison = compare(expected, actual, FLOATS)

    assert (comparison.equal, comparison.within) == (equal, within)


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        pytest.param(np.array([3]), np.array([4]), id="labels"),
        pytest.param(np.array([2**60]), np.array([2**60 + 1]), id="integers that share a float"),
        pytest.param(np.array([0], dtype=np.uint8), np.array([255], dtype=np.uint8), id="unsigned do not wrap"),
        pytest.param(np.array([True]), np.array([False]), id="booleans"),
        pytest.param(texts("cat"), texts("dog"), id="text"),
        pytest.param(texts("cat"), texts(b"cat "), id="text and bytes"),
    ],
)
def test_everything_else_is_compared_exactly(expected: NDArray[np.generic], actual: NDArray[np.generic]):
    assert not compare(expected, actual, EXACTLY).within
    assert compare(expected, expected.copy(), EXACTLY).equal


def test_an_exact_tolerance_forgives_no_float_and_a_stated_one_forgives_integers():
    assert not compare(f32(1), f32(1 + 2**-23), EXACTLY).within
    assert compare(np.array([100]), np.array([101]), Tolerance(absolute=1, relative=0, exact=False)).within
    assert not compare(np.array([2**60]), np.array([2**60 + 1]), Tolerance(0.5, 0, exact=False)).within


def test_golden_text_is_what_the_server_sends_as_bytes():
    assert compare(texts("Zürich"), texts("Zürich".encode()), EXACTLY).equal


@pytest.mark.parametrize(
    ("expected", "actual", "tolerance", "absolute", "relative", "detail"),
    [
        (f32(1, 2), f32(1, 2), FLOATS, 0, 0, ""),
        (f32(1), f32(1, 2), FLOATS, None, None, "shape [2] instead of [1]"),
        (f32(1), np.array([1]), FLOATS, None, None, "integer values instead of float"),
        (f32(1), texts("1"), FLOATS, None, None, "text values instead of float"),
        (np.array([[1.0, 2.0]]), np.array([[1.0, 2.5]]), FLOATS, 0.5, 0.25, "2.5 instead of 2.0 at [0, 1]"),
        (np.array(2.0), np.array(2.5), FLOATS, 0.5, 0.25, "2.5 instead of 2.0"),
        (np.array([0.0]), np.array([0.5]), FLOATS, 0.5, None, "0.5 instead of 0.0 at [0]"),
        (f32(1, 2), f32(1, NAN), FLOATS, None, None, "nan instead of 2.0 at [1]"),
        (np.array([3, 7]), np.array([9, 8]), EXACTLY, 6, 2, "9 instead of 3 at [0]"),
        (texts("a", "cat"), texts("a", b"dog"), EXACTLY, None, None, "'dog' instead of 'cat' at [1]"),
        (texts("a" * 99), texts(b"\xff"), EXACTLY, None, None, f"'\ufffd' instead of '{'a' * 60}…' at [0]"),
        (f32(0.0), f32(-0.0), FLOATS, 0, 0, "equal values of other type, sign or NaN bits"),
    ],
)
def test_what_is_said_about_a_difference(
    expected: NDArray[np.generic],
    actual: NDArray[np.generic],
    tolerance: Tolerance,
    absolute: float | None,
    relative: float | None,
    detail: str,
):
    comparison = compare(expected, actual, tolerance)

    assert (comparison.absolute, comparison.relative, comparison.detail) == (absolute, relative, detail)


def test_the_worst_element_is_the_one_that_least_keeps_its_tolerance():
    """1,000 and 1,000.5 differ by more, and are closer to what is allowed between them."""
    comparison = compare(np.array([1000.0, 0.001]), np.array([1000.5, 0.002]), FLOATS)

    assert comparison.detail == "0.002 instead of 0.001 at [1]"
    assert comparison.absolute == pytest.approx(0.001)


@pytest.mark.parametrize(
    ("expected", "actual", "same"),
    [
        pytest.param(f32(0.4, 0.6), f32(0.1, 0.9), True, id="same best class"),
        pytest.param(f32(0.4, 0.6), f32(0.6, 0.4), False, id="another best class"),
        pytest.param(np.eye(3), np.eye(3)[[0, 2, 1]], False, id="one row of three"),
        pytest.param(np.array([[0.2], [0.8]]), np.array([[0.8], [0.2]]), True, id="a lone score names no class"),
        pytest.param(np.array([3]), np.array([4]), False, id="labels"),
        pytest.param(texts("cat"), texts(b"cat"), True, id="text labels"),
        pytest.param(texts("cat"), texts("dog"), False, id="other text labels"),
        pytest.param(np.empty((0, 3)), np.empty((0, 3)), True, id="no rows"),
    ],
)
def test_labels(expected: NDArray[np.generic], actual: NDArray[np.generic], same: bool):  # noqa: FBT001
    assert labels_equal(expected, actual) == same


def test_scores_that_name_another_class_are_not_within_any_tolerance():
    expected, actual = np.array([[0.5, 0.500001]]), np.array([[0.500001, 0.5]])

    assert compare(expected, actual, FLOATS).within
    comparison = compare(expected, actual, FLOATS, scores=True)
    assert not comparison.within
    assert comparison.detail.startswith("another best class: ")


EQUAL = Comparison(equal=True, within=True, absolute=0, relative=0, detail="")
CLOSE = Comparison(equal=False, within=True, absolute=1e-7, relative=1e-7, detail="close")
APART = Comparison(equal=False, within=False, absolute=1, relative=1, detail="apart")


@pytest.mark.parametrize(
    ("comparisons", "level"),
    [
        ([EQUAL, EQUAL], DeterminismLevel.EXACT),
        ([EQUAL, CLOSE], DeterminismLevel.TOLERANCE),
        ([EQUAL, CLOSE, APART], DeterminismLevel.NONDETERMINISTIC),
    ],
)
def test_the_level_is_that_of_the_weakest_equality(comparisons: list[Comparison], level: DeterminismLevel):
    assert level_of(comparisons) == level
    assert level_of(iter(comparisons)) == level


def test_nothing_compared_is_no_proof_of_equality():
    with pytest.raises(ValueError, match="no answers"):
        level_of([])


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (f32(1, 2), ""),
        (np.array([1]), ""),
        (texts(b""), ""),
        (np.empty((0, 4)), "The answer is empty: its shape is [0, 4]."),
        (np.array([[1.0, NAN], [INF, 0.0]]), "2 of 4 values are not finite; the first is nan at [0, 1]."),
        (np.float32(-INF), "1 of 1 values are not finite; the first is -inf."),
    ],
)
def test_what_is_no_answer_at_all(answer: NDArray[np.generic], sentence: str):
    assert invalid(np.asarray(answer)) == sentence


floats = tensors.arrays(np.float32, tensors.array_shapes(max_dims=3, max_side=5), elements=st.floats(width=32))


@given(tensor=floats)
def test_a_tensor_equals_its_copy(tensor: NDArray[np.float32]):
    assert compare(tensor, tensor.copy(), EXACTLY) == EQUAL


@given(
    pair=tensors.array_shapes(max_dims=2, max_side=4).flatmap(
        lambda shape: st.tuples(*(tensors.arrays(np.float64, shape, elements=st.floats()),) * 2)
    )
)
def test_within_is_what_the_two_bounds_say_element_by_element(pair: tuple[NDArray[np.float64], NDArray[np.float64]]):
    expected, actual = pair
    comparison = compare(expected, actual, FLOATS)

    def allowed(wanted: float, got: float) -> bool:
        if wanted == got or (wanted != wanted and got != got):  # noqa: PLR0124 - NaN
            return True
        if not (np.isfinite(wanted) and np.isfinite(got)):
            return False
        return abs(got - wanted) <= max(1e-5, 1e-3 * abs(wanted))

    pairs = zip(expected.ravel().tolist(), actual.ravel().tolist(), strict=True)
    assert comparison.within == all(allowed(wanted, got) for wanted, got in pairs)
    assert comparison.within or not comparison.equal
    assert bool(comparison.detail) != comparison.equal
    assert comparison.absolute is None or np.isfinite(comparison.absolute)
