"""`config.pbtxt` for every format, against files; run with PLIMSOLL_UPDATE_GOLDEN=1 to write them anew."""

import os
from pathlib import Path
from typing import Any

import pytest

from plimsoll.api.vocabulary import Accelerator, DataType, ModelFormat
from plimsoll.core.triton.config import ModelFacts, instance_count, model_config, preferred_batch_sizes
from plimsoll.core.triton.overrides import normalize
from plimsoll.core.triton.pbtxt import write_config
from plimsoll.core.triton.tensors import ModelInterface, Tensor
from plimsoll.errors import Invalid

GOLDEN = Path(__file__).parents[2] / "golden" / "triton"
CLASSIFIER = ModelInterface(
    (Tensor("x", DataType.FP32, (64,)),),
    (Tensor("label", DataType.INT64, ()), Tensor("probabilities", DataType.FP32, (10,))),
    64,
)
TEXT = ModelInterface(
    (Tensor("text", DataType.BYTES, (-1,)), Tensor("limit", DataType.INT32, (1,))),
    (Tensor("answer", DataType.BYTES, (-1,)),),
    0,
)


def facts(
    model_format: ModelFormat = ModelFormat.ONNX,
    interface: ModelInterface = CLASSIFIER,
    accelerator: Accelerator = Accelerator.NONE,
) -> ModelFacts:
    return ModelFacts("digits", model_format, interface, accelerator)


CASES: dict[str, tuple[ModelFacts, dict[str, Any]]] = {
    "onnx": (facts(), {}),
    "onnx-gpu": (facts(accelerator=Accelerator.NVIDIA), {}),
    "torchscript": (facts(ModelFormat.TORCHSCRIPT, TEXT, Accelerator.NVIDIA), {}),
    "savedmodel": (facts(ModelFormat.SAVED_MODEL), {}),
    "tensorrt": (facts(ModelFormat.TENSORRT, accelerator=Accelerator.NVIDIA), {}),
    "openvino-beside-a-gpu": (facts(ModelFormat.OPENVINO, accelerator=Accelerator.NVIDIA), {}),
    "python": (facts(ModelFormat.PYTHON, TEXT), {}),
    "overrides": (
        facts(),
        {
            "maxBatchSize": 64,
            "dynamicBatching": {"maxQueueDelayMicroseconds": "500", "defaultQueuePolicy": {"maxQueueSize": 100}},
            "instance_group": [{"count": 2, "kind": "KIND_CPU"}],
            "parameters": {"intra_op_thread_count": {"stringValue": 'two "threads"\n'}, "a": {"string_value": "ä"}},
            "optimization": {"cuda": {"graphs": True}, "inputPinnedMemory": {"enable": False}},
            "output": [{"name": "label", "labelFilename": "labels.txt"}],
        },
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_rendered(name: str) -> None:
    given, overrides = CASES[name]
    rendered = write_config(model_config(given, normalize(overrides)))
    path = GOLDEN / f"{name}.pbtxt"
    if os.environ.get("PLIMSOLL_UPDATE_GOLDEN"):
        path.write_text(rendered)
    assert rendered == path.read_text()


@pytest.mark.parametrize(
    ("overrides", "reason", "says"),
    [
        ({"maxBatchSise": 8}, "InvalidConfig", "spec.model.config.maxBatchSise is not a field"),
        ({"dynamicBatching": {"preferred": [1]}}, "InvalidConfig", "config.dynamicBatching.preferred is not a field"),
        ({"instanceGroup": [{"kind": "GPU"}]}, "InvalidConfig", "instanceGroup[0].kind must be one of KIND_AUTO"),
        ({"maxBatchSize": "many"}, "InvalidConfig", "maxBatchSize must be a whole number"),
        ({"maxBatchSize": True}, "InvalidConfig", "maxBatchSize must be a whole number"),
        ({"maxBatchSize": -1}, "InvalidConfig", "must be 0 or more"),
        ({"maxBatchSize": 8, "max_batch_size": 8}, "InvalidConfig", "given twice"),
        ({"backend": 1}, "InvalidConfig", "backend must be a string"),
        ({"backend": "../../models/repository/digits/7"}, "InvalidConfig", "backend must be a name without '/'"),
        ({"backend": ".."}, "InvalidConfig", "backend must be a name without '/'"),
        ({"runtime": "/tmp/library.so"}, "InvalidConfig", "runtime must be a name without '/'"),  # noqa: S108
        ({"defaultModelFilename": "../2/model.onnx"}, "InvalidConfig", "defaultModelFilename must be a path inside"),
        ({"default_model_filename": "/etc/passwd"}, "InvalidConfig", "default_model_filename must be a path inside"),
        ({"defaultModelFilename": 1}, "InvalidConfig", "defaultModelFilename must be a string"),
        ({"ccModelFilenames": {"9.0": "a/../../b"}}, "InvalidConfig", "ccModelFilenames.9.0 must be a path inside"),
        ({"output": [{"name": "label", "labelFilename": "../l"}]}, "InvalidConfig", "labelFilename must be a path"),
        (
            {"modelWarmup": [{"batchSize": 1, "inputs": {"x": {"inputDataFile": "../../golden"}}}]},
            "InvalidConfig",
            "inputs.x.inputDataFile must be a path inside",
        ),
        (
            {"sequenceBatching": {"state": [{"initialState": [{"dataFile": "/etc/hosts"}]}]}},
            "InvalidConfig",
            "initialState[0].dataFile must be a path inside",
        ),
        (
            {"modelRepositoryAgents": {"agents": [{"name": "../agent"}]}},
            "InvalidConfig",
            "agents[0].name must be a name without '/'",
        ),
        ({"parameters": []}, "InvalidConfig", "parameters must be an object"),
        ({"input": {}}, "InvalidConfig", "input must be a list"),
        ({"optimization": 1}, "InvalidConfig", "optimization must be an object"),
        ({"optimization": {"eagerBatching": "on"}}, "InvalidConfig", "must be true or false"),
        ({"name": "other"}, "InvalidConfig", "metadata.name"),
        ({"versionPolicy": {"all": {}}}, "InvalidConfig", "exactly one version"),
        ({"responseCache": {"enable": True}}, "InvalidConfig", "empty success"),
        ({"dynamicBatching": {"preferredBatchSize": [128]}}, "InvalidConfig", "holds 128"),
        (
            {"dynamicBatching": {"priorityQueuePolicy": {"high": {}}}},
            "InvalidConfig",
            "priorityQueuePolicy key must be a whole number",
        ),
        ({"input": [{"name": "z"}]}, "InputsMismatch", "'z', which the model does not have; it has x"),
        ({"input": [{"name": "x", "dims": [65]}]}, "InputsMismatch", "FP32 [65], but the model file has FP32 [64]"),
        ({"input": [{"name": "x", "dataType": "TYPE_FP16"}]}, "InputsMismatch", "stated as FP16"),
        ({"modelWarmup": [{"name": "w", "batchSize": 0}]}, "InvalidConfig", "between 1 and 64"),
        ({"modelWarmup": [{"name": "w", "batchSize": 65}]}, "InvalidConfig", "between 1 and 64"),
        (
            {"modelWarmup": [{"batchSize": 1, "inputs": {"x": {"dataType": "TYPE_FP32", "zeroData": True}}}]},
            "InvalidConfig",
            "needs dataType and dims above 0",
        ),
        (
            {"modelWarmup": [{"batchSize": 1, "inputs": {"x": {"dims": [-1], "dataType": "TYPE_FP32"}}}]},
            "InvalidConfig",
            "needs dataType and dims above 0",
        ),
        (
            {
                "modelWarmup": [
                    {"batchSize": 1, "inputs": {"x": {"dims": [64], "dataType": "TYPE_FP32", "inputDataFile": "raw"}}}
                ]
            },
            "InvalidConfig",
            "golden.json",
        ),
    ],
)
def test_overrides_that_triton_would_die_of(overrides: dict[str, Any], reason: str, says: str) -> None:
    with pytest.raises(Invalid) as error:
        model_config(facts(), normalize(overrides))
    assert (error.value.reason, says in error.value.message) == (reason, True), error.value.message


def test_names_inside_the_model_and_parameters_are_the_owners_to_choose() -> None:
    chosen = {
        "backend": "python",
        "runtime": "libtriton_python.so",
        "default_model_filename": "parts/model..v2.onnx",
        "cc_model_filenames": {"9.0": "model90.plan"},
        "parameters": {"EXECUTION_ENV_PATH": {"string_value": "$$TRITON_MODEL_DIRECTORY/../env.tar.gz"}},
    }
    assert normalize(chosen) == chosen


def test_null_takes_a_default_away() -> None:
    assert "dynamic_batching" not in model_config(facts(), normalize({"dynamicBatching": None}))


def test_another_scheduler_replaces_the_default_one() -> None:
    config = model_config(facts(), normalize({"sequenceBatching": {"maxSequenceIdleMicroseconds": 1}}))
    assert "dynamic_batching" not in config
    assert config["sequence_batching"] == {"max_sequence_idle_microseconds": 1}


def test_an_input_may_be_reshaped() -> None:
    override = {"input": [{"name": "x", "dims": [8, 8], "reshape": {"shape": [64]}}]}
    assert model_config(facts(), normalize(override))["input"][0]["dims"] == [8, 8]


def test_tensorrt_needs_a_gpu() -> None:
    with pytest.raises(Invalid, match=r"spec\.runtime\.accelerator") as error:
        model_config(facts(ModelFormat.TENSORRT), {})
    assert error.value.reason == "AcceleratorRequired"


@pytest.mark.parametrize(("maximum", "sizes"), [(64, [8, 32]), (16, [8]), (4, [4]), (32, [8, 32])])
def test_preferred_sizes(maximum: int, sizes: list[int]) -> None:
    assert preferred_batch_sizes(maximum) == sizes


@pytest.mark.parametrize(
    ("groups", "gpus", "expected"),
    [
        ([], 0, 1),
        ([], 2, 2),
        ([{"kind": "KIND_CPU", "count": 3}], 0, 3),
        ([{"kind": "KIND_GPU", "count": 2}], 2, 4),
        ([{"kind": "KIND_GPU", "count": 2, "gpus": [0]}], 2, 2),
        ([{"kind": "KIND_CPU"}, {"kind": "KIND_GPU", "count": 1}], 1, 2),
    ],
)
def test_instances(groups: list[dict[str, Any]], gpus: int, expected: int) -> None:
    assert instance_count({"instance_group": groups}, gpus) == expected
