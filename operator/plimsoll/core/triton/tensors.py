"""Tensors as the Open Inference Protocol names them, and as Triton's configuration names them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from plimsoll.api.vocabulary import DataType

DYNAMIC: Final = -1


# Bytes per element; BYTES elements have no fixed size.
ELEMENT_SIZE: Final = MappingProxyType(
    {
        DataType.BOOL: 1,
        DataType.UINT8: 1,
        DataType.UINT16: 2,
        DataType.UINT32: 4,
        DataType.UINT64: 8,
        DataType.INT8: 1,
        DataType.INT16: 2,
        DataType.INT32: 4,
        DataType.INT64: 8,
        DataType.FP16: 2,
        DataType.FP32: 4,
        DataType.FP64: 8,
        DataType.BF16: 2,
    }
)
# What `struct` calls an element; it knows neither BF16 nor BYTES.
ELEMENT_CODE: Final = MappingProxyType(
    {
        DataType.BOOL: "?",
        DataType.UINT8: "B",
        DataType.UINT16: "H",
        DataType.UINT32: "I",
        DataType.UINT64: "Q",
        DataType.INT8: "b",
        DataType.INT16: "h",
        DataType.INT32: "i",
        DataType.INT64: "q",
        DataType.FP16: "e",
        DataType.FP32: "f",
        DataType.FP64: "d",
    }
)


def config_type(data_type: DataType) -> str:
    """Name a type the way `config.pbtxt` does: BYTES is TYPE_STRING there."""
    return "TYPE_STRING" if data_type is DataType.BYTES else f"TYPE_{data_type}"


def protocol_type(config_name: str) -> DataType | None:
    """Invert `config_type`; None for a name Triton does not have."""
    name = config_name.removeprefix("TYPE_")
    name = "BYTES" if name == "STRING" else name
    return DataType(name) if name in DataType.__members__ else None


@dataclass(frozen=True, slots=True)
class Tensor:
    """One input or output; -1 in `dims` is a dynamic dimension.

    Whether `dims` holds the batch dimension is said by the owner: `ModelHeader` yes, `ModelInterface` not when it
    batches.
    """

    name: str
    data_type: DataType
    dims: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class UntypedTensor:
    """A tensor whose file does not say its shape."""

    name: str
    data_type: DataType


@dataclass(frozen=True, slots=True)
class ModelHeader:
    """What a model file itself says; dims include the batch dimension."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor | UntypedTensor, ...]


@dataclass(frozen=True, slots=True)
class ModelInterface:
    """What clients see; with `max_batch_size` above 0 every dims leaves out the batch dimension.

    `dims` of rank 0 is a scalar per row, which Triton writes as `dims: [1]` reshaped to `[]`.
    """

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    max_batch_size: int

    @property
    def batches(self) -> bool:
        """Tell whether requests carry a batch dimension."""
        return self.max_batch_size > 0


def element_count(dims: tuple[int, ...], dynamic: int = 1) -> int:
    """Count elements of a shape, with `dynamic` in place of every dynamic dimension."""
    return math.prod(dynamic if dim == DYNAMIC else dim for dim in dims)


def shape_text(dims: tuple[int, ...]) -> str:
    """Write a shape for people: `[-1, 64]`."""
    return "[" + ", ".join(str(dim) for dim in dims) + "]"
