"""How many of the last requests failed: a window that slides over cells of a quarter of a second."""

from __future__ import annotations

from collections import deque
from math import ceil
from typing import Final

CELL_S: Final = 0.25
"""A window of ten minutes has 2,400 of them; a window is told to within one."""


class _Cell:
    """What ended in one quarter of a second; numbered on the clock."""

    __slots__ = ("failed", "judged", "number")

    def __init__(self, number: int) -> None:
        self.number = number
        self.judged = 0
        self.failed = 0


class Window:
    """Sums over the last seconds. Times are those of one monotonic clock, in seconds.

    It holds the present cell, which is not over, and as many before it as make up the length: so it never looks back
    further than it should, and at most one cell less far.

    Attributes:
        judged: Ends in it that say anything about the model.
        failed: Of these, the ones that speak against it.
    """

    __slots__ = ("_cells", "_most", "failed", "judged")

    def __init__(self, length_s: float) -> None:
        self._most = max(1, ceil(length_s / CELL_S))
        self._cells: deque[_Cell] = deque()
        self.judged = 0
        self.failed = 0

    def add(self, now: float, *, failed: bool) -> None:
        """Counts an end."""
        self.slide(now)
        cells, number = self._cells, int(now / CELL_S)
        if not cells or cells[-1].number < number:
            cells.append(_Cell(number))
        cell = cells[-1]
        cell.judged += 1
        self.judged += 1
        if failed:
            cell.failed += 1
            self.failed += 1

    def slide(self, now: float) -> None:
        """Forgets what is no longer in it."""
        cells, past = self._cells, int(now / CELL_S) - self._most
        while cells and cells[0].number <= past:
            gone = cells.popleft()
            self.judged -= gone.judged
            self.failed -= gone.failed
