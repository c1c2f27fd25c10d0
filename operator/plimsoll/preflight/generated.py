"""Inputs for a model about whose values nothing is known.

They vary, so that a model that ignores its input, or fails on some values only, shows it. Every second case has
integers below 2, which are in every vocabulary and make a mask; the largest are below 100. Floats are fractions in
one half and normal around 0 in the other, so that a logarithm or a square root has values it can work on.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from plimsoll.api.preflight_report import InputSource, ServedTensor
from plimsoll.api.vocabulary import DataType
from plimsoll.core.triton.tensors import DYNAMIC
from plimsoll.preflight.client import Served
from plimsoll.preflight.inputs import Case, InputSet
from plimsoll.preflight.tensors import FLOATS, NUMPY_TYPES, Tensor

DYNAMIC_SIZE: Final = 8
"""Of every dimension that the model leaves open: the same for all, since they often have to agree."""
_INTEGERS_BELOW: Final = (2, 10, 2, 100)
_WORDS: Final = ("the", "ship", "rides", "low", "in", "fresh", "water", "and", "higher", "at", "sea", "1876")


def generated_inputs(served: Served, count: int, rng: np.random.Generator) -> InputSet:
    """Makes `count` cases of one row each."""
    cases = tuple(
        Case(number, {tensor.name: _values(tensor, served.batches, number, rng) for tensor in served.inputs})
        for number in range(1, count + 1)
    )
    return InputSet(InputSource.GENERATED, cases, served.batches)


def _values(tensor: ServedTensor, batches: bool, number: int, rng: np.random.Generator) -> Tensor:  # noqa: FBT001
    row = [DYNAMIC_SIZE if dim == DYNAMIC else dim for dim in tensor.dims]
    shape = (1, *row) if batches else tuple(row)
    kind = NUMPY_TYPES[tensor.data_type]
    if tensor.data_type is DataType.BYTES:
        return _texts(shape, rng)
    if tensor.data_type in FLOATS:
        values: Tensor = rng.random(shape) if number % 2 else rng.normal(size=shape)
        return values.astype(kind)
    below = 2 if tensor.data_type is DataType.BOOL else _INTEGERS_BELOW[(number - 1) % len(_INTEGERS_BELOW)]
    return rng.integers(below, size=shape).astype(kind)


def _texts(shape: tuple[int, ...], rng: np.random.Generator) -> Tensor:
    texts: np.ndarray[Any, Any] = np.empty(shape, dtype=object)
    for index in np.ndindex(shape):
        texts[index] = " ".join(rng.choice(_WORDS, size=int(rng.integers(1, 9)))).encode()
    return texts
