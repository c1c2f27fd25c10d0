"""The smallest request that an interface allows, where nothing better is known."""

from __future__ import annotations

import math

from plimsoll.core.inference.request import InferRequest, Tensor
from plimsoll.core.triton.rawdata import generated
from plimsoll.core.triton.tensors import ELEMENT_SIZE
from plimsoll.core.validation.schema import VARIABLE, Schema

_MOST_BYTES = 1 << 20


def smallest_request(schema: Schema) -> InferRequest | None:
    """Returns one with a single row and dimensions of variable size at 1, optional inputs left out.

    The values are those of the pod's own warm-up (`core.triton.rawdata.generated`).

    Returns:
        None where not all inputs are known, or it would have more than 1 MiB.
    """
    if not schema.knows_all_inputs:
        return None
    wanted = {name: declared for name, declared in schema.inputs.items() if not declared.is_optional}
    shapes = {name: tuple(1 if dim == VARIABLE else dim for dim in one.shape) for name, one in wanted.items()}
    size = sum(math.prod(shapes[name]) * ELEMENT_SIZE.get(one.data_type, 5) for name, one in wanted.items())
    if size > _MOST_BYTES:
        return None
    inputs = tuple(
        Tensor(name, one.data_type, shapes[name], generated(math.prod(shapes[name]), one.data_type))
        for name, one in wanted.items()
    )
    return InferRequest("", inputs, binary=True)
