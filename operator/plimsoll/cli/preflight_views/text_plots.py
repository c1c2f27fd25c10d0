"""Small plots of characters: latency and time per item by batch size, capacity by replicas."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from plimsoll.api.preflight_report import BatchRow, ProfileFigures
from plimsoll.cli.preflight_views.content import Chart
from plimsoll.cli.preflight_views.speed import CLIFFS, MEASURED, PREDICTED, drawable, value_at
from plimsoll.cli.preflight_views.wording import UNKNOWN, milliseconds, number, percentile, with_unit

_SHOWN: Final = ((0.99, "✕"), (0.9, "○"), (0.5, "●"))
"""Quantiles and their marks; of two at one place the last drawn is seen."""
_LABEL: Final = 6
_NOTE: Final = 30
_EIGHTHS: Final = " ▏▎▍▌▋▊▉"


@dataclass(frozen=True, slots=True)
class TextPlot:
    """A title and lines of equal width or less."""

    title: str
    lines: tuple[str, ...]


def text_plot(chart: Chart, profile: ProfileFigures | None, width: int) -> TextPlot | None:
    """Returns a chart in lines of at most `width` characters; None where there is no such plot or nothing to show."""
    if profile is None:
        return None
    match chart:
        case Chart.LATENCY_BY_BATCH:
            return _latency(profile.rows, width)
        case Chart.ITEM_TIME:
            return _item_time(profile, width)
        case Chart.CAPACITY:
            return _capacity(profile, width)
        case Chart.THROUGHPUT | Chart.LATENCY | Chart.MEMORY | Chart.CALIBRATION:
            return None


def _latency(rows: Sequence[BatchRow], width: int) -> TextPlot | None:
    known = [value for row in rows for q, _ in _SHOWN if (value := drawable(value_at(row.quantiles, q)))]
    if not known:
        return None
    room = max(width - _LABEL - 5, 10)
    low, high = min(known), max(known)
    lines = [f"  {row.batch:>{_LABEL}} │{_range(row, low, high, room)}│" for row in rows]
    left, right = milliseconds(low), milliseconds(high)
    lines.append(f"{'':{_LABEL + 4}}{left}{right:>{max(room - len(left), 1)}}")
    legend = "  ".join(f"{mark} {percentile(quantile)}" for quantile, mark in reversed(_SHOWN))
    return TextPlot(f"Latency by batch size, log scale   {legend}", tuple(lines))


def _range(row: BatchRow, low: float, high: float, room: int) -> str:
    """Returns the marks of one size between `low` and `high`, in `room` characters."""
    scale = (room - 1) / math.log(high / low) if high > low else 0.0
    marks = [
        (round(scale * math.log(value / low)), mark)
        for quantile, mark in _SHOWN
        if (value := drawable(value_at(row.quantiles, quantile)))
    ]
    if not marks:
        # An empty line would look like a fast size.
        return (" failed" if row.failure else f" {UNKNOWN}").ljust(room)
    cells = [" "] * room
    places = [at for at, _ in marks]
    cells[min(places) : max(places) + 1] = "─" * (max(places) - min(places) + 1)
    for at, mark in marks:
        cells[at] = mark
    return "".join(cells)


def _item_time(profile: ProfileFigures, width: int) -> TextPlot | None:
    cliffs = {cliff.batch: CLIFFS[cliff.kind] for cliff in profile.cliffs}
    bars = [
        (str(row.batch), row.item_ms, f"{milliseconds(row.item_ms)}{_arrow(cliffs.get(row.batch))}")
        for row in profile.rows
    ]
    return _bars("Time per item by batch size", bars, width)


def _arrow(cliff: str | None) -> str:
    return f"  ◀ {cliff}" if cliff else ""


def _capacity(profile: ProfileFigures, width: int) -> TextPlot | None:
    bars = [
        (
            str(one.replicas),
            one.requests_per_s,
            f"{with_unit(number(one.requests_per_s), '/s')}  {MEASURED if one.confirmed else PREDICTED}",
        )
        for one in profile.capacity
    ]
    return _bars("Requests/s within the objective by replicas", bars, width)


def _bars(title: str, bars: Sequence[tuple[str, float | None, str]], width: int) -> TextPlot | None:
    most = max((value for _, value, _ in bars if value is not None and math.isfinite(value)), default=0.0)
    if most <= 0:
        return None
    room = max(width - _LABEL - 5 - _NOTE, 10)
    lines = (f"  {label:>{_LABEL}} │{_bar(value, most, room)} {note}" for label, value, note in bars)
    return TextPlot(title, tuple(lines))


def _bar(value: float | None, most: float, room: int) -> str:
    """Returns a bar to an eighth of a character."""
    if value is None or not math.isfinite(value) or value <= 0:
        return ""
    eighths = max(round(8 * room * value / most), 1)
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()
