"""Scales every row by the largest value in the batch, as dynamic quantisation of activations does."""

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests: list[object]):
        inputs = [pb_utils.get_input_tensor_by_name(request, "x").as_numpy() for request in requests]
        scale = max(float(np.abs(x).max()) for x in inputs) or 1.0
        return [
            pb_utils.InferenceResponse(
                [pb_utils.Tensor("y", np.ascontiguousarray(np.round(x / scale * 7) * scale / 7))]
            )
            for x in inputs
        ]
