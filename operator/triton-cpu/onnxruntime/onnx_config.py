"""Triton's view of an ONNX model: completes a model configuration from it, and refuses one that contradicts it.

The rules are those of Triton's own ONNX Runtime backend, so that a configuration that loads here loads there, and one
that is refused there is refused here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

Config = dict[str, Any]

DEFAULT_MAX_BATCH_SIZE = 4  # what the official backend completes for a model that can batch
ANY = -1

DATA_TYPES: Mapping[str, str] = {
    "tensor(bool)": "TYPE_BOOL",
    "tensor(uint8)": "TYPE_UINT8",
    "tensor(uint16)": "TYPE_UINT16",
    "tensor(uint32)": "TYPE_UINT32",
    "tensor(uint64)": "TYPE_UINT64",
    "tensor(int8)": "TYPE_INT8",
    "tensor(int16)": "TYPE_INT16",
    "tensor(int32)": "TYPE_INT32",
    "tensor(int64)": "TYPE_INT64",
    "tensor(float16)": "TYPE_FP16",
    "tensor(float)": "TYPE_FP32",
    "tensor(double)": "TYPE_FP64",
    "tensor(string)": "TYPE_STRING",
}


class Contradiction(Exception):  # noqa: N818 - reads as the outcome it is
    """The configuration and the model cannot both be right; the message names tensor, model side and config side."""


class Argument(Protocol):
    """What ONNX Runtime says of one input or output; a dynamic dimension is a name or None."""

    name: str
    type: str
    shape: Sequence[int | str | None]


@dataclass(frozen=True, slots=True)
class Tensor:
    """One input or output of the model; its shape includes the batch dimension, dynamic dimensions are -1."""

    name: str
    data_type: str
    shape: tuple[int, ...]


def tensors(arguments: Sequence[Argument]) -> tuple[Tensor, ...]:
    """Translates what the session says of its inputs or outputs.

    Raises:
        Contradiction: A type that Triton does not know (a sequence or map: convert with `zipmap` off).
    """
    return tuple(_tensor(argument) for argument in arguments)


def complete(config: Config, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> None:
    """Add to `config` what it leaves open: batch size, inputs and outputs. What it states is left alone."""
    if config["max_batch_size"] == 0 and not config["input"] and _can_batch([*inputs, *outputs]):
        config["max_batch_size"] = DEFAULT_MAX_BATCH_SIZE
        if "sequence_batching" not in config:
            config.setdefault("dynamic_batching", {})
    batched = config["max_batch_size"] > 0
    for key, found in (("input", inputs), ("output", outputs)):
        if not config[key]:
            config[key] = [_entry(tensor, batched=batched) for tensor in found]


def check(config: Config, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> None:
    """Compare a complete configuration with the model.

    Raises:
        Contradiction: An input is missing, a name is unknown, or a type or shape differs.
    """
    _check_names("input", config, inputs)
    _check_names("output", config, outputs)
    stated = {entry["name"] for entry in config["input"]}
    missing = sorted(tensor.name for tensor in inputs if tensor.name not in stated)
    if missing:
        raise Contradiction(f"The model needs the inputs {missing}, which the configuration does not state.")
    batched = config["max_batch_size"] > 0
    known = {tensor.name: tensor for tensor in [*inputs, *outputs]}
    for entry in [*config["input"], *config["output"]]:
        _check_entry(entry, known[entry["name"]], batched=batched)


def _tensor(argument: Argument) -> Tensor:
    if argument.type not in DATA_TYPES:
        raise Contradiction(f"Tensor '{argument.name}' has type {argument.type}, which Triton cannot serve.")
    shape = tuple(size if isinstance(size, int) else ANY for size in argument.shape)
    return Tensor(argument.name, DATA_TYPES[argument.type], shape)


def _can_batch(found: Sequence[Tensor]) -> bool:
    return all(tensor.shape and tensor.shape[0] == ANY for tensor in found)


def _entry(tensor: Tensor, *, batched: bool) -> Config:
    dims = list(tensor.shape[1:] if batched else tensor.shape)
    entry: Config = {"name": tensor.name, "data_type": tensor.data_type, "dims": dims or [1]}
    if not dims:
        entry["reshape"] = {"shape": []}  # `dims` may not be empty: labels of shape [N] are [N, 1] to clients
    return entry


def _check_names(kind: str, config: Config, found: Sequence[Tensor]) -> None:
    names = [tensor.name for tensor in found]
    for entry in config[kind]:
        if entry["name"] not in names:
            raise Contradiction(f"The configuration states {kind} '{entry['name']}'; the model's {kind}s are {names}.")


def _check_entry(entry: Config, tensor: Tensor, *, batched: bool) -> None:
    if entry["data_type"] != tensor.data_type:
        raise Contradiction(
            f"Tensor '{tensor.name}' is {tensor.data_type} in the model but {entry['data_type']} in the configuration."
        )
    dims = entry["reshape"]["shape"] if "reshape" in entry else entry["dims"]
    stated = ([ANY] if batched else []) + [int(size) for size in dims]  # 64-bit numbers are strings in Triton's JSON
    same_rank = len(stated) == len(tensor.shape)
    if not same_rank or any(ANY != own != other for own, other in zip(tensor.shape, stated, strict=True)):
        batch = " (the first is the batch, as max_batch_size is above 0)" if batched else ""
        raise Contradiction(
            f"Tensor '{tensor.name}' has shape {list(tensor.shape)} in the model "
            f"but {stated}{batch} in the configuration."
        )
