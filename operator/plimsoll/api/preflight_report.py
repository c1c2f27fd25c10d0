"""The preflight report: what a preflight found out about one revision, phase by phase.

Written by the preflight, read by the controller, the command line and people (`plimsoll preflight --json`). Additive
only, like the custom resource: `format` grows when a reader of the old form would misread the new one.

Times are milliseconds, shares are fractions from 0 to 1, sizes are bytes; None means *not known*, never zero.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from plimsoll.api.base import ApiModel
from plimsoll.api.vocabulary import DataType

REPORT_FORMAT = 1


class PhaseName(StrEnum):
    """The phases, in the order of the figures; a report lists them in the order they ran."""

    LOAD = "Load"
    GOLDEN = "Golden"
    DETERMINISM = "Determinism"
    BATCH_INVARIANCE = "BatchInvariance"
    PROFILE = "Profile"
    LATENCY = "Latency"
    MEMORY = "Memory"
    ACCURACY = "Accuracy"
    CALIBRATION = "Calibration"


class PhaseStatus(StrEnum):
    """How a phase ended. `Failed` rejects when the phase is enforced; `Skipped` always has a reason."""

    PASSED = "Passed"
    WARNED = "Warned"
    FAILED = "Failed"
    SKIPPED = "Skipped"


class Outcome(StrEnum):
    """What the preflight says about the revision. `Error` says nothing about it: the preflight itself did not work."""

    PASSED = "Passed"
    REJECTED = "Rejected"
    ERROR = "Error"


class ModelKind(StrEnum):
    """What one request to the model is."""

    PLAIN = "Plain"
    ENSEMBLE = "Ensemble"
    DECOUPLED = "Decoupled"
    SEQUENCE = "Sequence"


class InputSource(StrEnum):
    """Where the inputs of the requests came from."""

    ARTEFACT = "Artefact"
    CONFIG_MAP = "ConfigMap"
    FILE = "File"
    GENERATED = "Generated"


class ServedTensor(ApiModel):
    """One input or output as the server declares it, without the batch dimension."""

    name: str
    data_type: DataType
    dims: list[int]
    optional: bool = False
    """An input that a request may leave out."""


class LoadFigures(ApiModel):
    """What is served."""

    kind: ModelKind
    inputs: list[ServedTensor]
    outputs: list[ServedTensor]
    max_batch_size: int
    server: str
    """Name and version of the server, `triton 2.51.0`."""
    ready_after_ms: float


class WorstDifference(ApiModel):
    """The largest difference between two answers that should be equal."""

    output: str
    case: int
    """Number of the input, from 1."""
    absolute: float | None
    """None where a value is not a number or the answers differ in kind (shape, data type)."""
    relative: float | None
    detail: str = ""
    """For people: the two values, or the two shapes."""


class GoldenFigures(ApiModel):
    """Answers against expected ones."""

    source: InputSource
    cases: int
    expected: int
    """Cases that had expected outputs."""
    failed: int
    """Cases outside the tolerance, with an invalid answer or an error."""
    errors: int
    """Of those, answered with an error."""
    worst: WorstDifference | None = None
    stable_agreement: float | None = None
    """Share of cases in which stable gives the same answer; None without a stable revision."""


class DeterminismLevel(StrEnum):
    """How equal repeated answers are."""

    EXACT = "Exact"
    TOLERANCE = "Tolerance"
    NONDETERMINISTIC = "Nondeterministic"


class DeterminismFigures(ApiModel):
    """Same inputs, same answers?"""

    level: DeterminismLevel
    alone: DeterminismLevel | None = None
    """Of the repeats asked one after the other; None when there was time for none."""
    cases: int
    repeats: int
    concurrency: int
    cacheable: bool
    worst: WorstDifference | None = None


class BatchInvarianceFigures(ApiModel):
    """Is a row's answer its own?"""

    sizes: list[int]
    rows: int
    """Rows compared over all sizes."""
    level: DeterminismLevel
    size: int | None = None
    """Batch size of the worst difference."""
    worst: WorstDifference | None = None


class QuantileFigure(ApiModel):
    """One quantile with its confidence bounds; `value` is None where there were too few samples."""

    quantile: float
    value_ms: float | None
    low_ms: float | None
    high_ms: float | None


class BatchRow(ApiModel):
    """What was measured at one batch size."""

    batch: int
    requests: int
    quantiles: list[QuantileFigure]
    median_ms: float | None
    items_per_s: float | None
    item_ms: float | None
    failure: str | None = None
    """Why this size does not work, in one sentence; the figures are None then."""


class CliffKind(StrEnum):
    """How a larger batch is worse than the size before."""

    THROUGHPUT = "Throughput"
    TAIL = "Tail"
    ITEM_TIME = "ItemTime"
    FAILURE = "Failure"


class Cliff(ApiModel):
    """A batch size from which on batching hurts."""

    batch: int
    kind: CliffKind
    explanation: str


class LinearFit(ApiModel):
    """`t(b) = a + c*b`."""

    fixed_ms: float
    per_item_ms: float
    worst_residual: float
    """Largest residual as a share of the measured time."""
    linear: bool
    """False: the residuals are too large, and the monotone table of medians is used."""


class Capacity(ApiModel):
    """Requests per second, of one item each, that this many replicas carry within the objective."""

    replicas: int
    requests_per_s: float
    confirmed: bool
    """True: measured by open-loop load at this rate; False: predicted."""


class ProfileFigures(ApiModel):
    """The batch profile."""

    rows: list[BatchRow]
    fit: LinearFit | None
    knee: int | None
    """Largest batch whose doubling from half its size still gained a tenth in throughput."""
    recommended_max_batch: int | None
    cliffs: list[Cliff]
    objective_ms: float | None
    objective_quantile: float | None
    capacity: list[Capacity]
    attainable: bool | None
    """False: a request alone misses the objective. None without an objective."""


class ObjectiveCheck(ApiModel):
    """One line of the latency objective."""

    quantile: float
    max_ms: float
    budget_ms: float
    """`max` less the headroom: what is aimed at."""
    value_ms: float | None
    low_ms: float | None
    high_ms: float | None
    status: PhaseStatus


class LatencyFigures(ApiModel):
    """Latency under open-loop load, measured from the moment a request was due."""

    requests_per_s: float
    requests: int
    failed: int
    quantiles: list[QuantileFigure]
    objective: list[ObjectiveCheck]


class MemorySlope(ApiModel):
    """Growth of one memory over the requests sent."""

    device: str
    """`host` or `gpu0`, `gpu1`, …"""
    requests: int
    start_bytes: int
    end_bytes: int
    bytes_per_request: float
    low: float
    high: float
    """95 % bounds of the slope."""
    second_half: float
    """Slope over the second half: a real leak persists."""
    detectable: float
    """Smallest leak in bytes per request that this run would have called one."""
    leaking: bool


class MemoryFigures(ApiModel):
    """Memory of the model server's processes."""

    slopes: list[MemorySlope]


class ClassLoss(ApiModel):
    """How one class fares against the reference."""

    label: str
    rows: int
    accuracy: float
    reference_accuracy: float


class AccuracyFigures(ApiModel):
    """Paired comparison with a reference on a labelled set."""

    reference: str
    rows: int
    accuracy: float
    reference_accuracy: float
    loss: float
    low: float
    high: float
    """Bounds of the loss; `high` is one-sided 95 % and is what is held against `max_loss`."""
    max_loss: float | None
    agreement: float
    worst_classes: list[ClassLoss]


class CalibrationFigures(ApiModel):
    """Is the stated confidence the share of right answers?"""

    output: str
    rows: int
    ece: float
    noise_floor: float
    """Expected calibration error that a perfectly calibrated model would show with so few rows (95 %)."""
    temperature: float | None
    """None where no temperature improves held-out rows."""
    ece_after: float | None
    error_rate: float
    threshold: float | None
    """Smallest confidence above which the error rate is met, at the 95 % bound; None where none is."""
    coverage: float | None
    """Share of rows at or above the threshold."""


class PhaseReport(ApiModel):
    """One phase."""

    name: PhaseName
    status: PhaseStatus
    reason: str
    """CamelCase word."""
    message: str
    """One sentence with the number and, where it is not passed, the way out."""
    enforced: bool = False
    seconds: float = 0.0


class Figures(ApiModel):
    """What the phases measured; a phase that did not get that far has none."""

    load: LoadFigures | None = None
    golden: GoldenFigures | None = None
    determinism: DeterminismFigures | None = None
    batch_invariance: BatchInvarianceFigures | None = None
    profile: ProfileFigures | None = None
    latency: LatencyFigures | None = None
    memory: MemoryFigures | None = None
    accuracy: AccuracyFigures | None = None
    calibration: CalibrationFigures | None = None


class PreflightReport(ApiModel):
    """The whole report."""

    format: Literal[1] = 1
    model: str
    revision: str
    """Name of the revision; empty for `--local`."""
    key: str
    """Verdict key that this answers, so that a report of another revision or question is not taken for it."""
    outcome: Outcome
    reason: str
    message: str
    started_at: str
    budget_s: float
    spent_s: float
    phases: Annotated[list[PhaseReport], Field(max_length=16)]
    figures: Figures = Figures()
