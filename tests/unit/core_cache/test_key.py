"""One key for one question however it is put, and another for any other question."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.support.infer_requests import (
    as_json,
    by_grpc_client,
    by_http_client,
    by_typed_contents,
    infer_requests,
    with_exponent,
)

from plimsoll.api.vocabulary import DataType
from plimsoll.core.cache.key import KEY_BYTES, cache_key, question_of
from plimsoll.core.inference.grpc_message import read_grpc
from plimsoll.core.inference.http_body import read_http
from plimsoll.core.inference.request import InferRequest, RequestedOutput, Tensor

X = Tensor("x", DataType.FP32, (2,), struct.pack("<2f", 1, 2))
Y = Tensor("y", DataType.INT32, (1,), struct.pack("<i", 7))
ASKED = InferRequest("1", (X, Y), (RequestedOutput("a"), RequestedOutput("b", 3)), {"t": 1, "seed": 42})


def key(request: InferRequest, revision: str = "digits-1a2b", declared: tuple[str, ...] = ("t",)) -> bytes:
    return cache_key(revision, question_of(request, declared))


# ---- one key ---------------------------------------------------------------------------------------------------------
@given(infer_requests(), st.text(st.characters(codec="ascii"), max_size=5))
def test_every_form_has_one_key(request: InferRequest, other_id: str) -> None:
    forms = [
        read_http(as_json(request)),
        read_http(as_json(request, flat=True, turned=True, spelling=with_exponent, spaces=" ")),
        read_http(*by_http_client(request)),
        read_grpc(by_grpc_client(request)),
        read_grpc(by_typed_contents(request)),
        replace(request, id=other_id),
    ]
    declared = tuple(request.parameters)
    assert {key(form, declared=declared) for form in forms} == {key(request, declared=declared)}


@pytest.mark.parametrize(
    "same",
    [
        replace(ASKED, id="2"),
        replace(ASKED, inputs=(Y, X)),
        replace(ASKED, binary=True),
        replace(ASKED, outputs=(RequestedOutput("a", binary=True), RequestedOutput("b", 3))),
        replace(ASKED, parameters={"seed": 43, "t": 1}),
        replace(ASKED, parameters={"t": 1}),
    ],
)
def test_what_does_not_matter(same: InferRequest) -> None:
    assert key(same) == key(ASKED)


def test_the_order_in_which_parameters_are_declared_does_not_matter() -> None:
    assert key(ASKED, declared=("t", "seed")) == key(ASKED, declared=("seed", "t", "seed", "other"))


# ---- another key -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "other",
    [
        replace(ASKED, inputs=(X,)),
        replace(ASKED, inputs=(replace(X, name="z"), Y)),
        replace(ASKED, inputs=(replace(X, name="y"), replace(Y, name="x"))),
        replace(ASKED, inputs=(replace(X, shape=(1, 2)), Y)),
        replace(ASKED, inputs=(replace(X, data_type=DataType.INT32), Y)),
        replace(ASKED, inputs=(replace(X, data=struct.pack("<2f", 2, 1)), Y)),
        replace(ASKED, inputs=(replace(X, data=struct.pack("<2f", 1, -2)), Y)),
        replace(ASKED, outputs=()),
        replace(ASKED, outputs=(RequestedOutput("b", 3), RequestedOutput("a"))),
        replace(ASKED, outputs=(RequestedOutput("a"), RequestedOutput("b"))),
        replace(ASKED, outputs=(RequestedOutput("a"),)),
        replace(ASKED, version="2"),
        replace(ASKED, parameters={}),
        replace(ASKED, parameters={"t": 2}),
        replace(ASKED, parameters={"t": 1.5}),
        replace(ASKED, parameters={"t": "1"}),
        replace(ASKED, parameters={"t": True}),
    ],
)
def test_what_matters(other: InferRequest) -> None:
    assert key(other) != key(ASKED)


def test_a_revision_never_answers_for_another() -> None:
    assert len({key(ASKED, revision) for revision in ("digits-1a2b", "digits-1a2c", "digit-1a2b", "")}) == 4


@given(infer_requests(), infer_requests())
def test_two_requests_have_two_keys(one: InferRequest, other: InferRequest) -> None:
    asked, told = (replace(request, id="", inputs=_sorted(request)) for request in (one, other))
    assume(asked != told)
    declared = (*one.parameters, *other.parameters)
    assert key(asked, declared=declared) != key(told, declared=declared)


@given(infer_requests(), st.data())
def test_one_bit_of_one_element_makes_another_key(request: InferRequest, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(request.inputs) - 1))
    tensor = request.inputs[at]
    assume(tensor.data)
    changed = bytearray(tensor.data)
    changed[data.draw(st.integers(0, len(changed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    inputs = (*request.inputs[:at], replace(tensor, data=bytes(changed)), *request.inputs[at + 1 :])
    assert key(replace(request, inputs=inputs)) != key(request)


def _sorted(request: InferRequest) -> tuple[Tensor, ...]:
    return tuple(sorted(request.inputs, key=lambda tensor: tensor.name))


# ---- kept outside this process ---------------------------------------------------------------------------------------
def test_the_form_of_a_key_is_fixed() -> None:
    """Gateways of two versions may share a store: a change here must change the form's name too."""
    assert len(key(ASKED)) == KEY_BYTES
    assert key(ASKED).hex() == "4dd1d5c583c56baa7a73e5893c44a2bfa896b5410d0344f66cf855e0124f9ceb"
