"""Tensors between numpy and the protocol's binary form.

BF16, which numpy lacks, is float32 in memory: every BF16 value is one exactly.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from plimsoll.api.vocabulary import DataType

Tensor = NDArray[Any]
Tensors = Mapping[str, Tensor]
"""Values by name of input or output. With a batching model the first dimension is the batch."""

NUMPY_TYPES: Final[Mapping[DataType, np.dtype[Any]]] = MappingProxyType(
    {
        DataType.BOOL: np.dtype("?"),
        DataType.UINT8: np.dtype("u1"),
        DataType.UINT16: np.dtype("<u2"),
        DataType.UINT32: np.dtype("<u4"),
        DataType.UINT64: np.dtype("<u8"),
        DataType.INT8: np.dtype("i1"),
        DataType.INT16: np.dtype("<i2"),
        DataType.INT32: np.dtype("<i4"),
        DataType.INT64: np.dtype("<i8"),
        DataType.FP16: np.dtype("<f2"),
        DataType.BF16: np.dtype("<f4"),
        DataType.FP32: np.dtype("<f4"),
        DataType.FP64: np.dtype("<f8"),
        DataType.BYTES: np.dtype("O"),
    }
)
FLOATS: Final = frozenset({DataType.FP16, DataType.BF16, DataType.FP32, DataType.FP64})


def encode(values: Tensor, data_type: DataType) -> bytes:
    """Returns the binary form; BYTES elements are `bytes` objects."""
    if data_type is DataType.BYTES:
        return b"".join(struct.pack("<I", len(item)) + item for item in values.ravel())
    if data_type is DataType.BF16:
        bits = np.ascontiguousarray(values, dtype="<f4").view("<u4")
        return (bits >> 16).astype("<u2").tobytes()
    return np.ascontiguousarray(values, dtype=NUMPY_TYPES[data_type]).tobytes()


def decode(raw: bytes, data_type: DataType, shape: tuple[int, ...]) -> Tensor:
    """Returns the values; where there are not as many as the shape says, they come flat, for the caller to name it.

    A server whose tensors are empty although their shape is not exists: Triton's Python backend with a numpy that is
    too new.
    """
    if data_type is DataType.BYTES:
        items = list(_strings(raw))
        values = np.empty(len(items), dtype=object)
        values[:] = items
    elif data_type is DataType.BF16:
        values = (np.frombuffer(raw[: len(raw) // 2 * 2], "<u2").astype("<u4") << 16).view("<f4")
    else:
        kind = NUMPY_TYPES[data_type]
        values = np.frombuffer(raw[: len(raw) // kind.itemsize * kind.itemsize], kind)
    return values.reshape(shape) if values.size == int(np.prod(shape, dtype=np.int64)) else values


def rows_of(tensors: Tensors, *, batches: bool) -> int:
    """Returns how many items a request asks about."""
    return int(next(iter(tensors.values())).shape[0]) if batches and tensors else 1


def _strings(raw: bytes) -> Iterator[bytes]:
    at = 0
    while at + 4 <= len(raw):
        (length,) = struct.unpack_from("<I", raw, at)
        yield raw[at + 4 : at + 4 + length]
        at += 4 + length
