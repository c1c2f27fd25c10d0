"""Keeps the largest scratch space that any batch needed, and takes `step_bytes` more at a few requests."""

import json

import numpy as np
import triton_python_backend_utils as pb_utils

ITEM_BYTES = 1 << 20
STEPS_AT = (700, 1500)
"""Requests at which an allocator takes another slab, as fragmentation makes it do now and then."""


class TritonPythonModel:
    def initialize(self, args: dict[str, str]):
        given = json.loads(args["model_config"])["parameters"]
        self.step_bytes = int(given["step_bytes"]["string_value"])
        self.scratch = np.ones(0, np.uint8)
        self.slabs = []
        self.requests = 0

    def execute(self, requests: list[object]):
        answers = []
        for request in requests:
            self.requests += 1
            if self.requests in STEPS_AT:
                self.slabs.append(np.ones(self.step_bytes, np.uint8))
            x = pb_utils.get_input_tensor_by_name(request, "x").as_numpy()
            if len(x) * ITEM_BYTES > self.scratch.size:
                self.scratch = np.ones(len(x) * ITEM_BYTES, np.uint8)
            answers.append(pb_utils.InferenceResponse([pb_utils.Tensor("y", np.ascontiguousarray(2 * x))]))
        return answers
