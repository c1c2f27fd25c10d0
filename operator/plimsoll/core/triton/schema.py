"""The messages of Triton's ModelConfig: a misspelt field is refused here, not by a server that will not start.

Written from the public description of `model_config.proto` as of Triton 2.51. A field's type reads as
`[list of | map of] KIND`, where KIND is a scalar, `enum` or the name of another message in this table.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from plimsoll.api.vocabulary import DataType
from plimsoll.core.triton.tensors import config_type


class Kind(StrEnum):
    """What a value of a field is."""

    STRING = "string"
    FILE = "file"  # a string: path of a file below the model's own folders
    COMPONENT = "component"  # a string: name of something installed beside Triton
    INTEGER = "int"
    NUMBER = "number"
    BOOLEAN = "bool"
    ENUM = "enum"
    MESSAGE = "message"


class Arity(StrEnum):
    """How many values a field holds."""

    ONE = "One"
    LIST = "List"
    MAP = "Map"


@dataclass(frozen=True, slots=True)
class FieldType:
    """The type of one field."""

    kind: Kind
    arity: Arity = Arity.ONE
    name: str = ""  # of the message or the enum


TEXT: Final = frozenset({Kind.STRING, Kind.FILE, Kind.COMPONENT})

ENUMS: Final = MappingProxyType(
    {
        "DataType": ("TYPE_INVALID", *(config_type(data_type) for data_type in DataType)),
        "Format": ("FORMAT_NONE", "FORMAT_NHWC", "FORMAT_NCHW"),
        "BatchInputKind": (
            "BATCH_ELEMENT_COUNT",
            "BATCH_ACCUMULATED_ELEMENT_COUNT",
            "BATCH_ACCUMULATED_ELEMENT_COUNT_WITH_ZERO",
            "BATCH_MAX_ELEMENT_COUNT_AS_SHAPE",
            "BATCH_ITEM_SHAPE",
            "BATCH_ITEM_SHAPE_FLATTEN",
        ),
        "BatchOutputKind": ("BATCH_SCATTER_WITH_INPUT_SHAPE",),
        "ModelPriority": ("PRIORITY_DEFAULT", "PRIORITY_MAX", "PRIORITY_MIN"),
        "TimeoutAction": ("REJECT", "DELAY"),
        "ControlKind": (
            "CONTROL_SEQUENCE_START",
            "CONTROL_SEQUENCE_READY",
            "CONTROL_SEQUENCE_END",
            "CONTROL_SEQUENCE_CORRID",
        ),
        "InstanceKind": ("KIND_AUTO", "KIND_GPU", "KIND_CPU", "KIND_MODEL"),
        "SecondaryDeviceKind": ("KIND_NVDLA",),
    }
)

_MESSAGES: Final = MappingProxyType(
    {
        "ModelConfig": {
            "name": "string",
            "platform": "string",
            "backend": "component",
            "runtime": "component",
            "version_policy": "VersionPolicy",
            "max_batch_size": "int",
            "input": "list of Input",
            "output": "list of Output",
            "batch_input": "list of BatchInput",
            "batch_output": "list of BatchOutput",
            "optimization": "Optimization",
            "dynamic_batching": "DynamicBatching",
            "sequence_batching": "SequenceBatching",
            "ensemble_scheduling": "Ensembling",
            "instance_group": "list of InstanceGroup",
            "default_model_filename": "file",
            "cc_model_filenames": "map of file",
            "metric_tags": "map of string",
            "parameters": "map of Parameter",
            "model_warmup": "list of Warmup",
            "model_operations": "Operations",
            "model_transaction_policy": "TransactionPolicy",
            "model_repository_agents": "RepositoryAgents",
            "response_cache": "ResponseCache",
            "model_metrics": "Metrics",
        },
        "Reshape": {"shape": "list of int"},
        "Input": {
            "name": "string",
            "data_type": "enum DataType",
            "format": "enum Format",
            "dims": "list of int",
            "reshape": "Reshape",
            "is_shape_tensor": "bool",
            "allow_ragged_batch": "bool",
            "optional": "bool",
            "is_non_linear_format_io": "bool",
        },
        "Output": {
            "name": "string",
            "data_type": "enum DataType",
            "dims": "list of int",
            "reshape": "Reshape",
            "label_filename": "file",
            "is_shape_tensor": "bool",
            "is_non_linear_format_io": "bool",
        },
        "BatchInput": {
            "kind": "enum BatchInputKind",
            "target_name": "list of string",
            "data_type": "enum DataType",
            "source_input": "list of string",
        },
        "BatchOutput": {
            "target_name": "list of string",
            "kind": "enum BatchOutputKind",
            "source_input": "list of string",
        },
        "VersionPolicy": {"latest": "VersionLatest", "all": "Empty", "specific": "VersionSpecific"},
        "VersionLatest": {"num_versions": "int"},
        "VersionSpecific": {"versions": "list of int"},
        "Empty": {},
        "Optimization": {
            "graph": "OptimizationGraph",
            "priority": "enum ModelPriority",
            "cuda": "OptimizationCuda",
            "execution_accelerators": "ExecutionAccelerators",
            "input_pinned_memory": "PinnedMemory",
            "output_pinned_memory": "PinnedMemory",
            "gather_kernel_buffer_threshold": "int",
            "eager_batching": "bool",
        },
        "OptimizationGraph": {"level": "int"},
        "OptimizationCuda": {
            "graphs": "bool",
            "busy_wait_events": "bool",
            "graph_spec": "list of GraphSpec",
            "output_copy_stream": "bool",
        },
        "GraphSpec": {"batch_size": "int", "input": "map of GraphShape", "graph_lower_bound": "GraphLowerBound"},
        "GraphLowerBound": {"batch_size": "int", "input": "map of GraphShape"},
        "GraphShape": {"dim": "list of int"},
        "ExecutionAccelerators": {
            "gpu_execution_accelerator": "list of Accelerator",
            "cpu_execution_accelerator": "list of Accelerator",
        },
        "Accelerator": {"name": "string", "parameters": "map of string"},
        "PinnedMemory": {"enable": "bool"},
        "DynamicBatching": {
            "preferred_batch_size": "list of int",
            "max_queue_delay_microseconds": "int",
            "preserve_ordering": "bool",
            "priority_levels": "int",
            "default_priority_level": "int",
            "default_queue_policy": "QueuePolicy",
            "priority_queue_policy": "map of QueuePolicy",
        },
        "QueuePolicy": {
            "timeout_action": "enum TimeoutAction",
            "default_timeout_microseconds": "int",
            "allow_timeout_override": "bool",
            "max_queue_size": "int",
        },
        "SequenceBatching": {
            "direct": "SequenceDirect",
            "oldest": "SequenceOldest",
            "max_sequence_idle_microseconds": "int",
            "control_input": "list of ControlInput",
            "state": "list of State",
            "iterative_sequence": "bool",
        },
        "SequenceDirect": {"max_queue_delay_microseconds": "int", "minimum_slot_utilization": "number"},
        "SequenceOldest": {
            "max_candidate_sequences": "int",
            "preferred_batch_size": "list of int",
            "max_queue_delay_microseconds": "int",
            "preserve_ordering": "bool",
        },
        "ControlInput": {"name": "string", "control": "list of Control"},
        "Control": {
            "kind": "enum ControlKind",
            "int32_false_true": "list of int",
            "fp32_false_true": "list of number",
            "bool_false_true": "list of bool",
            "data_type": "enum DataType",
        },
        "State": {
            "input_name": "string",
            "output_name": "string",
            "data_type": "enum DataType",
            "dims": "list of int",
            "initial_state": "list of InitialState",
            "use_same_buffer_for_input_output": "bool",
            "use_growable_memory": "bool",
        },
        "InitialState": {
            "data_type": "enum DataType",
            "dims": "list of int",
            "zero_data": "bool",
            "data_file": "file",
            "name": "string",
        },
        "Ensembling": {"step": "list of EnsembleStep"},
        "EnsembleStep": {
            "model_name": "string",
            "model_version": "int",
            "input_map": "map of string",
            "output_map": "map of string",
            "model_namespace": "string",
        },
        "InstanceGroup": {
            "name": "string",
            "kind": "enum InstanceKind",
            "count": "int",
            "rate_limiter": "RateLimiter",
            "gpus": "list of int",
            "secondary_devices": "list of SecondaryDevice",
            "profile": "list of string",
            "passive": "bool",
            "host_policy": "string",
        },
        "RateLimiter": {"resources": "list of RateLimiterResource", "priority": "int"},
        "RateLimiterResource": {"name": "string", "global": "bool", "count": "int"},
        "SecondaryDevice": {"kind": "enum SecondaryDeviceKind", "device_id": "int"},
        "Parameter": {"string_value": "string"},
        "Warmup": {"name": "string", "batch_size": "int", "inputs": "map of WarmupInput", "count": "int"},
        "WarmupInput": {
            "data_type": "enum DataType",
            "dims": "list of int",
            "zero_data": "bool",
            "random_data": "bool",
            "input_data_file": "file",
        },
        "Operations": {"op_library_filename": "list of string"},
        "TransactionPolicy": {"decoupled": "bool"},
        "RepositoryAgents": {"agents": "list of RepositoryAgent"},
        "RepositoryAgent": {"name": "component", "parameters": "map of string"},
        "ResponseCache": {"enable": "bool"},
        "Metrics": {"metric_control": "list of MetricControl"},
        "MetricControl": {"metric_identifier": "MetricIdentifier", "histogram_options": "HistogramOptions"},
        "MetricIdentifier": {"family": "string"},
        "HistogramOptions": {"buckets": "list of number"},
    }
)

# The one map whose key is a number in the protocol; a key is written as it is, not quoted.
INTEGER_KEYED_MAPS: Final = frozenset({"priority_queue_policy"})
ROOT: Final = "ModelConfig"


def _parse(text: str) -> FieldType:
    arity = Arity.ONE
    for prefix, prefixed in (("list of ", Arity.LIST), ("map of ", Arity.MAP)):
        if text.startswith(prefix):
            arity, text = prefixed, text.removeprefix(prefix)
    if text.startswith("enum "):
        return FieldType(Kind.ENUM, arity, text.removeprefix("enum "))
    if text in _MESSAGES:
        return FieldType(Kind.MESSAGE, arity, text)
    return FieldType(Kind(text), arity)


MESSAGES: Final = MappingProxyType(
    {
        name: MappingProxyType({field: _parse(text) for field, text in fields.items()})
        for name, fields in _MESSAGES.items()
    }
)


def camel_case(field: str) -> str:
    """Write a field's name the way Triton's JSON does: `max_batch_size` -> `maxBatchSize`."""
    first, *rest = field.split("_")
    return first + "".join(part.capitalize() for part in rest)
