"""The requests a server is warmed up and watched with."""

from collections import Counter

import pytest

from plimsoll.api.vocabulary import DataType
from plimsoll.core.triton.golden import GoldenCase, GoldenTensor
from plimsoll.core.triton.probe import MAX_BODY_BYTES, Warmup, no_probe, probe_plan
from plimsoll.core.triton.rawdata import encode
from plimsoll.core.triton.tensors import ModelInterface, Tensor

ROW = Tensor("x", DataType.FP32, (4,))


@pytest.mark.parametrize(
    ("max_batch_size", "expected"),
    [(0, {1: 10}), (1, {1: 10}), (4, {1: 5, 4: 5}), (8, {1: 5, 8: 5}), (64, {1: 4, 8: 3, 32: 3})],
)
def test_ten_requests_over_one_row_and_the_preferred_sizes(max_batch_size: int, expected: dict[int, int]) -> None:
    plan = probe_plan("digits", ModelInterface((ROW,), (), max_batch_size), None, 1)
    assert Counter(plan.batches) == expected
    assert plan.batches == tuple(sorted(plan.batches))
    assert plan.source is Warmup.GENERATED


def test_dynamic_dimensions_become_one() -> None:
    plan = probe_plan("m", ModelInterface((Tensor("ids", DataType.INT64, (-1, 2, -1)),), (), 8), None, 1)
    assert plan.rows is not None
    assert (plan.rows[0].shape, plan.rows[0].raw) == ((1, 2, 1), bytes(16))


def test_golden_values_win_and_give_their_first_row() -> None:
    golden = GoldenCase((GoldenTensor("x", DataType.FP32, (2, 4), encode(range_list(8), DataType.FP32)),))
    plan = probe_plan("digits", ModelInterface((ROW,), (), 8), golden, 1)
    assert plan.source is Warmup.GOLDEN
    assert plan.values() == encode(range_list(4), DataType.FP32)
    assert plan.description() == {
        "model": "digits",
        "source": "Golden",
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [4], "offset": 0, "length": 16}],
        "batching": True,
        "batches": [1] * 5 + [8] * 5,
        "instances": 1,
    }


def test_a_golden_case_of_a_model_that_does_not_batch_is_sent_whole() -> None:
    golden = GoldenCase((GoldenTensor("x", DataType.FP32, (2, 2), encode(range_list(4), DataType.FP32)),))
    plan = probe_plan("m", ModelInterface((Tensor("x", DataType.FP32, (2, 2)),), (), 0), golden, 1)
    assert plan.rows is not None
    assert plan.rows[0].shape == (2, 2)
    assert not plan.batching


def test_sizes_that_do_not_fit_one_body_are_left_out() -> None:
    elements = MAX_BODY_BYTES // 4 // 10
    plan = probe_plan("m", ModelInterface((Tensor("x", DataType.FP32, (elements,)),), (), 64), None, 1)
    assert Counter(plan.batches) == {1: 5, 8: 5}


def test_a_row_that_does_not_fit_is_not_sent() -> None:
    plan = probe_plan("m", ModelInterface((Tensor("x", DataType.FP32, (MAX_BODY_BYTES,)),), (), 64), None, 1)
    assert (plan.source, plan.rows, plan.batches) == (Warmup.NONE, (), ())


def test_a_warm_up_of_its_own_is_not_repeated_but_the_model_is_watched() -> None:
    plan = probe_plan("m", ModelInterface((ROW,), (), 8), None, 1, own_warmup=True)
    assert (plan.source, plan.batches) == (Warmup.OWN, ())
    assert plan.rows


def test_a_server_that_alone_knows_the_inputs_is_asked() -> None:
    plan = probe_plan("m", None, None, 2)
    assert (plan.rows, len(plan.batches), plan.instances) == (None, 10, 2)
    assert plan.description()["inputs"] is None


def test_a_model_one_request_means_nothing_to() -> None:
    plan = no_probe("m", own_warmup=False)
    assert (plan.source, plan.rows, plan.batches) == (Warmup.NONE, (), ())


def range_list(count: int) -> list[int]:
    return list(range(count))
