"""One thing that is wrong with a request or an answer, as a sentence for people and a word for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from plimsoll.core.validation.schema import VARIABLE

INVALID_HEADER: Final = "x-plimsoll-invalid"
"""On an answer: what was wrong with the request, or with the answer, and was let pass."""
MOST_PROBLEMS: Final = 8
"""A message with more is not read, and a hostile request could make thousands."""
_NAME_SHOWN = 64
_NAME_IN_HEADER = 24
_UNRESERVED: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


class Kind(StrEnum):
    """What is wrong. Values of a header and labels of a metric, so few and fixed."""

    MISSING = "Missing"
    UNKNOWN = "Unknown"
    DATA_TYPE = "DataType"
    RANK = "Rank"
    DIMENSION = "Dimension"
    BATCH = "Batch"
    SIZE = "Size"
    EMPTY = "Empty"
    NULL = "Null"
    NOT_FINITE = "NotFinite"
    RANGE = "Range"
    UNREADABLE = "Unreadable"


@dataclass(frozen=True, slots=True)
class Problem:
    """One.

    Attributes:
        kind: Which rule.
        tensor: Name of the input or output.
        sentence: What is wrong, the number, and the way out.
        position: Of the element, one index for each dimension; None where it is about the tensor as a whole.
    """

    kind: Kind
    tensor: str
    sentence: str
    position: tuple[int, ...] | None = None


def header_value(problems: Sequence[Problem]) -> str:
    """Returns the value of `INVALID_HEADER`: `x=NotFinite, y=Missing`; the beginnings of names, percent-encoded."""
    return ", ".join(f"{_encoded(one.tensor[:_NAME_IN_HEADER])}={one.kind}" for one in problems[:MOST_PROBLEMS])


def sentences(problems: Sequence[Problem]) -> str:
    """Returns them as one text."""
    said = " ".join(one.sentence for one in problems[:MOST_PROBLEMS])
    return said + " There may be more." if len(problems) >= MOST_PROBLEMS else said


def quoted(name: str) -> str:
    """Returns a name as a message shows it: in quotes, without control characters, not longer than a line."""
    return repr(_shortened(name))


def position_in(shape: Sequence[int], index: int) -> tuple[int, ...]:
    """Returns the indices of an element from its place in row-major order."""
    position: list[int] = []
    for size in reversed(shape):
        index, at = divmod(index, size)
        position.append(at)
    return tuple(reversed(position))


def fits(size: int, declared: int) -> bool:
    """Tells whether a dimension has a size that is declared for it."""
    return declared in {VARIABLE, size}


def _encoded(name: str) -> str:
    """Writes a name as a URL's part is written (RFC 3986 §2.1)."""
    data = name.encode("utf-8", "replace")
    return "".join(chr(byte) if byte in _UNRESERVED else f"%{byte:02X}" for byte in data)


def _shortened(name: str) -> str:
    return name if len(name) <= _NAME_SHOWN else name[:_NAME_SHOWN] + "..."
