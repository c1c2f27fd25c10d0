"""Golden cases: inputs a model's owner ships with it, in `golden.json`, as requests of the Open Inference Protocol."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, NoReturn

from plimsoll.api.vocabulary import DataType
from plimsoll.core.triton import rawdata
from plimsoll.core.triton.tensors import DYNAMIC, ModelInterface, Tensor, element_count, shape_text
from plimsoll.errors import Invalid

GOLDEN_FILE: Final = "golden.json"


@dataclass(frozen=True, slots=True)
class GoldenTensor:
    """One input of a case; `shape` includes the batch dimension, `raw` is its binary form."""

    name: str
    data_type: DataType
    shape: tuple[int, ...]
    raw: bytes


@dataclass(frozen=True, slots=True)
class GoldenCase:
    """One request."""

    inputs: tuple[GoldenTensor, ...]


def first_case(document: Any, interface: ModelInterface) -> GoldenCase:
    """Check every case's inputs against the model and return the first one.

    Args:
        document: The parsed `golden.json`.
        interface: The model's.

    Raises:
        Invalid: `GoldenMismatch`, naming the case and the input.
    """
    cases = document.get("cases") if isinstance(document, dict) else None
    if not isinstance(cases, list) or not cases:
        _refuse('it must be an object {"cases": [{"inputs": [...], "outputs": [...]}]} with at least one case')
    checked = (_case(case, interface, f"case {number}") for number, case in enumerate(cases, start=1))
    first = next(checked)
    for _ in checked:
        pass
    return first


def _case(case: Any, interface: ModelInterface, where: str) -> GoldenCase:
    inputs = case.get("inputs") if isinstance(case, dict) else None
    if not isinstance(inputs, list):
        _refuse(f"{where} has no list 'inputs'")
    tensors = tuple(_tensor(tensor, where) for tensor in inputs)
    names = [tensor.name for tensor in tensors]
    if sorted(names) != sorted(tensor.name for tensor in interface.inputs):
        expected = ", ".join(tensor.name for tensor in interface.inputs)
        _refuse(f"{where} has the inputs {', '.join(names) or 'none'}, the model takes {expected}")
    by_name = {tensor.name: tensor for tensor in interface.inputs}
    for tensor in tensors:
        _check(tensor, by_name[tensor.name], interface.max_batch_size, where)
    if interface.batches and len({tensor.shape[0] for tensor in tensors}) > 1:
        _refuse(f"the inputs of {where} have different batch dimensions")
    return GoldenCase(tensors)


def _tensor(tensor: Any, where: str) -> GoldenTensor:
    if not isinstance(tensor, dict) or not isinstance(tensor.get("name"), str):
        _refuse(f"an input of {where} has no 'name'")
    name = tensor["name"]
    shape = tensor.get("shape")
    if not isinstance(shape, list) or not all(type(dim) is int and dim > 0 for dim in shape):
        _refuse(f"the input '{name}' of {where} has no 'shape' of whole numbers above 0")
    if tensor.get("datatype") not in DataType.__members__:
        _refuse(f"the input '{name}' of {where} has no 'datatype' the protocol knows")
    data_type = DataType(tensor["datatype"])
    values = tensor.get("data")
    found = rawdata.count(values)
    if values is None or found != element_count(tuple(shape)):
        _refuse(f"the input '{name}' of {where} has {found} values for the shape {shape_text(tuple(shape))}")
    try:
        return GoldenTensor(name, data_type, tuple(shape), rawdata.encode(values, data_type))
    except ValueError as error:
        _refuse(f"the input '{name}' of {where}: {error}")


def _check(tensor: GoldenTensor, wanted: Tensor, max_batch_size: int, where: str) -> None:
    if tensor.data_type is not wanted.data_type:
        _refuse(f"the input '{tensor.name}' of {where} is {tensor.data_type}, the model takes {wanted.data_type}")
    if max_batch_size and (not tensor.shape or tensor.shape[0] > max_batch_size):
        _refuse(f"the input '{tensor.name}' of {where} has more rows than the batch size {max_batch_size} allows")
    row = tensor.shape[1:] if max_batch_size else tensor.shape
    dims = wanted.dims or (1,)
    if len(row) != len(dims) or any(dim not in (DYNAMIC, have) for dim, have in zip(dims, row, strict=True)):
        batch = " after the batch dimension" if max_batch_size else ""
        _refuse(
            f"the input '{tensor.name}' of {where} has the shape {shape_text(tensor.shape)}, the model takes "
            f"{shape_text(dims)}{batch}"
        )


def _refuse(what: str) -> NoReturn:
    raise Invalid(
        "GoldenMismatch", f"{GOLDEN_FILE} does not fit the model: {what}. Correct the file and publish again."
    )
