"""Read what an ONNX file says about its inputs and outputs, and nothing else.

The file is protobuf; this reader walks its outermost fields by length and never decodes nodes or weights, so that a
file of any size costs a few pages of memory, and a hostile one ends as `CorruptModel`. Field numbers are those of
`onnx.proto`.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final

from plimsoll.api.vocabulary import DataType
from plimsoll.core.triton.tensors import DYNAMIC, ModelHeader, Tensor, UntypedTensor
from plimsoll.errors import Invalid

_MAX_FIELDS: Final = 2_000_000  # a model with 200,000 nodes and as many weights has half of it; 4 s to walk
_MAX_TENSORS: Final = 1_000
_MAX_RANK: Final = 32
_MAX_NAME: Final = 1_024
_MAX_NAMES: Final = 64 * 2**20  # bytes of all names together: 200,000 weights with names of 100 bytes have 20 MB
_MAX_VARINT_BYTES: Final = 10

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MODEL_GRAPH, _MODEL_OPSET = 7, 8
_OPSET_DOMAIN, _OPSET_VERSION = 1, 2
_GRAPH_INITIALIZER, _GRAPH_INPUT, _GRAPH_OUTPUT, _GRAPH_SPARSE_INITIALIZER = 5, 11, 12, 15
_TENSOR_NAME, _TENSOR_EXTERNAL_DATA = 8, 13
_SPARSE_VALUES = 1
_ENTRY_KEY, _ENTRY_VALUE = 1, 2
_VALUE_NAME, _VALUE_TYPE = 1, 2
_TYPE_TENSOR = 1
_TENSOR_TYPE_ELEMENT, _TENSOR_TYPE_SHAPE = 1, 2
_SHAPE_DIM, _DIM_VALUE = 1, 1

_ELEMENT_TYPES: Final = MappingProxyType(
    {
        1: DataType.FP32,
        2: DataType.UINT8,
        3: DataType.INT8,
        4: DataType.UINT16,
        5: DataType.INT16,
        6: DataType.INT32,
        7: DataType.INT64,
        8: DataType.BYTES,
        9: DataType.BOOL,
        10: DataType.FP16,
        11: DataType.FP64,
        12: DataType.UINT32,
        13: DataType.UINT64,
        16: DataType.BF16,
    }
)


@dataclass(frozen=True, slots=True)
class OnnxFile:
    """What was read; `external_files` are relative paths the weights lie in."""

    header: ModelHeader
    opset: int
    external_files: frozenset[str]


@dataclass(slots=True)
class _Graph:
    inputs: list[Tensor | UntypedTensor] = field(default_factory=list)
    outputs: list[Tensor | UntypedTensor] = field(default_factory=list)
    initializers: set[str] = field(default_factory=set)
    external_files: set[str] = field(default_factory=set)
    opset: int = 0
    seen: bool = False


@dataclass(frozen=True, slots=True)
class _Field:
    """One field; `value` is the number, or the start of the bytes that end at `end`."""

    number: int
    wire: int
    value: int
    end: int


def read_onnx(path: Path) -> OnnxFile:
    """Read the header of an ONNX file.

    Raises:
        Invalid: `CorruptModel`, or `UnsupportedModel` for inputs or outputs that are no tensors.
    """
    with path.open("rb") as file:
        try:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError as error:  # an empty file cannot be mapped
            raise _corrupt("is empty") from error
        with mapped:
            return _Reader(mapped).read()


class _Reader:
    def __init__(self, data: mmap.mmap) -> None:
        self._data = data
        self._fields_left = _MAX_FIELDS
        self._names_left = _MAX_NAMES
        self._graph = _Graph()

    def read(self) -> OnnxFile:
        for part in self._fields(0, len(self._data)):
            if part.number == _MODEL_GRAPH:
                self._read_graph(self._bytes(part))
            elif part.number == _MODEL_OPSET:
                self._read_opset(self._bytes(part))
        graph = self._graph
        if not graph.seen or not graph.outputs:
            raise _corrupt("has no graph with outputs")
        inputs = [tensor for tensor in graph.inputs if tensor.name not in graph.initializers]
        known = tuple(tensor for tensor in inputs if isinstance(tensor, Tensor))
        if len(known) != len(inputs):
            raise Invalid(
                "UnsupportedModel",
                "The ONNX file does not say the shapes of its inputs. Export it with shapes, dynamic where they vary.",
            )
        header = ModelHeader(known, tuple(graph.outputs))
        return OnnxFile(header, graph.opset, frozenset(graph.external_files))

    def _read_graph(self, part: _Field) -> None:
        graph = self._graph
        graph.seen = True
        for child in self._fields(part.value, part.end):
            if child.number == _GRAPH_INPUT:
                self._add(graph.inputs, self._value_info(self._bytes(child), "input"))
            elif child.number == _GRAPH_OUTPUT:
                self._add(graph.outputs, self._value_info(self._bytes(child), "output"))
            elif child.number == _GRAPH_INITIALIZER:
                self._read_initializer(self._bytes(child))
            elif child.number == _GRAPH_SPARSE_INITIALIZER:
                for values in self._fields(child.value, self._bytes(child).end):
                    if values.number == _SPARSE_VALUES:
                        self._read_initializer(self._bytes(values))

    def _add(self, tensors: list[Tensor | UntypedTensor], tensor: Tensor | UntypedTensor) -> None:
        tensors.append(tensor)
        if len(tensors) > _MAX_TENSORS:
            raise _corrupt(f"has more than {_MAX_TENSORS} inputs or outputs")

    def _read_opset(self, part: _Field) -> None:
        domain, version = "", 0
        for child in self._fields(part.value, part.end):
            if child.number == _OPSET_DOMAIN:
                domain = self._text(child)
            elif child.number == _OPSET_VERSION and child.wire == _VARINT:
                version = child.value
        if domain in ("", "ai.onnx"):
            self._graph.opset = max(self._graph.opset, version)

    def _read_initializer(self, part: _Field) -> None:
        for child in self._fields(part.value, part.end):
            if child.number == _TENSOR_NAME:
                self._graph.initializers.add(self._text(child))
            elif child.number == _TENSOR_EXTERNAL_DATA:
                entry = {item.number: item for item in self._fields(child.value, self._bytes(child).end)}
                if _ENTRY_KEY in entry and _ENTRY_VALUE in entry and self._text(entry[_ENTRY_KEY]) == "location":
                    self._graph.external_files.add(self._text(entry[_ENTRY_VALUE]))

    def _value_info(self, part: _Field, kind: str) -> Tensor | UntypedTensor:
        name, shape, data_type, is_tensor = "", None, None, False
        for child in self._fields(part.value, part.end):
            if child.number == _VALUE_NAME:
                name = self._text(child)
            elif child.number == _VALUE_TYPE:
                for choice in self._fields(child.value, self._bytes(child).end):
                    is_tensor = choice.number == _TYPE_TENSOR
                    if is_tensor:
                        data_type, shape = self._tensor_type(self._bytes(choice))
        if not name:
            raise _corrupt(f"has an {kind} without a name")
        if not is_tensor or data_type is None:
            raise Invalid(
                "UnsupportedModel",
                f"The {kind} '{name}' of the ONNX file is not a tensor of a type Triton knows. A scikit-learn "
                f"classifier is converted with options={{'zipmap': False}}, so that its probabilities become a tensor.",
            )
        return UntypedTensor(name, data_type) if shape is None else Tensor(name, data_type, shape)

    def _tensor_type(self, part: _Field) -> tuple[DataType | None, tuple[int, ...] | None]:
        data_type, shape = None, None
        for child in self._fields(part.value, part.end):
            if child.number == _TENSOR_TYPE_ELEMENT and child.wire == _VARINT:
                data_type = _ELEMENT_TYPES.get(child.value)
            elif child.number == _TENSOR_TYPE_SHAPE:
                shape = self._shape(self._bytes(child))
        return data_type, shape

    def _shape(self, part: _Field) -> tuple[int, ...]:
        """Read dimensions; a name, nothing and 0 (which some exporters write) all mean dynamic."""
        dims: list[int] = []
        for child in self._fields(part.value, part.end):
            if child.number != _SHAPE_DIM:
                continue
            size = DYNAMIC
            for value in self._fields(child.value, self._bytes(child).end):
                if value.number == _DIM_VALUE and value.wire == _VARINT:
                    size = value.value if 0 < value.value < 2**63 else DYNAMIC
                else:
                    size = DYNAMIC
            dims.append(size)
            if len(dims) > _MAX_RANK:
                raise _corrupt(f"has a tensor with more than {_MAX_RANK} dimensions")
        return tuple(dims)

    def _fields(self, position: int, end: int) -> Iterator[_Field]:
        while position < end:
            self._fields_left -= 1
            if self._fields_left < 0:
                raise _corrupt(f"has more than {_MAX_FIELDS} fields in its header")
            key, position = self._varint(position, end)
            number, wire = key >> 3, key & 7
            if wire == _VARINT:
                value, position = self._varint(position, end)
                yield _Field(number, wire, value, position)
                continue
            if wire == _BYTES:
                size, position = self._varint(position, end)
            elif wire in (_FIXED64, _FIXED32):
                size = 8 if wire == _FIXED64 else 4
            else:
                raise _corrupt(f"has a field of the unknown wire type {wire}")
            if number == 0 or size > end - position:
                raise _corrupt("is cut off or not an ONNX file")
            yield _Field(number, wire, position, position + size)
            position += size

    def _varint(self, position: int, end: int) -> tuple[int, int]:
        value = 0
        for index in range(_MAX_VARINT_BYTES):
            if position + index >= end:
                raise _corrupt("is cut off or not an ONNX file")
            byte = self._data[position + index]
            value |= (byte & 0x7F) << (7 * index)
            if byte < 0x80:  # noqa: PLR2004 - the top bit says that more bytes follow
                return value, position + index + 1
        raise _corrupt("holds a number of more than 10 bytes")

    def _bytes(self, part: _Field) -> _Field:
        if part.wire != _BYTES:
            raise _corrupt("has a number where a message belongs")
        return part

    def _text(self, part: _Field) -> str:
        size = self._bytes(part).end - part.value
        self._names_left -= size
        if size > _MAX_NAME or self._names_left < 0:
            raise _corrupt(f"has a name of more than {_MAX_NAME} bytes, or more than {_MAX_NAMES} bytes of names")
        try:
            return self._data[part.value : part.end].decode()
        except UnicodeDecodeError as error:
            raise _corrupt("has a name that is not UTF-8") from error


def _corrupt(what: str) -> Invalid:
    return Invalid("CorruptModel", f"The ONNX file {what}. Export it again and publish it under its new digest.")
