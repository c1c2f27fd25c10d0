"""Requests that agree run as one; nobody pays for a neighbour's mistake."""

from collections.abc import Sequence

import numpy as np
import pytest
from joint_run import Arrays, Call, run_all

POISON = 13.0


class Doubler:
    """Answers `double` = 2x and `sum` over each row, refuses POISON, and remembers how many rows each run had."""

    def __init__(self) -> None:
        self.rows: list[int] = []

    def __call__(self, wanted: Sequence[str], inputs: Arrays) -> list[np.ndarray]:
        x = inputs["x"]
        self.rows.append(len(x))
        if (x == POISON).any():
            raise ValueError("unlucky")
        known = {"double": x * 2, "sum": x.sum(axis=1), "mean": np.array(x.mean()), "first": x[:1]}
        return [known[name] for name in wanted]


def call(*rows: list[float], wanted: tuple[str, ...] = ("double",), dtype: str = "f4") -> Call:
    return Call({"x": np.array(rows, dtype)}, wanted)


def values(result: object) -> dict[str, list[object]]:
    assert isinstance(result, dict), result
    return {name: array.tolist() for name, array in result.items()}


def test_agreeing_requests_run_once_and_get_their_own_rows() -> None:
    run = Doubler()
    results = run_all([call([1]), call([2], [3]), call([4])], run, batched=True)
    assert run.rows == [4]
    assert [values(result) for result in results] == [{"double": [[2]]}, {"double": [[4], [6]]}, {"double": [[8]]}]


def test_each_gets_the_outputs_it_asked_for_and_no_others() -> None:
    run = Doubler()
    results = run_all([call([1], wanted=("sum",)), call([2]), call([3], wanted=("sum", "double"))], run, batched=True)
    assert run.rows == [3]
    assert [values(result) for result in results] == [{"sum": [1]}, {"double": [[4]]}, {"sum": [3], "double": [[6]]}]


@pytest.mark.parametrize(
    ("calls", "batched", "rows"),
    [
        pytest.param([call([1]), call([2, 3]), call([4])], True, [2, 1], id="row sizes differ"),
        pytest.param([call([1]), call([2], dtype="f8"), call([3])], True, [2, 1], id="types differ"),
        pytest.param([call([1]), call([2])], False, [1, 1], id="the model does not batch"),
        pytest.param([call([1], [2])], True, [2], id="a request alone"),
        pytest.param([], True, [], id="no request"),
    ],
)
def test_only_agreeing_requests_of_a_batching_model_are_joined(
    calls: list[Call],
    batched: bool,  # noqa: FBT001 - a column of the table
    rows: list[int],
) -> None:
    run = Doubler()
    results = run_all(calls, run, batched=batched)
    assert run.rows == rows
    assert [values(result)["double"] for result in results] == [(one.inputs["x"] * 2).tolist() for one in calls]


def test_a_bad_request_fails_alone() -> None:
    run = Doubler()
    results = run_all([call([1]), call([POISON]), call([3])], run, batched=True)
    assert run.rows == [3, 1, 1, 1]
    assert values(results[0]) == {"double": [[2]]}
    assert isinstance(results[1], ValueError)
    assert str(results[1]) == "unlucky"
    assert values(results[2]) == {"double": [[6]]}


@pytest.mark.parametrize("output", ["mean", "first"])
def test_an_output_without_one_row_per_row_of_input_is_never_dealt_out(output: str) -> None:
    run = Doubler()
    run_all([call([1], wanted=(output,)), call([2], wanted=(output,))], run, batched=True)
    assert run.rows == [2, 1, 1]


def test_a_request_whose_inputs_disagree_on_the_batch_size_is_left_to_the_model() -> None:
    def add(wanted: Sequence[str], inputs: Arrays) -> list[np.ndarray]:
        return [inputs["x"] + inputs["y"]] * len(wanted)

    broadcast = Call({"x": np.ones((2, 1)), "y": np.ones((1, 1))}, ("z",))
    assert [values(result) for result in run_all([broadcast, broadcast], add, batched=True)] == [{"z": [[2], [2]]}] * 2
