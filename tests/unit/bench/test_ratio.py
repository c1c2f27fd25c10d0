"""The ratio of two programs' figures."""

import numpy as np
import pytest
from tests.scale.preflight_bench.ratio import ratio


def test_equal_rounds_leave_no_doubt() -> None:
    found = ratio([(30.0, 20.0, 20.0, 30.0)] * 3)
    assert (found.value, found.low, found.high) == pytest.approx((1.5, 1.5, 1.5))
    assert found.within(0.01)


def test_a_machine_that_gets_slower_within_each_round_favours_nobody() -> None:
    found = ratio([(1.0, 1.1, 1.21, 1.331)] * 3)
    assert found.value == pytest.approx(1)


def test_the_interval_holds_the_truth_in_19_of_20_experiments() -> None:
    rng = np.random.default_rng(1)
    truth, held = 1.07, 0
    for _ in range(1000):
        own, other = truth * rng.lognormal(0, 0.1, (2, 5)), rng.lognormal(0, 0.1, (2, 5))
        found = ratio([(a, b, c, d) for a, b, c, d in zip(own[0], other[0], other[1], own[1], strict=True)])
        held += found.low <= truth <= found.high
    assert held == pytest.approx(950, abs=25)


def test_two_rounds_have_no_interval() -> None:
    with pytest.raises(ValueError, match="too few"):
        ratio([(1.0, 1.0, 1.0, 1.0)] * 2)
