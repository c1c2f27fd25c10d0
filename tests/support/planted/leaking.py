"""Loses `leak_bytes` of native memory with every request, where Python's own accounting does not see it."""

import ctypes
import json

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args: dict[str, str]):
        given = json.loads(args["model_config"])["parameters"]
        self.leak_bytes = int(given["leak_bytes"]["string_value"])
        self.library = ctypes.CDLL(None)
        self.library.malloc.restype = ctypes.c_void_p
        self.library.malloc.argtypes = [ctypes.c_size_t]

    def execute(self, requests: list[object]):
        answers = []
        for request in requests:
            if self.leak_bytes:
                # Written to, or its pages would not become resident.
                ctypes.memset(self.library.malloc(self.leak_bytes), 1, self.leak_bytes)
            x = pb_utils.get_input_tensor_by_name(request, "x").as_numpy()
            answers.append(pb_utils.InferenceResponse([pb_utils.Tensor("y", np.ascontiguousarray(2 * x))]))
        return answers
