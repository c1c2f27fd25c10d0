"""The backend on real ONNX Runtime, called as Triton calls it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from model import TritonPythonModel, open_session
from onnx import TensorProto, helper
from onnx_config import Contradiction
from triton_python_backend_utils import Request, Tensor

FLOAT = {"name": "x", "data_type": "TYPE_FP32", "dims": [2]}
INDEX = {"name": "x", "data_type": "TYPE_INT64", "dims": [1]}
TEXT = {"name": "x", "data_type": "TYPE_STRING", "dims": [1]}


def graph(kind: int, width: int, nodes: Sequence[onnx.NodeProto], outputs: dict[str, tuple[int, list[Any]]]) -> bytes:
    made = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("x", kind, ["N", width])],
        [helper.make_tensor_value_info(name, *described) for name, described in outputs.items()],
        [helper.make_tensor("table", TensorProto.FLOAT, [3], [10.0, 20.0, 30.0])],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())


CLASSIFIER = graph(
    TensorProto.FLOAT,
    2,
    [
        helper.make_node("Softmax", ["x"], ["scores"]),
        helper.make_node("ArgMax", ["x"], ["label"], axis=1, keepdims=0),
    ],
    {"label": (TensorProto.INT64, ["N"]), "scores": (TensorProto.FLOAT, ["N", 2])},
)
# Fails on an index outside the table: an error that depends on the request.
LOOKUP = graph(
    TensorProto.INT64, 1, [helper.make_node("Gather", ["table", "x"], ["y"])], {"y": (TensorProto.FLOAT, ["N", 1])}
)
ECHO = graph(TensorProto.STRING, 1, [helper.make_node("Identity", ["x"], ["y"])], {"y": (TensorProto.STRING, ["N", 1])})


def loaded(folder: Path, content: bytes, config: dict[str, Any]) -> TritonPythonModel:
    full = {"max_batch_size": 8, "output": [], "default_model_filename": "model.onnx", **config}
    file = folder / "7" / full["default_model_filename"]
    file.parent.mkdir()
    file.write_bytes(content)
    one = TritonPythonModel()
    one.initialize({"model_repository": str(folder), "model_version": "7", "model_config": json.dumps(full)})
    return one


def ask(rows: Any, *wanted: str, dtype: str = "f4") -> Request:
    return Request([Tensor("x", np.array(rows, dtype))], list(wanted))


def answer(response: Any) -> dict[str, Any]:
    assert response.error is None
    return {tensor.name(): tensor.as_numpy().tolist() for tensor in response.output_tensors}


def test_batch_of_one_and_of_several(tmp_path: Path) -> None:
    one = loaded(tmp_path, CLASSIFIER, {"input": [FLOAT]})
    alone, together = one.execute([ask([[1, 2]], "label"), ask([[5, 1], [1, 5]], "scores", "label")])
    assert answer(alone) == {"label": [1]}
    result = answer(together)
    assert list(result) == ["label", "scores"]
    assert result["label"] == [0, 1]
    assert np.argmax(result["scores"], axis=1).tolist() == [0, 1]


def test_joining_does_not_change_an_answer(tmp_path: Path) -> None:
    one = loaded(tmp_path, CLASSIFIER, {"input": [FLOAT]})
    rows = np.random.default_rng(1).normal(size=(16, 1, 2)).astype("f4")
    joint = [answer(response) for response in one.execute([ask(row, "label", "scores") for row in rows])]
    alone = [answer(one.execute([ask(row, "label", "scores")])[0]) for row in rows]
    assert joint == alone


def test_a_model_without_batching_answers_each_request(tmp_path: Path) -> None:
    one = loaded(tmp_path, CLASSIFIER, {"max_batch_size": 0, "input": [{**FLOAT, "dims": [-1, 2]}]})
    assert [answer(r) for r in one.execute([ask([[1, 2]], "label"), ask([[2, 1]], "label")])] == [
        {"label": [1]},
        {"label": [0]},
    ]


def test_the_request_that_fails_is_told_why_and_its_neighbours_are_answered(tmp_path: Path) -> None:
    one = loaded(tmp_path, LOOKUP, {"input": [INDEX]})
    first, bad, last = one.execute(
        [ask([[0]], "y", dtype="i8"), ask([[99]], "y", dtype="i8"), ask([[2]], "y", dtype="i8")]
    )
    assert (answer(first), answer(last)) == ({"y": [[10.0]]}, {"y": [[30.0]]})
    assert "out of data bounds" in bad.error.text
    assert bad.output_tensors == []


def test_strings_are_bytes_to_triton(tmp_path: Path) -> None:
    one = loaded(tmp_path, ECHO, {"input": [TEXT]})
    greeting = "Grüße".encode()
    responses = one.execute(
        [ask([[greeting]], "y", dtype="O"), ask([[b"\xff"]], "y", dtype="O"), ask([[b""]], "y", dtype="O")]
    )
    assert answer(responses[0]) == {"y": [[greeting]]}
    assert "can't decode byte 0xff" in responses[1].error.text
    assert answer(responses[2]) == {"y": [[b""]]}


def test_settings_for_the_gpu_are_ignored_and_the_file_name_is_honoured(tmp_path: Path) -> None:
    tensorrt = {"gpu_execution_accelerator": [{"name": "tensorrt", "parameters": {"precision_mode": "FP16"}}]}
    settings = {"execution_accelerators": tensorrt, "cuda": {"graphs": True}}
    one = loaded(
        tmp_path, CLASSIFIER, {"input": [FLOAT], "optimization": settings, "default_model_filename": "net.onnx"}
    )
    assert answer(one.execute([ask([[1, 2]], "label")])[0]) == {"label": [1]}


def test_a_configuration_that_contradicts_the_model_does_not_load(tmp_path: Path) -> None:
    with pytest.raises(Contradiction, match="'x' is TYPE_FP32 in the model but TYPE_INT64"):
        loaded(tmp_path, CLASSIFIER, {"input": [{**FLOAT, "data_type": "TYPE_INT64"}]})


def test_threads_can_be_set_as_on_the_official_backend(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(CLASSIFIER)
    config = {"parameters": {"intra_op_thread_count": {"string_value": "3"}}}
    options = open_session(tmp_path / "model.onnx", config).get_session_options()
    assert options.intra_op_num_threads == 3
