"""Each rule about requests, with the sentence that a client reads."""

from fractions import Fraction
from math import inf, nan

import pytest
from tests.support.inference import asking, taking, tensor, texts

from plimsoll.api.vocabulary import DataType
from plimsoll.core.inference.request import InferRequest, Tensor
from plimsoll.core.validation.inputs import problems_of_request
from plimsoll.core.validation.problem import MOST_PROBLEMS, Kind
from plimsoll.core.validation.schema import Check, Checks, Declared, Schema

FP32, FP16, INT64, BYTES = DataType.FP32, DataType.FP16, DataType.INT64, DataType.BYTES

PEOPLE = taking({"age": (INT64, (-1, 1)), "x": (FP32, (-1, 4))}, max_batch_size=8)
IMAGES = taking({"image": (FP32, (3, -1, -1))})
TEXTS = taking({"text": (BYTES, (-1,))})
AGE = tensor("age", INT64, (2, 1), 30, 40)
X = tensor("x", FP32, (2, 4))
GROWN = Checks({"age": Check(least=Fraction(18), most=Fraction(120))})

RIGHT = {
    "as declared": (PEOPLE, asking(AGE, X)),
    "in another order": (PEOPLE, asking(X, AGE)),
    "largest batch": (PEOPLE, asking(tensor("age", INT64, (8, 1), *[20] * 8), tensor("x", FP32, (8, 4)))),
    "variable dimensions": (IMAGES, asking(tensor("image", FP32, (3, 5, 7)))),
    "texts": (TEXTS, asking(texts("text", (2,), "NaN", ""))),
    "a scalar": (taking({"s": (FP32, ())}), asking(tensor("s", FP32, (), 1.5))),
}

WRONG = {
    "missing": (PEOPLE, asking(AGE), Kind.MISSING, "Input 'x' is missing; send it as FP32 [-1, 4].", None),
    "unknown": (
        PEOPLE,
        asking(AGE, X, tensor("y", FP32, (2, 1))),
        Kind.UNKNOWN,
        "The model has no input 'y'; it takes 'age', 'x'.",
        None,
    ),
    "type": (
        PEOPLE,
        asking(AGE, tensor("x", DataType.FP64, (2, 4))),
        Kind.DATA_TYPE,
        "Input 'x' is FP64; the model takes FP32.",
        None,
    ),
    "rank": (
        PEOPLE,
        asking(AGE, tensor("x", FP32, (8,))),
        Kind.RANK,
        "Input 'x' has shape [8]; the model takes [-1, 4], the batch first.",
        None,
    ),
    "rank without batch": (
        IMAGES,
        asking(tensor("image", FP32, (1, 3, 2, 2))),
        Kind.RANK,
        "Input 'image' has shape [1, 3, 2, 2]; the model takes [3, -1, -1].",
        None,
    ),
    "dimension": (
        PEOPLE,
        asking(AGE, tensor("x", FP32, (2, 5))),
        Kind.DIMENSION,
        "Dimension 1 of input 'x' is 5; the model takes 4, in all [-1, 4].",
        None,
    ),
    "batch": (
        PEOPLE,
        asking(tensor("age", INT64, (9, 1)), tensor("x", FP32, (8, 4))),
        Kind.BATCH,
        "Input 'age' has a batch of 9; the model takes at most 8. Send it in parts.",
        None,
    ),
    "other batch": (
        PEOPLE,
        asking(AGE, tensor("x", FP32, (3, 4))),
        Kind.BATCH,
        "Input 'x' has a batch of 3, input 'age' one of 2; send the same for all.",
        None,
    ),
    "empty batch": (
        taking({"x": (FP32, (-1, 4))}, max_batch_size=8),
        asking(Tensor("x", FP32, (0, 4), b"")),
        Kind.EMPTY,
        "Input 'x' has shape [0, 4], so no element; send at least one.",
        None,
    ),
    "empty dimension": (
        IMAGES,
        asking(Tensor("image", FP32, (3, 0, 9), b"")),
        Kind.EMPTY,
        "Input 'image' has shape [3, 0, 9], so no element; send at least one.",
        None,
    ),
    "NaN": (
        PEOPLE,
        asking(AGE, tensor("x", FP32, (2, 4), 1, 2, 3, 4, 5, 6, nan, inf)),
        Kind.NOT_FINITE,
        "Element [1, 2] of input 'x' is NaN; send a finite number.",
        (1, 2),
    ),
    "infinity": (
        PEOPLE,
        asking(AGE, tensor("x", FP32, (2, 4), 1, -inf, 3, 4, 5, 6, 7, 8)),
        Kind.NOT_FINITE,
        "Element [0, 1] of input 'x' is infinite; send a finite number.",
        (0, 1),
    ),
    "too small": (
        PEOPLE,
        asking(tensor("age", INT64, (2, 1), 40, -3), X),
        Kind.RANGE,
        "Element [1, 0] of input 'age' is -3; the least that is declared is 18.",
        (1, 0),
    ),
    "too large": (
        PEOPLE,
        asking(tensor("age", INT64, (2, 1), 121, 40), X),
        Kind.RANGE,
        "Element [0, 0] of input 'age' is 121; the most that is declared is 120.",
        (0, 0),
    ),
}


@pytest.mark.parametrize("case", RIGHT)
def test_a_right_request_has_no_problems(case: str) -> None:
    schema, request = RIGHT[case]
    assert problems_of_request(request, schema, GROWN, {}) == ()


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_said(case: str) -> None:
    schema, request, kind, sentence, position = WRONG[case]
    (problem,) = problems_of_request(request, schema, GROWN, {})
    assert (problem.kind, problem.sentence, problem.position) == (kind, sentence, position)


def test_a_null_is_told_with_its_place() -> None:
    (problem,) = problems_of_request(asking(AGE, X), PEOPLE, GROWN, {"x": [5]})
    assert (problem.kind, problem.sentence) == (Kind.NULL, "Element [1, 1] of input 'x' is null; send a value.")


@pytest.mark.parametrize(
    ("bound", "value", "is_right"),
    [("0.1", 0.1, True), ("0.1", 0.11, False), ("1.5", 1.5, True), ("0", -0.0, True)],
)
@pytest.mark.parametrize("data_type", [FP16, FP32, DataType.FP64])
def test_a_bound_is_rounded_as_the_clients_numbers_are(
    data_type: DataType, bound: str, value: float, *, is_right: bool
) -> None:
    checks = Checks({"x": Check(most=Fraction(bound))})
    problems = problems_of_request(
        asking(tensor("x", data_type, (1,), value)), taking({"x": (data_type, (1,))}), checks, {}
    )
    assert (not problems) is is_right


def test_the_range_of_large_whole_numbers_is_exact() -> None:
    checks = Checks({"id": Check(most=Fraction(2**53))})
    schema = taking({"id": (INT64, (1,))})
    assert not problems_of_request(asking(tensor("id", INT64, (1,), 2**53)), schema, checks, {})
    assert problems_of_request(asking(tensor("id", INT64, (1,), 2**53 + 1)), schema, checks, {})


def test_where_nan_is_a_value_it_hides_no_other() -> None:
    checks = Checks({"x": Check(least=Fraction(0), takes_not_finite=True)})
    schema = taking({"x": (FP32, (3,))})
    assert not problems_of_request(asking(tensor("x", FP32, (3,), nan, nan, nan)), schema, checks, {})
    (problem,) = problems_of_request(asking(tensor("x", FP32, (3,), nan, -1, nan)), schema, checks, {})
    assert problem.position == (1,)


def test_an_input_is_not_called_unknown_where_not_all_are_known() -> None:
    schema = taking({"x": (FP32, (1,))}, knows_all_inputs=False)
    assert not problems_of_request(asking(tensor("x", FP32, (1,)), tensor("y", FP32, (9,))), schema, Checks(), {})


def test_what_is_optional_may_be_left_out() -> None:
    schema = Schema({"x": Declared(FP32, (1,), is_optional=True), "y": Declared(FP32, (1,))}, {})
    assert not problems_of_request(asking(tensor("y", FP32, (1,))), schema, Checks(), {})


def test_no_problem_hides_behind_another_input() -> None:
    request = asking(tensor("age", DataType.INT32, (2, 1)), tensor("x", FP32, (2, 4), *[nan] * 8))
    kinds = [problem.kind for problem in problems_of_request(request, PEOPLE, GROWN, {})]
    assert kinds == [Kind.DATA_TYPE, Kind.NOT_FINITE]


def test_hostile_names_make_neither_long_nor_broken_messages() -> None:
    request = InferRequest("", tuple(tensor(f"{n}\r\n" + "y" * 9000, FP32, (1,)) for n in range(10_000)))
    problems = problems_of_request(request, PEOPLE, GROWN, {})
    assert len(problems) == MOST_PROBLEMS
    assert all(len(problem.sentence) < 200 and problem.sentence.isprintable() for problem in problems)


def test_the_names_of_a_model_with_many_inputs_are_cut_short() -> None:
    schema = taking({f"i{n}": (FP32, (1,)) for n in range(60)})
    sentences = [problem.sentence for problem in problems_of_request(asking(), schema, Checks(), {})]
    assert len(sentences) == MOST_PROBLEMS


def test_values_beyond_the_bound_are_not_looked_at() -> None:
    late = tensor("x", FP32, (1000,), *[1.0] * 999, nan)
    schema: Schema = taking({"x": (FP32, (-1,))})
    assert problems_of_request(asking(late), schema, Checks(), {})
    assert not problems_of_request(asking(late), schema, Checks(), {}, most_bytes=2000)


def test_the_bound_is_for_all_inputs_together() -> None:
    schema = taking({"a": (FP32, (-1,)), "b": (FP32, (-1,))})
    request = asking(tensor("a", FP32, (500,)), tensor("b", FP32, (1,), nan))
    assert problems_of_request(request, schema, Checks(), {}, most_bytes=2008)
    assert not problems_of_request(request, schema, Checks(), {}, most_bytes=2000)
