"""Makes the backend's modules importable as they are inside Triton: from their own folder, beside Triton's module."""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

BACKEND = Path(__file__).resolve().parents[3] / "operator" / "triton-cpu" / "onnxruntime"


@dataclass(frozen=True)
class Tensor:
    tensor_name: str
    array: Any

    def name(self) -> str:
        return self.tensor_name

    def as_numpy(self) -> Any:
        return self.array


@dataclass(frozen=True)
class InferenceResponse:
    output_tensors: list[Tensor]
    error: "TritonError | None" = None


@dataclass(frozen=True)
class TritonError:
    text: str


class TritonModelException(Exception):  # noqa: N818 - Triton's name
    pass


@dataclass(frozen=True)
class Request:
    tensors: list[Tensor]
    wanted: list[str] = field(default_factory=list)

    def inputs(self) -> list[Tensor]:
        return self.tensors

    def requested_output_names(self) -> list[str]:
        return self.wanted


def _triton_module() -> ModuleType:
    module = ModuleType("triton_python_backend_utils")
    for name, value in {
        "Tensor": Tensor,
        "InferenceResponse": InferenceResponse,
        "TritonError": TritonError,
        "TritonModelException": TritonModelException,
        "Request": Request,
    }.items():
        setattr(module, name, value)
    return module


sys.path.insert(0, str(BACKEND))
sys.modules["triton_python_backend_utils"] = _triton_module()
