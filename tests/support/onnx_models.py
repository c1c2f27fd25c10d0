"""Small ONNX models, made by the `onnx` package the way exporters do."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

Shape = Sequence[int | str | None]


def linear(rows: int | str | None = "N", *, label: bool = False) -> bytes:
    """`y = x W + b` with 4 features and 3 classes; `label` adds an int64 output of shape [N], as skl2onnx does."""
    weights = numpy_helper.from_array(np.arange(12, dtype=np.float32).reshape(4, 3) / 10, "W")
    bias = numpy_helper.from_array(np.ones(3, dtype=np.float32), "b")
    nodes = [helper.make_node("Gemm", ["x", "W", "b"], ["y"])]
    outputs = [value("y", TensorProto.FLOAT, [rows, 3])]
    if label:
        nodes.append(helper.make_node("ArgMax", ["y"], ["label"], axis=1, keepdims=0))
        outputs.append(value("label", TensorProto.INT64, [rows]))
    return model(nodes, [value("x", TensorProto.FLOAT, [rows, 4])], outputs, [weights, bias])


def choosy() -> bytes:
    """A model that fails on zeros: it gathers by the input, and only -2 and -3 are accepted as indices."""
    table = numpy_helper.from_array(np.arange(2, dtype=np.float32), "table")
    shift = numpy_helper.from_array(np.array([4], dtype=np.int64), "shift")
    nodes = [
        helper.make_node("Add", ["ids", "shift"], ["moved"]),
        helper.make_node("Gather", ["table", "moved"], ["y"], axis=0),
    ]
    return model(
        nodes,
        [value("ids", TensorProto.INT64, ["N", 2])],
        [value("y", TensorProto.FLOAT, ["N", 2])],
        [table, shift],
    )


def value(name: str, element: int, shape: Shape | None) -> Any:
    return helper.make_tensor_value_info(name, element, shape)


def model(nodes: list[Any], inputs: list[Any], outputs: list[Any], initializers: Sequence[Any] = ()) -> bytes:
    graph = helper.make_graph(nodes, "test", inputs, outputs, initializer=list(initializers))
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(made.SerializeToString())
