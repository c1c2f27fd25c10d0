"""What each digit classifier does, asked through ONNX Runtime as the server asks it."""

import json
import re
from typing import Any

import numpy as np
import onnx
import pytest

from plimsoll_dev.models import dataset, golden
from plimsoll_dev.models.build import accuracy
from plimsoll_dev.models.catalogue import (
    CLASSIFIERS,
    DIGITS,
    DIGITS_BAD,
    DIGITS_FLAKY,
    DIGITS_INT8,
    DIGITS_SLOW,
    DIGITS_V2,
    FOLDER,
    GOLDEN_FILE,
    MODEL_FILE,
    CataloguedModel,
)
from plimsoll_dev.models.graphs import FAILING_PIXEL, IR_VERSION, OPSET, PRODUCER, SLOW_ROUNDS

TEST = dataset.test_rows()
IMAGES = TEST.images.astype(np.float32)
FULL_INK = IMAGES[:, FAILING_PIXEL] == 16.0

each_model = pytest.mark.parametrize("model", CLASSIFIERS, ids=lambda model: model.folder)


def ask(model: CataloguedModel, images: np.ndarray) -> golden.Tensors:
    return golden.answer(golden.session(model.path / MODEL_FILE), {"image": images})


@each_model
def test_schema_is_the_same_for_all(model: CataloguedModel):
    opened = golden.session(model.path / MODEL_FILE)
    assert [(tensor.name, tensor.type, tensor.shape) for tensor in opened.get_inputs()] == [
        ("image", "tensor(float)", ["batch", 64])
    ]
    assert [(tensor.name, tensor.type, tensor.shape) for tensor in opened.get_outputs()] == [
        ("label", "tensor(int64)", ["batch", 1]),
        ("probabilities", "tensor(float)", ["batch", 10]),
    ]


@each_model
def test_file_names_no_version_of_the_tools_that_made_it(model: CataloguedModel):
    made = onnx.load(model.path / MODEL_FILE)
    assert (made.producer_name, made.producer_version, made.ir_version) == (PRODUCER, "", IR_VERSION)
    assert {entry.domain: entry.version for entry in made.opset_import}[""] == OPSET
    assert not made.metadata_props


@each_model
def test_golden_cases_hold(model: CataloguedModel):
    recorded = json.loads((model.path / GOLDEN_FILE).read_text())
    inputs = [golden.decode(case["inputs"]) for case in recorded["cases"]]
    assert golden.matches(recorded, golden.record(model.path / MODEL_FILE, inputs))


@each_model
def test_golden_cases_are_ten_single_images_and_a_batch_of_four(model: CataloguedModel):
    recorded = json.loads((model.path / GOLDEN_FILE).read_text())
    assert [case["inputs"][0]["shape"] for case in recorded["cases"]] == [[1, 64]] * 10 + [[4, 64]]
    assert [[tensor["name"] for tensor in case["outputs"]] for case in recorded["cases"]] == [
        ["label", "probabilities"]
    ] * 11


@each_model
def test_an_answer_is_the_same_alone_and_in_any_batch(model: CataloguedModel):
    images = IMAGES[~FULL_INK][:64]
    opened = golden.session(model.path / MODEL_FILE)
    alone = [golden.answer(opened, {"image": image[np.newaxis]}) for image in images]
    for size in (2, 7, 16, 64):
        together = golden.answer(opened, {"image": images[:size]})
        for name, values in together.items():
            assert np.array_equal(values, np.concatenate([single[name] for single in alone[:size]])), (name, size)


@each_model
def test_stated_accuracy_is_the_measured_one(model: CataloguedModel):
    readme = (FOLDER / "README.md").read_text()
    stated = re.search(rf"^\| `{model.folder}` \|.*?\| ([0-9.]+) % \|", readme, re.MULTILINE)
    assert stated is not None, f"triton-models/README.md has no row for {model.folder}"
    assert stated[1] == f"{100 * accuracy(model.path / MODEL_FILE):.2f}"


def test_v2_is_better_than_v1_on_the_same_rows():
    assert accuracy(DIGITS_V2.path / MODEL_FILE) - accuracy(DIGITS.path / MODEL_FILE) > 0.005


def test_bad_is_wrong_on_nearly_all_inputs_and_sure_of_it():
    answers = ask(DIGITS_BAD, IMAGES)
    assert (answers["label"][:, 0] == TEST.labels).mean() < 0.01
    assert np.median(answers["probabilities"].max(axis=1)) > 0.99


def test_int8_loses_little_and_changes_few_answers():
    exact, quantised = ask(DIGITS, IMAGES), ask(DIGITS_INT8, IMAGES)
    assert accuracy(DIGITS.path / MODEL_FILE) - accuracy(DIGITS_INT8.path / MODEL_FILE) <= 0.005
    assert (exact["label"] != quantised["label"]).mean() <= 0.005
    assert np.quantile(np.abs(exact["probabilities"] - quantised["probabilities"]), 0.99) < 0.05


def test_int8_is_static_and_quantises_weights_per_output_channel_in_seven_bits():
    model = onnx.load(DIGITS_INT8.path / MODEL_FILE)
    constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    assert "DynamicQuantizeLinear" not in {node.op_type for node in model.graph.node}
    for layer, channels in (("first", 64), ("second", 10)):
        weights = constants[f"{layer}_quantized"]
        assert weights.dtype == np.int8
        assert np.abs(weights.astype(np.int64)).max() <= 64
        assert constants[f"{layer}_scale"].shape == (channels,)


def test_flaky_fails_on_exactly_the_images_with_full_ink_in_the_failing_pixel():
    opened = golden.session(DIGITS_FLAKY.path / MODEL_FILE)
    failures = [failure(opened, image) for image in IMAGES]
    assert [text is not None for text in failures] == FULL_INK.tolist()
    assert all("fails_at_full_ink" in text for text in failures if text is not None)
    assert FULL_INK.sum() == 54


def test_flaky_fails_the_whole_batch_of_such_an_image():
    batch = np.concatenate([IMAGES[~FULL_INK][:3], IMAGES[FULL_INK][:1]])
    with pytest.raises(Exception, match="fails_at_full_ink"):
        ask(DIGITS_FLAKY, batch)


def test_flaky_answers_like_v1_where_it_answers():
    images = IMAGES[~FULL_INK]
    assert_equal_answers(ask(DIGITS, images), ask(DIGITS_FLAKY, images))


def test_slow_answers_like_v1():
    assert_equal_answers(ask(DIGITS, IMAGES[:100]), ask(DIGITS_SLOW, IMAGES[:100]))


def test_slow_does_its_rounds_at_run_time():
    graph = onnx.load(DIGITS_SLOW.path / MODEL_FILE).graph
    (loop,) = [node for node in graph.node if node.op_type == "Loop"]
    (rounds,) = [tensor for tensor in graph.initializer if tensor.name == loop.input[0]]
    assert onnx.numpy_helper.to_array(rounds) == SLOW_ROUNDS
    assert [node.op_type for node in loop.attribute[0].g.node] == ["Identity", "MatMul"]


def failure(opened: Any, image: np.ndarray) -> str | None:
    try:
        golden.answer(opened, {"image": image[np.newaxis]})
    except Exception as raised:  # noqa: BLE001 - ONNX Runtime's error classes are private
        return str(raised)
    return None


def assert_equal_answers(one: golden.Tensors, other: golden.Tensors) -> None:
    assert one.keys() == other.keys()
    for name, values in one.items():
        assert np.array_equal(values, other[name]), name
