"""How figures and foreign text are written in the views. What is not known is a dash, never a zero."""

from __future__ import annotations

import math
from typing import Final

UNKNOWN: Final = "\N{EN DASH}"
MINUS: Final = "\N{MINUS SIGN}"
_REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"
_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB")
_KIBI: Final = 1024


def plain(text: str) -> str:
    """Returns `text` as one line without anything that a terminal or a browser would obey instead of showing.

    Names of tensors and labels come from the model, messages from the server: control characters could rewrite the
    screen, and characters that turn the direction of writing could make one word look like another.
    """
    return "".join(_visible(character) for character in text).strip()


def _visible(character: str) -> str:
    if character.isspace():
        return " "
    return character if character.isprintable() else _REPLACEMENT


def number(value: float | None) -> str:
    """Returns three significant digits: `0.0312`, `2.40`, `61.7`, `14,820`."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    size = abs(value)
    if size == 0:
        return "0"
    for least, form in ((99.95, ",.0f"), (9.995, ".1f"), (0.9995, ".2f"), (0.09995, ".3f"), (0.009995, ".4f")):
        if size >= least:
            return _signed(format(value, form))
    return _signed(f"{value:.4f}" if size >= 0.001 else f"{value:.1e}")  # noqa: PLR2004 - zeros are hard to count


def whole(value: int | None) -> str:
    """Returns a count with thousands apart."""
    return UNKNOWN if value is None else _signed(f"{value:,}")


def milliseconds(value: float | None) -> str:
    """Returns a time with its unit."""
    return with_unit(number(value), "ms")


def seconds(value: float) -> str:
    """Returns a time to a tenth of a second, for columns of them."""
    return f"{value:.1f}" if math.isfinite(value) else UNKNOWN


def share(value: float | None) -> str:
    """Returns a fraction as a percentage: `99.0 %`, `0.14 %`."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    return _signed(f"{100 * value:.{1 if abs(value) >= 0.01 or value == 0 else 2}f} %")  # noqa: PLR2004 - one percent


def points(value: float | None) -> str:
    """Returns a difference of two shares in percentage points: `0.14`."""
    return UNKNOWN if value is None or not math.isfinite(value) else _signed(f"{100 * value:.2f}")


def size(value: float | None) -> str:
    """Returns a size in bytes with the unit that leaves at most four digits: `1.00 KiB`, `-5.10 B`."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    step = 0
    while abs(value) >= _KIBI and step < len(_UNITS) - 1:
        value, step = value / _KIBI, step + 1
    return f"{number(value)} {_UNITS[step]}"


def percentile(quantile: float) -> str:
    """Returns the name of a quantile: `p50`, `p99.9`."""
    return f"p{100 * quantile:.6g}"


def between(low: str, high: str) -> str:
    """Returns an interval, or the dash where an end is not known."""
    return UNKNOWN if UNKNOWN in (low, high) else f"{low} to {high}"


def with_unit(figure: str, unit: str) -> str:
    """Returns a figure with its unit, but a bare dash where there is none."""
    return figure if figure == UNKNOWN else f"{figure} {unit}"


def counted(count: int, one: str, many: str | None = None) -> str:
    """Returns `1 case`, `20 cases`."""
    return f"{whole(count)} {one if count == 1 else many or one + 's'}"


def _signed(text: str) -> str:
    return text.replace("-", MINUS) if text.startswith("-") else text
