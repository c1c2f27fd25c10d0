"""Telling people how far a preflight is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from plimsoll.api.preflight_report import PhaseName, PhaseReport

_STEP: Final = 0.25
"""Between two lines about one phase: a log is no progress bar."""


class Progress(Protocol):
    """What a run tells. Called from the event loop: must not block."""

    def begins(self, phase: PhaseName, seconds: float) -> None:
        """`phase` starts, with that much time."""

    def advances(self, phase: PhaseName, fraction: float, doing: str = "") -> None:
        """`phase` is at `fraction` (0 to 1) of its work; `doing` is a few words, `batch 64`."""

    def ends(self, report: PhaseReport) -> None:
        """A phase is done or was skipped (then without `begins`). `report.enforced` is not decided yet."""


class LineProgress:
    """Plain lines, for `kubectl logs`."""

    def __init__(self, write: Callable[[str], object]) -> None:
        """`write` takes one line without its end."""
        self._write = write
        self._told = 0.0

    def begins(self, phase: PhaseName, seconds: float) -> None:
        """One line."""
        self._told = 0.0
        self._write(f"{phase}: begins, at most {seconds:.0f} s")

    def advances(self, phase: PhaseName, fraction: float, doing: str = "") -> None:
        """A line for every quarter."""
        if fraction >= self._told + _STEP:
            self._told = fraction
            self._write(f"{phase}: {fraction:.0%}{', ' if doing else ''}{doing}")

    def ends(self, report: PhaseReport) -> None:
        """One line."""
        self._write(f"{report.name}: {report.status} ({report.reason}) after {report.seconds:.1f} s. {report.message}")
