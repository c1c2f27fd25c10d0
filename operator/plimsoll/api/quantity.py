"""Kubernetes quantities: `500m`, `4Gi`, `1`.

The API server rewrites them (`1000m` becomes `1`, `1000P` becomes `1E`), so they are compared by value, never by
spelling; its spellings are more than those that the API admits.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache

_PATTERN = re.compile(r"([0-9]+(?:\.[0-9]+)?)(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?")
_FACTORS: dict[str | None, Fraction] = {
    None: Fraction(1),
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 1000),
    "k": Fraction(10**3),
    "M": Fraction(10**6),
    "G": Fraction(10**9),
    "T": Fraction(10**12),
    "P": Fraction(10**15),
    "E": Fraction(10**18),
    "Ki": Fraction(2**10),
    "Mi": Fraction(2**20),
    "Gi": Fraction(2**30),
    "Ti": Fraction(2**40),
    "Pi": Fraction(2**50),
    "Ei": Fraction(2**60),
}


@lru_cache(maxsize=1024)
def parse_quantity(text: str) -> Fraction | None:
    """Returns the value of a quantity, or None when `text` is not one.

    Remembered, for a cluster has a few dozen quantities: parsing them anew took 6 % of a plan.
    """
    match = _PATTERN.fullmatch(text)
    return Fraction(match[1]) * _FACTORS[match[2]] if match else None


def value_of(text: str) -> Fraction:
    """Returns the value of a quantity.

    Raises:
        ValueError: `text` is not a quantity.
    """
    value = parse_quantity(text)
    if value is None:
        raise ValueError(f"{text!r} is not a quantity")
    return value


def whole(text: str) -> int:
    """Returns a quantity in whole units (bytes, devices), rounded down.

    Raises:
        ValueError: `text` is not a quantity.
    """
    return int(value_of(text))
