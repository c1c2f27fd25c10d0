"""The bound that `make bench-verdicts` states."""

import pytest
from tests.scale.error_rate import highest_rate


@pytest.mark.parametrize(
    ("errors", "runs", "percent"), [(0, 20, 13.91), (0, 60, 4.87), (0, 10, 25.89), (1, 20, 21.61), (3, 60, 12.42)]
)
def test_the_rate_that_so_few_errors_prove(errors: int, runs: int, percent: float) -> None:
    assert 100 * highest_rate(errors, runs) == pytest.approx(percent, abs=0.01)


def test_nothing_but_errors_proves_nothing() -> None:
    assert highest_rate(5, 5) == 1


@pytest.mark.parametrize(("errors", "runs"), [(0, 0), (2, 1), (-1, 3)])
def test_counts_that_cannot_be(errors: int, runs: int) -> None:
    with pytest.raises(ValueError, match="errors in"):
        highest_rate(errors, runs)
