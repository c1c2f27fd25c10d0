"""golden.json must fit the model before a server sees it."""

from typing import Any

import pytest

from plimsoll.api.vocabulary import DataType
from plimsoll.core.triton.golden import GoldenCase, GoldenTensor, first_case
from plimsoll.core.triton.rawdata import encode
from plimsoll.core.triton.tensors import ModelInterface, Tensor
from plimsoll.errors import Invalid

BATCHING = ModelInterface((Tensor("x", DataType.FP32, (2,)),), (), 4)
FIXED = ModelInterface((Tensor("x", DataType.FP32, (1, -1)),), (), 0)
TWO_INPUTS = ModelInterface((Tensor("a", DataType.INT64, (-1,)), Tensor("b", DataType.INT64, (1,))), (), 4)


def tensor(name: str = "x", shape: Any = (1, 2), data: Any = (1.0, 2.0), datatype: Any = "FP32") -> dict[str, Any]:
    return {"name": name, "shape": list(shape), "datatype": datatype, "data": data and list(data)}


def document(*inputs: dict[str, Any]) -> dict[str, Any]:
    return {"cases": [{"inputs": list(inputs), "outputs": []}]}


@pytest.mark.parametrize(
    ("interface", "inputs"),
    [
        (BATCHING, [tensor()]),
        (BATCHING, [tensor(shape=(2, 2), data=([1, 2], [3, 4]))]),
        (FIXED, [tensor(shape=(1, 3), data=(1, 2, 3))]),
        (
            TWO_INPUTS,
            [tensor("b", (1, 1), (1,), "INT64"), tensor("a", (1, 3), (1, 2, 3), "INT64")],
        ),
    ],
)
def test_accepted(interface: ModelInterface, inputs: list[dict[str, Any]]) -> None:
    assert len(first_case(document(*inputs), interface).inputs) == len(inputs)


def test_the_first_case_is_returned() -> None:
    two = {"cases": [{"inputs": [tensor()]}, {"inputs": [tensor(data=(3, 4))]}]}
    assert first_case(two, BATCHING) == GoldenCase(
        (GoldenTensor("x", DataType.FP32, (1, 2), encode([1, 2], DataType.FP32)),)
    )


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ([], "it must be an object"),
        ({"cases": []}, "at least one case"),
        ({"cases": [{}]}, "case 1 has no list 'inputs'"),
        ({"cases": ["x"]}, "case 1 has no list 'inputs'"),
        (document(), "has the inputs none, the model takes x"),
        (document(tensor("z")), "has the inputs z, the model takes x"),
        (document({"shape": [1]}), "has no 'name'"),
        (document(tensor(shape=("1", 2))), "has no 'shape'"),
        (document(tensor(shape=(0, 2))), "has no 'shape'"),
        (document(tensor(shape=(True, 2))), "has no 'shape'"),
        (document(tensor(datatype="FLOAT")), "has no 'datatype'"),
        (document(tensor(datatype="INT32", data=(1, 2))), "is INT32, the model takes FP32"),
        (document(tensor(data=(1,))), "has 1 values for the shape [1, 2]"),
        (document(tensor(data=None)), "values for the shape"),
        (document(tensor(data=("1", 2))), "must be a number"),
        (document(tensor(shape=(1, 3), data=(1, 2, 3))), "[1, 3], the model takes [2] after the batch dimension"),
        (document(tensor(shape=(2,))), "the model takes [2] after the batch dimension"),
        (document(tensor(shape=(5, 2), data=range(10))), "more rows than the batch size 4"),
        ({"cases": [{"inputs": [tensor()]}, {"inputs": [tensor("z")]}]}, "case 2 has the inputs z"),
    ],
)
def test_refused(given: Any, says: str) -> None:
    with pytest.raises(Invalid) as error:
        first_case(given, BATCHING)
    assert error.value.reason == "GoldenMismatch"
    assert says in error.value.message


def test_batch_dimensions_must_agree() -> None:
    given = document(tensor("a", (1, 1), (1,), "INT64"), tensor("b", (2, 1), (1, 2), "INT64"))
    with pytest.raises(Invalid, match="different batch dimensions"):
        first_case(given, TWO_INPUTS)
