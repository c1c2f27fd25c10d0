"""A report as one page that needs nothing else: no scripts, no fonts, no network, light and dark."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import count
from typing import Final

from plimsoll.api.preflight_report import Figures, PreflightReport
from plimsoll.cli.preflight_views import charts, quality_charts
from plimsoll.cli.preflight_views.content import Cell, Chart, Column, Fact, Section, Table, Tone, outcome_cell
from plimsoll.cli.preflight_views.drawing import Drawing, framed
from plimsoll.cli.preflight_views.markup import NOTHING, Markup, element, joined, text
from plimsoll.cli.preflight_views.sections import phases_table, sections, summary_facts
from plimsoll.cli.preflight_views.style import STYLE
from plimsoll.version import VERSION

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""Should a hole in the escaping ever be found, nothing would run or be fetched."""
_CHARTS: Final[Mapping[Chart, Callable[[Figures], Drawing | None]]] = {
    Chart.LATENCY_BY_BATCH: lambda figures: charts.latency_by_batch(figures.profile) if figures.profile else None,
    Chart.ITEM_TIME: lambda figures: charts.item_time(figures.profile) if figures.profile else None,
    Chart.THROUGHPUT: lambda figures: charts.throughput(figures.profile) if figures.profile else None,
    Chart.CAPACITY: lambda figures: charts.capacity(figures.profile) if figures.profile else None,
    Chart.LATENCY: lambda figures: charts.latency(figures.latency) if figures.latency else None,
    Chart.MEMORY: lambda figures: quality_charts.memory(figures.memory) if figures.memory else None,
    Chart.CALIBRATION: lambda figures: quality_charts.calibration(figures.calibration) if figures.calibration else None,
}
_SIGNS: Final = {Tone.GOOD: "✓", Tone.WARN: "!", Tone.BAD: "✕"}


def page(report: PreflightReport) -> str:
    """Returns the HTML document."""
    outcome = outcome_cell(report.outcome)
    title = f"Preflight of {report.model}: {outcome.text}"
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="referrer", content="no-referrer"),
        element("title", text(title)),
        element("style", Markup(STYLE)),
    )
    body = element("body", _header(report, outcome), element("main", *_main(report)), _footer(report))
    return f"<!DOCTYPE html>\n{element('html', head, body, lang='en')}\n"


def _header(report: PreflightReport, outcome: Cell) -> Markup:
    verdict = element("b", text(f"{_SIGNS[outcome.tone]} {outcome.text}"))
    message = element("span", text(report.message))
    return element(
        "header",
        element("h1", text(f"Preflight of {report.model}")),
        element("p", verdict, element("br"), message, class_=f"verdict {outcome.tone}"),
        _facts(summary_facts(report)),
    )


def _footer(report: PreflightReport) -> Markup:
    return element("footer", text(f"plimsoll {VERSION}, key {report.key}"))


def _main(report: PreflightReport) -> Iterable[Markup]:
    yield _HATCH
    if report.phases:
        yield element("section", element("h2", text("Phases")), _table(phases_table(report)))
    numbers = count(1)
    for section in sections(report):
        yield _section(section, report.figures, numbers)


def _section(section: Section, figures: Figures, numbers: count[int]) -> Markup:
    drawn = [framed(one, f"chart-{next(numbers)}") for chart in section.charts if (one := _CHARTS[chart](figures))]
    return element(
        "section",
        element("h2", text(section.title)),
        _facts(section.facts),
        element("div", *drawn, class_="charts") if drawn else NOTHING,
        *(_table(table) for table in section.tables),
    )


def _facts(facts: Iterable[Fact]) -> Markup:
    pairs = [joined((element("dt", text(fact.label)), element("dd", _toned(fact.cell)))) for fact in facts]
    return element("dl", *pairs) if pairs else NOTHING


def _toned(cell: Cell) -> Markup:
    return text(cell.text) if cell.tone is Tone.NEUTRAL else element("span", text(cell.text), class_=cell.tone)


def _table(table: Table) -> Markup:
    head = (
        element("th", text(column.name), scope="col", role="columnheader", class_=_class(column))
        for column in table.columns
    )
    rows = (element("tr", *_cells(row, table.columns), role="row") for row in table.rows)
    drawn = element(
        "table",
        element("caption", text(table.title)),
        element("thead", element("tr", *head, role="row"), role="rowgroup"),
        element("tbody", *rows, role="rowgroup"),
        # Stated, since style sheets that lay rows out anew take the meaning of a table away.
        role="table",
        class_="stacks" if any(column.sentences for column in table.columns) else None,
    )
    # Reachable by keyboard, since a wide table scrolls on a narrow screen.
    return element("div", drawn, class_="scroll", role="region", aria_label=table.title, tabindex="0")


def _cells(row: tuple[Cell, ...], columns: tuple[Column, ...]) -> Iterable[Markup]:
    for index, (cell, column) in enumerate(zip(row, columns, strict=True)):
        if index == 0:
            yield element("th", _toned(cell), scope="row", role="rowheader", class_=_class(column))
        else:
            yield element("td", _toned(cell), role="cell", data_label=column.name, class_=_class(column))


def _class(column: Column) -> str | None:
    return "number" if column.number else "sentences" if column.sentences else None


_HATCH: Final = element(
    "svg",
    element(
        "defs",
        element(
            "pattern",
            element("path", d="M-1 9L9 -1M-1 1L1 -1M7 9L9 7"),
            id="hatch",
            width="8",
            height="8",
            patternUnits="userSpaceOnUse",
        ),
    ),
    width="0",
    height="0",
    aria_hidden="true",
    class_="defs",
)
"""Predicted bars: told apart without colour."""
