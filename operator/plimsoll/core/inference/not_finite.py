"""Where a request says NaN or infinity, which JSON cannot: only for the message to a client that was refused."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from plimsoll.core.inference.malformed import NOWHERE

_WORD: Final = re.compile(rb"NaN|Infinity")
_MOST_BYTES: Final = 1 << 20
"""The standard library's reader takes 20 ms for that; larger requests are told without a place."""


class _NotFinite(float):
    """A literal that is no JSON, as opposed to a number that overflows."""


def first_not_finite(header: bytes) -> tuple[str, int] | None:
    """Returns the input and the element of the first one; no input and `NOWHERE` where it is elsewhere.

    Args:
        header: What is not JSON.

    Returns:
        None where that is for another reason.
    """
    if len(header) > _MOST_BYTES or not _WORD.search(header):
        return None
    found = 0

    def note(literal: str) -> _NotFinite:
        nonlocal found
        found += 1
        return _NotFinite(literal)

    try:
        document = json.loads(header, parse_constant=note)
    except (ValueError, RecursionError):
        return None
    if not found:
        return None
    inputs = document.get("inputs") if isinstance(document, dict) else None
    for tensor in inputs if isinstance(inputs, list) else ():
        if isinstance(tensor, dict) and isinstance(tensor.get("name"), str):
            position = _position(tensor.get("data"))
            if position != NOWHERE:
                return tensor["name"], position
    return "", NOWHERE


def _position(data: Any) -> int:
    position = 0
    stack = [data]
    while stack:
        value = stack.pop()
        if isinstance(value, list):
            stack.extend(reversed(value))
            continue
        if isinstance(value, _NotFinite):
            return position
        position += 1
    return NOWHERE
