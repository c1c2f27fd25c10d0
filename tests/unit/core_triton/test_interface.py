"""What is served, from what the file says and what the user states."""

import pytest

from plimsoll.api.vocabulary import DataType
from plimsoll.core.triton.interface import header_interface, stated_interface
from plimsoll.core.triton.tensors import ModelHeader, ModelInterface, Tensor, UntypedTensor
from plimsoll.errors import Invalid

FP32, INT64 = DataType.FP32, DataType.INT64


def header(x: tuple[int, ...], y: tuple[int, ...]) -> ModelHeader:
    return ModelHeader((Tensor("x", FP32, x),), (Tensor("y", FP32, y),))


def served(x: tuple[int, ...], y: tuple[int, ...], size: int) -> ModelInterface:
    return ModelInterface((Tensor("x", FP32, x),), (Tensor("y", FP32, y),), size)


@pytest.mark.parametrize(
    ("found", "stated_size", "expected"),
    [
        pytest.param(header((-1, 4), (-1, 3)), None, served((4,), (3,), 64), id="dynamic first dimensions batch"),
        pytest.param(header((-1, 4), (-1,)), None, served((4,), (), 64), id="one value per row"),
        pytest.param(header((1, 4), (1, 3)), None, served((1, 4), (1, 3), 0), id="fixed dimensions do not"),
        pytest.param(header((-1, 4), (3,)), None, served((-1, 4), (3,), 0), id="an output that does not grow"),
        pytest.param(header((-1, 4), (-1, 3)), 8, served((4,), (3,), 8), id="the user's size"),
        pytest.param(header((-1, 4), (-1, 3)), 0, served((-1, 4), (-1, 3), 0), id="the user switches it off"),
        pytest.param(header((-1, -1, 4), (-1, 3)), None, served((-1, 4), (3,), 64), id="more dynamic dimensions"),
    ],
)
def test_batching(found: ModelHeader, stated_size: int | None, expected: ModelInterface) -> None:
    assert header_interface(found, max_batch_size=stated_size) == expected


def test_a_stated_dimension_may_be_more_exact() -> None:
    stated = (Tensor("x", FP32, (128, 4)),)
    found = header_interface(header((-1, -1, 4), (-1, 3)), stated)
    assert found.inputs == stated


@pytest.mark.parametrize(
    ("stated", "says"),
    [
        (Tensor("x", FP32, (5,)), "stated as FP32 [5], but the model file has FP32 [4]"),
        (Tensor("x", INT64, (4,)), "stated as INT64 [4], but the model file has FP32 [4]"),
        (Tensor("x", FP32, (-1,)), "stated as FP32 [-1], but"),
        (Tensor("x", FP32, (1, 4)), "stated as FP32 [1, 4], but"),
        (Tensor("z", FP32, (4,)), "names 'z', but the model file has 'x'"),
    ],
)
def test_contradictions_name_what_was_stated_and_found(stated: Tensor, says: str) -> None:
    with pytest.raises(Invalid) as error:
        header_interface(header((-1, 4), (-1, 3)), (stated,))
    assert error.value.reason == "InputsMismatch"
    assert says in error.value.message


def test_a_size_the_model_cannot_batch() -> None:
    with pytest.raises(Invalid, match=r"maxBatchSize is 8, .* 'x' has the shape \[1, 4\]"):
        header_interface(header((1, 4), (1, 3)), max_batch_size=8)


def test_an_output_without_a_shape_must_be_stated() -> None:
    found = ModelHeader((Tensor("x", FP32, (-1, 4)),), (UntypedTensor("y", FP32),))
    with pytest.raises(Invalid, match=r"'y': state it in spec\.model\.outputs"):
        header_interface(found)
    stated = (Tensor("y", FP32, (3,)),)
    assert header_interface(found, (), stated) == served((4,), (3,), 64)


@pytest.mark.parametrize(("given", "field"), [((), "spec.model.inputs"), ((Tensor("x", FP32, (4,)),), "outputs")])
def test_formats_without_shapes_need_both(given: tuple[Tensor, ...], field: str) -> None:
    with pytest.raises(Invalid, match=field) as error:
        stated_interface(given, (), None)
    assert error.value.reason == "InputsMissing"


def test_formats_without_shapes_do_not_batch_unless_told() -> None:
    x, y = (Tensor("x", FP32, (4,)),), (Tensor("y", FP32, (3,)),)
    assert stated_interface(x, y, None) == ModelInterface(x, y, 0)
    assert stated_interface(x, y, 16).max_batch_size == 16
