"""A Triton backend named `onnxruntime`, in Python: runs ONNX models on the CPU as the official image's backend does.

Triton calls the class below in a process of its own (the stub). Settings for TensorRT and CUDA are accepted and have no
effect, so that one configuration serves both images.
"""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read at import; without it 1.31 looks up a host on the Internet

import numpy as np
import onnx_config
import onnxruntime
import triton_python_backend_utils as pb_utils
from cpu_limit import usable_cpus
from joint_run import Array, Arrays, Call, Result, run_all

FATAL_ONLY = 4  # ONNX Runtime's log level; its errors reach the client as answers


class TritonPythonModel:
    """One instance of one model."""

    @staticmethod
    def auto_complete_config(config: Any) -> Any:
        """Fill in what config.pbtxt leaves open."""
        session = open_session(_model_file_of_this_process(), config.as_dict())
        onnx_config.complete(config.as_dict(), *_signature(session))
        return config

    def initialize(self, args: Mapping[str, str]) -> None:
        """Open the model.

        Raises:
            Contradiction: The configuration and the model disagree; Triton prints the message and does not load.
        """
        config = json.loads(args["model_config"])
        file = Path(args["model_repository"]) / args["model_version"] / config["default_model_filename"]
        self.session = open_session(file, config)
        onnx_config.check(config, *_signature(self.session))
        self.batched = config["max_batch_size"] > 0
        self.outputs = [output.name for output in self.session.get_outputs()]

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """Answer the requests that Triton's batcher put together, in their order."""
        read = [self._read(request) for request in requests]
        calls = [call for call in read if isinstance(call, Call)]
        answers = iter(run_all(calls, self._run, batched=self.batched))
        return [_response(next(answers) if isinstance(call, Call) else call) for call in read]

    def _read(self, request: Any) -> Call | Exception:
        try:
            inputs = {tensor.name(): _from_triton(tensor.as_numpy()) for tensor in request.inputs()}
        except (UnicodeDecodeError, pb_utils.TritonModelException) as error:
            return error
        wanted = set(request.requested_output_names())
        return Call(inputs, tuple(name for name in self.outputs if name in wanted))  # in the model's order

    def _run(self, wanted: Sequence[str], inputs: Arrays) -> Sequence[Array]:
        outputs: Sequence[Array] = self.session.run(list(wanted), dict(inputs))
        return outputs


def open_session(file: Path, config: Mapping[str, Any]) -> onnxruntime.InferenceSession:
    """Open a model with as many threads as the container has CPUs, or as `intra_op_thread_count` says."""
    parameter = config.get("parameters", {}).get("intra_op_thread_count", {}).get("string_value", "0")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(parameter) or usable_cpus()
    options.inter_op_num_threads = 1
    options.log_severity_level = FATAL_ONLY
    # A spinning thread uses up the CFS quota that the next request needs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])


def _signature(session: onnxruntime.InferenceSession) -> tuple[tuple[onnx_config.Tensor, ...], ...]:
    return onnx_config.tensors(session.get_inputs()), onnx_config.tensors(session.get_outputs())


def _model_file_of_this_process() -> Path:
    """Completion is told the configuration only; the stub's first argument is the model's file."""
    return Path(os.fsdecode(Path("/proc/self/cmdline").read_bytes().split(b"\0")[1]))


def _response(result: Result) -> Any:
    if isinstance(result, Exception):
        return pb_utils.InferenceResponse(output_tensors=[], error=pb_utils.TritonError(str(result)))
    tensors = [pb_utils.Tensor(name, _to_triton(array)) for name, array in result.items()]
    return pb_utils.InferenceResponse(output_tensors=tensors)


def _from_triton(array: Any) -> Any:
    """Triton's strings are bytes, ONNX Runtime's are text.

    Raises:
        UnicodeDecodeError: The bytes are not UTF-8.
    """
    if array.dtype != np.object_:
        return array
    return np.array([item.decode() for item in array.flat], dtype=np.object_).reshape(array.shape)


def _to_triton(array: Any) -> Any:
    if array.dtype != np.object_:
        return np.ascontiguousarray(array)
    return np.array([item.encode() for item in array.flat], dtype=np.object_).reshape(array.shape)
