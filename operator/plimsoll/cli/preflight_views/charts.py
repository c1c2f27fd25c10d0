"""The charts of the page about batch sizes, capacity and latency. A chart without anything to show is None."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from plimsoll.api.preflight_report import (
    BatchRow,
    Capacity,
    LatencyFigures,
    ObjectiveCheck,
    ProfileFigures,
    QuantileFigure,
)
from plimsoll.cli.preflight_views.axes import (
    BOTTOM,
    LEFT,
    RIGHT,
    TOP,
    Scale,
    label,
    line,
    linear_scale,
    log_scale,
    names_axis,
    value_axis,
)
from plimsoll.cli.preflight_views.drawing import Drawing, interval, key, mark, path
from plimsoll.cli.preflight_views.markup import NOTHING, Markup, element, joined
from plimsoll.cli.preflight_views.speed import CLIFFS, MEASURED, PREDICTED, at, drawable, value_at
from plimsoll.cli.preflight_views.wording import UNKNOWN, milliseconds, number, percentile

_QUANTILES: Final = ((0.5, "one", "circle"), (0.9, "two", "square"), (0.99, "three", "diamond"))


def latency_by_batch(profile: ProfileFigures) -> Drawing | None:
    """Quantiles over the batch size, both axes logarithmic, with their bounds."""
    known = [value for row in profile.rows for q, _, _ in _QUANTILES if (value := drawable(value_at(row.quantiles, q)))]
    if not known:
        return None
    across, up = _batches(profile.rows), log_scale(known, BOTTOM, TOP)
    parts = [_batch_axis(profile.rows, across), value_axis(up, "ms, log scale"), *_failures(profile.rows, across)]
    entries = []
    for quantile, series, shape in _QUANTILES:
        found = [(row.batch, figure) for row in profile.rows if (figure := at(row.quantiles, quantile))]
        points = [(across(batch), up(value)) for batch, figure in found if (value := drawable(figure.value_ms))]
        if points:
            bounds = (_bounds(figure, across(batch), up, series) for batch, figure in found)
            parts += [*bounds, path(points, series), *(mark(*point, shape, series) for point in points)]
            entries.append((shape, series, percentile(quantile)))
    parts.append(key(entries))
    largest = max(row.batch for row in profile.rows if row.quantiles)
    told = f"From {milliseconds(min(known))} to {milliseconds(max(known))}, over batch sizes up to {largest}."
    return Drawing("Latency by batch size", told, joined(parts))


def _bounds(figure: QuantileFigure, middle: float, up: Scale, series: str) -> Markup:
    low, high = drawable(figure.low_ms), drawable(figure.high_ms)
    return interval(middle, up(low), up(high), series) if low and high else NOTHING


def item_time(profile: ProfileFigures) -> Drawing | None:
    """Time per item over the batch size, with the cliffs."""
    drawn = _one_line(profile, [(row.batch, row.item_ms) for row in profile.rows], "ms per item")
    if drawn is None:
        return None
    across = _batches(profile.rows)
    cliffs = joined(_flag(across(cliff.batch), CLIFFS[cliff.kind], "cliff") for cliff in profile.cliffs[:3])
    named = ", ".join(f"at {cliff.batch} ({CLIFFS[cliff.kind]})" for cliff in profile.cliffs)
    return Drawing("Time per item", f"Cliffs: {named or 'none'}.", joined((drawn, cliffs)))


def throughput(profile: ProfileFigures) -> Drawing | None:
    """Items per second over the batch size, with the knee."""
    drawn = _one_line(profile, [(row.batch, row.items_per_s) for row in profile.rows], "items/s")
    if drawn is None:
        return None
    knee = _flag(_batches(profile.rows)(profile.knee), "knee", "note") if profile.knee is not None else NOTHING
    most = max(row.items_per_s or 0.0 for row in profile.rows)
    told = f"At most {number(most)} items/s; knee at {profile.knee if profile.knee is not None else UNKNOWN}."
    return Drawing("Throughput", told, joined((drawn, knee)))


def _one_line(profile: ProfileFigures, values: Sequence[tuple[int, float | None]], title: str) -> Markup | None:
    known = [(batch, value) for batch, value in values if value is not None and drawable(value)]
    if not known:
        return None
    across, up = _batches(profile.rows), linear_scale((value for _, value in known), BOTTOM, TOP)
    points = [(across(batch), up(value)) for batch, value in known]
    return joined(
        (
            _batch_axis(profile.rows, across),
            value_axis(up, title),
            path(points, "one"),
            *(mark(*point, "circle", "one") for point in points),
            *_failures(profile.rows, across),
        )
    )


def _batches(rows: Sequence[BatchRow]) -> Scale:
    sizes = [row.batch for row in rows]
    return Scale(min(sizes), max(sizes), LEFT + 18, RIGHT - 18, log=True)


def _batch_axis(rows: Sequence[BatchRow], across: Scale) -> Markup:
    return names_axis([(across(row.batch), str(row.batch)) for row in rows], "batch size, log scale")


def _failures(rows: Sequence[BatchRow], across: Scale) -> Iterator[Markup]:
    for row in rows:
        if row.failure:
            yield mark(across(row.batch), BOTTOM - 12, "cross", "bad")
            yield label(across(row.batch), BOTTOM - 22, "failed", class_="bad-text")


def _flag(at_x: float, words: str, class_: str) -> Markup:
    """A vertical line with words beside it, on the side where there is room."""
    right = at_x < (LEFT + RIGHT) / 2
    beside = label(at_x + (5 if right else -5), TOP - 4, words, "start" if right else "end", f"{class_}-text")
    return joined((line(at_x, TOP - 14, at_x, BOTTOM, class_), beside))


@dataclass(frozen=True, slots=True)
class _Slots:
    """Places side by side for `count` names."""

    count: int

    def middle(self, index: int) -> float:
        return LEFT + (index + 0.5) * self.width

    @property
    def width(self) -> float:
        return (RIGHT - LEFT) / self.count


def capacity(profile: ProfileFigures) -> Drawing | None:
    """Rates within the objective by replicas; predicted ones are hatched, with a dashed border."""
    if not profile.capacity:
        return None
    up = linear_scale((one.requests_per_s for one in profile.capacity), BOTTOM, TOP)
    slots = _Slots(len(profile.capacity))
    bars = [
        joined(_capacity_bar(one, slots.middle(index), 0.3 * slots.width, up))
        for index, one in enumerate(profile.capacity)
    ]
    axis = names_axis([(slots.middle(i), str(one.replicas)) for i, one in enumerate(profile.capacity)], "replicas")
    legend = key([("bar", "measured", MEASURED), ("bar", "predicted", PREDICTED)])
    told = ", ".join(
        f"{one.replicas}: {number(one.requests_per_s)} ({MEASURED if one.confirmed else PREDICTED})"
        for one in profile.capacity
    )
    return Drawing(
        "Capacity by replicas",
        f"Requests/s by replicas: {told}.",
        joined((value_axis(up, "requests/s"), axis, *bars, legend)),
    )


def _capacity_bar(one: Capacity, middle: float, half: float, up: Scale) -> Iterator[Markup]:
    top = up(one.requests_per_s)
    class_ = "measured" if one.confirmed else "predicted"
    yield element("rect", x=middle - half, y=top, width=2 * half, height=max(BOTTOM - top, 1.0), class_=f"bar {class_}")
    yield label(middle, top - 5, number(one.requests_per_s), class_="value")


def latency(figures: LatencyFigures) -> Drawing | None:
    """Percentiles with their bounds, and the promise and the budget of each that has one."""
    known = {figure.quantile: figure for figure in figures.quantiles}
    checks = {check.quantile: check for check in figures.objective}
    for check in figures.objective:
        known[check.quantile] = QuantileFigure(
            quantile=check.quantile, value_ms=check.value_ms, low_ms=check.low_ms, high_ms=check.high_ms
        )
    values = [value for one in known.values() for value in (one.value_ms, one.low_ms, one.high_ms)]
    values += [value for check in figures.objective for value in (check.max_ms, check.budget_ms)]
    usable = [value for value in values if value is not None and drawable(value)]
    if not usable:
        return None
    up, slots = log_scale(usable, BOTTOM, TOP), _Slots(len(known))
    places = [(slots.middle(index), known[quantile]) for index, quantile in enumerate(sorted(known))]
    half = 0.36 * slots.width
    promises = joined(
        _promise(checks[one.quantile], middle, half, up) for middle, one in places if one.quantile in checks
    )
    axis = names_axis([(middle, percentile(one.quantile)) for middle, one in places], "percentile")
    entries = [("circle", "one", "measured")]
    if checks:
        entries += [("line", "promise", "promise"), ("line", "budget", "budget")]
    told = ", ".join(f"{percentile(one.quantile)} {milliseconds(one.value_ms)}" for _, one in places)
    marks = joined(_percentile(one, middle, up) for middle, one in places)
    drawn = joined((value_axis(up, "ms, log scale"), axis, promises, marks, key(entries)))
    return Drawing("Latency under load", f"{told}.", drawn)


def _promise(check: ObjectiveCheck, middle: float, half: float, up: Scale) -> Markup:
    limits = ((drawable(check.max_ms), "promise"), (drawable(check.budget_ms), "budget"))
    return joined(line(middle - half, up(limit), middle + half, up(limit), class_) for limit, class_ in limits if limit)


def _percentile(figure: QuantileFigure, middle: float, up: Scale) -> Markup:
    value = drawable(figure.value_ms)
    if value is None:
        return label(middle, BOTTOM - 8, UNKNOWN, class_="value")
    measured = mark(middle, up(value), "circle", "one")
    written = label(middle + 9, up(value) + 4.5, number(value), "start", "value")
    return joined((_bounds(figure, middle, up, "one"), measured, written))
