"""What goes over the wire: one model's inference in both protocols."""

from __future__ import annotations

import json

import grpc
from tritonclient.grpc import service_pb2 as pb

MODEL, CACHED, VALIDATED = "digits", "digits-cached", "digits-validated"
"""A model as most are; the same with `spec.cache`; with an interface that is known, and `onInvalid: Reject`."""
PATH = f"/v2/models/{MODEL}/infer"
METHOD = "/inference.GRPCInferenceService/ModelInfer"
JSON_ANSWER = b"""\
{"model_name":"digits","outputs":[{"name":"y","datatype":"FP32","shape":[1,3],"data":[0.1,0.2,0.7]}]}"""
_WITHIN_S = 5.0


def json_request(numbers: int) -> bytes:
    """Returns the body of an HTTP request with so many numbers."""
    tensor = {"name": "x", "datatype": "FP32", "shape": [1, numbers], "data": [0.5] * numbers}
    return json.dumps({"inputs": [tensor]}).encode()


def binary_request(payload: int) -> tuple[bytes, int]:
    """Returns the body of an HTTP request with so many bytes of numbers behind its JSON, and how long that JSON is."""
    tensor = {"name": "x", "datatype": "FP32", "shape": [1, payload // 4], "parameters": {"binary_data_size": payload}}
    head = json.dumps({"inputs": [tensor]}).encode()
    return head + bytes(payload), len(head)


def request(payload: int, model: str = MODEL) -> bytes:
    """Returns a request of about that many bytes, framed as gRPC frames it."""
    message = pb.ModelInferRequest(model_name=model, id="1", raw_input_contents=[bytes(payload)])
    message.inputs.add(name="x", datatype="FP32", shape=[1, payload // 4])
    return _framed(message.SerializeToString())


def _framed(message: bytes) -> bytes:
    return b"\0" + len(message).to_bytes(4, "big") + message


def _answer() -> bytes:
    message = pb.ModelInferResponse(model_name="digits", model_version="1", id="1", raw_output_contents=[bytes(40)])
    message.outputs.add(name="y", datatype="FP32", shape=[1, 10])
    return _framed(message.SerializeToString())


ANSWER = _answer()
"""The model servers' only one."""


def call(host: str, port: int) -> bytes | None:
    """Returns the answer of a call by gRPC's own client; None where there is none yet.

    Raises:
        RpcError: Something answers, and wrongly.
    """
    with grpc.insecure_channel(f"{host}:{port}", [("grpc.enable_http_proxy", 0)]) as channel:
        try:
            answer: bytes = channel.unary_unary(METHOD)(request(64)[5:], timeout=_WITHIN_S)
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.UNAVAILABLE:
                return None
            raise
        return answer
