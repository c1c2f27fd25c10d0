"""What is completed and what is refused, as on the official image."""

from typing import Any

import pytest
from onnx_config import Config, Contradiction, Tensor, check, complete, tensors

X = Tensor("x", "TYPE_FP32", (-1, 64))
LABEL = Tensor("label", "TYPE_INT64", (-1,))
SCORES = Tensor("scores", "TYPE_FP32", (-1, 10))
FIXED = Tensor("x", "TYPE_FP32", (1, 64))

X_ENTRY = {"name": "x", "data_type": "TYPE_FP32", "dims": [64]}
LABEL_ENTRY = {"name": "label", "data_type": "TYPE_INT64", "dims": [1], "reshape": {"shape": []}}
SCORES_ENTRY = {"name": "scores", "data_type": "TYPE_FP32", "dims": [10]}


def config(**given: Any) -> Config:
    return {"max_batch_size": 0, "input": [], "output": [], **given}


class Argument:
    def __init__(self, name: str, kind: str, shape: list[int | str | None]) -> None:
        self.name, self.type, self.shape = name, kind, shape


def test_dynamic_dimensions_are_minus_one_whatever_they_are_called() -> None:
    assert tensors([Argument("x", "tensor(float)", ["N", None, 3])]) == (Tensor("x", "TYPE_FP32", (-1, -1, 3)),)


def test_a_model_that_returns_a_map_is_refused() -> None:
    with pytest.raises(Contradiction, match=r"'p' has type seq\(map\(int64,tensor\(float\)\)\)"):
        tensors([Argument("p", "seq(map(int64,tensor(float)))", [])])


def test_an_empty_configuration_of_a_batching_model() -> None:
    one = config()
    complete(one, [X], [LABEL, SCORES])
    expected = {"input": [X_ENTRY], "output": [LABEL_ENTRY, SCORES_ENTRY]}
    assert one == {"max_batch_size": 4, "dynamic_batching": {}, **expected}


def test_an_empty_configuration_of_a_model_with_a_fixed_batch() -> None:
    one = config()
    complete(one, [FIXED], [SCORES])
    assert one == config(
        input=[{"name": "x", "data_type": "TYPE_FP32", "dims": [1, 64]}],
        output=[{"name": "scores", "data_type": "TYPE_FP32", "dims": [-1, 10]}],
    )


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(config(max_batch_size=8, input=[X_ENTRY], output=[SCORES_ENTRY]), id="complete"),
        pytest.param(config(input=[{**X_ENTRY, "dims": [-1, 64]}], output=[SCORES_ENTRY]), id="without batching"),
    ],
)
def test_what_is_stated_is_left_alone(given: Config) -> None:
    before = {**given}
    complete(given, [X], [LABEL, SCORES])
    assert given == before


def test_sequence_models_are_not_given_a_second_scheduler() -> None:
    one = config(sequence_batching={})
    complete(one, [X], [SCORES])
    assert "dynamic_batching" not in one


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(config(max_batch_size=8, input=[X_ENTRY], output=[LABEL_ENTRY, SCORES_ENTRY]), id="all"),
        pytest.param(config(max_batch_size=8, input=[X_ENTRY], output=[SCORES_ENTRY]), id="an output is not served"),
        pytest.param(
            config(input=[{**X_ENTRY, "dims": ["-1", "64"]}], output=[{**SCORES_ENTRY, "dims": ["3", "10"]}]),
            id="numbers as strings, a narrower dynamic dimension",
        ),
    ],
)
def test_accepted(given: Config) -> None:
    check(given, [X], [LABEL, SCORES])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (config(max_batch_size=8, output=[SCORES_ENTRY]), "The model needs the inputs ['x'], which the configuration"),
        (
            config(max_batch_size=8, input=[{**X_ENTRY, "name": "X"}]),
            "The configuration states input 'X'; the model's inputs are ['x'].",
        ),
        (
            config(max_batch_size=8, input=[X_ENTRY], output=[{**SCORES_ENTRY, "name": "odds"}]),
            "The configuration states output 'odds'; the model's outputs are ['label', 'scores'].",
        ),
        (
            config(max_batch_size=8, input=[{**X_ENTRY, "data_type": "TYPE_FP64"}]),
            "Tensor 'x' is TYPE_FP32 in the model but TYPE_FP64 in the configuration.",
        ),
        (
            config(max_batch_size=8, input=[{**X_ENTRY, "dims": [63]}]),
            "Tensor 'x' has shape [-1, 64] in the model but [-1, 63] (the first is the batch, as max_batch_size is",
        ),
        (
            config(input=[X_ENTRY]),
            "Tensor 'x' has shape [-1, 64] in the model but [64] in the configuration.",
        ),
        (
            config(
                max_batch_size=8, input=[X_ENTRY], output=[{"name": "label", "data_type": "TYPE_INT64", "dims": [1]}]
            ),
            "Tensor 'label' has shape [-1] in the model but [-1, 1] (the first is the batch",
        ),
    ],
)
def test_contradictions_name_the_tensor_and_both_sides(given: Config, message: str) -> None:
    with pytest.raises(Contradiction) as caught:
        check(given, [X], [LABEL, SCORES])
    assert str(caught.value).startswith(message)
