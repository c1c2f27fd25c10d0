"""Adds noise to every answer, like dropout that was left on."""

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def __init__(self) -> None:
        self.noise = np.random.default_rng()

    def execute(self, requests: list[object]):
        inputs = [pb_utils.get_input_tensor_by_name(request, "x").as_numpy() for request in requests]
        noisy = [(2 * x + self.noise.normal(0, 0.1, x.shape)).astype("f4") for x in inputs]
        return [pb_utils.InferenceResponse([pb_utils.Tensor("y", y)]) for y in noisy]
