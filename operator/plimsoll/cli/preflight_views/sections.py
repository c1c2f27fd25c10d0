"""The sections of a report, in the order of the phases; a phase that measured nothing has none."""

from __future__ import annotations

from plimsoll.api.preflight_report import LoadFigures, PhaseReport, PhaseStatus, PreflightReport, ServedTensor
from plimsoll.cli.preflight_views.answers import accuracy_section, answers_section, calibration_section
from plimsoll.cli.preflight_views.content import Cell, Column, Fact, Section, Table, Tone, status_cell
from plimsoll.cli.preflight_views.speed import capacity_section, latency_section, memory_section, profile_section
from plimsoll.cli.preflight_views.wording import milliseconds, seconds


def phases_table(report: PreflightReport) -> Table:
    """Returns one row per phase."""
    columns = (
        Column("Phase"),
        Column("Status"),
        Column("Enforced"),
        Column("Seconds", number=True),
        Column("Finding", sentences=True),
    )
    return Table("How each phase ended", columns, tuple(_phase(phase) for phase in report.phases))


def _phase(phase: PhaseReport) -> tuple[Cell, ...]:
    enforced = Cell("yes") if phase.enforced else Cell("no", Tone.MUTED)
    finding = phase.message if phase.status is PhaseStatus.PASSED else f"{phase.message} ({phase.reason})"
    return Cell(phase.name), status_cell(phase.status), enforced, Cell(seconds(phase.seconds)), Cell(finding)


def summary_facts(report: PreflightReport) -> tuple[Fact, ...]:
    """Returns what the report is about."""
    return (
        Fact("Revision", Cell(report.revision or "local files")),
        Fact("Reason", Cell(report.reason)),
        Fact("Started", Cell(report.started_at)),
        Fact("Budget", Cell(f"{seconds(report.spent_s)} s of {seconds(report.budget_s)} s used")),
    )


def sections(report: PreflightReport) -> list[Section]:
    """Returns what was measured."""
    figures = report.figures
    found = [
        _load_section(figures.load) if figures.load else None,
        answers_section(figures.golden, figures.determinism, figures.batch_invariance),
        profile_section(figures.profile) if figures.profile else None,
        capacity_section(figures.profile) if figures.profile else None,
        latency_section(figures.latency) if figures.latency else None,
        memory_section(figures.memory) if figures.memory and figures.memory.slopes else None,
        accuracy_section(figures.accuracy) if figures.accuracy else None,
        calibration_section(figures.calibration) if figures.calibration else None,
    ]
    return [section for section in found if section]


def _load_section(load: LoadFigures) -> Section:
    batching = f"up to {load.max_batch_size} items" if load.max_batch_size else "none: one request, one item"
    return Section(
        "Model",
        (
            Fact("Server", Cell(load.server)),
            Fact("Ready after", Cell(milliseconds(load.ready_after_ms))),
            Fact("Kind", Cell(load.kind)),
            Fact("Batching", Cell(batching)),
            Fact("Inputs", Cell(_tensors(load.inputs))),
            Fact("Outputs", Cell(_tensors(load.outputs))),
        ),
    )


def _tensors(tensors: list[ServedTensor]) -> str:
    named = (f"{one.name} {one.data_type}[{', '.join(map(str, one.dims))}]" for one in tensors)
    return ", ".join(named) or "none"
