"""Requests and schemas in a few words, for tests of the rules about them."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from math import prod

from plimsoll.api.vocabulary import DataType
from plimsoll.core.inference.request import InferRequest, Tensor
from plimsoll.core.validation.schema import Declared, Schema

FORMS = {
    DataType.UINT8: "B",
    DataType.INT8: "b",
    DataType.UINT16: "H",
    DataType.INT16: "h",
    DataType.UINT32: "I",
    DataType.INT32: "i",
    DataType.UINT64: "Q",
    DataType.INT64: "q",
    DataType.FP16: "e",
    DataType.FP32: "f",
    DataType.FP64: "d",
    DataType.BOOL: "?",
}


def tensor(name: str, data_type: DataType, shape: tuple[int, ...], *values: float) -> Tensor:
    """A tensor with these elements, or ones."""
    given = values or [1] * prod(shape)
    return Tensor(name, data_type, shape, struct.pack(f"<{len(given)}{FORMS[data_type]}", *given))


def texts(name: str, shape: tuple[int, ...], *values: str) -> Tensor:
    """A tensor of BYTES."""
    data = b"".join(struct.pack("<I", len(value.encode())) + value.encode() for value in values)
    return Tensor(name, DataType.BYTES, shape, data)


def asking(*tensors: Tensor) -> InferRequest:
    """A request."""
    return InferRequest("", tensors)


def taking(
    inputs: Mapping[str, tuple[DataType, tuple[int, ...]]],
    max_batch_size: int = 0,
    outputs: Mapping[str, tuple[DataType, tuple[int, ...]]] | None = None,
    *,
    knows_all_inputs: bool = True,
) -> Schema:
    """A schema whose shapes have the batch dimension, if any."""
    return Schema(
        {name: Declared(*declared) for name, declared in inputs.items()},
        {name: Declared(*declared) for name, declared in (outputs or {}).items()},
        max_batch_size,
        knows_all_inputs=knows_all_inputs,
    )
