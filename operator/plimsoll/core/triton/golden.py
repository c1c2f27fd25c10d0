"""Golden cases: inputs a model's owner ships with it, in `golden.json`, as requests of the Open Inference Protocol."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from plimsoll.api.vocabulary import DataType
from plimsoll.core.triton import rawdata
from plimsoll.core.triton.tensors import DYNAMIC, ModelInterface, Tensor, element_count, shape_text
from plimsoll.errors import Invalid

GOLDEN_FILE: Final = "golden.json"
DATASET_FILE: Final = "dataset.json"
"""Labelled rows; the preflight reads them."""
COMPANIONS: Final = (GOLDEN_FILE, DATASET_FILE)
"""Files of an artefact that are about the model and no part of it."""
_VERB: Final = MappingProxyType({"input": "takes", "output": "gives"})


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


class MisfitError(ValueError):
    """Says in a part of a sentence what is wrong with which case."""


def first_case(document: Any, interface: ModelInterface) -> GoldenCase:
    """Check every case's inputs against the model and return the first one.

    Args:
        document: The parsed `golden.json`.
        interface: The model's.

    Raises:
        Invalid: `GoldenMismatch`, naming the case and the input.
    """
    try:
        checked = [
            GoldenCase(input_tensors(case, interface, f"case {number}"))
            for number, case in enumerate(cases_of(document), start=1)
        ]
    except MisfitError as error:
        raise Invalid(
            "GoldenMismatch", f"{GOLDEN_FILE} does not fit the model: {error}. Correct the file and publish again."
        ) from error
    return checked[0]


def cases_of(document: Any) -> list[Any]:
    """Return the cases of a file, not yet checked.

    Raises:
        MisfitError: There are none.
    """
    cases = document.get("cases") if isinstance(document, dict) else None
    if not isinstance(cases, list) or not cases:
        raise MisfitError(
            'it must be an object {"cases": [{"inputs": [...], "outputs": [...]}]} with at least one case'
        )
    return cases


def input_tensors(case: Any, interface: ModelInterface, where: str) -> tuple[GoldenTensor, ...]:
    """Check the inputs of one case; all of the model's must be there.

    Args:
        case: As in the file.
        interface: The model's.
        where: Names the case in messages: `case 7`.

    Raises:
        MisfitError: They are not.
    """
    tensors = _tensors(case, "input", interface.inputs, interface.max_batch_size, where)
    if sorted(tensor.name for tensor in tensors) != sorted(tensor.name for tensor in interface.inputs):
        raise _other_names(tensors, "input", interface.inputs, where)
    if interface.batches and len({tensor.shape[0] for tensor in tensors}) > 1:
        raise MisfitError(f"the inputs of {where} have different batch dimensions")
    return tensors


def output_tensors(case: Any, interface: ModelInterface, where: str) -> tuple[GoldenTensor, ...]:
    """Check the expected outputs of one case, as `input_tensors`; they may be some of the model's or none."""
    if isinstance(case, dict) and case.get("outputs") is None:
        return ()
    return _tensors(case, "output", interface.outputs, interface.max_batch_size, where)


def _tensors(
    case: Any, kind: str, wanted: tuple[Tensor, ...], max_batch_size: int, where: str
) -> tuple[GoldenTensor, ...]:
    listed = case.get(f"{kind}s") if isinstance(case, dict) else None
    if not isinstance(listed, list):
        raise MisfitError(f"{where} has no list '{kind}s'")
    tensors = tuple(_tensor(tensor, kind, where) for tensor in listed)
    by_name = {tensor.name: tensor for tensor in wanted}
    names = {tensor.name for tensor in tensors}
    if len(names) < len(tensors) or not names <= by_name.keys():
        raise _other_names(tensors, kind, wanted, where)
    for tensor in tensors:
        _check(tensor, by_name[tensor.name], max_batch_size, kind, where)
    return tensors


def _other_names(tensors: tuple[GoldenTensor, ...], kind: str, wanted: tuple[Tensor, ...], where: str) -> MisfitError:
    have = ", ".join(tensor.name for tensor in tensors) or "none"
    return MisfitError(
        f"{where} has the {kind}s {have}, the model {_VERB[kind]} {', '.join(tensor.name for tensor in wanted)}"
    )


def _tensor(tensor: Any, kind: str, where: str) -> GoldenTensor:
    if not isinstance(tensor, dict) or not isinstance(tensor.get("name"), str):
        raise MisfitError(f"an {kind} of {where} has no 'name'")
    name = tensor["name"]
    which = f"the {kind} '{name}' of {where}"
    shape = tensor.get("shape")
    if not isinstance(shape, list) or not all(type(dim) is int and dim > 0 for dim in shape):
        raise MisfitError(f"{which} has no 'shape' of whole numbers above 0")
    if tensor.get("datatype") not in DataType.__members__:
        raise MisfitError(f"{which} has no 'datatype' the protocol knows")
    data_type = DataType(tensor["datatype"])
    values = tensor.get("data")
    found = rawdata.count(values)
    if values is None or found != element_count(tuple(shape)):
        raise MisfitError(f"{which} has {found} values for the shape {shape_text(tuple(shape))}")
    try:
        return GoldenTensor(name, data_type, tuple(shape), rawdata.encode(values, data_type))
    except ValueError as error:
        raise MisfitError(f"{which}: {error}") from error


def _check(tensor: GoldenTensor, wanted: Tensor, max_batch_size: int, kind: str, where: str) -> None:
    which = f"the {kind} '{tensor.name}' of {where}"
    if tensor.data_type is not wanted.data_type:
        raise MisfitError(f"{which} is {tensor.data_type}, the model {_VERB[kind]} {wanted.data_type}")
    if max_batch_size and (not tensor.shape or tensor.shape[0] > max_batch_size):
        raise MisfitError(f"{which} has more rows than the batch size {max_batch_size} allows")
    row = tensor.shape[1:] if max_batch_size else tensor.shape
    dims = wanted.dims or (1,)
    if len(row) != len(dims) or any(dim not in (DYNAMIC, have) for dim, have in zip(dims, row, strict=True)):
        batch = " after the batch dimension" if max_batch_size else ""
        raise MisfitError(
            f"{which} has the shape {shape_text(tensor.shape)}, the model {_VERB[kind]} {shape_text(dims)}{batch}"
        )
