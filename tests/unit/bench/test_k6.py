"""What is given to k6, and what is read from it."""

import base64
import json

import pytest
from tests.scale.preflight_bench.k6 import GeneratorError, read_output, request_json
from tritonclient.grpc import service_pb2

from plimsoll.preflight.client import Prepared


def point(metric: str, value: float, second: float = 0.0) -> str:
    return json.dumps(
        {
            "type": "Point",
            "metric": metric,
            "data": {"time": f"2026-01-01T00:00:{second:012.9f}+00:00", "value": value, "tags": {}},
        }
    )


def test_answers_are_read_in_order_of_time_and_other_lines_are_passed_over() -> None:
    lines = [
        json.dumps({"type": "Metric", "metric": "grpc_req_duration", "data": {"type": "trend"}}),
        point("grpc_req_duration", 30.0, 2.5),
        point("iterations", 1),
        point("grpc_req_duration", 20.0, 0.5),
        point("grpc_req_duration", 25.0, 1.5),
    ]
    answers = read_output(lines)
    assert answers.latency_ms.tolist() == [20, 25, 30]
    assert answers.per_s == pytest.approx(1)
    assert answers.after(1).latency_ms.tolist() == [25, 30]


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [point("grpc_req_duration", 20), point("dropped_iterations", 3)],
        [point("grpc_req_duration", 20), point("failed_requests", 1)],
    ],
)
def test_output_that_tells_of_lost_requests_or_of_none_is_refused(lines: list[str]) -> None:
    with pytest.raises(GeneratorError):
        read_output(lines)


def test_a_request_becomes_protobufs_json() -> None:
    message = service_pb2.ModelInferRequest(model_name="m", raw_input_contents=[b"\x00\x01"])
    message.inputs.add(name="x", datatype="FP32", shape=[1, 4])
    assert request_json(Prepared(message, 1)) == {
        "model_name": "m",
        "inputs": [{"name": "x", "datatype": "FP32", "shape": ["1", "4"]}],
        "raw_input_contents": [base64.b64encode(b"\x00\x01").decode()],
    }
