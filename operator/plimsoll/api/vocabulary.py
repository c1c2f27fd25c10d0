"""The words of the API that others speak too: enumerations and patterns, without the models around them.

`plimsoll fetch` starts in every model pod; these it needs, while building the models of `v1alpha1` would add 0.1 s of
CPU to each start.
"""

from __future__ import annotations

from enum import StrEnum

DIGEST_PATTERN = r"^sha256:[0-9a-f]{64}$"


class ModelFormat(StrEnum):
    """File formats that Triton can serve."""

    ONNX = "Onnx"
    TORCHSCRIPT = "TorchScript"
    SAVED_MODEL = "SavedModel"
    TENSORRT = "TensorRT"
    OPENVINO = "OpenVINO"
    PYTHON = "Python"
    TRITON_REPOSITORY = "TritonRepository"


class DataType(StrEnum):
    """Tensor element types, by Triton's names."""

    BOOL = "BOOL"
    UINT8 = "UINT8"
    UINT16 = "UINT16"
    UINT32 = "UINT32"
    UINT64 = "UINT64"
    INT8 = "INT8"
    INT16 = "INT16"
    INT32 = "INT32"
    INT64 = "INT64"
    FP16 = "FP16"
    BF16 = "BF16"
    FP32 = "FP32"
    FP64 = "FP64"
    BYTES = "BYTES"


class Accelerator(StrEnum):
    """What the model computes on."""

    NVIDIA = "Nvidia"
    NONE = "None"
