"""The charts of the page about memory and confidence."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

from plimsoll.api.preflight_report import CalibrationFigures, MemoryFigures, MemorySlope
from plimsoll.cli.preflight_views.axes import LEFT, RIGHT, Scale, horizontal_axis, label, line, linear_scale
from plimsoll.cli.preflight_views.drawing import Drawing, key, mark
from plimsoll.cli.preflight_views.markup import Markup, element, joined
from plimsoll.cli.preflight_views.wording import number, size

_MOST_DEVICES: Final = 8
_PANEL: Final = 104.0
_HEAD: Final = 30.0
_BAR: Final = 40.0


def memory(figures: MemoryFigures) -> Drawing | None:
    """The slope of each memory with its bounds, beside what this run could not have told from zero."""
    slopes = figures.slopes[:_MOST_DEVICES]
    if not slopes:
        return None
    entries = [("square", "one", "slope, 95 %"), ("diamond", "two", "second half"), ("bar", "unseen", "not detectable")]
    panels = [joined(_panel(slope, _HEAD + index * _PANEL)) for index, slope in enumerate(slopes)]
    told = ", ".join(f"{slope.device} {size(slope.bytes_per_request)}" for slope in slopes)
    height = _HEAD + _PANEL * len(panels)
    return Drawing("Memory growth per request", f"{told}.", joined((*panels, key(entries))), height)


def _panel(slope: MemorySlope, top: float) -> Iterator[Markup]:
    shown = [
        slope.low,
        slope.high,
        slope.second_half,
        slope.bytes_per_request,
        slope.detectable,
        -slope.detectable,
        0.0,
    ]
    shown = [value for value in shown if math.isfinite(value)]
    margin = 0.06 * (max(shown) - min(shown)) or 1.0
    across = Scale(min(shown) - margin, max(shown) + margin, LEFT - 30, RIGHT)
    middle, bottom = top + 36, top + 60
    left, right = across(-slope.detectable), across(slope.detectable)
    yield label(LEFT - 30, top + 14, slope.device, "start", "value")
    yield element("rect", x=left, y=top + 20, width=right - left, height=bottom - top - 20, class_="bar unseen")
    yield line(across(0.0), top + 20, across(0.0), bottom, "zero")
    yield line(across(slope.low), middle, across(slope.high), middle, "bound one")
    for end in (slope.low, slope.high):
        yield line(across(end), middle - 5, across(end), middle + 5, "bound one")
    yield mark(across(slope.bytes_per_request), middle, "square", "one")
    yield mark(across(slope.second_half), middle + 13, "diamond", "two")
    yield horizontal_axis(across, bottom, "bytes per request")


def calibration(figures: CalibrationFigures) -> Drawing | None:
    """The calibration error before and after the temperature, beside what chance alone shows."""
    bars = [("as stated", figures.ece), *([("rescaled", figures.ece_after)] if figures.ece_after is not None else [])]
    if not all(math.isfinite(value) for _, value in bars):
        return None
    across = linear_scale([figures.noise_floor, *(value for _, value in bars)], LEFT + 24, RIGHT - 44)
    bottom = _HEAD + 16 + _BAR * len(bars)
    drawn = [_bar(value, _HEAD + 12 + _BAR * index, across) for index, (_, value) in enumerate(bars)]
    words = [_words(name, value, _HEAD + 30 + _BAR * index, across) for index, (name, value) in enumerate(bars)]
    floor = line(across(figures.noise_floor), _HEAD, across(figures.noise_floor), bottom, "budget")
    chance = number(figures.noise_floor)
    entries = key([("line", "budget", f"{chance}: chance with so few rows")])
    axis = horizontal_axis(across, bottom, "expected calibration error")
    told = f"{number(figures.ece)} as stated, {number(figures.ece_after)} rescaled, {chance} by chance."
    return Drawing("Error of the stated confidence", told, joined((*drawn, floor, *words, axis, entries)), bottom + 48)


def _bar(value: float, top: float, across: Scale) -> Markup:
    width = max(across(value) - across(0), 1)
    return element("rect", x=across(0), y=top, width=width, height=26, class_="bar measured")


def _words(name: str, value: float, at_y: float, across: Scale) -> Markup:
    named = label(LEFT + 16, at_y, name, "end", "value")
    return joined((named, label(across(value) + 6, at_y, number(value), "start", "value")))
