"""Does what the file /tmp/fault says from now on: `raise` fails every request, `drift` adds noise to every answer.

No preflight finds it: what a model depends on besides its inputs may change later.
"""

from pathlib import Path

import numpy as np
import triton_python_backend_utils as pb_utils

FAULT = Path("/tmp/fault")  # noqa: S108 - in a container of its own


class TritonPythonModel:
    def __init__(self) -> None:
        self.noise = np.random.default_rng()

    def execute(self, requests: list[object]):
        fault = FAULT.read_text().strip() if FAULT.exists() else ""
        if fault == "raise":
            raise MemoryError("out of memory while allocating 12 GiB")
        inputs = [pb_utils.get_input_tensor_by_name(request, "x").as_numpy() for request in requests]
        noise = [self.noise.normal(0, 0.1, x.shape) if fault == "drift" else 0 for x in inputs]
        answers = [(2 * x + more).astype("f4") for x, more in zip(inputs, noise, strict=True)]
        return [pb_utils.InferenceResponse([pb_utils.Tensor("y", y)]) for y in answers]
