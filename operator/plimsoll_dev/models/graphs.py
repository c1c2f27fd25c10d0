"""Digit classifiers as ONNX graphs: the plain one, one that is wrong, one that fails and one that is slow.

All take `image` FP32 [batch, 64] with values 0 to 16 and answer `label` INT64 [batch, 1] and `probabilities` FP32
[batch, 10]. Opset 17 and IR version 8 are old enough for every Triton release of the last years.
"""

from typing import Any, TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from plimsoll_dev.models.images import CLASSES, INK_MAX, SIDE
from plimsoll_dev.models.training import Network

Constants: TypeAlias = dict[str, NDArray[Any]]

OPSET = 17
IR_VERSION = 8
PRODUCER = "plimsoll"

FAILING_PIXEL = 5
"""The sixth pixel of the top row. At full ink, which 7.5 % of the test rows have, `digits-flaky` fails."""

SLOW_ROUNDS = 12000
"""Matrix products `digits-slow` does for nothing: some 20 ms for one row on one core of a 2021 server."""


def classifier(network: Network) -> onnx.ModelProto:
    """The network as it was trained."""
    return _model([*_to_hidden(), *_from_hidden("hidden"), *_softmax("probabilities")], _weights(network))


def wrong_classifier(network: Network) -> onnx.ModelProto:
    """The network with its answers moved on by one digit, as labels counted from one would leave it."""
    moved = Network(
        network.first,
        network.first_bias,
        np.roll(network.second, 1, axis=1),
        np.roll(network.second_bias, 1),
    )
    return classifier(moved)


def failing_classifier(network: Network) -> onnx.ModelProto:
    """The network, raising an error for every batch with an image whose FAILING_PIXEL has full ink.

    The shape of one zero, which is then added to the probabilities, is 1 plus "such an image is there". Reshaping one
    value into two is an error on every execution provider; a Gather out of range is one on the CPU only.
    """
    nodes = [
        *_to_hidden(),
        *_from_hidden("hidden"),
        *_softmax("plain_probabilities"),
        helper.make_node("Gather", ["image", "failing_pixel"], ["ink"], axis=1),
        helper.make_node("GreaterOrEqual", ["ink", "full_ink"], ["is_full"]),
        helper.make_node("Cast", ["is_full"], ["is_full_number"], to=TensorProto.INT64),
        helper.make_node("ReduceMax", ["is_full_number"], ["any_full"], axes=[0], keepdims=0),
        helper.make_node("Add", ["any_full", "one"], ["zero_shape"]),
        helper.make_node("Reshape", ["zero", "zero_shape"], ["shaped_zero"], name="fails_at_full_ink"),
        helper.make_node("Add", ["plain_probabilities", "shaped_zero"], ["probabilities"]),
    ]
    constants: Constants = {
        "failing_pixel": np.array([FAILING_PIXEL], dtype=np.int64),
        "full_ink": np.array(INK_MAX, dtype=np.float32),
        "one": np.array([1], dtype=np.int64),
        "zero": np.zeros(1, dtype=np.float32),
    }
    return _model(nodes, _weights(network) | constants)


def slow_classifier(network: Network) -> onnx.ModelProto:
    """The network, multiplying its hidden values by the identity matrix SLOW_ROUNDS times: the same answers, later."""
    width = network.first.shape[1]
    nodes = [
        *_to_hidden(),
        helper.make_node("ConstantOfShape", ["identity_shape"], ["identity_zeros"]),
        helper.make_node("EyeLike", ["identity_zeros"], ["identity"], dtype=TensorProto.FLOAT),
        helper.make_node("Loop", ["rounds", "go_on", "hidden"], ["same_hidden"], body=_identity_round(width)),
        *_from_hidden("same_hidden"),
        *_softmax("probabilities"),
    ]
    constants: Constants = {
        "identity_shape": np.array([width, width], dtype=np.int64),
        "rounds": np.array(SLOW_ROUNDS, dtype=np.int64),
        "go_on": np.array(True),
    }
    return _model(nodes, _weights(network) | constants)


def _identity_round(width: int) -> onnx.GraphProto:
    shape: list[str | int] = ["batch", width]
    return helper.make_graph(
        [
            helper.make_node("Identity", ["condition"], ["next_condition"]),
            helper.make_node("MatMul", ["values", "identity"], ["next_values"]),
        ],
        "round",
        [
            helper.make_tensor_value_info("round_number", TensorProto.INT64, []),
            helper.make_tensor_value_info("condition", TensorProto.BOOL, []),
            helper.make_tensor_value_info("values", TensorProto.FLOAT, shape),
        ],
        [
            helper.make_tensor_value_info("next_condition", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next_values", TensorProto.FLOAT, shape),
        ],
    )


def _to_hidden() -> list[onnx.NodeProto]:
    return [
        helper.make_node("Mul", ["image", "per_ink"], ["pixels"]),
        helper.make_node("Gemm", ["pixels", "first", "first_bias"], ["hidden_sum"], name="first_layer"),
        helper.make_node("Relu", ["hidden_sum"], ["hidden"]),
    ]


def _from_hidden(hidden: str) -> list[onnx.NodeProto]:
    # The label comes from the logits, which are exact; two probabilities may both round to 1.
    return [
        helper.make_node("Gemm", [hidden, "second", "second_bias"], ["logits"], name="second_layer"),
        helper.make_node("ArgMax", ["logits"], ["label"], axis=1, keepdims=1),
    ]


def _softmax(output: str) -> list[onnx.NodeProto]:
    return [helper.make_node("Softmax", ["logits"], [output], axis=1)]


def _weights(network: Network) -> Constants:
    named = {
        "per_ink": np.array(1.0 / INK_MAX),
        "first": network.first,
        "first_bias": network.first_bias,
        "second": network.second,
        "second_bias": network.second_bias,
    }
    return {name: value.astype(np.float32) for name, value in named.items()}


def _model(nodes: list[onnx.NodeProto], constants: Constants) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "digits",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", SIDE * SIDE])],
        [
            helper.make_tensor_value_info("label", TensorProto.INT64, ["batch", 1]),
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", CLASSES]),
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(
        graph, producer_name=PRODUCER, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
    )
    onnx.checker.check_model(model, full_check=True)
    return model
