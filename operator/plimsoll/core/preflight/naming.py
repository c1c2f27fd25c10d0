"""Numbers and names in sentences: a model may have hundreds of tensors, with names of any length."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

_SHOWN: Final = 8
_LONGEST: Final = 64
"""Characters of a name."""


def listed(names: Sequence[str]) -> str:
    """Returns the first names, cut where they are long, and how many more there are."""
    return first_few([shortened(name) for name in names])


def first_few(items: Sequence[str]) -> str:
    """Returns the first items as they are, and how many more there are."""
    more = [f"{len(items) - _SHOWN} more"] if len(items) > _SHOWN else []
    return ", ".join([*items[:_SHOWN], *more])


def shortened(name: str) -> str:
    """Returns a name, or its beginning."""
    return name if len(name) <= _LONGEST else f"{name[:_LONGEST]}…"


def counted(count: int, noun: str) -> str:
    """Returns `1 input`, `2 inputs`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def figure(value: float) -> str:
    """Returns a number to three digits, for people: `56,600` and not `5.66e+04`."""
    return f"{float(f'{value:.3g}'):,.12g}"
