"""Quantiles with bounds, and none where the samples do not carry them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.core.preflight.quantiles import QUANTILES, enough_samples, quantile_figure, samples_needed


@pytest.mark.parametrize(
    ("quantile", "fewest"),
    [(0.5, 20), (0.9, 100), (0.95, 200), (0.99, 1000), (0.999, 10_000), (0.01, 100)],
)
def test_a_quantile_needs_ten_samples_above_it_and_one_below(quantile: float, fewest: int):
    assert samples_needed(quantile) == fewest
    assert enough_samples(fewest, quantile)
    assert quantile_figure(np.arange(fewest, dtype=np.float64), quantile).value_ms is not None

    too_few = quantile_figure(np.arange(fewest - 1, dtype=np.float64), quantile)
    assert (too_few.value_ms, too_few.low_ms, too_few.high_ms) == (None, None, None)


def test_no_samples_give_no_quantile():
    assert quantile_figure(np.array([], dtype=np.float64), 0.5).value_ms is None


def test_the_published_ranks_for_the_median_of_twenty():
    """Tables of the sign test give the 6th and the 15th of 20 samples (95.9 %)."""
    figure = quantile_figure(np.arange(1, 21, dtype=np.float64), 0.5)

    assert (figure.low_ms, figure.value_ms, figure.high_ms) == (6.0, 10.5, 15.0)


def test_a_bound_is_unknown_where_no_sample_is_extreme_enough():
    """With 100 samples the smallest lies above the 1 % quantile once in three times."""
    figure = quantile_figure(np.arange(100, dtype=np.float64), 0.01)

    assert figure.low_ms is None
    assert figure.value_ms is not None
    assert figure.high_ms is not None


@pytest.mark.parametrize(
    ("quantile", "samples"),
    [
        (quantile, samples)
        for quantile in QUANTILES
        for samples in (20, 137, 1000, 10_000, 60_000)
        if enough_samples(samples, quantile)
    ],
)
def test_the_ranks_are_those_of_the_binomial_distribution(quantile: float, samples: int):
    stats = pytest.importorskip("scipy.stats")
    figure = quantile_figure(np.arange(1, samples + 1, dtype=np.float64), quantile)

    missed_below = stats.binom.cdf(figure.low_ms - 1, samples, quantile)
    missed_above = stats.binom.sf(figure.high_ms - 1, samples, quantile)
    assert missed_below <= 0.025 < stats.binom.cdf(figure.low_ms, samples, quantile)
    assert missed_above <= 0.025 < stats.binom.sf(figure.high_ms - 2, samples, quantile)


@pytest.mark.parametrize(("quantile", "samples"), [(0.5, 50), (0.99, 1200)])
def test_the_bounds_hold_in_at_least_95_of_100_repetitions(quantile: float, samples: int):
    """2,000 repetitions with a fixed seed; 94 % allows for their own error (0.5 % a standard deviation)."""
    generator = np.random.default_rng(4)
    truth = -np.log(1 - quantile)
    figures = [quantile_figure(np.sort(generator.exponential(size=samples)), quantile) for _ in range(2000)]

    assert np.mean([figure.low_ms <= truth <= figure.high_ms for figure in figures]) > 0.94


@given(
    values=st.lists(st.floats(0, 1e6), min_size=20, max_size=300),
    quantile=st.sampled_from(QUANTILES),
)
def test_the_bounds_enclose_the_value(values: list[float], quantile: float):
    figure = quantile_figure(np.sort(np.array(values)), quantile)

    if figure.value_ms is not None:
        assert figure.low_ms is not None
        assert figure.high_ms is not None
        assert min(values) <= figure.low_ms <= figure.value_ms <= figure.high_ms <= max(values)


@given(values=st.lists(st.floats(0.001, 1e3), min_size=40, max_size=200))
def test_the_unit_does_not_matter(values: list[float]):
    """A power of two scales without rounding."""
    milliseconds = np.sort(np.array(values))
    once, scaled = quantile_figure(milliseconds, 0.5), quantile_figure(milliseconds * 1024, 0.5)

    assert (once.value_ms * 1024, once.low_ms * 1024, once.high_ms * 1024) == (
        scaled.value_ms,
        scaled.low_ms,
        scaled.high_ms,
    )
