"""From what a model file says and what the user states to the one interface that is served."""

from __future__ import annotations

from typing import Final

from plimsoll.core.triton.tensors import (
    DYNAMIC,
    ModelHeader,
    ModelInterface,
    Tensor,
    UntypedTensor,
    shape_text,
)
from plimsoll.errors import Invalid

# Requests are merged up to this size where the model's first dimensions allow it: beyond 64 rows a request rarely gets
# cheaper per row, and an activation buffer 64 times the model's own is the most one may assume to fit.
DEFAULT_MAX_BATCH_SIZE: Final = 64


def stated_interface(
    inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...], max_batch_size: int | None
) -> ModelInterface:
    """Build the interface of a model whose file carries no shapes.

    Args:
        inputs: `spec.model.inputs`, without the batch dimension when `max_batch_size` is above 0.
        outputs: `spec.model.outputs`, likewise.
        max_batch_size: `spec.model.config.maxBatchSize`; None means that the model does not batch, since nothing says
            it can.

    Raises:
        Invalid: `InputsMissing`.
    """
    for field, tensors in (("inputs", inputs), ("outputs", outputs)):
        if not tensors:
            raise Invalid(
                "InputsMissing",
                f"A model of this format does not carry its shapes: state name, dataType and dims in "
                f"spec.model.{field}.",
            )
    return ModelInterface(inputs, outputs, max_batch_size or 0)


def header_interface(
    header: ModelHeader,
    stated_inputs: tuple[Tensor, ...] = (),
    stated_outputs: tuple[Tensor, ...] = (),
    max_batch_size: int | None = None,
) -> ModelInterface:
    """Build the interface of a model whose file carries shapes; what the user states must agree with it.

    A stated dimension may be more exact than a dynamic one in the file, never the other way round.

    Raises:
        Invalid: `InputsMissing` or `InputsMismatch`, with what was stated and what was found.
    """
    size = _batch_size(header, max_batch_size)
    inputs = tuple(_without_batch(tensor, size) for tensor in header.inputs)
    outputs = tuple(_output(tensor, size, stated_outputs) for tensor in header.outputs)
    return ModelInterface(
        _agreed("inputs", inputs, stated_inputs),
        _agreed("outputs", outputs, stated_outputs),
        size,
    )


def first_dimensions_are_dynamic(header: ModelHeader) -> bool:
    """Tell whether every input and output leaves its first dimension open, which is what a batch dimension is."""
    tensors = (*header.inputs, *header.outputs)
    known = [tensor for tensor in tensors if isinstance(tensor, Tensor)]
    return bool(header.inputs) and bool(known) and all(tensor.dims[:1] == (DYNAMIC,) for tensor in known)


def check_tensor(kind: str, wanted: Tensor, found: Tensor) -> None:
    """Refuse a statement that contradicts the file.

    Args:
        kind: `input` or `output`, for the message.
        wanted: As stated.
        found: As the file says, in the same convention for the batch dimension.

    Raises:
        Invalid: `InputsMismatch`.
    """
    if wanted.data_type is found.data_type and _fits(wanted.dims, found.dims):
        return
    raise Invalid(
        "InputsMismatch",
        f"The {kind} '{wanted.name}' is stated as {wanted.data_type} {shape_text(wanted.dims)}, but the model file has "
        f"{found.data_type} {shape_text(found.dims)} (without the batch dimension where the model batches). Correct "
        f"spec.model, or export the model again.",
    )


def _batch_size(header: ModelHeader, stated: int | None) -> int:
    possible = first_dimensions_are_dynamic(header)
    if stated is None:
        return DEFAULT_MAX_BATCH_SIZE if possible else 0
    if stated > 0 and not possible:
        tensors = [tensor for tensor in (*header.inputs, *header.outputs) if isinstance(tensor, Tensor)]
        fixed = next((tensor for tensor in tensors if tensor.dims[:1] != (DYNAMIC,)), None)
        which = f"'{fixed.name}' has the shape {shape_text(fixed.dims)}" if fixed else "it has no inputs"
        raise Invalid(
            "InputsMismatch",
            f"spec.model.config.maxBatchSize is {stated}, but the model file cannot batch: {which}. Export it with a "
            f"dynamic first dimension, or set maxBatchSize to 0.",
        )
    return stated


def _without_batch(tensor: Tensor, max_batch_size: int) -> Tensor:
    return Tensor(tensor.name, tensor.data_type, tensor.dims[1:]) if max_batch_size else tensor


def _output(tensor: Tensor | UntypedTensor, max_batch_size: int, stated: tuple[Tensor, ...]) -> Tensor:
    if isinstance(tensor, Tensor):
        return _without_batch(tensor, max_batch_size)
    for candidate in stated:
        if candidate.name == tensor.name:
            return Tensor(tensor.name, tensor.data_type, candidate.dims)
    raise Invalid(
        "InputsMissing",
        f"The model file does not say the shape of its output '{tensor.name}': state it in spec.model.outputs.",
    )


def _agreed(field: str, found: tuple[Tensor, ...], stated: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Take the stated tensors where they are given, in the file's order; all of the file's names must be there."""
    if not stated:
        return found
    by_name = {tensor.name: tensor for tensor in stated}
    names = {tensor.name for tensor in found}
    if set(by_name) != names:
        raise Invalid(
            "InputsMismatch",
            f"spec.model.{field} names {_listed(set(by_name))}, but the model file has {_listed(names)}.",
        )
    for tensor in found:
        check_tensor(field.removesuffix("s"), by_name[tensor.name], tensor)
    return tuple(by_name[tensor.name] for tensor in found)


def _fits(wanted: tuple[int, ...], found: tuple[int, ...]) -> bool:
    if wanted == (1,) and found == ():
        return True  # Triton has no empty dims: a scalar per row is written as [1]
    return len(wanted) == len(found) and all(have in (want, DYNAMIC) for want, have in zip(wanted, found, strict=True))


def _listed(names: set[str]) -> str:
    return ", ".join(f"'{name}'" for name in sorted(names)) or "none"
