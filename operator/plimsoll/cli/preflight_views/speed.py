"""Sections about what the model carries: batch sizes, capacity, latency, memory."""

from __future__ import annotations

import math
from collections.abc import Iterator

from plimsoll.api.preflight_report import (
    BatchRow,
    Cliff,
    CliffKind,
    LatencyFigures,
    LinearFit,
    MemoryFigures,
    MemorySlope,
    ObjectiveCheck,
    ProfileFigures,
    QuantileFigure,
)
from plimsoll.cli.preflight_views.content import Cell, Chart, Column, Fact, Section, Table, Tone, status_cell
from plimsoll.cli.preflight_views.wording import (
    UNKNOWN,
    between,
    milliseconds,
    number,
    percentile,
    share,
    size,
    whole,
    with_unit,
)

QUANTILES = (0.5, 0.9, 0.95, 0.99, 0.999)
CLIFFS = {
    CliffKind.THROUGHPUT: "throughput falls",
    CliffKind.TAIL: "tail grows",
    CliffKind.ITEM_TIME: "item time grows",
    CliffKind.FAILURE: "does not work",
}
MEASURED = "measured"
PREDICTED = "predicted"


def at(quantiles: list[QuantileFigure], quantile: float) -> QuantileFigure | None:
    """Returns the figure of one quantile, if the report has it."""
    return next((figure for figure in quantiles if figure.quantile == quantile), None)


def value_at(quantiles: list[QuantileFigure], quantile: float) -> float | None:
    """Returns the value of one quantile in ms; None where it is not known."""
    figure = at(quantiles, quantile)
    return figure.value_ms if figure else None


def drawable(value: float | None) -> float | None:
    """Returns a value that has a place on a logarithmic axis, else None."""
    return value if value is not None and math.isfinite(value) and value > 0 else None


def profile_section(profile: ProfileFigures) -> Section:
    """Returns what each batch size costs."""
    facts = (
        *(_fit(profile.fit) if profile.fit else ()),
        Fact("Knee", Cell(_batch(profile.knee, "the last doubling that gained a tenth in throughput"))),
        Fact("Recommended", Cell(_batch(profile.recommended_max_batch, "as maxBatchSize"))),
    )
    charts = (Chart.LATENCY_BY_BATCH, Chart.ITEM_TIME, Chart.THROUGHPUT) if profile.rows else ()
    return Section("Batch sizes", facts, charts, tuple(_profile_tables(profile)))


def _fit(fit: LinearFit) -> Iterator[Fact]:
    words = f"{milliseconds(fit.fixed_ms)} + {milliseconds(fit.per_item_ms)} per item"
    residual = f"off by up to {share(fit.worst_residual)}"
    yield Fact("Time of a batch", Cell(f"{words}, {residual}" if fit.linear else f"not linear ({words}: {residual})"))


def _batch(batch: int | None, meaning: str) -> str:
    return f"batch {batch}, {meaning}" if batch is not None else UNKNOWN


def _profile_tables(profile: ProfileFigures) -> Iterator[Table]:
    if profile.rows:
        columns = (
            *(Column(name, number=True) for name in ("Batch", "Requests", *map(percentile, QUANTILES))),
            Column("Items/s", number=True),
            Column("ms/item", number=True),
        )
        yield Table("Latency by batch size in ms", columns, tuple(_row(row, profile.cliffs) for row in profile.rows))
    told = [(row.batch, Cell("failed", Tone.BAD), Cell(row.failure)) for row in profile.rows if row.failure]
    told += [(one.batch, Cell(CLIFFS[one.kind], Tone.WARN), Cell(one.explanation)) for one in profile.cliffs]
    if told:
        columns = (Column("From batch", number=True), Column("Cliff"), Column("Explanation", sentences=True))
        rows = tuple((Cell(whole(batch)), kind, explanation) for batch, kind, explanation in sorted(told, key=_first))
        yield Table("Cliffs", columns, rows)


def _first(told: tuple[int, Cell, Cell]) -> int:
    return told[0]


def _row(row: BatchRow, cliffs: list[Cliff]) -> tuple[Cell, ...]:
    tone = Tone.BAD if row.failure else Tone.WARN if row.batch in {cliff.batch for cliff in cliffs} else Tone.NEUTRAL
    figures = [value_at(row.quantiles, quantile) for quantile in QUANTILES]
    return (
        Cell(whole(row.batch), tone),
        Cell(whole(row.requests)),
        *(Cell(number(figure)) for figure in figures),
        Cell(number(row.items_per_s)),
        Cell(number(row.item_ms)),
    )


def capacity_section(profile: ProfileFigures) -> Section | None:
    """Returns the rates that are carried within the objective; None without an objective."""
    if profile.objective_ms is None:
        return None
    quantile = percentile(profile.objective_quantile) if profile.objective_quantile is not None else "latency"
    facts = [Fact("Objective", Cell(f"{quantile} of at most {milliseconds(profile.objective_ms)}"))]
    if profile.attainable is not None:
        alone = (
            Cell("one request alone keeps it", Tone.GOOD)
            if profile.attainable
            else Cell("one request alone misses it: no number of replicas can keep it", Tone.BAD)
        )
        facts.append(Fact("Attainable", alone))
    columns = (Column("Replicas", number=True), Column("Requests/s", number=True), Column("How it is known"))
    rows = tuple(
        (
            Cell(whole(one.replicas)),
            Cell(number(one.requests_per_s)),
            Cell(f"✓ {MEASURED}", Tone.GOOD) if one.confirmed else Cell(f"~ {PREDICTED}", Tone.MUTED),
        )
        for one in profile.capacity
    )
    tables = (Table("Capacity within the objective", columns, rows),) if rows else ()
    return Section("Capacity", tuple(facts), (Chart.CAPACITY,) if rows else (), tables)


def latency_section(latency: LatencyFigures) -> Section:
    """Returns the percentiles under load beside what is promised."""
    failed = f"{whole(latency.failed)} of {whole(latency.requests)}"
    facts = (
        Fact("Load", Cell(f"{number(latency.requests_per_s)} requests/s, sent when due whatever came before")),
        Fact("Failed requests", Cell(failed, Tone.BAD if latency.failed else Tone.GOOD)),
    )
    columns = (
        Column("Percentile"),
        *(Column(name, number=True) for name in ("ms", "95 % bounds", "Promise", "Budget")),
        Column("Status"),
    )
    checks = {check.quantile: check for check in latency.objective}
    known = {figure.quantile: figure for figure in latency.quantiles}
    rows = tuple(
        _percentile(quantile, known.get(quantile), checks.get(quantile)) for quantile in sorted({*known, *checks})
    )
    tables = (Table("Latency from the moment a request was due", columns, rows),) if rows else ()
    return Section("Latency under load", facts, (Chart.LATENCY,) if rows else (), tables)


def _percentile(quantile: float, figure: QuantileFigure | None, check: ObjectiveCheck | None) -> tuple[Cell, ...]:
    found = check or figure
    bounds = between(number(found.low_ms), number(found.high_ms)) if found else UNKNOWN
    return (
        Cell(percentile(quantile)),
        Cell(number(found.value_ms if found else None)),
        Cell(bounds),
        Cell(number(check.max_ms) if check else ""),
        Cell(number(check.budget_ms) if check else ""),
        status_cell(check.status) if check else Cell(""),
    )


def memory_section(memory: MemoryFigures) -> Section:
    """Returns the growth of each memory."""
    columns = (
        Column("Memory"),
        *(Column(name, number=True) for name in ("Requests", "Per request", "95 % bounds", "Detectable", "Size")),
        Column("Leak"),
    )
    table = Table("Growth per request", columns, tuple(_memory(slope) for slope in memory.slopes))
    return Section("Memory", (), (Chart.MEMORY,), (table,))


def _memory(slope: MemorySlope) -> tuple[Cell, ...]:
    return (
        Cell(slope.device),
        Cell(whole(slope.requests)),
        Cell(size(slope.bytes_per_request)),
        Cell(between(number(slope.low), with_unit(number(slope.high), "B"))),
        Cell(size(slope.detectable)),
        Cell(size(slope.end_bytes)),
        Cell("LEAKS", Tone.BAD) if slope.leaking else Cell("none seen", Tone.GOOD),
    )
