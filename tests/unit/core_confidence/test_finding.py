"""When an answer is sure enough: by what its rows say of themselves, in every form and type."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from math import inf, nan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.inference import tensor

from plimsoll.api.confidence import Confidence, OnLow
from plimsoll.api.vocabulary import DataType
from plimsoll.core.confidence.finding import UNKNOWN, Finding, confidence_of, found_in
from plimsoll.core.confidence.policy import ConfidencePolicy, confidence_policy_of
from plimsoll.core.inference.answer import InferAnswer
from plimsoll.core.validation.outputs import Output, outputs_of

Shape = tuple[int, ...]


def policy(threshold: str = "0.8", on_low: OnLow = OnLow.FLAG) -> ConfidencePolicy:
    made = confidence_policy_of(Confidence(output="p", threshold=threshold, on_low=on_low))
    assert made
    return made


def raw(shape: Shape, *values: float, kind: DataType = DataType.FP32, name: str = "p") -> Output:
    """An output whose data came as bytes."""
    (output,) = outputs_of(InferAnswer("digits", "1", (tensor(name, kind, shape, *values),)))
    return output


def said(shape: Shape, *values: object, kind: DataType = DataType.FP32) -> Output:
    """The same in JSON."""
    return Output("p", kind, shape, None, values)


def found(*outputs: Output, threshold: str = "0.8", batches: bool | None = True) -> Finding:
    return found_in(outputs, policy(threshold), batches=batches)


@pytest.mark.parametrize("form", [raw, said])
@pytest.mark.parametrize(
    ("why", "shape", "values", "batches", "finding"),
    [
        ("the best class of the one row", (1, 3), (0.1, 0.85, 0.05), True, Finding.SURE),
        ("no class is good enough", (1, 3), (0.3, 0.35, 0.35), True, Finding.LOW),
        ("the least sure row counts", (2, 2), (0.9, 0.1, 0.6, 0.4), True, Finding.LOW),
        ("each row is sure, of another class", (2, 2), (0.9, 0.1, 0.1, 0.9), True, Finding.SURE),
        ("a number for each row", (2,), (0.9, 0.7), True, Finding.LOW),
        ("a number for each row, in an axis of its own", (2, 1), (0.9, 0.81), True, Finding.SURE),
        ("classes of the one row of a model without batches", (2,), (0.9, 0.1), False, Finding.SURE),
        ("rows of a model without batches of its own", (2, 2), (0.9, 0.1, 0.6, 0.4), False, Finding.LOW),
        ("a label for each token: the least sure token", (1, 2, 2), (0.9, 0.1, 0.5, 0.5), True, Finding.LOW),
        ("one number alone", (), (0.9,), None, Finding.SURE),
        ("one element, whatever it is", (1,), (0.7,), None, Finding.LOW),
        ("classes, or rows", (2,), (0.9, 0.1), None, Finding.SHAPE),
        ("two axes are rows of classes in any case", (1, 2), (0.9, 0.1), None, Finding.SURE),
        ("no element", (0, 3), (), True, Finding.EMPTY),
        ("rows without a class", (2, 0), (), True, Finding.EMPTY),
        ("what is no number is not sure", (1, 2), (0.9, nan), True, Finding.LOW),
        ("infinity is a number", (1, 2), (inf, 0.1), True, Finding.SURE),
        ("less than was announced", (2, 2), (0.9, 0.1), True, Finding.UNREADABLE),
        ("a size that is none", (-1, 2), (0.9, 0.1), True, Finding.UNREADABLE),
    ],
)
def test_the_least_sure_decision_of_an_answer_counts(
    form: type[Output], why: str, shape: Shape, values: Sequence[float], finding: Finding, *, batches: bool | None
) -> None:
    output = Output("p", DataType.FP32, shape, b"") if form is raw and not values else form(shape, *values)
    assert found(output, batches=batches) is finding, why


@pytest.mark.parametrize(
    ("why", "output", "finding"),
    [
        ("null stands for NaN", said((1, 2), 0.9, None), Finding.LOW),
        ("a text", said((1, 2), 0.9, "0.1"), Finding.UNREADABLE),
        ("a number that no type has", said((1, 2), 0.9, 10**400), Finding.UNREADABLE),
        ("integers", raw((1, 2), 1, 0, kind=DataType.INT64), Finding.TYPE),
        ("classes that the client asked for", Output("p", DataType.BYTES, (1, 1), b""), Finding.TYPE),
        ("a type that the protocol does not have", Output("p", None, (1, 1), b""), Finding.TYPE),
        ("half an element", Output("p", DataType.FP32, (1, 1), b"123"), Finding.UNREADABLE),
        ("data in a form that is not read", Output("p", DataType.FP16, (1, 1)), Finding.UNREADABLE),
        ("another output", raw((1, 1), 0.1, name="q"), Finding.ABSENT),
    ],
)
def test_what_cannot_be_judged_says_why(why: str, output: Output, finding: Finding) -> None:
    assert found(raw((1, 1), 0.1, name="other"), output) is finding, why


def test_there_are_three_kinds_of_findings() -> None:
    assert {Finding.SURE, Finding.LOW} | UNKNOWN == set(Finding)


@pytest.mark.parametrize("kind", [DataType.FP16, DataType.FP32, DataType.FP64])
@pytest.mark.parametrize("threshold", ["0.1", "0.3", "0.7", "0.9", "1", "0.000001"])
def test_the_threshold_itself_is_sure_in_every_type(kind: DataType, threshold: str) -> None:
    assert found(raw((1, 1), float(threshold), kind=kind), threshold=threshold) is Finding.SURE
    assert found(said((1, 1), float(threshold), kind=kind), threshold=threshold) is Finding.SURE


def test_half_of_a_float_is_rounded_too() -> None:
    as_bf16 = struct.pack("<f", 0.80078125)[2:]
    assert found(Output("p", DataType.BF16, (1, 1), as_bf16)) is Finding.SURE
    assert found(Output("p", DataType.BF16, (1, 1), struct.pack("<f", 0.796875)[2:])) is Finding.LOW


@settings(deadline=None)
@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=3).flatmap(
        lambda shape: st.tuples(
            st.just(tuple(shape)),
            st.lists(st.floats(0, 1, width=32), min_size=int(np.prod(shape)), max_size=int(np.prod(shape))),
        )
    )
)
def test_confidence_is_what_numpy_says(drawn: tuple[Shape, list[float]]) -> None:
    shape, values = drawn
    array = np.array(values).reshape(shape)
    assert confidence_of(values, shape[-1]) == array.max(axis=-1).min()
    sure = found(raw(shape, *values), batches=False) is Finding.SURE
    assert sure == (np.float32(array.max(axis=-1).min()) >= np.float32(0.8))
