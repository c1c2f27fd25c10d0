"""What is no infer request over HTTP, and what its sender is told."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plimsoll.core.inference.http_body import read_http
from plimsoll.core.inference.limits import Limits
from plimsoll.core.inference.malformed import NOWHERE, Fault, Malformed


def tensor(**fields: Any) -> dict[str, Any]:
    return {"name": "x", "datatype": "FP32", "shape": [2], "data": [1, 2]} | fields


def without(field: str) -> dict[str, Any]:
    return {name: value for name, value in tensor().items() if name != field}


def body(*inputs: Any, **members: Any) -> bytes:
    return json.dumps({"inputs": list(inputs)} | members).encode()


def numbers(datatype: str, *values: str) -> bytes:
    """The values as they are spelled here."""
    return f'{{"inputs":[{{"name":"x","datatype":"{datatype}","shape":[{len(values)}],"data":[{",".join(values)}]}}]}}'.encode()  # noqa: E501


def refusal(data: bytes, header_length: int | None = None, limits: Limits | None = None) -> Malformed:
    with pytest.raises(Malformed) as caught:
        read_http(data, header_length, limits=limits or Limits())
    return caught.value


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"", Fault.NOT_JSON),
        (b"{", Fault.NOT_JSON),
        (b'{"inputs":[]}}', Fault.NOT_JSON),
        (b"{'inputs':[]}", Fault.NOT_JSON),
        (b'{"inputs":[],}', Fault.NOT_JSON),
        (b'\xef\xbb\xbf{"inputs":[]}', Fault.NOT_JSON),
        (b'{"id":"\xff","inputs":[]}', Fault.NOT_JSON),
        (b'{"id":"\\ud800","inputs":[]}', Fault.NOT_JSON),
        (b"[" * 100_000, Fault.NOT_JSON),
        (b"[]", Fault.WRONG_TYPE),
        (b"null", Fault.WRONG_TYPE),
        (b"{}", Fault.MISSING),
        (b'{"inputs":null}', Fault.WRONG_TYPE),
        (b'{"inputs":[1]}', Fault.WRONG_TYPE),
        (body(), Fault.MISSING),
        (body(tensor(), id=7), Fault.WRONG_TYPE),
        (body(tensor(), id="i" * 5000), Fault.TOO_LARGE),
        (body(tensor(), parameters=[]), Fault.WRONG_TYPE),
        (body(tensor(), parameters={"a": None}), Fault.WRONG_TYPE),
        (body(tensor(), parameters={"a": [1]}), Fault.WRONG_TYPE),
        (body(tensor(), parameters={f"p{n}": 1 for n in range(65)}), Fault.TOO_LARGE),
        (body(tensor(), parameters={"binary_data_output": 1}), Fault.WRONG_TYPE),
        (body(tensor(), outputs={}), Fault.WRONG_TYPE),
        (body(tensor(), outputs=[{}]), Fault.MISSING),
        (body(tensor(), outputs=[{"name": "y"}, {"name": "y"}]), Fault.DUPLICATE),
        (body(tensor(), outputs=[{"name": "y", "parameters": {"classification": -1}}]), Fault.WRONG_TYPE),
        (body(tensor(), outputs=[{"name": "y", "parameters": {"classification": True}}]), Fault.WRONG_TYPE),
        (body(tensor(), outputs=[{"name": "y", "parameters": {"shared_memory_region": "r"}}]), Fault.UNSUPPORTED),
        (body(tensor(), notes={"a": 1}), Fault.UNSUPPORTED),
        (body(*(tensor(name=f"x{n}") for n in range(257))), Fault.TOO_LARGE),
        (body(tensor(name="")), Fault.MISSING),
        (body(without("name")), Fault.MISSING),
        (body(tensor(name=["x"])), Fault.WRONG_TYPE),
        (body(tensor(name="é" * 200)), Fault.TOO_LARGE),
    ],
)
def test_refused_as_a_whole(data: bytes, fault: Fault) -> None:
    found = refusal(data)
    assert (found.fault, found.input, found.position) == (fault, "", NOWHERE)
    assert found.message.endswith(".")


@pytest.mark.parametrize(
    ("one", "fault", "position"),
    [
        (without("datatype"), Fault.MISSING, NOWHERE),
        (tensor(datatype="FLOAT"), Fault.UNKNOWN_DATA_TYPE, NOWHERE),
        (tensor(datatype=32), Fault.UNKNOWN_DATA_TYPE, NOWHERE),
        (without("shape"), Fault.MISSING, NOWHERE),
        (tensor(shape=[-1]), Fault.WRONG_TYPE, NOWHERE),
        (tensor(shape=[2.0]), Fault.WRONG_TYPE, NOWHERE),
        (tensor(shape=[True, 2]), Fault.WRONG_TYPE, NOWHERE),
        (tensor(shape=[1 << 63]), Fault.WRONG_TYPE, NOWHERE),
        (tensor(shape=[1] * 17), Fault.TOO_LARGE, NOWHERE),
        (without("data"), Fault.MISSING, NOWHERE),
        (tensor(parameters={"binary_data_size": 8}), Fault.DUPLICATE, NOWHERE),
        (tensor(parameters={"shared_memory_region": "r"}), Fault.UNSUPPORTED, NOWHERE),
        (tensor(data="12"), Fault.WRONG_TYPE, NOWHERE),
        (tensor(data=None), Fault.WRONG_TYPE, NOWHERE),
        (tensor(data=[1]), Fault.SHAPE_MISMATCH, NOWHERE),
        (tensor(data=[1, 2, 3]), Fault.SHAPE_MISMATCH, NOWHERE),
        (tensor(data=[[1], [2]]), Fault.WRONG_TYPE, 0),
        (tensor(shape=[1 << 62, 1 << 62]), Fault.SHAPE_MISMATCH, NOWHERE),
        (tensor(shape=[2, 2], data=[[1, 2], [3]]), Fault.SHAPE_MISMATCH, 2),
        (tensor(shape=[2, 2], data=[[1, 2], 3]), Fault.SHAPE_MISMATCH, 2),
        (tensor(shape=[2, 2], data=[[1, 2]]), Fault.SHAPE_MISMATCH, NOWHERE),
        (tensor(shape=[2, 2], data=[[1, 2, 3], [4]]), Fault.SHAPE_MISMATCH, 0),
        (tensor(data=[1, None]), Fault.NULL, 1),
        (tensor(data=[1, "2"]), Fault.WRONG_TYPE, 1),
        (tensor(data=[True, 2]), Fault.WRONG_TYPE, 0),
        (tensor(data=[1, {}]), Fault.WRONG_TYPE, 1),
        (tensor(data=[1, 1e39]), Fault.OUT_OF_RANGE, 1),
        (tensor(datatype="BOOL"), Fault.WRONG_TYPE, 0),
        (tensor(datatype="BYTES"), Fault.WRONG_TYPE, 0),
        (tensor(datatype="FP16"), Fault.UNSUPPORTED, NOWHERE),
        (tensor(datatype="BF16"), Fault.UNSUPPORTED, NOWHERE),
        (tensor(datatype="INT32", data=[1, 2.0]), Fault.WRONG_TYPE, 1),
        (tensor(datatype="INT64", data=[1, 2**63]), Fault.OUT_OF_RANGE, 1),
        (tensor(datatype="UINT8", data=[255, 256]), Fault.OUT_OF_RANGE, 1),
        (tensor(datatype="UINT64", data=[-1, 0]), Fault.OUT_OF_RANGE, 0),
        (tensor(datatype="UINT64", data=[0, 2**64]), Fault.WRONG_TYPE, 1),
        (tensor(datatype="INT8", data=[-129, 0]), Fault.OUT_OF_RANGE, 0),
    ],
)
def test_refused_by_input_and_element(one: dict[str, Any], fault: Fault, position: int) -> None:
    found = refusal(body(tensor(name="first"), one))
    assert (found.fault, found.input, found.position) == (fault, "x", position)
    assert "'x'" in found.message


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity"])
def test_what_json_cannot_say_is_told_by_its_place(literal: str) -> None:
    found = refusal(numbers("FP32", "1", "2", literal))
    assert (found.fault, found.input, found.position) == (Fault.NOT_FINITE, "x", 2)
    assert "binary data" in found.message


@pytest.mark.parametrize(
    "data",
    [
        b'{"id":NaN,"inputs":[]}',
        numbers("BYTES", '"NaN"').replace(b"]}]}", b"]}],}"),
        numbers("FP32", "nan"),
        numbers("FP32", "1e999"),
        numbers("FP32", "NaN1"),
        b'{"inputs":' + b"[" * 5000 + b"NaN" + b"]" * 5000 + b"}",
    ],
)
def test_other_text_that_looks_like_it_is_refused_too(data: bytes) -> None:
    assert refusal(data).fault in {Fault.NOT_FINITE, Fault.NOT_JSON}


@pytest.mark.parametrize(
    "data",
    [
        b'{"id":"a","id":"b",%s}',
        b'{"id":"a","\\u0069d":"b",%s}',
        b'{%s,"inputs":[]}',
        b'{"parameters":{"a":1,"a":2},%s}',
        b'{"a":1,"a":2,%s}',
        b'{"outputs":[{"name":"y","name":"z"}],%s}',
        b'{"outputs":[{"name":"y","parameters":{"binary_data":true,"binary_data":false}}],%s}',
        b'{"id":"a: \\" : b","id":"b",%s}',
    ],
)
def test_a_member_twice(data: bytes) -> None:
    inputs = b'"inputs":[{"name":"x","datatype":"FP32","shape":[1],"data":[1]}]'
    assert refusal(data.replace(b"%s", inputs)).fault in {Fault.DUPLICATE, Fault.MISSING}


@pytest.mark.parametrize("twice", ['"name":"x"', '"shape":[1]', '"datatype":"FP32"', '"data":[1]', '"data":[{"a":1}]'])
def test_a_member_of_an_input_twice(twice: str) -> None:
    data = f'{{"inputs":[{{"name":"x","datatype":"FP32",{twice},"shape":[1],"data":[1]}}]}}'.encode()
    assert refusal(data).fault is Fault.DUPLICATE


def test_two_inputs_of_one_name() -> None:
    found = refusal(body(tensor(), tensor()))
    assert (found.fault, found.input) == (Fault.DUPLICATE, "x")


def test_colons_in_texts_are_no_members() -> None:
    name = 'a:"b\\":c'
    found = read_http(body(tensor(name=name), id=":::", a=1))
    assert (found.inputs[0].name, found.id) == (name, ":::")


# ---- binary data -----------------------------------------------------------------------------------------------------
def behind(data: bytes, *sizes: Any, datatype: str = "FP32", shape: tuple[int, ...] = (2,)) -> tuple[bytes, int]:
    inputs = [
        {"name": f"x{at}", "datatype": datatype, "shape": list(shape), "parameters": {"binary_data_size": size}}
        for at, size in enumerate(sizes)
    ]
    header = body(*inputs)
    return header + data, len(header)


@pytest.mark.parametrize(
    ("sent", "fault"),
    [
        (behind(bytes(7), 8), Fault.SHAPE_MISMATCH),
        (behind(bytes(9), 8), Fault.SHAPE_MISMATCH),
        (behind(bytes(8), 8, 8), Fault.SHAPE_MISMATCH),
        (behind(bytes(12), 12), Fault.SHAPE_MISMATCH),
        (behind(bytes(8), -8), Fault.SHAPE_MISMATCH),
        (behind(bytes(8), 8.0), Fault.SHAPE_MISMATCH),
        (behind(bytes(8), "8"), Fault.SHAPE_MISMATCH),
        (behind(bytes(8), 1 << 62), Fault.SHAPE_MISMATCH),
        (behind(b"\0\2", 2, datatype="BOOL"), Fault.OUT_OF_RANGE),
        (behind(b"\1\0\0\0a", 5, datatype="BYTES"), Fault.SHAPE_MISMATCH),
        (behind(b"\1\0\0\0a" * 3, 15, datatype="BYTES"), Fault.SHAPE_MISMATCH),
        (behind(b"\1\0\0\0a\xff\xff\xff\xff", 9, datatype="BYTES"), Fault.SHAPE_MISMATCH),
        (behind(b"\1\0\0\0a\1\0\0", 8, datatype="BYTES"), Fault.SHAPE_MISMATCH),
        (behind(b"", 0, datatype="BYTES", shape=(1 << 40,)), Fault.TOO_LARGE),
        ((b"{}", 3), Fault.SHAPE_MISMATCH),
        ((b"{}", -1), Fault.SHAPE_MISMATCH),
        ((bytes(8), 0), Fault.UNSUPPORTED),
    ],
)
def test_binary_data_that_does_not_fit(sent: tuple[bytes, int], fault: Fault) -> None:
    assert refusal(*sent).fault is fault


def test_nan_is_a_value_in_binary_data() -> None:
    data = b"\0\0\xc0\x7f\0\0\x80\xff"
    assert read_http(*behind(data, 8)).inputs[0].data == data


def test_half_precision_comes_as_binary_data() -> None:
    assert read_http(*behind(b"\0\x3c\0\xbc", 4, datatype="FP16")).inputs[0].data == b"\0\x3c\0\xbc"


@pytest.mark.parametrize(
    ("limits", "sent"),
    [
        (Limits(body_bytes=100), (body(tensor(data=[1.25] * 50, shape=[50])), None)),
        (Limits(parsed_bytes=100), (body(tensor(data=[1.25] * 50, shape=[50])), None)),
        (Limits(looked_at=1), behind(b"\0" * 8, 8, datatype="BYTES")),
    ],
)
def test_bounds(limits: Limits, sent: tuple[bytes, int | None]) -> None:
    assert refusal(*sent, limits).fault is Fault.TOO_LARGE


# ---- anything --------------------------------------------------------------------------------------------------------
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
_MEMBERS = st.sampled_from(["id", "inputs", "outputs", "parameters", "name", "datatype", "shape", "data"])
_OBJECTS = st.dictionaries(
    _MEMBERS, _VALUES | st.lists(st.dictionaries(_MEMBERS, _VALUES, max_size=5), max_size=3), max_size=5
)


@settings(max_examples=200)
@given(_OBJECTS.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=60), st.none() | st.integers(-1, 80))
def test_anything_is_read_or_refused(data: bytes, header_length: int | None) -> None:
    try:
        read_http(data, header_length)
    except Malformed as refused:
        assert refused.message  # noqa: PT017 - either outcome is right
