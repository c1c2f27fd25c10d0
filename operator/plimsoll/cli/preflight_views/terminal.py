"""A report in the terminal: readable at 80 columns, without colours, and in ASCII where the terminal knows no more."""

from __future__ import annotations

from collections.abc import Iterable

from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from plimsoll.api.preflight_report import PreflightReport
from plimsoll.cli.preflight_views.content import Cell, Fact, Section, Table, Tone, outcome_cell
from plimsoll.cli.preflight_views.sections import phases_table, sections, summary_facts
from plimsoll.cli.preflight_views.text_plots import text_plot
from plimsoll.cli.preflight_views.wording import MINUS, UNKNOWN, plain

STYLES = {
    Tone.NEUTRAL: "",
    Tone.GOOD: "green",
    Tone.WARN: "yellow",
    Tone.BAD: "bold red",
    Tone.MUTED: "dim",
}
_FACT_WIDTH = 19
_DRAWN = {UNKNOWN: "-", MINUS: "-", "✓": "+", "●": "o", "○": "+", "✕": "x", "─": "-", "│": "|", "◀": "<", "█": "#"}
_ASCII = str.maketrans(_DRAWN | dict.fromkeys("▏▎▍▌▋▊▉", ""))


def print_report(report: PreflightReport, console: Console) -> None:
    """Writes a report to `console`, which decides about width, colour and encoding."""
    view = _View(console)
    view.summary(report)
    if report.phases:
        view.table(phases_table(report))
    for section in sections(report):
        view.section(section, report)


class _View:
    """Writes the parts of a report."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def summary(self, report: PreflightReport) -> None:
        outcome = outcome_cell(report.outcome)
        line = Text.assemble(("Preflight of ", "bold"), self._text(Cell(report.model)), ": ", self._text(outcome))
        self._console.print(line)
        self._console.print(self._text(Cell(report.message)))
        self._console.print()
        self.facts(summary_facts(report))

    def section(self, section: Section, report: PreflightReport) -> None:
        self._title(section.title)
        self.facts(section.facts)
        for chart in section.charts:
            plot = text_plot(chart, report.figures.profile, self._console.width - 1)
            if plot:
                self._console.print()
                self._lines([plot.title, *plot.lines])
        for table in section.tables:
            self.table(table)

    def facts(self, facts: Iterable[Fact]) -> None:
        grid = RichTable.grid(padding=(0, 1, 0, 0))
        grid.add_column(width=_FACT_WIDTH, overflow="fold")
        grid.add_column(overflow="fold")
        for fact in facts:
            grid.add_row(self._text(Cell(fact.label, Tone.MUTED)), self._text(fact.cell))
        if grid.row_count:
            self._console.print(grid)

    def table(self, table: Table) -> None:
        drawn = RichTable(
            box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False, header_style="bold"
        )
        for column in table.columns:
            drawn.add_column(column.name, justify="right" if column.number else "left", overflow="fold")
        for row in table.rows:
            drawn.add_row(*(self._text(cell) for cell in row))
        self._console.print()
        self._lines([table.title])
        self._console.print(drawn)

    def _title(self, title: str) -> None:
        self._console.print()
        self._console.print(Text(title.upper(), style="bold"))

    def _lines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self._console.print(self._text(Cell(line.rstrip()), keep_spaces=True), no_wrap=True, overflow="crop")

    def _text(self, cell: Cell, *, keep_spaces: bool = False) -> Text:
        """Returns a text that is shown as it is: no markup, no control characters, nothing that cannot be encoded."""
        text = cell.text if keep_spaces else plain(cell.text)
        encoding = self._console.encoding
        if self._console.options.ascii_only:
            text = text.translate(_ASCII)
        return Text(text.encode(encoding, "replace").decode(encoding), style=STYLES[cell.tone])
