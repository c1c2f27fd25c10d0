"""What a larger batch costs: the rows of the profile, cliffs, the knee, and the batch time that the queue model uses.

Pure. Times are milliseconds; a *round* is one run of requests at one size, and the rounds of all sizes are taken in
turn, so that round k of two sizes saw the same disturbances of the machine.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from plimsoll.api.preflight_report import BatchRow, Cliff, CliffKind, LinearFit, QuantileFigure
from plimsoll.core.preflight.quantiles import QUANTILES, enough_samples, quantile_figure

BUDGET_REQUESTS = 2000
"""Requests at one size after which no more are sent, however uncertain the median."""

_MEDIAN_ERROR = 0.02
_LEAST_ROUNDS = 2
"""A cliff that one round shows is a disturbance until a second one shows it too."""
_STANDARD_ERRORS = 2.0
"""Without them two rounds that are 3 % off make a cliff of a time that is proportional to the batch."""
_THROUGHPUT_KEPT = 0.95
_ITEM_TIME_RISE = 1.2
_TAIL_RISE = 1.25
"""For each item of the batch: 2.5 times for a doubled size."""
_TAILS = (0.99, 0.95, 0.9)
_WORTH_DOUBLING = 1.1
_LARGEST_RESIDUAL = 0.10
_MILLISECONDS = 1000.0


@dataclass(frozen=True, slots=True, eq=False)
class SizeSamples:
    """What was measured at one batch size: for each round the latencies of its requests, shape (requests,)."""

    batch: int
    latencies_ms: Sequence[NDArray[np.float64]]
    failure: str | None = None
    """Why this size does not work, in one sentence; whoever measured has tried it a second time."""

    @property
    def works(self) -> bool:
        """Whether there is anything to calculate with."""
        return self.failure is None and any(latencies.size for latencies in self.latencies_ms)


def batch_rows(samples: Sequence[SizeSamples]) -> list[BatchRow]:
    """Returns a row for each size, ascending.

    The median is the median of the rounds' medians, which one disturbed round does not move; the quantiles are those
    of all requests, since a tail needs many.
    """
    return [_row(size) for size in sorted(samples, key=lambda size: size.batch)]


def enough(rounds: Sequence[NDArray[np.float64]], budget: int = BUDGET_REQUESTS) -> bool:
    """Tells whether one size needs no further round.

    That is so when two rounds are done and the 95 % interval of the median is within 2 % of it, or when `budget`
    requests were sent. Looking after each round makes the interval a little optimistic; nothing is decided by it.
    """
    pooled = np.sort(np.concatenate([np.empty(0), *rounds]))
    if pooled.size >= budget:
        return True
    median = quantile_figure(pooled, 0.5)
    if len(rounds) < _LEAST_ROUNDS or median.value_ms is None or median.low_ms is None or median.high_ms is None:
        return False
    allowed = _MEDIAN_ERROR * median.value_ms
    return median.value_ms - median.low_ms <= allowed and median.high_ms - median.value_ms <= allowed


def find_cliffs(samples: Sequence[SizeSamples]) -> list[Cliff]:
    """Returns the sizes that are worse than the working size before them, or do not work, ascending.

    Worse is an item that takes a fifth longer, throughput below 0.95, or a 99th percentile (the furthest that the
    rounds have enough requests for) of more than 1.25 times the share of the sizes, 2.5 for a doubling. It counts when
    at least two rounds, and more than half of them, show it, and the median over the rounds by two standard errors of
    the scatter from round to round.
    """
    ordered = sorted(samples, key=lambda size: size.batch)
    working = [size for size in ordered if size.works]
    failed = [_failed(size, working) for size in ordered if size.failure is not None]
    return sorted([*_slower(working), *failed], key=lambda cliff: cliff.batch)


def fit(rows: Sequence[BatchRow]) -> LinearFit | None:
    """Fits `t(b) = a + c*b` to the medians by least squares of the relative error; None with fewer than two sizes.

    Relative, because a residual counts as a share of the measured time. Neither `a` nor `c` is below 0: a time that
    falls with the batch is noise, and the fit through the other parameter alone is the best one allowed.
    """
    times = _times(rows)
    if len(times) < 2:  # noqa: PLR2004 - two points make a line
        return None
    sizes, medians = np.array(list(times)), np.array(list(times.values()))
    columns = np.column_stack([1 / medians, sizes / medians])
    fixed, per_item = _least_squares(columns)
    worst = float(np.abs(columns @ np.array([fixed, per_item]) - 1).max())
    return LinearFit(fixed_ms=fixed, per_item_ms=per_item, worst_residual=worst, linear=worst <= _LARGEST_RESIDUAL)


def batch_time_ms(fitted: LinearFit | None, rows: Sequence[BatchRow]) -> Callable[[int], float]:
    """Returns the time of a batch by its size: the line where the fit is one, else a table that never falls.

    The table is the isotonic regression of the medians (pool adjacent violators: Ayer et al., Annals of Mathematical
    Statistics 26, 1955), linear between sizes. Beyond the largest it goes on with the last slope, beyond a single size
    in proportion; below the smallest it stays.

    Raises:
        ValueError: no size works.
    """
    if fitted is not None and fitted.linear:
        fixed, per_item = fitted.fixed_ms, fitted.per_item_ms
        return lambda batch: fixed + per_item * batch
    times = _times(rows)
    if not times:
        raise ValueError("No batch size works, so there is no batch time.")
    sizes, table = list(times), _never_falling(list(times.values()))
    slope = (table[-1] - table[-2]) / (sizes[-1] - sizes[-2]) if len(sizes) > 1 else table[-1] / sizes[-1]

    def lookup(batch: int) -> float:
        return float(np.interp(batch, sizes, table)) + slope * max(batch - sizes[-1], 0)

    return lookup


def knee(rows: Sequence[BatchRow]) -> int | None:
    """Returns the largest size that gained a tenth in throughput for each doubling since the size before.

    None where no size did: batching brings this model nothing.
    """
    rates = [(row.batch, row.items_per_s) for row in rows if row.items_per_s is not None]
    gained = [
        batch
        for (half, before), (batch, rate) in pairwise(sorted(rates))
        if rate >= before * _WORTH_DOUBLING ** math.log2(batch / half)
    ]
    return max(gained, default=None)


def recommended_max_batch(
    rows: Sequence[BatchRow], cliffs: Sequence[Cliff], objective_ms: float | None = None, quantile: float = 0.99
) -> int | None:
    """Returns the largest working size before any cliff at which a batch alone meets the objective; None where none is.

    The quantile nearest below `quantile` that has a value is held against the objective, the median at the least.
    """
    first_cliff = min((cliff.batch for cliff in cliffs), default=math.inf)
    fitting = (
        row.batch
        for row in rows
        if row.batch < first_cliff
        and row.median_ms is not None
        and (objective_ms is None or _tail(row, quantile, row.median_ms) <= objective_ms)
    )
    return max(fitting, default=None)


def _row(size: SizeSamples) -> BatchRow:
    requests = sum(latencies.size for latencies in size.latencies_ms)
    if not size.works:
        unknown = [QuantileFigure(quantile=q, value_ms=None, low_ms=None, high_ms=None) for q in QUANTILES]
        return BatchRow(
            batch=size.batch,
            requests=requests,
            quantiles=unknown,
            median_ms=None,
            items_per_s=None,
            item_ms=None,
            failure=size.failure or "No request was answered.",
        )
    pooled = _pooled(size)
    median = _Rounds.of([size], 0.5).typical(size)
    return BatchRow(
        batch=size.batch,
        requests=requests,
        quantiles=[quantile_figure(pooled, quantile) for quantile in QUANTILES],
        median_ms=median,
        items_per_s=_MILLISECONDS * size.batch / median,
        item_ms=median / size.batch,
    )


def _tail(row: BatchRow, quantile: float, median_ms: float) -> float:
    known = (figure for figure in row.quantiles if figure.quantile <= quantile and figure.value_ms is not None)
    furthest = max(known, key=lambda figure: figure.quantile, default=None)
    return median_ms if furthest is None or furthest.value_ms is None else furthest.value_ms


def _times(rows: Sequence[BatchRow]) -> dict[int, float]:
    """Returns the medians by size, ascending."""
    known = {row.batch: row.median_ms for row in rows if row.median_ms is not None}
    return dict(sorted(known.items()))


def _least_squares(columns: NDArray[np.float64]) -> tuple[float, float]:
    """Returns the parameters, none below 0, with which the two columns come nearest to 1."""
    both = np.linalg.lstsq(columns, np.ones(len(columns)), rcond=None)[0]
    if both.min() >= 0:
        return float(both[0]), float(both[1])
    alone = columns.sum(axis=0) / (columns**2).sum(axis=0)
    if both[0] < 0:
        return 0.0, float(alone[1])
    return float(alone[0]), 0.0


def _never_falling(values: Sequence[float]) -> list[float]:
    """Returns the nearest values, by least squares, of which none is below the one before."""
    blocks: list[tuple[float, int]] = []
    for value in values:
        mean, length = value, 1
        while blocks and blocks[-1][0] > mean:
            before, count = blocks.pop()
            mean, length = (before * count + mean * length) / (count + length), count + length
        blocks.append((mean, length))
    return [mean for mean, length in blocks for _ in range(length)]


def _failed(size: SizeSamples, working: Sequence[SizeSamples]) -> Cliff:
    below = max((other.batch for other in working if other.batch < size.batch), default=None)
    advice = "No smaller size works" if below is None else f"Keep the maximum batch size at {below} or below"
    said = (size.failure or "").rstrip(".")
    return Cliff(
        batch=size.batch, kind=CliffKind.FAILURE, explanation=f"A batch of {size.batch} fails: {said}. {advice}."
    )


def _slower(working: Sequence[SizeSamples]) -> Iterator[Cliff]:
    """Yields what is worse than the size before; of one size only the gravest rule speaks."""
    medians = _Rounds.of(working, 0.5)
    tails = _Rounds.of(working, _furthest_tail(working))
    for before, size in pairwise(working):
        growth = size.batch / before.batch
        if medians.rise(before, size, growth * _ITEM_TIME_RISE):
            yield _cliff(before, size, CliffKind.ITEM_TIME, _item_time_sentence(medians, before, size))
        elif medians.rise(before, size, growth / _THROUGHPUT_KEPT):
            yield _cliff(before, size, CliffKind.THROUGHPUT, _throughput_sentence(medians, before, size))
        elif tails.rise(before, size, growth * _TAIL_RISE) and _apart(
            before, size, tails.quantile, growth * _TAIL_RISE
        ):
            yield _cliff(before, size, CliffKind.TAIL, _tail_sentence(tails, before, size))


@dataclass(frozen=True, slots=True)
class _Rounds:
    """One quantile of each round of each size."""

    quantile: float
    values: dict[int, NDArray[np.float64]]
    """By size, shape (rounds,)."""
    scatter: float
    """Standard deviation of its logarithm from round to round, from all sizes together: one has too few rounds."""

    @classmethod
    def of(cls, working: Sequence[SizeSamples], quantile: float) -> _Rounds:
        values = {
            size.batch: np.array(
                [np.quantile(latencies, quantile) for latencies in size.latencies_ms if latencies.size]
            )
            for size in working
        }
        squares = sum(float(np.log(rounds).var() * rounds.size) for rounds in values.values())
        freedom = sum(rounds.size - 1 for rounds in values.values())
        return cls(quantile, values, math.sqrt(squares / freedom) if freedom else 0.0)

    def rise(self, before: SizeSamples, size: SizeSamples, limit: float) -> bool:
        """Whether the value rose to more than `limit` times, and not by chance."""
        both = zip(self.values[before.batch], self.values[size.batch], strict=False)
        rises = np.array([math.log(now / then) - math.log(limit) for then, now in both])
        shown = int((rises > 0).sum())
        error = self.scatter * math.sqrt(2 / rises.size)
        confirmed = shown >= _LEAST_ROUNDS and 2 * shown > rises.size
        return confirmed and float(np.median(rises)) > _STANDARD_ERRORS * error

    def typical(self, size: SizeSamples) -> float:
        return float(np.median(self.values[size.batch]))


def _apart(before: SizeSamples, size: SizeSamples, quantile: float, limit: float) -> bool:
    """Whether the bounds of a quantile over all requests say that it rose.

    One request in a hundred that stalls is at the 99th percentile of one round and beyond that of the next.
    """
    then, now = (quantile_figure(_pooled(one), quantile) for one in (before, size))
    return then.high_ms is not None and now.low_ms is not None and now.low_ms > limit * then.high_ms


def _pooled(size: SizeSamples) -> NDArray[np.float64]:
    return np.sort(np.concatenate(size.latencies_ms))


def _furthest_tail(working: Sequence[SizeSamples]) -> float:
    """Returns the furthest quantile that every round has enough requests for; the median when none has."""
    fewest = min((latencies.size for size in working for latencies in size.latencies_ms if latencies.size), default=0)
    return next((quantile for quantile in _TAILS if enough_samples(fewest, quantile)), 0.5)


def _cliff(before: SizeSamples, size: SizeSamples, kind: CliffKind, sentence: str) -> Cliff:
    explanation = f"{sentence} Keep the maximum batch size at {before.batch}."
    return Cliff(batch=size.batch, kind=kind, explanation=explanation)


def _item_time_sentence(medians: _Rounds, before: SizeSamples, size: SizeSamples) -> str:
    then, now = (medians.typical(one) / one.batch for one in (before, size))
    return (
        f"An item takes {now:.3g} ms in a batch of {size.batch} and {then:.3g} ms in a batch of {before.batch} "
        f"({now / then - 1:+.0%})."
    )


def _throughput_sentence(medians: _Rounds, before: SizeSamples, size: SizeSamples) -> str:
    then, now = (_MILLISECONDS * one.batch / medians.typical(one) for one in (before, size))
    return (
        f"A batch of {size.batch} carries {now:.3g} items/s where a batch of {before.batch} carries {then:.3g} "
        f"({now / then - 1:+.0%})."
    )


def _tail_sentence(tails: _Rounds, before: SizeSamples, size: SizeSamples) -> str:
    then, now = (tails.typical(one) for one in (before, size))
    return (
        f"The {100 * tails.quantile:g}th percentile of a batch of {size.batch} is {now:.3g} ms, {now / then:.1f} times "
        f"the {then:.3g} ms of a batch of {before.batch}."
    )
