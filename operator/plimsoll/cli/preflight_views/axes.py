"""The ground charts are drawn on: scales, ticks, grid, labels. All lengths are units of the SVG's view box."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from plimsoll.cli.preflight_views.markup import NOTHING, Markup, element, joined, text
from plimsoll.cli.preflight_views.wording import number

WIDTH: Final = 460.0
HEIGHT: Final = 290.0
LEFT: Final = 76.0
RIGHT: Final = 448.0
TOP: Final = 34.0
BOTTOM: Final = 240.0
_MOST_TICKS: Final = 7
_STEPS: Final = (1, 2, 5)


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps values from `low` to `high` onto `start` to `end`; `log` needs `low` above zero."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """Returns where a value is drawn; values outside are drawn at the border."""
        low, high, at = (
            (math.log(v) for v in (self.low, self.high, value)) if self.log else (self.low, self.high, value)
        )
        part = (at - low) / (high - low) if high > low else 0.5
        return self.start + min(max(part, 0.0), 1.0) * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Returns at most seven round values; for a logarithmic scale decades with 2 and 5, or whole decades."""
        return _log_ticks(self.low, self.high) if self.log else _linear_ticks(self.low, self.high)


def linear_scale(values: Iterable[float], start: float, end: float) -> Scale:
    """Returns a scale from zero over all values, with room above the largest."""
    highest = max((value for value in values if math.isfinite(value)), default=0.0)
    return Scale(0.0, 1.08 * highest if highest > 0 else 1.0, start, end)


def log_scale(values: Iterable[float], start: float, end: float) -> Scale:
    """Returns a logarithmic scale over all positive values, with room around them."""
    known = [value for value in values if value > 0 and math.isfinite(value)]
    low, high = min(known, default=1.0), max(known, default=10.0)
    return Scale(low / 1.25, high * 1.25, start, end, log=True)


def _linear_ticks(low: float, high: float) -> list[float]:
    if high <= low:
        return [low]
    rough = (high - low) / (_MOST_TICKS - 1)
    power = 10 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (*_STEPS, 10) if factor * power >= rough * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    return [index * step for index in range(first, math.floor(high / step + 1e-9) + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in (_STEPS, (1, 3), (1,)):
        ticks = [tick for power in decades for step in steps if low <= (tick := step * 10.0**power) <= high]
        if len(ticks) <= _MOST_TICKS:
            return ticks
    return ticks[:: math.ceil(len(ticks) / _MOST_TICKS)]


def label(at_x: float, at_y: float, content: str, anchor: str = "middle", class_: str = "tick") -> Markup:
    """Returns a text in a chart; `anchor` is `start`, `middle` or `end`."""
    return element("text", text(content), x=at_x, y=at_y, text_anchor=anchor, class_=class_)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    """Returns a straight line."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def value_axis(scale: Scale, title: str) -> Markup:
    """Returns the vertical axis with its grid."""
    parts = [
        joined((line(LEFT, at, RIGHT, at, "grid"), label(LEFT - 7, at + 4.5, tick_text(tick), "end")))
        for tick in scale.ticks()
        for at in [scale(tick)]
    ]
    middle = (TOP + BOTTOM) / 2
    named = element(
        "text", text(title), x=12, y=middle, text_anchor="middle", class_="axis", transform=f"rotate(-90 12 {middle:g})"
    )
    return joined((*parts, named))


def horizontal_axis(scale: Scale, at_y: float, title: str) -> Markup:
    """Returns a horizontal value axis at `at_y`."""
    ticks = [
        joined((line(at, at_y, at, at_y + 5, "rule"), label(at, at_y + 19, tick_text(tick))))
        for tick in scale.ticks()
        for at in [scale(tick)]
    ]
    ruler = line(scale.start, at_y, scale.end, at_y, "rule")
    return joined((ruler, *ticks, label((scale.start + scale.end) / 2, at_y + 38, title, class_="axis")))


def names_axis(places: Sequence[tuple[float, str]], title: str) -> Markup:
    """Returns a horizontal axis of names, every second or third where they would touch."""
    step = 1
    while step < len(places) and _touch(places[::step]):
        step += 1
    ticks = (label(at, BOTTOM + 19, name) if not index % step else NOTHING for index, (at, name) in enumerate(places))
    ruler = line(LEFT, BOTTOM, RIGHT, BOTTOM, "rule")
    return joined((ruler, *ticks, label((LEFT + RIGHT) / 2, BOTTOM + 40, title, class_="axis")))


def _touch(places: Sequence[tuple[float, str]]) -> bool:
    width = 7.5
    return any(
        right - left < width * (len(one) + len(other)) / 2 + 6 for (left, one), (right, other) in pairwise(places)
    )


def tick_text(value: float) -> str:
    """Returns a round value without zeros at its end."""
    written = number(value)
    return written.rstrip("0").rstrip(".") if "." in written and "e" not in written else written
