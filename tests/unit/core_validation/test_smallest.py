"""The smallest request that an interface allows: every one of them passes the interface's own check."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.api.preflight_status import MAX_TENSORS
from plimsoll.api.vocabulary import DataType
from plimsoll.core.validation.schema import Declared, Schema
from plimsoll.core.validation.smallest import smallest_request

_DECLARED = st.builds(
    Declared, st.sampled_from(DataType), st.lists(st.sampled_from([-1, 1, 2, 5]), max_size=3).map(tuple), st.booleans()
)


@given(st.dictionaries(st.text("abc", min_size=1, max_size=3), _DECLARED, max_size=4))
def test_it_has_all_that_is_asked_for_in_the_right_shape(inputs: dict[str, Declared]) -> None:
    request = smallest_request(Schema(inputs, {}))
    assert request
    assert {tensor.name for tensor in request.inputs} == {name for name, one in inputs.items() if not one.is_optional}
    for tensor in request.inputs:
        wanted = inputs[tensor.name]
        assert tensor.data_type is wanted.data_type
        assert tensor.shape == tuple(max(dim, 1) for dim in wanted.shape)


def test_an_interface_that_is_not_known_whole_has_none() -> None:
    inputs = {f"x{number}": Declared(DataType.FP32, (1,)) for number in range(MAX_TENSORS)}
    assert smallest_request(Schema(inputs, {}, knows_all_inputs=False)) is None


@pytest.mark.parametrize(("side", "fits"), [(512, True), (513, False)])
def test_one_that_is_not_small_is_none(side: int, fits: bool) -> None:  # noqa: FBT001 - a column of the table
    schema = Schema({"x": Declared(DataType.FP32, (1, side, 512))}, {})
    assert (smallest_request(schema) is not None) is fits
