"""What is sent: generated inputs, single rows, batches."""

import numpy as np
import pytest
from tests.support.preflighting import f32, golden, served

from plimsoll.api.preflight_report import InputSource
from plimsoll.api.vocabulary import DataType
from plimsoll.preflight.generated import DYNAMIC_SIZE, generated_inputs
from plimsoll.preflight.inputs import Case, InputSet, batch_of
from plimsoll.preflight.tensors import NUMPY_TYPES, decode, encode


def generated(data_type: DataType, dims: list[int], max_batch_size: int = 8, seed: int = 1) -> InputSet:
    model = served(inputs=[("x", data_type, dims)], max_batch_size=max_batch_size)
    return generated_inputs(model, 100, np.random.default_rng(seed))


@pytest.mark.parametrize("data_type", list(DataType))
def test_generated_values_are_of_the_type_survive_the_wire_and_vary(data_type: DataType) -> None:
    values = [case.inputs["x"] for case in generated(data_type, [4]).cases]
    assert {one.dtype for one in values} == {NUMPY_TYPES[data_type]}
    assert len({encode(one, data_type) for one in values}) > 1
    assert all(decode(encode(one, data_type), data_type, one.shape).shape == one.shape for one in values)


@pytest.mark.parametrize(
    ("dims", "max_batch_size", "shape"),
    [([3], 8, (1, 3)), ([3], 0, (3,)), ([-1, 2], 8, (1, DYNAMIC_SIZE, 2)), ([], 8, (1,))],
)
def test_generated_shapes(dims: list[int], max_batch_size: int, shape: tuple[int, ...]) -> None:
    assert {case.inputs["x"].shape for case in generated(DataType.FP32, dims, max_batch_size).cases} == {shape}


def test_the_same_seed_makes_the_same_inputs() -> None:
    first, same, other = (generated(DataType.FP32, [4], seed=seed).cases[0].inputs["x"] for seed in (1, 1, 2))
    assert (first == same).all()
    assert (first != other).any()


def test_half_of_the_generated_integers_are_zero_or_one() -> None:
    """A vocabulary of two, as token types have it, takes those."""
    small = [case for case in generated(DataType.INT64, [16]).cases if case.inputs["x"].max() < 2]
    assert len(small) >= 50


def test_half_of_the_generated_floats_have_a_logarithm() -> None:
    positive = [case for case in generated(DataType.FP32, [64]).cases if case.inputs["x"].min() >= 0]
    assert len(positive) >= 50


def test_rows_are_the_single_items_that_can_share_a_batch() -> None:
    cases = [Case(1, {"x": f32([1, 2], [3, 4])}), Case(2, {"x": f32([5, 6, 7])}), Case(3, {"x": f32([8, 9])})]
    assert [row["x"].tolist() for row in golden(cases).rows()] == [[[1, 2]], [[3, 4]], [[8, 9]]]


def test_what_the_model_refused_is_no_row() -> None:
    inputs = golden([Case(1, {"x": f32([1, 2])}), Case(2, {"x": f32([3, 4])})])
    inputs.refused.add(1)
    assert [row["x"].tolist() for row in inputs.rows()] == [[[3, 4]]]
    inputs.refused.add(2)
    assert inputs.rows() == ()


def test_without_batching_a_row_is_the_whole_request() -> None:
    inputs = golden([Case(1, {"x": f32([1, 2], [3, 4])})], InputSource.GENERATED, batches=False)
    (row,) = inputs.rows()
    assert batch_of([row], 1)["x"].shape == (2, 2)


def test_a_batch_goes_around_the_rows() -> None:
    rows = golden([Case(1, {"x": f32([1, 1], [2, 2], [3, 3])})]).rows()
    assert batch_of(rows, 4, first=2)["x"][:, 0].tolist() == [3, 1, 2, 3]
    assert batch_of(rows, 1, first=1)["x"].tolist() == [[2, 2]]
