"""The `config.pbtxt` of one model: complete, so that Triton need not start the model once more to ask it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from plimsoll.api.vocabulary import Accelerator, ModelFormat
from plimsoll.core.triton.formats import RENDERING
from plimsoll.core.triton.interface import check_tensor
from plimsoll.core.triton.overrides import merge
from plimsoll.core.triton.tensors import ModelInterface, Tensor, config_type, protocol_type
from plimsoll.errors import Invalid

# Sizes the batcher aims for when requests wait anyway; with no queue delay they never make a request wait.
PREFERRED_BATCH_SIZES: Final = (8, 32)
_CPU_ONLY: Final = frozenset({ModelFormat.OPENVINO})
_GPU_ONLY: Final = frozenset({ModelFormat.TENSORRT})


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """All that decides a model's configuration, overrides aside."""

    name: str
    format: ModelFormat
    interface: ModelInterface
    accelerator: Accelerator


def model_config(facts: ModelFacts, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Build the configuration, overrides laid over it.

    Args:
        facts: The model.
        overrides: As `overrides.normalize` returns them.

    Raises:
        Invalid: `InputsMismatch`, `InvalidConfig` or `AcceleratorRequired`.
    """
    if facts.format in _GPU_ONLY and facts.accelerator is Accelerator.NONE:
        raise Invalid(
            "AcceleratorRequired",
            f"A {facts.format} model runs on a GPU only: set spec.runtime.accelerator to Nvidia.",
        )
    config = merge(_defaults(facts), overrides)
    _check_batching(config)
    _check_warmup(config)
    for kind, tensors in (("input", facts.interface.inputs), ("output", facts.interface.outputs)):
        _check_tensors(kind, config.get(kind, []), tensors)
    return config


def preferred_batch_sizes(max_batch_size: int) -> list[int]:
    """Choose the sizes to aim for under a maximum; the maximum itself when it is below all of them."""
    return [size for size in PREFERRED_BATCH_SIZES if size <= max_batch_size] or [max_batch_size]


def instance_count(config: Mapping[str, Any], gpus: int) -> int:
    """Count the copies of the model a server starts; a GPU group without a list of GPUs starts on each of them."""
    groups = config.get("instance_group") or [{}]
    return sum(_group_instances(group, gpus) for group in groups)


def _group_instances(group: Mapping[str, Any], gpus: int) -> int:
    on_each_gpu = group.get("kind") in ("KIND_GPU", None, "KIND_AUTO")
    devices = len(group.get("gpus") or []) or (max(gpus, 1) if on_each_gpu else 1)
    return max(int(group.get("count", 1)), 1) * devices


def _defaults(facts: ModelFacts) -> dict[str, Any]:
    rendering = RENDERING[facts.format]
    config: dict[str, Any] = {"name": facts.name}
    if rendering.platform:
        config["platform"] = rendering.platform
    if rendering.backend:
        config["backend"] = rendering.backend
    size = facts.interface.max_batch_size
    config["max_batch_size"] = size
    config["input"] = [_tensor(tensor) for tensor in facts.interface.inputs]
    config["output"] = [_tensor(tensor) for tensor in facts.interface.outputs]
    config["instance_group"] = [{"kind": _instance_kind(facts), "count": 1}]
    if size > 1:
        config["dynamic_batching"] = {
            "preferred_batch_size": preferred_batch_sizes(size),
            "max_queue_delay_microseconds": 0,
        }
    return config


def _instance_kind(facts: ModelFacts) -> str:
    on_gpu = facts.accelerator is Accelerator.NVIDIA and facts.format not in _CPU_ONLY
    return "KIND_GPU" if on_gpu else "KIND_CPU"


def _tensor(tensor: Tensor) -> dict[str, Any]:
    """Describe a tensor; Triton refuses empty dims, so a scalar per row is [1] reshaped to []."""
    described: dict[str, Any] = {"name": tensor.name, "data_type": config_type(tensor.data_type)}
    if tensor.dims:
        return {**described, "dims": list(tensor.dims)}
    return {**described, "dims": [1], "reshape": {"shape": []}}


def _check_batching(config: Mapping[str, Any]) -> None:
    """Refuse sizes Triton would die of: a preferred size above the maximum ends the server at start."""
    maximum = config.get("max_batch_size", 0)
    batching = config.get("dynamic_batching")
    if maximum < 0:
        raise Invalid("InvalidConfig", f"spec.model.config.maxBatchSize must be 0 or more, not {maximum}.")
    for size in (batching or {}).get("preferred_batch_size", []):
        if not 1 <= size <= maximum:
            raise Invalid(
                "InvalidConfig",
                f"spec.model.config.dynamicBatching.preferredBatchSize holds {size}, which is not between 1 and "
                f"maxBatchSize {maximum}.",
            )


def _check_warmup(config: Mapping[str, Any]) -> None:
    """Refuse warm-ups that do nothing or end the server: Triton 2.51 crashed above the maximum and ignored size 0."""
    largest = max(config.get("max_batch_size", 0), 1)
    for index, sample in enumerate(config.get("model_warmup", [])):
        path = f"spec.model.config.modelWarmup[{index}]"
        if not 1 <= sample.get("batch_size", 0) <= largest:
            raise Invalid("InvalidConfig", f"{path}.batchSize must be between 1 and {largest}.")
        for name, data in sample.get("inputs", {}).items():
            if not data.get("dims") or min(data["dims"]) < 1 or "data_type" not in data:
                raise Invalid("InvalidConfig", f"{path}.inputs.{name} needs dataType and dims above 0.")
            if "input_data_file" in data:
                raise Invalid(
                    "InvalidConfig",
                    f"{path}.inputs.{name}.inputDataFile names a file only a Triton repository can carry: use zeroData "
                    f"or randomData, or put golden.json into the artefact.",
                )


def _check_tensors(kind: str, configured: list[Mapping[str, Any]], found: tuple[Tensor, ...]) -> None:
    by_name = {tensor.name: tensor for tensor in found}
    for entry in configured:
        name = str(entry.get("name", ""))
        if name not in by_name:
            raise Invalid(
                "InputsMismatch",
                f"spec.model.config.{kind} names '{name}', which the model does not have; it has "
                f"{', '.join(sorted(by_name))}.",
            )
        data_type = protocol_type(str(entry.get("data_type", "")))
        if data_type is None:
            raise Invalid("InvalidConfig", f"spec.model.config.{kind} '{name}' has no dataType Triton knows.")
        dims = (entry.get("reshape") or {}).get("shape", entry.get("dims", []))
        check_tensor(kind, Tensor(name, data_type, tuple(dims)), by_name[name])
