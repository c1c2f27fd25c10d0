"""What a view shows, without saying how: sections of facts, tables and charts."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from plimsoll.api.preflight_report import Outcome, PhaseStatus


class Tone(StrEnum):
    """What a text says about the revision; views add it to words that say the same."""

    NEUTRAL = "neutral"
    GOOD = "good"
    WARN = "warn"
    BAD = "bad"
    MUTED = "muted"


class Chart(StrEnum):
    """A chart; each view draws it in its own way from the report, or leaves it out."""

    LATENCY_BY_BATCH = "latency-by-batch"
    ITEM_TIME = "item-time"
    THROUGHPUT = "throughput"
    CAPACITY = "capacity"
    LATENCY = "latency"
    MEMORY = "memory"
    CALIBRATION = "calibration"


@dataclass(frozen=True, slots=True)
class Cell:
    """A text from anywhere; a view makes it harmless where it is shown."""

    text: str
    tone: Tone = Tone.NEUTRAL


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: numbers are aligned at the right, sentences take the room that is left."""

    name: str
    number: bool = False
    sentences: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table; the first cell of a row names it."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True, slots=True)
class Fact:
    """One line: what, and how it is."""

    label: str
    cell: Cell


@dataclass(frozen=True, slots=True)
class Section:
    """What one or several phases found out."""

    title: str
    facts: tuple[Fact, ...] = ()
    charts: tuple[Chart, ...] = ()
    tables: tuple[Table, ...] = ()


def status_cell(status: PhaseStatus) -> Cell:
    """Returns the word for how a phase ended."""
    match status:
        case PhaseStatus.PASSED:
            return Cell("passed", Tone.GOOD)
        case PhaseStatus.WARNED:
            return Cell("warned", Tone.WARN)
        case PhaseStatus.FAILED:
            return Cell("FAILED", Tone.BAD)
        case PhaseStatus.SKIPPED:
            return Cell("skipped", Tone.MUTED)


def outcome_cell(outcome: Outcome) -> Cell:
    """Returns the word for what the preflight says."""
    match outcome:
        case Outcome.PASSED:
            return Cell("Passed", Tone.GOOD)
        case Outcome.REJECTED:
            return Cell("Rejected", Tone.BAD)
        case Outcome.ERROR:
            return Cell("Error", Tone.WARN)
