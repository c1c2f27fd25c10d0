"""A random right request for a random model has no problems; one thing changed in it is the one problem it has."""

from dataclasses import replace
from math import inf, nan, prod

from hypothesis import given
from hypothesis import strategies as st
from tests.support.inference import FORMS, tensor, texts

from plimsoll.api.requests_validation import OnInvalid
from plimsoll.api.vocabulary import DataType
from plimsoll.core.inference.request import InferRequest, Tensor
from plimsoll.core.validation.decision import decided
from plimsoll.core.validation.elements import FLOATS
from plimsoll.core.validation.inputs import problems_of_request
from plimsoll.core.validation.problem import Kind
from plimsoll.core.validation.schema import Checks, Declared, Schema

_TYPES = [*FORMS, DataType.BYTES]
_NAMES = st.text(min_size=1, max_size=8)


@st.composite
def schemas(draw: st.DrawFn) -> Schema:
    batch = draw(st.integers(min_value=0, max_value=5))
    first = (-1,) if batch else ()
    dims = st.lists(st.sampled_from([-1, 1, 2, 3]), max_size=3)
    declared = st.builds(lambda kind, sizes: Declared(kind, (*first, *sizes)), st.sampled_from(_TYPES), dims)
    inputs = draw(st.dictionaries(_NAMES, declared, min_size=1, max_size=4))
    return Schema(inputs, {}, batch)


@st.composite
def right(draw: st.DrawFn) -> tuple[Schema, InferRequest]:
    schema = draw(schemas())
    batch = draw(st.integers(min_value=1, max_value=max(schema.max_batch_size, 1)))
    inputs = []
    for name, declared in schema.inputs.items():
        shape = [size if size > 0 else draw(st.integers(min_value=1, max_value=3)) for size in declared.shape]
        if schema.max_batch_size:
            shape[0] = batch
        made = texts(name, tuple(shape), *["NaN"] * prod(shape)) if declared.data_type is DataType.BYTES else None
        inputs.append(made or tensor(name, declared.data_type, tuple(shape)))
    return schema, InferRequest("", tuple(draw(st.permutations(inputs))))


def changed(request: InferRequest, at: int, **fields: object) -> InferRequest:
    inputs = list(request.inputs)
    inputs[at] = replace(inputs[at], **fields)
    return replace(request, inputs=tuple(inputs))


def only_problem(schema: Schema, request: InferRequest) -> tuple[Kind, str]:
    (problem,) = problems_of_request(request, schema, Checks(), {})
    assert problem.sentence.isprintable()
    return problem.kind, problem.tensor


@given(case=right())
def test_a_right_request_has_no_problems(case: tuple[Schema, InferRequest]) -> None:
    schema, request = case
    for action in OnInvalid:
        assert decided(action, request, schema, Checks(), {}).request is request


@given(case=right(), data=st.data())
def test_one_input_left_out(case: tuple[Schema, InferRequest], data: st.DataObject) -> None:
    schema, request = case
    left = data.draw(st.sampled_from(request.inputs))
    rest = replace(request, inputs=tuple(one for one in request.inputs if one is not left))
    assert only_problem(schema, rest) == (Kind.MISSING, left.name)


@given(case=right(), name=_NAMES)
def test_one_input_too_many(case: tuple[Schema, InferRequest], name: str) -> None:
    schema, request = case
    if name not in schema.inputs:
        more = replace(request, inputs=(*request.inputs, Tensor(name, DataType.FP32, (1,), b"1234")))
        assert only_problem(schema, more) == (Kind.UNKNOWN, name)


@given(case=right(), data=st.data())
def test_one_input_of_another_type(case: tuple[Schema, InferRequest], data: st.DataObject) -> None:
    schema, request = case
    at = data.draw(st.integers(min_value=0, max_value=len(request.inputs) - 1))
    other = data.draw(st.sampled_from([kind for kind in DataType if kind is not request.inputs[at].data_type]))
    assert only_problem(schema, changed(request, at, data_type=other)) == (Kind.DATA_TYPE, request.inputs[at].name)


@given(case=right(), data=st.data())
def test_one_dimension_more(case: tuple[Schema, InferRequest], data: st.DataObject) -> None:
    schema, request = case
    at = data.draw(st.integers(min_value=0, max_value=len(request.inputs) - 1))
    shape = (*request.inputs[at].shape, 1)
    assert only_problem(schema, changed(request, at, shape=shape)) == (Kind.RANK, request.inputs[at].name)


@given(case=right(), data=st.data())
def test_one_dimension_of_another_size(case: tuple[Schema, InferRequest], data: st.DataObject) -> None:
    schema, request = case
    fixed = [
        (at, axis)
        for at, one in enumerate(request.inputs)
        for axis, size in enumerate(schema.inputs[one.name].shape)
        if size >= 0
    ]
    if fixed:
        at, axis = data.draw(st.sampled_from(fixed))
        shape = list(request.inputs[at].shape)
        shape[axis] += data.draw(st.integers(min_value=1, max_value=10**12))
        wrong = changed(request, at, shape=tuple(shape))
        assert only_problem(schema, wrong) == (Kind.DIMENSION, request.inputs[at].name)


@given(case=right(), data=st.data())
def test_one_batch_too_large(case: tuple[Schema, InferRequest], data: st.DataObject) -> None:
    schema, request = case
    if schema.max_batch_size:
        at = data.draw(st.integers(min_value=0, max_value=len(request.inputs) - 1))
        wrong = changed(request, at, shape=(schema.max_batch_size + 1, *request.inputs[at].shape[1:]))
        assert only_problem(schema, wrong) == (Kind.BATCH, request.inputs[at].name)


@given(case=right(), bad=st.sampled_from([nan, inf, -inf]), data=st.data())
def test_one_element_that_is_no_number(case: tuple[Schema, InferRequest], bad: float, data: st.DataObject) -> None:
    schema, request = case
    floats = [at for at, one in enumerate(request.inputs) if one.data_type in FLOATS]
    if floats:
        at = data.draw(st.sampled_from(floats))
        one = request.inputs[at]
        values = [1.0] * prod(one.shape)
        place = data.draw(st.integers(min_value=0, max_value=len(values) - 1))
        values[place] = bad
        wrong = changed(request, at, data=tensor("", one.data_type, one.shape, *values).data)
        assert only_problem(schema, wrong) == (Kind.NOT_FINITE, one.name)
