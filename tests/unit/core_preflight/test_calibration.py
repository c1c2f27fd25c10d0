"""Stated confidence against the share of right answers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from plimsoll.api.preflight_report import CalibrationFigures
from plimsoll.core.preflight.calibration import BINS, calibration_figures

Data = tuple[NDArray[np.float64], NDArray[np.intp]]


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def classifier(seed: int, rows: int, sharpened: float = 1.0, spread: float = 3.0) -> Data:
    """Labels drawn from the true probabilities of ten classes; what is stated has its logits multiplied."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(0, spread, (rows, 10))
    labels = (softmax(logits).cumsum(axis=1) > generator.random((rows, 1))).argmax(axis=1)
    return softmax(logits * sharpened), labels


def examine(data: Data, error_rate: float = 0.05, seed: int = 0) -> CalibrationFigures:
    return calibration_figures("probabilities", *data, error_rate, np.random.default_rng(seed))


def confident(*rows: tuple[float, bool]) -> Data:
    """Two classes, the label is 0: confidence and whether the answer is right."""
    stated = [(confidence, 1 - confidence) if right else (1 - confidence, confidence) for confidence, right in rows]
    return np.array(stated), np.zeros(len(rows), dtype=np.intp)


@pytest.mark.parametrize(
    ("data", "error"),
    [
        pytest.param(confident((1.0, True)), 0.0, id="certain and right"),
        pytest.param(confident((1.0, False)), 1.0, id="certain and wrong"),
        pytest.param(confident((0.75, True), (0.75, True), (0.75, True), (0.75, False)), 0.0, id="three of four"),
        pytest.param(confident((0.9, True), (0.9, False)), 0.4, id="half of what is stated"),
        pytest.param(confident((0.9, False), (0.6, True)), (0.9 + 0.4) / 2, id="bins do not make up for each other"),
        pytest.param(confident((0.62, False), (0.64, True)), 0.13, id="rows of one bin do"),
    ],
)
def test_the_error_is_the_mean_distance_over_bins(data: Data, error: float):
    assert examine(data).ece == pytest.approx(error)


@pytest.mark.parametrize("seed", range(3))
def test_the_error_is_that_of_an_established_reliability_curve(seed: int):
    calibration = pytest.importorskip("sklearn.calibration")
    probabilities, labels = classifier(seed, 2000, sharpened=1.5)
    confidences, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    shares, means = calibration.calibration_curve(right, confidences, n_bins=BINS)
    rows = np.histogram(confidences, np.linspace(0, 1, BINS + 1))[0]

    assert examine((probabilities, labels)).ece == pytest.approx(
        np.sum(rows[rows > 0] * np.abs(shares - means)) / labels.size
    )


def test_a_calibrated_model_stays_below_the_noise_floor_in_about_95_of_100_cases():
    """200 models; 90 % allows for their own error (1.5 % a standard deviation)."""
    examined = [examine(classifier(seed, 300), seed=seed) for seed in range(200)]

    assert np.mean([figures.ece <= figures.noise_floor for figures in examined]) > 0.9


def test_the_noise_floor_falls_with_the_square_root_of_the_rows():
    few, many = examine(classifier(0, 100)), examine(classifier(0, 10_000))

    assert few.noise_floor / many.noise_floor == pytest.approx(10, rel=0.25)
    assert few.noise_floor > 0.1


@pytest.mark.parametrize("sharpened", [0.5, 1.6, 3.0])
def test_a_wrong_temperature_is_found_and_its_cure_offered(sharpened: float):
    figures = examine(classifier(1, 4000, sharpened))

    assert figures.ece > figures.noise_floor
    assert figures.temperature == pytest.approx(sharpened, rel=0.08)
    assert figures.ece_after is not None
    assert figures.ece_after < figures.ece / 3


def test_a_calibrated_model_is_offered_no_temperature():
    """Once in twenty by chance: at most 8 of 60."""
    offers = [examine(classifier(seed, 400), seed=seed).temperature for seed in range(60)]

    assert sum(offer is not None for offer in offers) <= 8


def test_what_no_temperature_cures_is_offered_none():
    """Half the rows are too sharp and half are too flat, by about the same factor."""
    sharp, flat = classifier(1, 150, sharpened=1.25), classifier(2, 150, sharpened=0.8)
    figures = examine((np.concatenate([sharp[0], flat[0]]), np.concatenate([sharp[1], flat[1]])))

    assert (figures.temperature, figures.ece_after) == (None, None)


def test_few_rows_tell_nothing_about_a_temperature():
    assert examine(classifier(1, 39, sharpened=5.0)).temperature is None


def test_the_temperature_is_that_of_least_log_loss():
    """Against a general optimiser over all rows, of which a half says nearly the same."""
    optimize = pytest.importorskip("scipy.optimize")
    probabilities, labels = classifier(3, 20_000, sharpened=2.0)

    def loss(temperature: float) -> float:
        scaled = softmax(np.log(probabilities) / temperature)
        return -float(np.mean(np.log(scaled[np.arange(labels.size), labels])))

    best = optimize.minimize_scalar(loss, bounds=(0.1, 10), method="bounded").x
    assert examine((probabilities, labels)).temperature == pytest.approx(best, rel=0.03)


def test_probabilities_of_zero_and_one_have_a_temperature_too():
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 3, 300)
    answers = np.where(generator.random(300) < 0.8, labels, (labels + 1) % 3)

    figures = examine((np.eye(3)[answers], labels))

    assert figures.temperature is not None
    assert figures.temperature > 1
    assert figures.ece == pytest.approx(0.2, abs=0.06)


def graded(*groups: tuple[float, int, int]) -> Data:
    """Confidence, rows, and how many of them are right."""
    return confident(*((confidence, row < right) for confidence, rows, right in groups for row in range(rows)))


@pytest.mark.parametrize(
    ("data", "error_rate", "threshold", "coverage"),
    [
        pytest.param(graded((0.9, 100, 100)), 0.05, 0.9, 1.0, id="all of them"),
        pytest.param(graded((0.9, 100, 100), (0.6, 100, 50)), 0.05, 0.9, 0.5, id="the confident half"),
        pytest.param(graded((0.9, 100, 100), (0.6, 100, 50)), 0.5, 0.6, 1.0, id="everything is good enough"),
        pytest.param(graded((0.9, 51, 51)), 0.05, None, None, id="51 right rows prove less than 95 %"),
        pytest.param(graded((0.9, 52, 52)), 0.05, 0.9, 1.0, id="52 prove it"),
        pytest.param(graded((0.9, 100, 96)), 0.05, None, None, id="the point is met, the bound is not"),
        pytest.param(graded((0.9, 30, 30), (0.8, 100, 100)), 0.05, 0.8, 1.0, id="the confident ones are too few"),
        pytest.param(graded((0.9, 60, 40)), 0.05, None, None, id="never"),
    ],
)
def test_the_threshold_is_the_smallest_that_proves_the_error_rate(
    data: Data, error_rate: float, threshold: float | None, coverage: float | None
):
    figures = examine(data, error_rate)

    assert (figures.threshold, figures.coverage) == (threshold, coverage)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), rows=st.integers(60, 400), error_rate=st.sampled_from([0.02, 0.1, 0.3]))
def test_what_is_accepted_keeps_the_error_rate_at_wilsons_bound(seed: int, rows: int, error_rate: float):
    stats = pytest.importorskip("scipy.stats")
    probabilities, labels = classifier(seed, rows, spread=5.0)
    figures = examine((probabilities, labels), error_rate)
    confidences, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels

    def bound(threshold: float) -> float:
        accepted = confidences >= threshold
        test = stats.binomtest(int(right[accepted].sum()), int(accepted.sum()), alternative="greater")
        return float(test.proportion_ci(0.95, method="wilson").low)

    lower = confidences if figures.threshold is None else confidences[confidences < figures.threshold]
    assert all(bound(confidence) < 1 - error_rate for confidence in lower)
    if figures.threshold is not None:
        assert bound(figures.threshold) >= 1 - error_rate
        assert figures.coverage == np.mean(confidences >= figures.threshold)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), rows=st.integers(1, 200), sharpened=st.floats(0.1, 8))
def test_all_figures_are_shares_and_the_order_of_classes_does_not_matter(seed: int, rows: int, sharpened: float):
    probabilities, labels = classifier(seed, rows, sharpened)
    figures = examine((probabilities, labels))
    renamed = examine((probabilities[:, ::-1], 9 - labels))

    for share in (figures.ece, figures.noise_floor, figures.ece_after, figures.threshold, figures.coverage):
        assert share is None or 0 <= share <= 1
    assert renamed.model_dump() == pytest.approx(figures.model_dump())
    assert (figures.threshold is None) == (figures.coverage is None)
    assert (figures.temperature is None) == (figures.ece_after is None)


@pytest.mark.parametrize(
    ("shape", "labels"),
    [((0, 3), []), ((3, 2), [0, 1]), ((3,), [0, 1, 2]), ((2, 2), [0, 2]), ((2, 2), [-1, 0])],
)
def test_rows_that_do_not_fit_are_refused(shape: tuple[int, ...], labels: list[Any]):
    with pytest.raises(ValueError, match="labels"):
        examine((np.full(shape, 0.5), np.array(labels, dtype=np.intp)))
