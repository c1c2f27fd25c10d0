"""Whether two answers to one question are the same, as far as the preflight's determinism check promises it."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from types import MappingProxyType
from typing import Final

from plimsoll.api.vocabulary import DataType
from plimsoll.core.inference.answer import InferAnswer
from plimsoll.core.inference.elements import split_texts
from plimsoll.core.inference.request import Tensor
from plimsoll.core.triton.tensors import ELEMENT_CODE, ELEMENT_SIZE

_ABSOLUTE: Final = 1e-5
_RELATIVE: Final = MappingProxyType(
    {DataType.FP64: 1e-3, DataType.FP32: 1e-3, DataType.FP16: 2**-9, DataType.BF16: 2**-6}
)
"""Values pass within either bound, as in the preflight where the spec names no tolerance (`core.preflight.comparison`,
which is built on numpy and not for the gateway)."""
_HALF: Final = 2


def difference(kept: InferAnswer, fresh: InferAnswer) -> str:
    """Returns how two answers differ, as a sentence; empty where they do not.

    Integers, text and booleans have to be equal; NaN equals NaN. Which pod answered is not compared, nor parameters.
    """
    if [_form(output) for output in kept.outputs] != [_form(output) for output in fresh.outputs]:
        return "The outputs have other names, types or shapes."
    for one, other in zip(kept.outputs, fresh.outputs, strict=True):
        if one.data != other.data:
            position = _first_difference(one, other)
            if position >= 0:
                return f"Output {one.name!r:.40} differs in element {position}."
    return ""


def _form(output: Tensor) -> tuple[str, DataType, tuple[int, ...]]:
    return output.name, output.data_type, output.shape


def _first_difference(one: Tensor, other: Tensor) -> int:
    """Returns -1 where all elements are within the tolerance."""
    if one.data_type in _RELATIVE:
        pairs = enumerate(zip(_fractions(one), _fractions(other), strict=True))
        relative = _RELATIVE[one.data_type]
        # Without a call of ours for each element: 0.09 us instead of 0.15, in which a gateway serves nobody.
        beyond = (
            at
            for at, (left, right) in pairs
            if not math.isclose(left, right, rel_tol=relative, abs_tol=_ABSOLUTE) and not _both_nan(left, right)
        )
        return next(beyond, -1)
    if one.data_type is DataType.BYTES:
        texts = zip(split_texts(one.data), split_texts(other.data), strict=True)
        return next(at for at, (left, right) in enumerate(texts) if left != right)
    first = next(at for at, (left, right) in enumerate(zip(one.data, other.data, strict=True)) if left != right)
    return first // ELEMENT_SIZE[one.data_type]


def _fractions(tensor: Tensor) -> Sequence[float]:
    if tensor.data_type is DataType.BF16:
        # The upper half of FP32: the lower one is zero.
        whole = b"".join(b"\0\0" + tensor.data[at : at + _HALF] for at in range(0, len(tensor.data), _HALF))
        return struct.unpack(f"<{len(whole) // 4}f", whole)
    return struct.unpack(f"<{math.prod(tensor.shape)}{ELEMENT_CODE[tensor.data_type]}", tensor.data)


def _both_nan(left: float, right: float) -> bool:
    return math.isnan(left) and math.isnan(right)
