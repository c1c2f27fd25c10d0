"""How much accuracy a candidate may have lost against a reference, and what is said about it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.api.preflight_report import AccuracyFigures, PhaseStatus
from plimsoll.core.preflight.paired import accuracy_figures, accuracy_status


def figures(lost: int, won: int, rows: int, max_loss: float | None = None, both_wrong: int = 0) -> AccuracyFigures:
    """Rows of which the reference alone gets `lost` right and the candidate alone `won`; the others, both."""
    labels = np.zeros(rows, dtype=np.int64)
    candidate, reference = labels.copy(), labels.copy()
    candidate[:lost] = 1
    reference[lost : lost + won] = 1
    candidate[rows - both_wrong :] = reference[rows - both_wrong :] = 2
    return accuracy_figures("stable", labels, candidate, reference, max_loss)


def test_what_is_counted():
    labels = np.array([0, 0, 1, 1, 1, 2])
    candidate = np.array([0, 1, 1, 0, 1, 0])
    reference = np.array([0, 0, 0, 1, 1, 1])

    compared = accuracy_figures("digits-fp32", labels, candidate, reference, 0.01)

    assert (compared.reference, compared.rows, compared.max_loss) == ("digits-fp32", 6, 0.01)
    assert compared.accuracy == pytest.approx(3 / 6)
    assert compared.reference_accuracy == pytest.approx(4 / 6)
    assert compared.loss == pytest.approx(1 / 6)
    assert compared.agreement == pytest.approx(2 / 6)


@pytest.mark.parametrize(("lost", "won", "rows"), [(12, 2, 50), (1, 0, 100), (0, 3, 40), (6, 2, 719), (30, 45, 200)])
def test_the_bound_is_where_the_score_test_just_rejects(lost: int, won: int, rows: int):
    """A second way: the share of won rows under the assumed loss by maximising the likelihood numerically."""
    optimize = pytest.importorskip("scipy.optimize")
    bound = figures(lost, won, rows).high

    def minus_log_likelihood(share_won: float) -> float:
        counts = np.array([lost, won, rows - lost - won])
        shares = np.array([share_won + bound, share_won, 1 - 2 * share_won - bound])
        return -float(np.sum(counts * np.log(shares)))

    share_won = optimize.minimize_scalar(
        minus_log_likelihood, bounds=(max(-bound, 0) + 1e-12, (1 - bound) / 2 - 1e-12), method="bounded"
    ).x
    variance = (2 * share_won + bound - bound**2) / rows
    assert ((lost - won) / rows - bound) / np.sqrt(variance) == pytest.approx(-1.645, abs=0.01)


@pytest.mark.parametrize(("rows", "high"), [(2, 1.0), (100, 0.03), (719, 3 / 719), (3000, 0.001)])
def test_without_a_row_lost_or_won_the_bound_is_three_over_n(rows: int, high: float):
    assert figures(0, 0, rows).high == pytest.approx(high)
    assert figures(0, 0, rows, both_wrong=1).high == pytest.approx(high)
    assert figures(0, 0, rows).low < 0


@pytest.mark.parametrize("rows", [20, 100, 1000])
def test_every_further_lost_row_raises_both_bounds(rows: int):
    compared = [figures(lost, 0, rows) for lost in range(11)]

    assert all(before.low < after.low for before, after in itertools.pairwise(compared))
    assert all(before.high < after.high for before, after in itertools.pairwise(compared))


@pytest.mark.parametrize("rows", [60, 200])
@pytest.mark.parametrize(("share_lost", "share_won"), [(0.02, 0.02), (0.05, 0.0), (0.1, 0.03), (0.3, 0.2), (0.02, 0.1)])
def test_the_true_loss_is_above_the_bound_in_about_5_of_100_cases(share_lost: float, share_won: float, rows: int):
    """Summed over the outcomes, so without any error of its own. Score bounds are discrete: 7.5 % at the worst here."""
    stats = pytest.importorskip("scipy.stats")
    outcomes = [(lost, won) for lost in range(int(rows * 0.6)) for won in range(int(rows * 0.5)) if lost + won <= rows]
    counts = np.array([(lost, won, rows - lost - won) for lost, won in outcomes])
    probabilities = stats.multinomial.pmf(counts, rows, [share_lost, share_won, 1 - share_lost - share_won])

    exceeded = sum(
        probability
        for (lost, won), probability in zip(outcomes, probabilities, strict=True)
        if probability > 1e-7 and figures(lost, won, rows).high < share_lost - share_won
    )
    assert exceeded < 0.075


def test_many_rows_give_the_normal_bounds():
    lost, won, rows = 900, 700, 100_000
    deviation = np.sqrt(lost + won - (lost - won) ** 2 / rows) / rows
    compared = figures(lost, won, rows)

    assert compared.low == pytest.approx(0.002 - 1.96 * deviation, rel=0.02)
    assert compared.high == pytest.approx(0.002 + 1.645 * deviation, rel=0.02)


def test_the_worst_classes_are_named_and_few():
    labels = np.repeat(np.arange(8), 40)
    candidate = labels.copy()
    for label in range(1, 8):
        candidate[label * 40 : label * 40 + label] = 99

    worst = accuracy_figures("stable", labels, candidate, labels, None, [f"digit {n}" for n in range(8)]).worst_classes

    assert [loss.label for loss in worst] == ["digit 7", "digit 6", "digit 5", "digit 4", "digit 3"]
    assert (worst[0].rows, worst[0].accuracy, worst[0].reference_accuracy) == (40, 33 / 40, 1.0)


def test_a_class_of_one_row_does_not_lead():
    labels = np.array([0] * 50 + [1])
    candidate = np.array([9] * 20 + [0] * 30 + [9])

    worst = accuracy_figures("stable", labels, candidate, labels, None).worst_classes

    assert [(loss.label, loss.rows) for loss in worst] == [("0", 50), ("1", 1)]


def test_a_class_that_won_is_not_among_the_worst():
    assert figures(lost=1, won=3, rows=10).worst_classes == []


@pytest.mark.parametrize(
    ("label", "names", "name"),
    [
        (b"cat", None, "cat"),
        ("cat", None, "cat"),
        (3, ["a"], "3"),
        (-1, ["a"], "-1"),
        (0, ["a"], "a"),
        (True, None, "True"),
    ],
)
def test_names_of_classes(label: object, names: Sequence[str] | None, name: str):
    labels = np.array([label] * 3)
    other = np.array([b"dog" if isinstance(label, bytes) else "dog" if isinstance(label, str) else 7] * 3)

    assert accuracy_figures("stable", labels, other, labels, None, names).worst_classes[0].label == name


@pytest.mark.parametrize(
    ("compared", "status", "reason"),
    [
        pytest.param(figures(2, 2, 719, 0.01), PhaseStatus.PASSED, "WithinMaxLoss", id="bound within"),
        pytest.param(figures(6, 2, 719, 0.01), PhaseStatus.FAILED, "AccuracyUnproven", id="point within, bound not"),
        pytest.param(figures(20, 2, 719, 0.01), PhaseStatus.FAILED, "AccuracyLost", id="point beyond"),
        pytest.param(figures(0, 0, 300, 0.01), PhaseStatus.PASSED, "WithinMaxLoss", id="300 equal rows prove 1 %"),
        pytest.param(figures(0, 0, 299, 0.01), PhaseStatus.FAILED, "AccuracyUnproven", id="299 do not"),
        pytest.param(figures(0, 0, 10_000, 0.0), PhaseStatus.FAILED, "AccuracyLost", id="no rows prove exactly none"),
        pytest.param(figures(0, 90, 719, 0.0), PhaseStatus.PASSED, "WithinMaxLoss", id="better, so not even zero lost"),
        pytest.param(figures(2, 2, 719), PhaseStatus.PASSED, "AccuracyCompared", id="nothing asked"),
        pytest.param(figures(20, 2, 719), PhaseStatus.WARNED, "AccuracyLost", id="nothing asked, certainly worse"),
    ],
)
def test_the_verdict_is_about_the_bound(compared: AccuracyFigures, status: PhaseStatus, reason: str):
    assert accuracy_status(compared)[:2] == (status, reason)


TOO_FEW = (
    "maxLoss is 1 %. These rows are too few to show that: about 300 that come out alike would. Add labelled rows, or"
    " raise maxLoss."
)
WORSE = (
    "maxLoss is 0.5 %. More rows would not help (class 0 fell from 100 % to 95 % on 1000 rows): correct the model, or"
    " raise maxLoss if that is acceptable."
)


@pytest.mark.parametrize(
    ("compared", "numbers", "advice"),
    [
        (
            figures(2, 0, 1000, 0.01),
            "On 1000 rows accuracy is 99.8 %, that of stable 100 %: a loss of 0.2 percentage points, at most 0.603",
            "maxLoss is 1 %.",
        ),
        (
            figures(0, 0, 100, 0.01),
            "On 100 rows accuracy is 100 %, that of stable 100 %: a loss of 0 percentage points, at most 3",
            TOO_FEW,
        ),
        (
            figures(50, 0, 1000, 0.005),
            "On 1000 rows accuracy is 95 %, that of stable 100 %: a loss of 5 percentage points, at most 6.26",
            WORSE,
        ),
    ],
)
def test_what_people_read(compared: AccuracyFigures, numbers: str, advice: str):
    assert accuracy_status(compared)[2] == f"{numbers} with 95 % confidence; {advice}"


@pytest.mark.parametrize(("lost", "won", "rows"), [(0, 0, 50), (1, 0, 150), (3, 1, 300), (6, 2, 719), (30, 28, 719)])
def test_the_stated_number_of_rows_that_come_out_alike_is_enough(lost: int, won: int, rows: int):
    """To a tenth: the bound is not quite proportional to the square root."""
    compared = figures(lost, won, rows, max_loss=0.01)
    needed = int(accuracy_status(compared)[2].split("about ")[1].split(" ")[0])
    times = needed * 1.1 / rows

    again = figures(round(lost * times), round(won * times), round(rows * times), max_loss=0.01)
    assert accuracy_status(again)[0] == PhaseStatus.PASSED


@pytest.mark.parametrize("lengths", [(0, 0, 0), (3, 2, 3), (3, 3, 2), (2, 3, 3)])
def test_rows_that_do_not_pair_are_refused(lengths: tuple[int, int, int]):
    with pytest.raises(ValueError, match="to compare"):
        accuracy_figures("stable", *(np.zeros(length, dtype=np.int64) for length in lengths), max_loss=None)


@given(
    counts=st.integers(1, 400).flatmap(
        lambda rows: st.tuples(st.integers(0, rows), st.integers(0, rows), st.just(rows)).filter(
            lambda drawn: drawn[0] + drawn[1] <= drawn[2]
        )
    )
)
def test_the_bounds_enclose_the_loss_and_mirror_when_the_two_are_exchanged(counts: tuple[int, int, int]):
    lost, won, rows = counts
    here, there = figures(lost, won, rows), figures(won, lost, rows)

    assert -1 <= here.low <= here.loss <= here.high <= 1
    assert here.loss == -there.loss
    assert lost + won == 0 or -there.low >= here.high
    assert here.agreement == pytest.approx(1 - (lost + won) / rows)
