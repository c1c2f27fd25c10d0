"""Each rule about answers, with the sentence that a client reads; bytes and JSON's values alike."""

import struct
from collections.abc import Callable
from math import inf, nan

import pytest
from tests.support.inference import taking

from plimsoll.api.vocabulary import DataType
from plimsoll.core.validation.outputs import Output, problems_of_answer
from plimsoll.core.validation.problem import Kind

FP32, FP64, INT64, BYTES = DataType.FP32, DataType.FP64, DataType.INT64, DataType.BYTES
BATCHED = taking({}, 8, {"y": (FP32, (-1, 3))})
BOXES = taking({}, 0, {"boxes": (FP32, (-1, 4)), "label": (BYTES, (-1,))})


def packed(shape: tuple[int, ...], *values: float, name: str = "y", data_type: DataType = FP32) -> Output:
    code = {FP32: "f", FP64: "d", INT64: "q"}[data_type]
    return Output(name, data_type, shape, struct.pack(f"<{len(values)}{code}", *values))


def spelled(shape: tuple[int, ...], *values: object, name: str = "y", data_type: DataType = FP32) -> Output:
    return Output(name, data_type, shape, values=list(values))


BOTH = pytest.mark.parametrize("output", [packed, spelled])


@BOTH
def test_an_answer_as_declared(output: Callable[..., Output]) -> None:
    assert problems_of_answer([output((2, 3), 1, 2, 3, 4, 5, 6)], BATCHED, {}, 2) == ()


@BOTH
@pytest.mark.parametrize(
    ("shape", "values", "kind", "sentence"),
    [
        ((3,), (1, 2, 3), Kind.RANK, "Output 'y' has shape [3] instead of [2, 3]."),
        ((2, 4), (1,) * 8, Kind.DIMENSION, "Output 'y' has shape [2, 4] instead of [2, 3]."),
        ((1, 3), (1, 2, 3), Kind.DIMENSION, "Output 'y' has shape [1, 3] instead of [2, 3]."),
        ((2, 3), (), Kind.EMPTY, "Output 'y' has 0 elements instead of the 6 of its shape."),
        ((2, 3), (1, 2), Kind.SIZE, "Output 'y' has 2 elements instead of the 6 of its shape."),
        ((2, 3), (1, 2, 3, 4, nan, 6), Kind.NOT_FINITE, "Element [1, 1] of output 'y' is NaN."),
        ((2, 3), (1, -inf, 3, 4, nan, 6), Kind.NOT_FINITE, "Element [0, 1] of output 'y' is infinite."),
        ((2, 3), (inf, 2, -inf, 4, 5, 6), Kind.NOT_FINITE, "Element [0, 0] of output 'y' is infinite."),
    ],
)
def test_what_is_wrong_is_said(
    output: Callable[..., Output], shape: tuple[int, ...], values: tuple[float, ...], kind: Kind, sentence: str
) -> None:
    (problem,) = problems_of_answer([output(shape, *values)], BATCHED, {}, 2)
    assert (problem.kind, problem.sentence) == (kind, sentence)


def test_a_missing_output() -> None:
    (problem,) = problems_of_answer([], BATCHED, {}, 2)
    assert (problem.kind, problem.sentence) == (Kind.MISSING, "The answer has no output 'y'.")


def test_another_type() -> None:
    (problem,) = problems_of_answer([packed((1, 3), 1, 2, 3, data_type=INT64)], BATCHED, {}, 1)
    assert problem.sentence == "Output 'y' is INT64 instead of FP32."
    (problem,) = problems_of_answer([Output("y", None, (1, 3), b"")], BATCHED, {}, 1)
    assert problem.sentence == "Output 'y' is of no known type instead of FP32."


def test_a_null_in_json_is_no_number() -> None:
    (problem,) = problems_of_answer([spelled((1, 3), 1, None, 3)], BATCHED, {}, 1)
    assert problem.sentence == "Element [0, 1] of output 'y' is NaN."


def test_large_numbers_are_numbers() -> None:
    schema = taking({}, 0, {"y": (FP64, (3,))})
    for output in (packed, spelled):
        assert not problems_of_answer([output((3,), 1.7e308, 1.7e308, 1.7e308, data_type=FP64)], schema, {}, None)
    assert not problems_of_answer([spelled((3,), 10**400, 1, 1, data_type=FP64)], schema, {}, None)


def test_a_detector_that_found_nothing_is_right() -> None:
    nothing = [Output("boxes", FP32, (0, 4), b""), Output("label", BYTES, (0,), b"")]
    assert problems_of_answer(nothing, BOXES, {}, None) == ()


def test_texts_are_counted() -> None:
    boxes = Output("boxes", FP32, (0, 4), b"")
    right = Output("label", BYTES, (2,), b"\1\0\0\0a\0\0\0\0")
    assert problems_of_answer([boxes, right], BOXES, {}, None) == ()
    wrong = Output("label", BYTES, (1,), b"\1\0\0\0a\0\0\0\0")
    (problem,) = problems_of_answer([boxes, wrong], BOXES, {}, None)
    assert problem.sentence == "Output 'label' has another number of elements instead of the 1 of its shape."


def test_only_what_was_asked_for_is_expected() -> None:
    assert problems_of_answer([Output("label", BYTES, (0,), b"")], BOXES, {"label": 0}, None) == ()


def test_classes_are_texts_whatever_the_output_is() -> None:
    classes = Output("y", BYTES, (2, 3), b"")
    assert problems_of_answer([classes], BATCHED, {"y": 3}, 2) == ()


def test_outputs_that_nobody_declared_are_not_judged() -> None:
    more = Output("extra", FP32, (1,), b"")
    assert problems_of_answer([packed((1, 3), 1, 2, 3), more], BATCHED, {}, 1) == ()


def test_elements_that_came_in_another_way_are_not_judged() -> None:
    assert problems_of_answer([Output("y", FP32, (1, 3))], BATCHED, {}, 1) == ()


def test_dimensions_below_zero_and_beyond_reason() -> None:
    schema = taking({}, 0, {"y": (FP32, (-1, -1))})
    assert problems_of_answer([Output("y", FP32, (-1, -1), b"1234")], schema, {}, None)[0].kind is Kind.DIMENSION
    assert problems_of_answer([Output("y", FP32, (10**18, 10**18), b"1234")], schema, {}, None)[0].kind is Kind.SIZE
