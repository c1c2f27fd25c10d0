"""Takes `fixed_ms + item_ms * b` for a batch of b items, from `cliff_at` items on `cliff_factor` times that."""

import json
import time

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args: dict[str, str]):
        given = json.loads(args["model_config"])["parameters"]
        values = {name: float(value["string_value"]) for name, value in given.items()}
        self.fixed_ms = values.get("fixed_ms", 0.0)
        self.item_ms = values.get("item_ms", 0.0)
        self.cliff_at = values.get("cliff_at", float("inf"))
        self.cliff_factor = values.get("cliff_factor", 1.0)

    def execute(self, requests: list[object]):
        started = time.perf_counter()
        inputs = [pb_utils.get_input_tensor_by_name(request, "x").as_numpy() for request in requests]
        items = sum(len(values) for values in inputs)
        answers = [pb_utils.InferenceResponse([pb_utils.Tensor("y", np.ascontiguousarray(2 * x))]) for x in inputs]
        took = self.fixed_ms + self.item_ms * items
        if items >= self.cliff_at:
            took *= self.cliff_factor
        time.sleep(max(took / 1000 - (time.perf_counter() - started), 0))
        return answers
