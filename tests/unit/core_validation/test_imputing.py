"""What is filled in where values are missing, and what is not."""

from math import inf, nan

import pytest
from tests.support.inference import FORMS, asking, taking, tensor, texts

from plimsoll.api.vocabulary import DataType
from plimsoll.core.inference.request import Tensor
from plimsoll.core.validation.elements import values_of
from plimsoll.core.validation.imputing import element_of, imputed
from plimsoll.core.validation.schema import Check, Checks, Declared, Schema

FP32, INT64, BYTES = DataType.FP32, DataType.INT64, DataType.BYTES
PEOPLE = taking({"age": (INT64, (-1, 1)), "x": (FP32, (-1, 4)), "name": (BYTES, (-1, 1))}, max_batch_size=8)
AGE = tensor("age", INT64, (2, 1), 30, 40)
X = tensor("x", FP32, (2, 4))
NAME = texts("name", (2, 1), "Ada", "Eve")
DEFAULTS = Checks({"age": Check(default="35"), "x": Check(default="-0.5"), "name": Check(default="n/a")})


def test_a_whole_request_stays_the_same_object() -> None:
    request = asking(AGE, X, NAME)
    result = imputed(request, PEOPLE, DEFAULTS, {})
    assert (result.request is request, result.filled) == (True, ())


def test_a_missing_input_gets_its_default_in_the_batch_of_the_others() -> None:
    result = imputed(asking(AGE, NAME), PEOPLE, DEFAULTS, {})
    assert result.filled == ("x",)
    assert result.request.inputs[-1] == tensor("x", FP32, (2, 4), *[-0.5] * 8)


def test_missing_texts() -> None:
    result = imputed(asking(AGE, X), PEOPLE, DEFAULTS, {})
    assert result.request.inputs[-1] == texts("name", (2, 1), "n/a", "n/a")


def test_nulls_get_the_default_and_are_none_any_more() -> None:
    result = imputed(asking(AGE, X, NAME), PEOPLE, DEFAULTS, {"age": [1], "name": [0]})
    assert result.filled == ("age", "name")
    assert result.nulls == {}
    assert result.request.inputs == (tensor("age", INT64, (2, 1), 30, 35), X, texts("name", (2, 1), "n/a", "Eve"))


def test_nan_is_how_binary_tensors_say_null_and_infinity_is_not() -> None:
    values = (1, nan, 3, inf, nan, nan, 7, 8)
    result = imputed(asking(AGE, tensor("x", FP32, (2, 4), *values), NAME), PEOPLE, DEFAULTS, {})
    assert list(values_of(FP32, result.request.inputs[1].data)) == [1, -0.5, 3, inf, -0.5, -0.5, 7, 8]


def test_where_nan_is_a_value_it_stays() -> None:
    checks = Checks({"x": Check(default="0", takes_not_finite=True)})
    request = asking(AGE, tensor("x", FP32, (2, 4), *[nan] * 8), NAME)
    assert imputed(request, PEOPLE, checks, {}).filled == ()


def test_what_has_no_default_stays_as_it_is() -> None:
    result = imputed(asking(AGE), PEOPLE, Checks({"x": Check(default="0")}), {"age": [0]})
    assert (result.filled, result.nulls) == (("x",), {"age": [0]})
    assert [one.name for one in result.request.inputs] == ["age", "x"]


def test_a_default_that_is_no_value_of_the_type_fills_nothing() -> None:
    assert imputed(asking(X, NAME), PEOPLE, Checks({"age": Check(default="middle")}), {}).filled == ()


def test_an_input_of_another_type_is_not_touched() -> None:
    request = asking(AGE, tensor("x", DataType.FP64, (2, 4), *[nan] * 8), NAME)
    assert imputed(request, PEOPLE, DEFAULTS, {}).filled == ()


def test_an_optional_input_is_not_filled_in() -> None:
    schema = Schema({"x": Declared(FP32, (1,), is_optional=True)}, {})
    assert imputed(asking(), schema, DEFAULTS, {}).filled == ()


def test_a_short_request_does_not_become_a_long_one() -> None:
    schema = taking({"image": (FP32, (4096, 4096))})
    assert imputed(asking(), schema, Checks({"image": Check(default="0")}), {}).filled == ()


def test_a_batch_that_is_announced_and_too_large_is_not_followed() -> None:
    announced = Tensor("age", INT64, (10**12, 1), b"")
    result = imputed(asking(announced, NAME), PEOPLE, DEFAULTS, {})
    assert result.request.inputs[-1].shape == (8, 4)


def test_variable_dimensions_of_a_missing_input_are_one() -> None:
    schema = taking({"x": (FP32, (-1, 2, -1))})
    result = imputed(asking(), schema, Checks({"x": Check(default="7")}), {})
    assert result.request.inputs == (tensor("x", FP32, (1, 2, 1), 7, 7),)


@pytest.mark.parametrize("data_type", sorted(FORMS))
def test_every_type_of_numbers_can_have_a_default(data_type: DataType) -> None:
    text = "true" if data_type is DataType.BOOL else "1"
    assert element_of(data_type, text) == tensor("x", data_type, (1,), 1).data


@pytest.mark.parametrize(
    ("data_type", "text"),
    [(INT64, "1.5"), (INT64, ""), (INT64, "one"), (DataType.BOOL, "1"), (DataType.UINT8, "-1"), (FP32, None)],
)
def test_texts_that_are_no_value(data_type: DataType, text: str | None) -> None:
    assert element_of(data_type, text) is None
