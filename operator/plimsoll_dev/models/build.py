"""Makes the files under `triton-models/`: models, golden cases, samples and manifests."""

import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import numpy as np
import onnx

from plimsoll_dev.models import dataset, golden, graphs, minilm
from plimsoll_dev.models.artefact import package_model
from plimsoll_dev.models.catalogue import (
    CLASSIFIERS,
    DEPLOYMENT_FILE,
    DIGITS,
    DIGITS_BAD,
    DIGITS_FLAKY,
    DIGITS_INT8,
    DIGITS_SLOW,
    DIGITS_V2,
    GOLDEN_FILE,
    MINILM,
    MODEL_FILE,
    SAMPLES_FILE,
    CataloguedModel,
)
from plimsoll_dev.models.images import CLASSES, INK_MAX
from plimsoll_dev.models.int8 import quantised
from plimsoll_dev.models.manifests import deployment
from plimsoll_dev.models.training import Network, Recipe, train

V1_RECIPE = Recipe(hidden=64, seed=1, passes=300, step=0.3)
V2_RECIPE = Recipe(hidden=128, seed=2, passes=400, step=0.3, decay=1e-4)

GOLDEN_BATCH = 4
GOLDEN_TEXTS = (
    ("the ship is loaded to its line",),
    ("how much can this model carry", "overloaded"),
)


def classifier_bytes(model: CataloguedModel) -> bytes:
    """The ONNX file of a digit classifier, trained anew (once per process); the same bytes on every machine."""
    content: bytes = _classifier(model).SerializeToString(deterministic=True)
    return content


def build(model: CataloguedModel) -> str:
    """Write the model's folder and return the digest of its artefact."""
    model.path.mkdir(parents=True, exist_ok=True)
    built = minilm.built_folder() if model is MINILM else model.path
    if model is not MINILM:
        (model.path / MODEL_FILE).write_bytes(classifier_bytes(model))
    cases = text_cases() if model is MINILM else image_cases()
    golden.write(model.path / GOLDEN_FILE, golden.record(built / MODEL_FILE, cases))
    if model is DIGITS:
        SAMPLES_FILE.write_text(samples_json())
    digest = package_model(model, built).digest
    (model.path / DEPLOYMENT_FILE).write_text(deployment(model, digest))
    return digest


def image_cases() -> list[golden.Tensors]:
    """One test image of each digit, then four in one batch; none that makes `digits-flaky` fail."""
    rows = dataset.test_rows()
    images = rows.images[rows.images[:, graphs.FAILING_PIXEL] < INK_MAX].astype(np.float32)
    labels = rows.labels[rows.images[:, graphs.FAILING_PIXEL] < INK_MAX]
    singles = [images[labels == digit][:1] for digit in range(CLASSES)]
    return [{"image": image} for image in [*singles, images[-GOLDEN_BATCH:]]]


def text_cases() -> list[golden.Tensors]:
    """A sentence alone, and two of different length in one batch with padding."""
    vocabulary = (minilm.built_folder() / minilm.VOCABULARY_FILE).read_text().splitlines()
    return [_text_case([minilm.tokens(text, vocabulary) for text in texts]) for texts in GOLDEN_TEXTS]


def samples_json() -> str:
    """Two test images of each digit, a quarter and three quarters through its rows, and so of different writers."""
    rows = dataset.test_rows()
    chosen: Iterable[int] = (
        np.flatnonzero(rows.labels == digit)[np.count_nonzero(rows.labels == digit) * quarter // 4]
        for quarter in (1, 3)
        for digit in range(CLASSES)
    )
    lines = ",\n".join(
        json.dumps(
            {
                "label": int(rows.labels[at]),
                "row": int(rows.numbers[at]),
                "image": [int(pixel) for pixel in rows.images[at]],
            }
        )
        for at in chosen
    )
    return f'{{"samples": [\n{lines}\n]}}\n'


def accuracy(model: Path) -> float:
    """Share of the test rows the model answers correctly, among those it answers at all; between 0 and 1."""
    rows = dataset.test_rows()
    answered = (
        rows.images[:, graphs.FAILING_PIXEL] < INK_MAX if model.parent.name == DIGITS_FLAKY.folder else slice(None)
    )
    answers = golden.answer(golden.session(model), {"image": rows.images[answered].astype(np.float32)})
    return float((answers["label"][:, 0] == rows.labels[answered]).mean())


def _classifier(model: CataloguedModel) -> onnx.ModelProto:
    makers = {
        DIGITS: lambda: graphs.classifier(_network(V1_RECIPE)),
        DIGITS_V2: lambda: graphs.classifier(_network(V2_RECIPE)),
        DIGITS_INT8: lambda: quantised(graphs.classifier(_network(V1_RECIPE)), dataset.training_rows()),
        DIGITS_BAD: lambda: graphs.wrong_classifier(_network(V1_RECIPE)),
        DIGITS_FLAKY: lambda: graphs.failing_classifier(_network(V1_RECIPE)),
        DIGITS_SLOW: lambda: graphs.slow_classifier(_network(V1_RECIPE)),
    }
    assert makers.keys() == set(CLASSIFIERS)  # noqa: S101 - a classifier without a maker is a mistake in this file
    return makers[model]()


@cache
def _network(recipe: Recipe) -> Network:
    return train(dataset.training_rows(), recipe)


def _text_case(ids: list[list[int]]) -> golden.Tensors:
    width = max(len(row) for row in ids)
    return {
        "input_ids": np.array([row + [0] * (width - len(row)) for row in ids], dtype=np.int64),
        "attention_mask": np.array([[1] * len(row) + [0] * (width - len(row)) for row in ids], dtype=np.int64),
    }
