"""Reading answers: what is understood, and that nothing a model writes breaks the reader."""

import json
import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.api.vocabulary import DataType
from plimsoll.core.validation.answers import Unreadable, read_answer
from plimsoll.core.validation.outputs import Output

Y = {"name": "y", "datatype": "FP32", "shape": [1, 2]}


def answer(*outputs: object) -> bytes:
    return json.dumps({"model_name": "digits", "outputs": list(outputs)}).encode()


@pytest.mark.parametrize("data", [[1.5, 2], [[1.5, 2]]])
def test_json_flat_or_nested(data: list[object]) -> None:
    assert read_answer(answer({**Y, "data": data}), None) == (Output("y", DataType.FP32, (1, 2), values=[1.5, 2]),)


def test_binary_behind_the_json() -> None:
    head = answer({**Y, "parameters": {"binary_data_size": 8}}, {**Y, "name": "z", "data": [3, 4]})
    data = struct.pack("<2f", 1, 2)
    assert read_answer(head + data, len(head)) == (
        Output("y", DataType.FP32, (1, 2), data),
        Output("z", DataType.FP32, (1, 2), values=[3, 4]),
    )


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
def test_words_that_are_no_json_are_read(word: str) -> None:
    body = answer({**Y, "data": [1, 2]}).replace(b"[1, 2]", b"[1, %s]" % word.encode(), 2)
    (output,) = read_answer(body.replace(b'"shape": [1, %s]' % word.encode(), b'"shape": [1, 2]'), None)
    assert str(list(output.values or ())[1]) in {"nan", "inf", "-inf"}


def test_an_output_without_data() -> None:
    assert read_answer(answer(Y), None) == (Output("y", DataType.FP32, (1, 2), values=()),)


def test_no_outputs() -> None:
    assert read_answer(answer(), None) == ()


@pytest.mark.parametrize(
    ("body", "header_length", "why"),
    [
        (b"", None, "is no JSON"),
        (b"{", None, "is no JSON"),
        (b"[" * 100_000 + b"NaN", None, "is no JSON"),
        (b"[]", None, "has no list of outputs"),
        (b"{}", None, "has no list of outputs"),
        (b'{"outputs":{}}', None, "has no list of outputs"),
        (answer(1), None, "has an output without a name or a shape"),
        (answer({"name": "y"}), None, "has an output without a name or a shape"),
        (answer({**Y, "shape": [1.0]}), None, "has an output without a name or a shape"),
        (answer({**Y, "shape": [True]}), None, "has an output without a name or a shape"),
        (answer(), 99, "announces 99 bytes of JSON and has 39 bytes"),
        (answer() + b"x", 39, "has 1 bytes that belong to no output"),
        (answer({**Y, "parameters": {"binary_data_size": -1}}), None, "says no size of an output's data"),
        (answer({**Y, "parameters": {"binary_data_size": 8}}), None, "announces 8 bytes of an output and has 0"),
    ],
)
def test_what_is_no_answer(body: bytes, header_length: int | None, why: str) -> None:
    with pytest.raises(Unreadable, match=why):
        read_answer(body, header_length)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
)


@given(
    outputs=st.lists(
        st.fixed_dictionaries(
            {"name": _JSON, "shape": _JSON}, optional={"datatype": _JSON, "data": _JSON, "parameters": _JSON}
        ),
        max_size=3,
    ),
    header_length=st.none() | st.integers(min_value=-1, max_value=300),
)
def test_whatever_comes_is_read_or_refused(outputs: list[object], header_length: int | None) -> None:
    with suppress(Unreadable):
        read_answer(json.dumps({"outputs": outputs}).encode(), header_length)
