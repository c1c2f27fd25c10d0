"""Progress on the standard error: bars on a terminal, lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars
from rich.text import Text

from plimsoll.api.preflight_report import PhaseName, PhaseReport
from plimsoll.cli.preflight_views.content import status_cell
from plimsoll.cli.preflight_views.terminal import STYLES
from plimsoll.cli.preflight_views.wording import plain, seconds
from plimsoll.preflight.progress import LineProgress, Progress


class BarProgress:
    """One bar for the phase that runs, and a line for each that is done."""

    def __init__(self, bars: Bars) -> None:
        """`bars` is started and stopped by the caller."""
        self._bars = bars
        self._task: TaskID | None = None

    def begins(self, phase: PhaseName, seconds: float) -> None:  # noqa: ARG002 - a phase rarely takes all its time
        """Shows the phase's bar."""
        self._task = self._bars.add_task(phase, total=1.0, doing="")

    def advances(self, phase: PhaseName, fraction: float, doing: str = "") -> None:  # noqa: ARG002 - one runs at a time
        """Moves it."""
        if self._task is not None:
            self._bars.update(self._task, completed=fraction, doing=plain(doing))

    def ends(self, report: PhaseReport) -> None:
        """Replaces it by a line."""
        if self._task is not None:
            self._bars.remove_task(self._task)
            self._task = None
        status = status_cell(report.status)
        line = Text.assemble(
            f"{report.name:<16}", (f"{status.text:<8}", STYLES[status.tone]), f"{seconds(report.seconds):>6} s"
        )
        self._bars.console.print(line)


@contextmanager
def shown_progress() -> Iterator[Progress]:
    """Yields what tells people how far a run is; the standard output stays the report's."""
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield LineProgress(lambda line: print(plain(line), file=sys.stderr, flush=True))
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[doing]}", markup=False),
    )
    with Bars(*columns, console=console, transient=True) as bars:
        yield BarProgress(bars)
