"""Fails for batches of `at` items or more: `how` is `crash` (the process dies), `raise` or `hang`."""

import json
import os
import time

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args: dict[str, str]):
        given = json.loads(args["model_config"])["parameters"]
        self.at = int(given["at"]["string_value"])
        self.how = given["how"]["string_value"]

    def execute(self, requests: list[object]):
        inputs = [pb_utils.get_input_tensor_by_name(request, "x").as_numpy() for request in requests]
        if sum(len(x) for x in inputs) >= self.at:
            self.fail()
        return [pb_utils.InferenceResponse([pb_utils.Tensor("y", np.ascontiguousarray(2 * x))]) for x in inputs]

    def fail(self):
        if self.how == "crash":
            os.abort()
        if self.how == "raise":
            raise MemoryError("out of memory while allocating 12 GiB")
        time.sleep(3600)
