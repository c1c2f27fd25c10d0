"""Golden cases and labelled rows out of parsed files.

`golden.json`: requests of the Open Inference Protocol with the answers they should get. Shapes include the batch
dimension; outputs may be left out, all or some.

    {"cases": [{"inputs":  [{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [0.5, 1]}],
                "outputs": [{"name": "y", "datatype": "FP32", "shape": [1, 3], "data": [0.1, 0.2, 0.7]}]}]}

`dataset.json`: the same inputs with the right class, a whole number or text; `labels` where a case has several rows.

    {"cases": [{"inputs": [...one row...], "label": 3}, {"inputs": [...two rows...], "labels": [0, 7]}]}
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from plimsoll.core.triton.golden import GoldenTensor, MisfitError, cases_of, input_tensors, output_tensors
from plimsoll.core.triton.tensors import ModelInterface, Tensor
from plimsoll.errors import Invalid
from plimsoll.preflight.client import Served
from plimsoll.preflight.documents import Document
from plimsoll.preflight.inputs import Case, items
from plimsoll.preflight.tensors import Tensors, decode

Label = int | str


@dataclass(frozen=True, slots=True)
class LabelledRow:
    """One item with its right class. A batching model's tensors have a batch dimension of 1."""

    case: int
    """Number in the file, from 1."""
    inputs: Tensors
    label: Label


def golden_cases(document: Document, served: Served, most: int) -> tuple[Case, ...]:
    """Returns the first `most` cases; all are checked, so that a file is right or wrong as a whole.

    Raises:
        Invalid: `FileMismatch`, naming the case and the tensor.
    """
    interface = _interface(served)
    try:
        cases = [_golden(number, case, interface) for number, case in enumerate(cases_of(document.content), start=1)]
    except MisfitError as error:
        raise _mismatch(document, error) from error
    return tuple(cases[:most])


def labelled_rows(document: Document, served: Served) -> tuple[LabelledRow, ...]:
    """Returns all rows of a dataset.

    Raises:
        Invalid: `FileMismatch`, naming the case; also when labels are not all of one type.
    """
    interface = _interface(served)
    try:
        rows = _all_labelled(document.content, interface)
    except MisfitError as error:
        raise _mismatch(document, error) from error
    return tuple(rows)


def _all_labelled(content: Any, interface: ModelInterface) -> list[LabelledRow]:
    rows = [row for number, case in enumerate(cases_of(content), start=1) for row in _labelled(number, case, interface)]
    if len({type(row.label) for row in rows}) > 1:
        raise MisfitError("some labels are numbers and others are text")
    return rows


def _mismatch(document: Document, error: MisfitError) -> Invalid:
    return Invalid("FileMismatch", f"{document.location} does not fit the model: {error}. Correct the file.")


def _golden(number: int, case: Any, interface: ModelInterface) -> Case:
    where = f"case {number}"
    inputs = input_tensors(case, interface, where)
    outputs = output_tensors(case, interface, where)
    expected = _decoded(outputs)
    for tensor in outputs:
        if interface.batches and tensor.shape[0] != inputs[0].shape[0]:
            raise MisfitError(f"the output '{tensor.name}' of {where} has another batch dimension than the inputs")
        values = expected[tensor.name]
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            # NaN equals nothing: such a case could only ever fail, or hide that a model answers NaN.
            raise MisfitError(f"the output '{tensor.name}' of {where} expects a value that is not finite")
    return Case(number, _decoded(inputs), expected or None)


def _labelled(number: int, case: Any, interface: ModelInterface) -> list[LabelledRow]:
    where = f"case {number}"
    rows = items(_decoded(input_tensors(case, interface, where)), batches=interface.batches)
    labels = case.get("labels", [case["label"]] if "label" in case else None)
    if not isinstance(labels, list) or not all(_is_label(label) for label in labels):
        raise MisfitError(f"{where} has no 'label' that is a whole number or text")
    if len(labels) != len(rows):
        raise MisfitError(f"{where} has {len(labels)} labels for {len(rows)} rows")
    return [LabelledRow(number, row, label) for row, label in zip(rows, labels, strict=True)]


def _is_label(label: Any) -> bool:
    return isinstance(label, int | str) and not isinstance(label, bool)


def _decoded(tensors: Iterable[GoldenTensor]) -> dict[str, Any]:
    return {tensor.name: decode(tensor.raw, tensor.data_type, tensor.shape) for tensor in tensors}


def _interface(served: Served) -> ModelInterface:
    def plain(tensors: Iterable[Any]) -> tuple[Tensor, ...]:
        return tuple(Tensor(tensor.name, tensor.data_type, tuple(tensor.dims)) for tensor in tensors)

    return ModelInterface(plain(served.inputs), plain(served.outputs), served.max_batch_size)
