"""What charts are drawn with: marks, lines, bounds, keys; and the frame that says what a chart shows in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from plimsoll.cli.preflight_views.axes import WIDTH, label, line
from plimsoll.cli.preflight_views.markup import Markup, element, joined, text

_RADIUS: Final = 4.5
_KEY_Y: Final = 12.0
_SHAPES: Final = {
    "square": ((-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)),
    "diamond": ((0.0, -1.35), (1.35, 0.0), (0.0, 1.35), (-1.35, 0.0)),
}


@dataclass(frozen=True, slots=True)
class Drawing:
    """A chart.

    Attributes:
        title: What it shows.
        told: Its message in words, for those who do not see it.
        content: SVG elements.
        height: Of the view box.
    """

    title: str
    told: str
    content: Markup
    height: float = 290.0


def framed(drawing: Drawing, name: str) -> Markup:
    """Returns a chart as a figure; `name` is unique in the page."""
    title, told = f"{name}-title", f"{name}-told"
    svg = element(
        "svg",
        element("title", text(drawing.title), id=title),
        element("desc", text(drawing.told), id=told),
        drawing.content,
        viewBox=f"0 0 {WIDTH:g} {drawing.height:g}",
        role="img",
        aria_labelledby=f"{title} {told}",
    )
    return element("figure", element("figcaption", text(drawing.title)), element("div", svg, class_="chart"))


def mark(at_x: float, at_y: float, shape: str, series: str) -> Markup:
    """Returns a mark: `circle`, `square`, `diamond` or `cross`. Series differ in shape as well as in colour."""
    if shape == "circle":
        return element("circle", cx=at_x, cy=at_y, r=_RADIUS, class_=f"mark {series}")
    if shape == "cross":
        r = _RADIUS + 1
        d = f"M{at_x - r:.1f} {at_y - r:.1f}l{2 * r:g} {2 * r:g}m0 {-2 * r:g}l{-2 * r:g} {2 * r:g}"
        return element("path", d=d, class_=f"curve {series}")
    corners = " ".join(f"{at_x + _RADIUS * x:.1f},{at_y + _RADIUS * y:.1f}" for x, y in _SHAPES[shape])
    return element("polygon", points=corners, class_=f"mark {series}")


def path(points: Sequence[tuple[float, float]], series: str) -> Markup:
    """Returns a line through points."""
    return element("polyline", points=" ".join(f"{x:.1f},{y:.1f}" for x, y in points), class_=f"curve {series}")


def interval(at_x: float, low: float, high: float, series: str) -> Markup:
    """Returns vertical bounds with ends."""
    ends = (line(at_x - 4, end, at_x + 4, end, f"bound {series}") for end in (low, high))
    return joined((line(at_x, low, at_x, high, f"bound {series}"), *ends))


def key(entries: Sequence[tuple[str, str, str]]) -> Markup:
    """Returns the key of a chart: shape (or `line`, `bar`), series and words of each entry, side by side."""
    parts, at = [], 14.0
    for shape, series, words in entries:
        parts += [_sample(at, shape, series), label(at + 14, _KEY_Y + 4.5, words, "start", "key")]
        at += 34 + 8.2 * len(words)
    return joined(parts)


def _sample(at: float, shape: str, series: str) -> Markup:
    if shape == "line":
        return line(at - 9, _KEY_Y, at + 9, _KEY_Y, series)
    if shape == "bar":
        return element("rect", x=at - 8, y=_KEY_Y - 6, width=16, height=12, class_=f"bar {series}")
    return mark(at, _KEY_Y, shape, series)
