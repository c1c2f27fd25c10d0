"""A real Triton with the pod's command line: what it answers, what it refuses, and what a dead stub looks like."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from onnx import TensorProto, helper

from plimsoll.errors import Invalid
from plimsoll_dev.images.local_triton import ADMIN_WORD, LocalTriton, running_triton

pytestmark = pytest.mark.triton

CONFIG = """
backend: "onnxruntime"
max_batch_size: 8
input [{ name: "x" data_type: TYPE_FP32 dims: [2] }]
output [
  { name: "label" data_type: TYPE_INT64 dims: [1] reshape { shape: [] } },
  { name: "scores" data_type: TYPE_FP32 dims: [2] }
]
instance_group [{ count: 1 kind: KIND_CPU }]
dynamic_batching { preferred_batch_size: [8] }
optimization { execution_accelerators { gpu_execution_accelerator: [{ name: "tensorrt" }] } }
version_policy { specific { versions: [7] } }
model_warmup [{
  name: "warm" batch_size: 8 count: 10
  inputs { key: "x" value { data_type: TYPE_FP32 dims: [2] zero_data: true } }
}]
"""
ADMIN = ["repository/index", "repository/models/classifier/load", "repository/models/classifier/unload", "logging"]


def classifier() -> bytes:
    made = helper.make_graph(
        [
            helper.make_node("Softmax", ["x"], ["scores"]),
            helper.make_node("ArgMax", ["x"], ["label"], axis=1, keepdims=0),
        ],
        "test",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 2])],
        [
            helper.make_tensor_value_info("label", TensorProto.INT64, ["N"]),
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", 2]),
        ],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())


def lay_out(repository: Path, config: str = CONFIG) -> None:
    version = repository / "classifier" / "7"
    version.mkdir(parents=True)
    (version / "model.onnx").write_bytes(classifier())
    (repository / "classifier" / "config.pbtxt").write_text(config)


def infer(triton: LocalTriton, rows: np.ndarray) -> httpx.Response:
    tensor = {"name": "x", "datatype": "FP32", "shape": list(rows.shape), "data": rows.ravel().tolist()}
    # Without keep-alive: an idle connection holds up the server's end by the exit timeout.
    with httpx.Client(trust_env=False, headers={"Connection": "close"}, timeout=10) as client:
        return client.post(f"{triton.http}/v2/models/classifier/infer", json={"inputs": [tensor]})


def outputs(response: httpx.Response) -> dict[str, Any]:
    return {output["name"]: np.array(output["data"]).reshape(output["shape"]) for output in response.json()["outputs"]}


@pytest.fixture(scope="module")
def triton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalTriton]:
    repository = tmp_path_factory.mktemp("repository")
    lay_out(repository)
    with running_triton(repository) as server:
        yield server


@pytest.mark.parametrize("batch", [1, 8])
def test_answers_and_shapes(triton: LocalTriton, batch: int) -> None:
    rows = np.random.default_rng(batch).normal(size=(batch, 2)).astype("f4")
    got = outputs(infer(triton, rows))
    assert got["label"].tolist() == rows.argmax(axis=1)[:, None].tolist()
    expected = np.exp(rows) / np.exp(rows).sum(axis=1, keepdims=True)
    assert np.allclose(got["scores"], expected, atol=1e-6)


def test_ready_means_warm(triton: LocalTriton) -> None:
    metrics = httpx.get(triton.metrics, trust_env=False).text
    success = next(line for line in metrics.splitlines() if line.startswith("nv_inference_request_success{"))
    assert float(success.rpartition(" ")[2]) >= 80  # batch_size 8 is sent as 8 requests, 10 times


@pytest.mark.parametrize("path", ADMIN)
def test_administration_is_locked(triton: LocalTriton, path: str) -> None:
    response = httpx.post(f"{triton.http}/v2/{path}", json={}, trust_env=False)
    assert (response.status_code, response.json()) == (
        403,
        {"error": "This API is restricted, expecting header 'plimsoll-admin'"},
    )


def test_not_even_the_administrator_can_change_the_models(triton: LocalTriton) -> None:
    response = httpx.post(
        f"{triton.http}/v2/repository/models/classifier/unload",
        json={},
        headers={"plimsoll-admin": ADMIN_WORD},
        trust_env=False,
    )
    assert response.status_code == 503
    assert response.json()["error"].startswith("explicit model load / unload is not allowed")


def test_health_misses_a_dead_stub_and_inference_says_so(tmp_path: Path) -> None:
    lay_out(tmp_path)
    with running_triton(tmp_path) as server:
        assert infer(server, np.ones((1, 2))).status_code == 200
        os.kill(stub_of(server), signal.SIGKILL)
        answer = infer(server, np.ones((1, 2)))
        health = [
            httpx.get(f"{server.http}/v2/{path}", trust_env=False).status_code
            for path in ("health/live", "health/ready", "models/classifier/ready")
        ]
    assert health == [200, 200, 200]
    assert (answer.status_code, answer.json()) == (500, {"error": "Stub process 'classifier_0_0' is not healthy."})


def test_a_contradicting_configuration_ends_the_server_with_the_reason(tmp_path: Path) -> None:
    lay_out(tmp_path, CONFIG.replace("dims: [2] }]\noutput", "dims: [3] }]\noutput"))
    with pytest.raises(Invalid, match="tritonserver ended with 1") as caught, running_triton(tmp_path):
        pass
    assert "Tensor 'x' has shape [-1, 2] in the model but [-1, 3]" in caught.value.message


def stub_of(triton: LocalTriton) -> int:
    children = Path(f"/proc/{triton.process_id}/task/{triton.process_id}/children")
    deadline = time.monotonic() + 5
    while not children.read_text().split() and time.monotonic() < deadline:
        time.sleep(0.05)
    return int(children.read_text().split()[0])
