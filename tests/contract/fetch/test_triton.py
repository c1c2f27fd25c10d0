"""What fetch lays out, served by a real Triton; the probes are run the way Kubernetes runs them."""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from tests.support.fetching import Pod
from tests.support.onnx_models import choosy, linear

from plimsoll.fetch.digests import folder_line, of_bytes, of_folder
from plimsoll_dev.images.local_triton import LocalTriton, running_triton

pytestmark = pytest.mark.triton

ROWS = np.array([[1, 2, 3, 4], [0, 0, 0, 1]], dtype=np.float32)
WEIGHTS = np.arange(12, dtype=np.float32).reshape(4, 3) / 10


def fetched(pod: Pod, files: dict[str, bytes], **request: Any) -> None:
    """Fetch files from a claim."""
    for name, content in files.items():
        path = pod.root / "source" / "m" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    digest = of_folder([folder_line(of_bytes(content), len(content), name) for name, content in files.items()])
    assert pod.fetch("pvc://claim/m", digest, **request) == 0, pod.message()


@contextmanager
def served(pod: Pod, files: dict[str, bytes], *, complete_config: bool = True, **request: Any) -> Iterator[LocalTriton]:
    """Fetch files and serve them."""
    fetched(pod, files, **request)
    with running_triton(pod.repository, complete_config=complete_config) as triton:
        yield triton


def probe(pod: Pod, triton: LocalTriton, name: str) -> tuple[int, str]:
    return probe_port(pod, triton.http.rpartition(":")[2], name)


def probe_port(pod: Pod, port: str, name: str) -> tuple[int, str]:
    command = ["python3", "-I", "-S", str(pod.models / "probe" / name), port]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert not done.stderr
    return done.returncode, done.stdout


def infer(triton: LocalTriton, data_type: str, values: Any) -> dict[str, Any]:
    array = np.asarray(values)
    name = "x" if data_type == "FP32" else "ids"
    tensor = {"name": name, "datatype": data_type, "shape": list(array.shape), "data": array.ravel().tolist()}
    answer = httpx.post(f"{triton.http}/v2/models/digits/infer", json={"inputs": [tensor]}, timeout=30)
    assert answer.status_code == 200, answer.text
    return {output["name"]: (output["shape"], output["data"]) for output in answer.json()["outputs"]}


def counts(triton: LocalTriton) -> tuple[int, int]:
    stats = httpx.get(f"{triton.http}/v2/models/digits/stats").json()["model_stats"][0]["inference_stats"]
    return stats["success"]["count"], stats["fail"]["count"]


def golden(values: Any, name: str = "ids", datatype: str = "INT64") -> bytes:
    array = np.asarray(values)
    tensor = {"name": name, "datatype": datatype, "shape": list(array.shape), "data": array.ravel().tolist()}
    return json.dumps({"cases": [{"inputs": [tensor], "outputs": []}]}).encode()


def test_a_classifier_with_labels_is_warm_and_answers_batches(pod: Pod) -> None:
    with served(pod, {"classifier.onnx": linear(label=True)}) as triton:
        code, said = probe(pod, triton, "warmup.py")
        assert (code, said) == (0, "warm after 10 requests, 0 rejected in this run\n")
        assert counts(triton) == (10, 0)
        assert probe(pod, triton, "warmup.py")[0] == 0
        assert counts(triton) == (10, 0)
        outputs = infer(triton, "FP32", ROWS)
        assert outputs["y"][0] == [2, 3]
        np.testing.assert_allclose(np.reshape(outputs["y"][1], (2, 3)), ROWS @ WEIGHTS + 1, rtol=1e-5)
        assert outputs["label"][1] == [2, 2]
        assert probe(pod, triton, "liveness.py") == (0, "alive, an inference answers 200\n")


def test_a_model_of_fixed_shape(pod: Pod) -> None:
    with served(pod, {"model.onnx": linear(2)}) as triton:
        assert probe(pod, triton, "warmup.py")[0] == 0
        assert counts(triton) == (10, 0)
        assert infer(triton, "FP32", ROWS)["y"][0] == [2, 3]


def test_golden_inputs_warm_a_model_that_rejects_made_up_ones(pod: Pod) -> None:
    with served(pod, {"model.onnx": choosy(), "golden.json": golden([[-3, -4], [-4, -4]])}) as triton:
        assert pod.message()["warmup"] == "Golden"
        assert probe(pod, triton, "warmup.py") == (0, "warm after 10 requests, 0 rejected in this run\n")
        assert counts(triton) == (10, 0)
        assert infer(triton, "INT64", [[-3, -4]])["y"][1] == [1.0, 0.0]


def test_a_model_that_rejects_made_up_inputs_becomes_ready_all_the_same(pod: Pod) -> None:
    with served(pod, {"model.onnx": choosy()}) as triton:
        assert pod.message()["warmup"] == "Generated"
        assert probe(pod, triton, "warmup.py") == (0, "warm after 10 requests, 10 rejected in this run\n")
        assert sum(counts(triton)) == 10  # a rejection counts as answered, so a later probe does not begin anew
        assert infer(triton, "INT64", [[-3, -4]])["y"][1] == [1.0, 0.0]
        code, said = probe(pod, triton, "liveness.py")
        assert (code, said) == (0, "alive, an inference answers 500\n")


def test_every_instance_is_warmed(pod: Pod) -> None:
    config = {"instanceGroup": [{"kind": "KIND_CPU", "count": 2}], "maxBatchSize": 4}
    with served(pod, {"model.onnx": linear()}, config=config) as triton:
        assert probe(pod, triton, "warmup.py")[0] == 0
        assert counts(triton) == (20, 0)


NET_CONFIG = b"""
name: "net"
backend: "onnxruntime"
max_batch_size: 8
input { name: "x" data_type: TYPE_FP32 dims: [4] }
output { name: "y" data_type: TYPE_FP32 dims: [3] }
"""
PIPE_CONFIG = b"""
name: "pipe"
platform: "ensemble"
max_batch_size: 8
input { name: "x" data_type: TYPE_FP32 dims: [4] }
output { name: "y" data_type: TYPE_FP32 dims: [3] }
ensemble_scheduling { step { model_name: "net" model_version: -1
  input_map { key: "x" value: "x" } output_map { key: "y" value: "y" } } }
"""


def test_the_entry_of_a_repository_answers_under_the_public_name(pod: Pod) -> None:
    files = {"net/config.pbtxt": NET_CONFIG, "net/3/model.onnx": linear(), "pipe/config.pbtxt": PIPE_CONFIG}
    with served(pod, files, entry="pipe") as triton:
        assert pod.message()["format"] == "TritonRepository"
        assert probe(pod, triton, "warmup.py") == (0, "warm after 10 requests, 0 rejected in this run\n")
        assert infer(triton, "FP32", ROWS)["y"][0] == [2, 3]
        ready = httpx.get(f"{triton.http}/v2/models/digits").json()
        assert ready["versions"] == ["7"]


def test_a_repository_that_leaves_its_inputs_to_the_server_is_asked(pod: Pod) -> None:
    files = {"net/config.pbtxt": b'backend: "onnxruntime"', "net/1/model.onnx": linear()}
    with served(pod, files, complete_config=False, format="TritonRepository") as triton:
        assert pod.message()["warmup"] == "Generated"
        assert probe(pod, triton, "warmup.py")[0] == 0
        assert counts(triton) == (10, 0)
        assert probe(pod, triton, "liveness.py") == (0, "alive, an inference answers 200\n")


WARMUP = b"""
model_warmup { name: "own" batch_size: 1 count: 3
  inputs { key: "x" value { data_type: TYPE_FP32 dims: [4] zero_data: true } } }
"""


def test_a_warm_up_of_the_repository_is_left_to_triton(pod: Pod) -> None:
    files = {"net/config.pbtxt": NET_CONFIG + WARMUP, "net/1/model.onnx": linear()}
    with served(pod, files) as triton:
        assert pod.message()["warmup"] == "Own"
        before = counts(triton)
        assert before[0] >= 3
        assert probe(pod, triton, "warmup.py") == (0, "warm after 0 requests, 0 rejected in this run\n")
        assert counts(triton) == before


def test_a_dead_backend_process_is_noticed(pod: Pod) -> None:
    """The health endpoints stay green; only an inference tells."""
    with served(pod, {"model.onnx": linear()}) as triton:
        assert probe(pod, triton, "liveness.py")[0] == 0
        for stub in children(triton.process_id):
            os.kill(stub, signal.SIGKILL)
        deadline = time.monotonic() + 30
        while (seen := probe(pod, triton, "liveness.py"))[0] == 0 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert seen[0] == 1
        assert "the process behind the model is gone" in seen[1]
        assert httpx.get(f"{triton.http}/v2/health/live").status_code == 200
        assert probe(pod, triton, "warmup.py")[0] == 1


def test_without_a_server(pod: Pod) -> None:
    fetched(pod, {"model.onnx": linear()})
    with socket.socket() as nobody_listens:
        nobody_listens.bind(("127.0.0.1", 0))
        port = str(nobody_listens.getsockname()[1])
        assert probe_port(pod, port, "warmup.py")[0] == 1
        code, said = probe_port(pod, port, "liveness.py")
    assert (code, said.startswith("the server does not answer its health check")) == (1, True)


def children(process_id: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{process_id}/task/{process_id}/children").read_text().split()]
