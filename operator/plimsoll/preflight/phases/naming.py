"""Names of tensors in sentences, of a model that may have hundreds with names of any length."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

_SHOWN: Final = 8
_LONGEST: Final = 64
"""Characters of a name."""


def listed(names: Sequence[str]) -> str:
    """Returns the first names, and how many more there are."""
    shown = [name if len(name) <= _LONGEST else f"{name[:_LONGEST]}…" for name in names[:_SHOWN]]
    more = [f"{len(names) - _SHOWN} more"] if len(names) > _SHOWN else []
    return ", ".join(shown + more)


def counted(count: int, noun: str) -> str:
    """Returns `1 input`, `2 inputs`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"
