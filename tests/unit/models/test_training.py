"""Training gives the same bytes whatever the CPU, the BLAS and the order of the rows."""

import hashlib
import os
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest

from plimsoll_dev.models import dataset, exact
from plimsoll_dev.models.build import V1_RECIPE, V2_RECIPE, classifier_bytes
from plimsoll_dev.models.catalogue import CLASSIFIERS, DIGITS, MODEL_FILE, CataloguedModel
from plimsoll_dev.models.dataset import Rows
from plimsoll_dev.models.training import HIDDEN_BITS, WEIGHT_BITS, Recipe, train

SHORT = Recipe(hidden=16, seed=7, passes=5, step=0.3)
FLOAT32_BITS = 24

TRAIN_ELSEWHERE = """
import hashlib
from plimsoll_dev.models.build import classifier_bytes
from plimsoll_dev.models.catalogue import DIGITS
print(hashlib.sha256(classifier_bytes(DIGITS)).hexdigest())
"""


@pytest.mark.parametrize("model", CLASSIFIERS, ids=lambda model: model.folder)
def test_training_anew_reproduces_the_committed_bytes(model: CataloguedModel):
    assert classifier_bytes(model) == (model.path / MODEL_FILE).read_bytes()


def test_another_kernel_of_the_blas_trains_the_same_bytes():
    # Nehalem: the multiplication kernels of a CPU from 2008, without AVX and without fused multiply-add.
    older = {"OPENBLAS_CORETYPE": "Nehalem"}
    trained = subprocess.run(
        [sys.executable, "-c", TRAIN_ELSEWHERE],
        env=os.environ | older | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert trained.stdout.strip() == hashlib.sha256((DIGITS.path / MODEL_FILE).read_bytes()).hexdigest()


def test_the_order_of_the_rows_does_not_change_a_bit():
    rows = dataset.training_rows()
    backwards = Rows(rows.images[::-1], rows.labels[::-1], rows.numbers[::-1])
    there, back = train(rows, SHORT), train(backwards, SHORT)
    for name in ("first", "first_bias", "second", "second_bias"):
        assert np.array_equal(getattr(there, name), getattr(back, name)), name


def test_the_products_of_training_are_those_of_exact_fractions():
    network, image = train(dataset.training_rows(), SHORT), dataset.test_rows().images[0]
    pixels = [Fraction(int(ink), 16) for ink in image]
    hidden = [
        max(
            Fraction(bias) + sum(ink * Fraction(weight) for ink, weight in zip(pixels, column, strict=True)),
            Fraction(0),
        )
        for bias, column in zip(network.first_bias.tolist(), network.first.T.tolist(), strict=True)
    ]
    logits = [
        Fraction(bias) + sum(value * Fraction(weight) for value, weight in zip(hidden, column, strict=True))
        for bias, column in zip(network.second_bias.tolist(), network.second.T.tolist(), strict=True)
    ]
    assert [Fraction(logit) for logit in network.logits(image[np.newaxis])[0].tolist()] == logits


@pytest.mark.parametrize("recipe", [V1_RECIPE, V2_RECIPE], ids=["v1", "v2"])
def test_served_logits_fit_a_float32_exactly_in_any_order_of_summation(recipe: Recipe):
    network, images = train(dataset.training_rows(), recipe), dataset.test_rows().images
    # The sum of the magnitudes bounds every partial sum, whatever the order.
    largest = network.hidden(images) @ np.abs(network.second) + np.abs(network.second_bias)
    assert largest.max() * 2 ** (HIDDEN_BITS + WEIGHT_BITS) < 2**FLOAT32_BITS


def test_the_split_keeps_every_row_once_and_every_digit_in_both_halves():
    training, test = dataset.training_rows(), dataset.test_rows()
    assert (len(training.numbers), len(test.numbers)) == (1078, 719)
    assert sorted([*training.numbers, *test.numbers]) == list(range(1797))
    assert set(training.labels) == set(test.labels) == set(range(10))


def test_the_own_exponential_is_close_to_the_real_one():
    values = np.linspace(-5.0, 0.0, 101)
    assert np.abs(exact.exp(values) / np.exp(values) - 1.0).max() < 0.0031
    assert exact.exp(np.array([-1e6]))[0] == 0.0


def test_probabilities_are_rounded_to_the_grid():
    probabilities = exact.softmax(np.array([[0.0, 1.0, 2.0], [30.0, 0.0, 0.0]]))
    assert np.array_equal(probabilities, exact.on_grid(probabilities, exact.PROBABILITY_BITS))
    assert probabilities.sum(axis=1) == pytest.approx([1.0, 1.0], abs=1e-8)


def test_first_weights_follow_the_seed_and_stay_in_range():
    first, again, other = exact.uniform(1, (500,)), exact.uniform(1, (500,)), exact.uniform(2, (500,))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert (first >= -1.0).all()
    assert (first < 1.0).all()
    assert abs(first.mean()) < 0.1
