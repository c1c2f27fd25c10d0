"""Sections about what the model answers: golden cases, repetition, batches, a reference, confidence."""

from __future__ import annotations

from collections.abc import Iterator

from plimsoll.api.preflight_report import (
    AccuracyFigures,
    BatchInvarianceFigures,
    CalibrationFigures,
    DeterminismFigures,
    DeterminismLevel,
    GoldenFigures,
    InputSource,
    WorstDifference,
)
from plimsoll.cli.preflight_views.content import Cell, Chart, Column, Fact, Section, Table, Tone
from plimsoll.cli.preflight_views.wording import between, counted, number, points, share, with_unit

_SOURCES = {
    InputSource.ARTEFACT: "from the artefact",
    InputSource.CONFIG_MAP: "from a ConfigMap",
    InputSource.FILE: "from a file",
    InputSource.GENERATED: "generated",
}
_LEVELS = {
    DeterminismLevel.EXACT: Cell("bit-equal", Tone.GOOD),
    DeterminismLevel.TOLERANCE: Cell("equal within the tolerance", Tone.GOOD),
    DeterminismLevel.NONDETERMINISTIC: Cell("not equal", Tone.BAD),
}


def answers_section(
    golden: GoldenFigures | None, determinism: DeterminismFigures | None, invariance: BatchInvarianceFigures | None
) -> Section | None:
    """Returns whether answers are right, repeatable and each row's own; None where none of it was looked at."""
    facts = (
        *(_golden(golden) if golden else ()),
        *(_determinism(determinism) if determinism else ()),
        *(_invariance(invariance) if invariance else ()),
    )
    return Section("Answers", facts) if facts else None


def _golden(golden: GoldenFigures) -> Iterator[Fact]:
    cases = f"{counted(golden.cases, 'case')} {_SOURCES[golden.source]}, {golden.expected} with expected outputs"
    yield Fact("Golden cases", Cell(cases))
    errors = f", {golden.errors} of them with an error" if golden.errors else ""
    good = "all as expected" if golden.expected == golden.cases else "all valid"
    failed = Cell(f"{golden.failed} of {golden.cases} failed{errors}", Tone.BAD) if golden.failed else None
    yield Fact("Golden answers", failed or Cell(good, Tone.GOOD))
    yield from _worst("Worst golden answer", golden.worst)
    if golden.stable_agreement is not None:
        yield Fact("Same as stable", Cell(f"{share(golden.stable_agreement)} of the cases"))


def _determinism(determinism: DeterminismFigures) -> Iterator[Fact]:
    level = _LEVELS[determinism.level]
    asked = (
        f"{counted(determinism.cases, 'case')}, {counted(determinism.repeats, 'time')} each, "
        f"{determinism.concurrency} at once"
    )
    yield Fact("Repeated", Cell(f"{level.text} ({asked})", level.tone))
    yield Fact("Caching", Cell("answers may be cached" if determinism.cacheable else "answers must not be cached"))
    yield from _worst("Worst repetition", determinism.worst)


def _invariance(invariance: BatchInvarianceFigures) -> Iterator[Fact]:
    level = _LEVELS[invariance.level]
    sizes = ", ".join(map(str, invariance.sizes)) or "none"
    asked = f"{counted(invariance.rows, 'row')} at batch sizes {sizes}"
    yield Fact("Alone and batched", Cell(f"{level.text} ({asked})", level.tone))
    where = f"Worst at batch {invariance.size}" if invariance.size is not None else "Worst in a batch"
    yield from _worst(where, invariance.worst)


def _worst(label: str, worst: WorstDifference | None) -> Iterator[Fact]:
    if worst is None:
        return
    detail = f": {worst.detail}" if worst.detail else ""
    amounts = f"absolute {number(worst.absolute)}, relative {number(worst.relative)}"
    yield Fact(label, Cell(f"{worst.output}, case {worst.case}{detail} ({amounts})"))


def accuracy_section(accuracy: AccuracyFigures) -> Section:
    """Returns the paired comparison."""
    high = points(accuracy.high)
    if accuracy.max_loss is None:
        allowed = Cell("no limit is set (spec.preflight.accuracy.maxLoss)", Tone.MUTED)
    elif accuracy.high <= accuracy.max_loss:
        allowed = Cell(f"{points(accuracy.max_loss)} points; the upper bound {high} is within", Tone.GOOD)
    else:
        allowed = Cell(f"{points(accuracy.max_loss)} points; the upper bound {high} is above", Tone.BAD)
    facts = (
        Fact("Reference", Cell(accuracy.reference)),
        Fact("Labelled rows", Cell(f"{accuracy.rows:,}")),
        Fact("Accuracy", Cell(f"{share(accuracy.accuracy)}; the reference has {share(accuracy.reference_accuracy)}")),
        Fact("Loss", Cell(f"{points(accuracy.loss)} points ({between(points(accuracy.low), high)})")),
        Fact("Allowed loss", allowed),
        Fact("Same answer", Cell(f"{share(accuracy.agreement)} of the rows")),
    )
    columns = (
        Column("Class"),
        Column("Rows", number=True),
        Column("Accuracy", number=True),
        Column("Reference", number=True),
    )
    rows = tuple(
        (Cell(one.label), Cell(f"{one.rows:,}"), Cell(share(one.accuracy)), Cell(share(one.reference_accuracy)))
        for one in accuracy.worst_classes
    )
    return Section("Accuracy", facts, tables=(Table("Worst classes", columns, rows),) if rows else ())


def calibration_section(calibration: CalibrationFigures) -> Section:
    """Returns whether the stated confidence can be believed, and from where on."""
    above = calibration.ece > calibration.noise_floor
    noise = f"{'above' if above else 'within'} what {counted(calibration.rows, 'row')} show by chance, "
    error = Cell(
        f"{number(calibration.ece)}, {noise}{number(calibration.noise_floor)}", Tone.WARN if above else Tone.GOOD
    )
    if calibration.temperature is None:
        temperature = Cell("no temperature makes it better", Tone.MUTED)
    else:
        temperature = Cell(f"{number(calibration.temperature)}, then the error is {number(calibration.ece_after)}")
    wanted = f"an error rate of {share(calibration.error_rate)}"
    if calibration.threshold is None:
        threshold = Cell(f"none meets {wanted}", Tone.WARN)
    else:
        covered = with_unit(share(calibration.coverage), "of the rows")
        threshold = Cell(f"{number(calibration.threshold)} for {wanted}; it keeps {covered}")
    return Section(
        "Confidence",
        (
            Fact("Output", Cell(calibration.output)),
            Fact("Calibration error", error),
            Fact("Temperature", temperature),
            Fact("Threshold", threshold),
        ),
        charts=(Chart.CALIBRATION,),
    )
