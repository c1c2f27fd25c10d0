"""Rows, cliffs, knee, fit and stopping of the batch profile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.api.preflight_report import BatchRow, Cliff, CliffKind, LinearFit
from plimsoll.core.preflight.batch_profile import (
    SizeSamples,
    batch_rows,
    batch_time_ms,
    enough,
    find_cliffs,
    fit,
    knee,
    recommended_max_batch,
)
from plimsoll.core.preflight.quantiles import QUANTILES

SIZES = (1, 2, 4, 8, 16, 32, 64, 128)
SEEDS = range(20)


def steady(*medians_ms: float, requests: int = 200) -> list[np.ndarray]:
    """Rounds in which every request takes the same time."""
    return [np.full(requests, median) for median in medians_ms]


def rows(times_ms: dict[int, float]) -> list[BatchRow]:
    return batch_rows([SizeSamples(batch, steady(time, time)) for batch, time in times_ms.items()])


def measured(
    time_ms: Callable[[int], float], seed: int, *, rounds: int = 3, requests: int = 200, sizes: Sequence[int] = SIZES
) -> list[SizeSamples]:
    """Measures like a shared machine: rounds are 2 % off as a whole, requests 5 %, and 1 % of them stall."""
    rng = np.random.default_rng(seed)

    def one_round(batch: int) -> np.ndarray:
        stalls = np.where(rng.random(requests) < 0.01, 3.0, 1.0)
        return time_ms(batch) * np.exp(0.02 * rng.standard_normal()) * rng.lognormal(0, 0.05, requests) * stalls

    return [SizeSamples(batch, [one_round(batch) for _ in range(rounds)]) for batch in sizes]


class TestRows:
    def test_a_row_holds_the_median_of_the_rounds_and_the_quantiles_of_all_requests(self):
        (row,) = batch_rows([SizeSamples(4, steady(10.0, 10.0, 40.0))])

        assert (row.batch, row.requests, row.median_ms, row.items_per_s, row.item_ms) == (4, 600, 10.0, 400.0, 2.5)
        assert [figure.value_ms for figure in row.quantiles] == [10.0, 40.0, 40.0, None, None]
        assert row.failure is None

    def test_rows_ascend(self):
        assert [row.batch for row in rows({8: 3.0, 1: 1.0, 2: 2.0})] == [1, 2, 8]

    @pytest.mark.parametrize(
        ("samples", "failure"),
        [
            (
                SizeSamples(64, steady(5.0, requests=7), "The server ran out of memory."),
                "The server ran out of memory.",
            ),
            (SizeSamples(64, [np.empty(0)]), "No request was answered."),
            (SizeSamples(64, []), "No request was answered."),
        ],
    )
    def test_a_size_that_does_not_work_has_its_failure_and_no_figures(self, samples: SizeSamples, failure: str):
        (row,) = batch_rows([samples])

        assert row.failure == failure
        assert (row.median_ms, row.items_per_s, row.item_ms) == (None, None, None)
        assert [(figure.quantile, figure.value_ms) for figure in row.quantiles] == [(q, None) for q in QUANTILES]


class TestCliffs:
    @pytest.mark.parametrize("seed", SEEDS)
    @pytest.mark.parametrize("times_slower", [1.4, 2.0])
    @pytest.mark.parametrize("requests", [200, 1000])
    def test_a_planted_cliff_at_64_is_found_there_and_nowhere_else(self, seed: int, times_slower: float, requests: int):
        def planted(batch: int) -> float:
            return 5.0 + 0.5 * batch * (1.0 if batch < 64 else times_slower)

        assert [cliff.batch for cliff in find_cliffs(measured(planted, seed, requests=requests))] == [64]

    @pytest.mark.parametrize("seed", SEEDS)
    @pytest.mark.parametrize(("fixed", "per_item"), [(30.0, 8.0), (5.0, 0.5), (1.0, 1.0), (50.0, 0.0)])
    @pytest.mark.parametrize("requests", [200, 1000])
    def test_a_linear_model_has_none(self, seed: int, fixed: float, per_item: float, requests: int):
        """A thousand requests are where a stall in a hundred comes and goes at the 99th percentile."""
        assert find_cliffs(measured(lambda batch: fixed + per_item * batch, seed, requests=requests)) == []

    def test_the_explanation_has_the_numbers_and_the_way_out(self):
        samples = [SizeSamples(32, steady(144.0, 144.0)), SizeSamples(64, steady(396.8, 396.8))]

        assert find_cliffs(samples) == [
            Cliff(
                batch=64,
                kind=CliffKind.ITEM_TIME,
                explanation="An item takes 6.2 ms in a batch of 64 and 4.5 ms in a batch of 32 (+38%). "
                "Keep the maximum batch size at 32.",
            )
        ]

    def test_less_throughput_is_a_cliff_before_an_item_takes_a_fifth_longer(self):
        samples = [SizeSamples(8, steady(80.0, 80.0)), SizeSamples(16, steady(176.0, 176.0))]

        (cliff,) = find_cliffs(samples)
        assert (cliff.batch, cliff.kind) == (16, CliffKind.THROUGHPUT)
        assert "carries 90.9 items/s where a batch of 8 carries 100 (-9%)" in cliff.explanation

    def test_a_tail_is_a_cliff_although_the_median_is_well(self):
        def with_tail(median: float, tail: float) -> np.ndarray:
            return np.r_[np.full(1100, median), np.full(100, tail)]

        samples = [
            SizeSamples(8, [with_tail(10.0, 20.0)] * 2),
            SizeSamples(16, [with_tail(12.0, 90.0)] * 2),
        ]
        (cliff,) = find_cliffs(samples)
        assert (cliff.batch, cliff.kind) == (16, CliffKind.TAIL)
        assert cliff.explanation.startswith("The 99th percentile of a batch of 16 is 90 ms, 4.5 times the 20 ms of")

    @pytest.mark.parametrize(
        ("rounds", "found"),
        [
            pytest.param([20.0, 20.0, 40.0], False, id="one round of three"),
            pytest.param([20.0, 40.0, 40.0], True, id="two rounds of three"),
            pytest.param([40.0], False, id="a single round"),
            pytest.param([20.0, 20.0, 40.0, 40.0], False, id="half of them"),
        ],
    )
    def test_a_cliff_counts_when_a_second_round_and_most_of_them_show_it(self, rounds: list[float], *, found: bool):
        samples = [SizeSamples(8, steady(*[10.0] * len(rounds))), SizeSamples(16, steady(*rounds))]
        assert bool(find_cliffs(samples)) is found

    def test_a_size_that_fails_is_a_cliff_and_the_size_after_it_is_compared_with_the_last_that_works(self):
        samples = [
            SizeSamples(32, steady(10.0, 10.0)),
            SizeSamples(64, [], "The server ended."),
            SizeSamples(128, steady(40.0, 40.0)),
        ]
        assert find_cliffs(samples) == [
            Cliff(
                batch=64,
                kind=CliffKind.FAILURE,
                explanation="A batch of 64 fails: The server ended. Keep the maximum batch size at 32 or below.",
            )
        ]

    def test_when_no_smaller_size_works_the_explanation_says_so(self):
        (cliff,) = find_cliffs([SizeSamples(1, [], "The server ended.")])
        assert cliff.explanation == "A batch of 1 fails: The server ended. No smaller size works."

    def test_sizes_that_are_not_doubled_are_held_to_their_own_growth(self):
        """Four times the size may take four times as long."""
        samples = [SizeSamples(8, steady(10.0, 10.0)), SizeSamples(32, steady(40.0, 40.0))]
        assert find_cliffs(samples) == []


class TestFit:
    def test_a_line_is_found(self):
        fitted = fit(rows({batch: 30.0 + 8.0 * batch for batch in SIZES}))

        assert fitted is not None
        assert fitted.linear
        assert (fitted.fixed_ms, fitted.per_item_ms) == pytest.approx((30.0, 8.0))
        assert fitted.worst_residual == pytest.approx(0, abs=1e-9)

    @pytest.mark.parametrize("seed", SEEDS)
    def test_a_noisy_line_stays_one_and_predicts_within_its_noise(self, seed: int):
        fitted = fit(batch_rows(measured(lambda batch: 30.0 + 8.0 * batch, seed)))

        assert fitted is not None
        assert fitted.linear
        for batch in SIZES:
            predicted = fitted.fixed_ms + fitted.per_item_ms * batch
            assert predicted == pytest.approx(30.0 + 8.0 * batch, rel=0.05)

    @pytest.mark.parametrize(
        ("times", "expected"),
        [
            ({1: 50.0, 2: 50.5, 4: 49.5, 8: 49.0}, (49.74, 0.0)),
            ({1: 1.0, 2: 2.05, 4: 4.2, 8: 8.6}, (0.0, 1.0360)),
        ],
        ids=["constant, falling by chance", "proportional, rising by chance"],
    )
    def test_neither_part_of_a_time_is_negative(self, times: dict[int, float], expected: tuple[float, float]):
        fitted = fit(rows(times))

        assert fitted is not None
        assert fitted.linear
        assert (fitted.fixed_ms, fitted.per_item_ms) == pytest.approx(expected, rel=0.001)

    def test_a_residual_above_a_tenth_is_no_line(self):
        fitted = fit(rows({1: 10.0, 2: 11.0, 4: 13.0, 8: 17.0, 16: 25.0, 32: 90.0}))

        assert fitted is not None
        assert fitted.worst_residual > 0.10
        assert not fitted.linear

    @pytest.mark.parametrize("times", [{}, {4: 10.0}])
    def test_fewer_than_two_sizes_are_no_line(self, times: dict[int, float]):
        assert fit(rows(times)) is None


BENT = LinearFit(fixed_ms=0.0, per_item_ms=0.0, worst_residual=1.0, linear=False)


class TestBatchTime:
    def test_a_line_is_used_as_it_is(self):
        line = LinearFit(fixed_ms=30.0, per_item_ms=8.0, worst_residual=0.01, linear=True)
        assert [batch_time_ms(line, [])(batch) for batch in (1, 3, 64)] == [38.0, 54.0, 542.0]

    @pytest.mark.parametrize(
        ("times", "batch", "expected"),
        [
            pytest.param({2: 10.0, 4: 30.0}, 2, 10.0, id="a measured size"),
            pytest.param({2: 10.0, 4: 30.0}, 3, 20.0, id="between two"),
            pytest.param({2: 10.0, 4: 30.0}, 1, 10.0, id="below the smallest it stays"),
            pytest.param({2: 10.0, 4: 30.0}, 6, 50.0, id="beyond the largest by the last slope"),
            pytest.param({1: 10.0, 2: 20.0, 4: 14.0, 8: 40.0}, 2, 17.0, id="a fall is pooled"),
            pytest.param({1: 10.0, 2: 20.0, 4: 14.0}, 8, 17.0, id="and its slope is level"),
            pytest.param({4: 10.0}, 8, 20.0, id="a single size: in proportion"),
            pytest.param({4: 10.0}, 1, 10.0, id="but not below it"),
        ],
    )
    def test_else_a_table_that_never_falls(self, times: dict[int, float], batch: int, expected: float):
        for fitted in (BENT, None):
            assert batch_time_ms(fitted, rows(times))(batch) == pytest.approx(expected)

    def test_sizes_that_fail_are_not_in_the_table(self):
        samples = [SizeSamples(1, steady(10.0)), SizeSamples(2, steady(12.0)), SizeSamples(4, [], "Out of memory.")]
        assert batch_time_ms(BENT, batch_rows(samples))(4) == pytest.approx(16.0)

    def test_without_a_working_size_there_is_no_time(self):
        with pytest.raises(ValueError, match="No batch size works"):
            batch_time_ms(None, batch_rows([SizeSamples(1, [], "The server ended.")]))

    @given(st.lists(st.floats(0.1, 100), min_size=1, max_size=8))
    def test_the_time_never_falls_and_is_above_nothing(self, medians: list[float]):
        """Whether as a line or as a table."""
        made = rows(dict(zip(SIZES, medians, strict=False)))
        time = batch_time_ms(fit(made), made)
        table = [time(batch) for batch in range(1, 200)]

        assert table[0] > 0
        assert all(later >= earlier - 1e-9 for earlier, later in pairwise(table))

    @given(st.lists(st.floats(0.1, 100), min_size=2, max_size=8, unique=True))
    def test_a_table_goes_through_medians_that_rise(self, medians: list[float]):
        times = dict(zip(SIZES, sorted(medians), strict=False))
        time = batch_time_ms(BENT, rows(times))
        assert [time(batch) for batch in times] == pytest.approx(list(times.values()))


class TestKnee:
    @pytest.mark.parametrize(
        ("times", "expected"),
        [
            pytest.param({batch: 30.0 + 8.0 * batch for batch in SIZES}, 32, id="30 ms + 8 ms: 16 to 32 gains 10.5 %"),
            pytest.param({1: 10.0, 2: 10.0, 4: 10.0}, 4, id="constant: every doubling gains"),
            pytest.param({1: 10.0, 2: 20.0, 4: 40.0}, None, id="proportional: none does"),
            pytest.param({1: 10.0, 4: 33.0}, 4, id="two doublings at once that gain a fifth together"),
            pytest.param({1: 10.0, 4: 34.0}, None, id="and that gain less"),
            pytest.param({8: 10.0}, None, id="a single size"),
        ],
    )
    def test_the_largest_size_whose_doubling_gained_a_tenth(self, times: dict[int, float], expected: int | None):
        assert knee(rows(times)) == expected


class TestRecommendedMaximum:
    ROWS = rows({8: 10.0, 16: 15.0, 32: 25.0, 64: 45.0})
    AT_64 = Cliff(batch=64, kind=CliffKind.ITEM_TIME, explanation="")

    @pytest.mark.parametrize(
        ("cliffs", "objective_ms", "expected"),
        [
            ([], None, 64),
            ([AT_64], None, 32),
            ([], 30.0, 32),
            ([AT_64], 20.0, 16),
            ([], 5.0, None),
        ],
    )
    def test_the_largest_before_any_cliff_and_within_the_objective(
        self, cliffs: list[Cliff], objective_ms: float | None, expected: int | None
    ):
        assert recommended_max_batch(self.ROWS, cliffs, objective_ms) == expected

    def test_the_furthest_quantile_with_enough_requests_is_held_against_the_objective(self):
        half_slow = np.r_[np.full(500, 10.0), np.full(700, 40.0)]
        made = batch_rows([SizeSamples(8, steady(10.0, 10.0)), SizeSamples(16, [half_slow])])

        assert recommended_max_batch(made, [], 30.0) == 8
        assert recommended_max_batch(made, [], 40.0) == 16

    def test_a_size_that_fails_is_never_recommended(self):
        made = batch_rows([SizeSamples(1, steady(10.0)), SizeSamples(2, [], "The server ended.")])
        assert recommended_max_batch(made, []) == 1


class TestEnough:
    NARROW = np.linspace(9.9, 10.1, 200)
    WIDE = np.linspace(1.0, 100.0, 200)

    @pytest.mark.parametrize(
        ("rounds", "expected"),
        [
            pytest.param([], False, id="nothing yet"),
            pytest.param([NARROW], False, id="one round cannot confirm a cliff"),
            pytest.param([NARROW, NARROW], True, id="the interval is within 2 %"),
            pytest.param([NARROW[::40], NARROW[::40]], False, id="ten requests have no interval"),
            pytest.param([WIDE, WIDE], False, id="the interval is wider"),
            pytest.param([WIDE] * 10, True, id="2000 requests are the budget"),
        ],
    )
    def test_the_median_is_known_or_the_budget_is_spent(self, rounds: list[np.ndarray], *, expected: bool):
        assert enough(rounds) is expected

    def test_the_budget_may_be_smaller(self):
        assert enough([self.WIDE], budget=200)

    @given(st.integers(0, 100), st.floats(0.001, 0.3))
    def test_sampling_always_ends(self, seed: int, spread: float):
        rng = np.random.default_rng(seed)
        rounds: list[np.ndarray] = []
        while not enough(rounds):
            rounds.append(rng.lognormal(2, spread, 100))
        assert 2 <= len(rounds) <= 20
