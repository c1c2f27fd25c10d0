"""Answers with as many responses as the first value says: the first is 2 x, and each next is one more."""

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests: list[object]):
        for request in requests:
            x = pb_utils.get_input_tensor_by_name(request, "x").as_numpy()
            sender = request.get_response_sender()
            for number in range(int(x.flat[0])):
                answer = np.ascontiguousarray(2 * x + number).astype(np.float32)
                sender.send(pb_utils.InferenceResponse([pb_utils.Tensor("y", answer)]))
            sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
