"""Records what a model answers: `golden.json`, inputs with the outputs ONNX Runtime gives on the CPU.

Format: `{"cases": [{"inputs": [TENSOR...], "outputs": [TENSOR...]}]}` with tensors as in the Open Inference Protocol's
JSON: name, datatype, shape including the batch dimension, data in row-major order.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnxruntime  # type: ignore[import-untyped]
from numpy.typing import NDArray

Tensors: TypeAlias = dict[str, NDArray[Any]]

DATATYPES = {"float32": "FP32", "int64": "INT64"}
DTYPES = {datatype: dtype for dtype, datatype in DATATYPES.items()}

TOLERANCE = 1e-5
"""Recorded and repeated floating-point outputs differ by at most this; CPUs differ in the last bits of `exp`."""


def session(model: Path) -> onnxruntime.InferenceSession:
    """Open a model on one CPU thread, silent about the errors it raises anyway."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def answer(opened: onnxruntime.InferenceSession, inputs: Tensors) -> Tensors:
    """All outputs of the model by name."""
    names = [output.name for output in opened.get_outputs()]
    return dict(zip(names, opened.run(names, inputs), strict=True))


def record(model: Path, cases: Sequence[Tensors]) -> dict[str, Any]:
    """Ask the model every case and return the content of its `golden.json`."""
    opened = session(model)
    return {"cases": [{"inputs": _encode(case), "outputs": _encode(answer(opened, case))} for case in cases]}


def decode(tensors: Sequence[dict[str, Any]]) -> Tensors:
    """Arrays of the tensors of one side of a case."""
    return {
        tensor["name"]: np.array(tensor["data"], dtype=DTYPES[tensor["datatype"]]).reshape(tensor["shape"])
        for tensor in tensors
    }


def matches(recorded: dict[str, Any], repeated: dict[str, Any]) -> bool:
    """Whether both hold the same cases, floating-point values within TOLERANCE."""
    pairs = list(zip(recorded["cases"], repeated["cases"], strict=False))
    return len(recorded["cases"]) == len(repeated["cases"]) and all(
        _close(decode(old[side]), decode(new[side])) for old, new in pairs for side in ("inputs", "outputs")
    )


def write(file: Path, content: dict[str, Any]) -> None:
    """Write `golden.json`, unless the one there still holds: a last bit must not give the artefact another digest."""
    if file.exists() and matches(json.loads(file.read_text()), content):
        return
    cases = ",\n".join(json.dumps(case, separators=(",", ":")) for case in content["cases"])
    file.write_text(f'{{"cases":[\n{cases}\n]}}\n')


def _close(old: Tensors, new: Tensors) -> bool:
    return old.keys() == new.keys() and all(
        old[name].dtype == new[name].dtype
        and old[name].shape == new[name].shape
        and np.allclose(old[name], new[name], rtol=0.0, atol=TOLERANCE if old[name].dtype.kind == "f" else 0.0)
        for name in old
    )


def _encode(tensors: Tensors) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "datatype": DATATYPES[values.dtype.name],
            "shape": list(values.shape),
            # str() gives the shortest decimals that are this float32 again; float() of it prints the same.
            "data": [float(str(v)) if values.dtype.kind == "f" else int(v) for v in values.ravel()],
        }
        for name, values in tensors.items()
    ]
