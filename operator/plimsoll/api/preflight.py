"""`spec.objective` and `spec.preflight`: what a revision has to show before it serves.

Every field's docstring is its `kubectl explain` text, as in v1alpha1.py.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from plimsoll.api.base import SET_LIST, ApiModel, Duration, ObjectName, Rule, list_map, parse_duration
from plimsoll.api.preflight_report import PhaseName

PERCENT_PATTERN = r"^(100(\.0{1,3})?|[0-9]{1,2}(\.[0-9]{1,3})?)%$"
Percent = Annotated[str, Field(pattern=PERCENT_PATTERN, max_length=8)]
"""A share such as `1%` or `99.9%`."""

DECIMAL_PATTERN = r"^[0-9]{1,9}(\.[0-9]{1,9})?(e-?[0-9]{1,2})?$"
Decimal = Annotated[str, Field(pattern=DECIMAL_PATTERN, max_length=24)]
"""A number that is not whole, as text: the API has no floats."""

_NOTHING = r"^[0.]+%?(e-?[0-9]+)?$"
"""Zero, as a decimal or a percentage."""
_ALL = "100"
"""How a percentage of everything begins, and no other."""
LEAST_BUDGET, MOST_BUDGET = parse_duration("1s"), parse_duration("30m")


def _is_nothing(text: str) -> bool:
    return re.search(_NOTHING, text) is not None


def _cel_nothing(field: str) -> str:
    return f"{field}.matches('{_NOTHING}')"


class LatencyObjective(ApiModel):
    """One line of the latency objective."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel=f"!{_cel_nothing('self.percentile')}",
            message="objective.latency.percentile: more than 0, for example 99",
            holds=lambda line: not _is_nothing(line.percentile),
            path=".percentile",
        ),
        Rule(
            cel="duration(self.max) > duration('0s')",
            message="objective.latency.max: more than 0s; no request takes no time",
            holds=lambda line: bool(parse_duration(line.max)),
            path=".max",
        ),
    )

    percentile: Annotated[str, Field(pattern=r"^[0-9]{1,2}(\.[0-9]{1,2})?$", max_length=5)]
    """Percentile, for example "99". Makes a new revision: no."""
    max: Duration
    """Longest latency at that percentile. Makes a new revision: no."""


class Objective(ApiModel):
    """What users are promised."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel=f"!self.headroom.startsWith('{_ALL}')",
            message="objective.headroom: less than 100%, or no latency is left to aim at",
            holds=lambda objective: not objective.headroom.startswith(_ALL),
            path=".headroom",
        ),
    )

    latency: Annotated[
        list[LatencyObjective] | None, Field(min_length=1, max_length=8, json_schema_extra=list_map("percentile"))
    ] = None
    """Latency promises, by percentile. Makes a new revision: no."""
    headroom: Percent = "50%"
    """Share of the promised latency that is kept free: with 50% a promise of 1s wants 500ms. Used by the preflight and
    the scaler alike. Default 50%. Makes a new revision: no."""


ENFORCED = (PhaseName.LOAD, PhaseName.GOLDEN, PhaseName.ACCURACY)
"""Phases that reject unless the spec says otherwise: a failure there is wrong answers, not slow ones."""


class PreflightMode(StrEnum):
    """What a failed phase does."""

    ENFORCE = "Enforce"
    WARN = "Warn"
    SKIP = "Skip"


class WhenNoStable(StrEnum):
    """What the first revision does."""

    GATE = "Gate"
    SERVE = "Serve"


class ConfigMapKey(ApiModel):
    """A key of a ConfigMap in the same namespace."""

    name: ObjectName
    """Name of the ConfigMap."""
    key: Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[-._a-zA-Z0-9]+$")]
    """Key in it."""


class OutputTolerance(ApiModel):
    """How much one output may differ from what is expected; values pass within either bound."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="has(self.absolute) || has(self.relative)",
            message="preflight.tolerance: give absolute, relative or both; 0 asks for equal values",
            holds=lambda tolerance: tolerance.absolute is not None or tolerance.relative is not None,
        ),
    )

    output: Annotated[str, Field(min_length=1, max_length=256)]
    """Name of the output. Makes a new revision: no."""
    absolute: Decimal | None = None
    """Largest absolute difference. Makes a new revision: no."""
    relative: Decimal | None = None
    """Largest difference as a share of the expected value. Makes a new revision: no."""


class Reference(ApiModel):
    """What the candidate is compared with."""

    name: ObjectName
    """ModelDeployment in the same namespace, as a rule the FP32 twin. Makes a new revision: no."""


class AccuracyCheck(ApiModel):
    """A paired comparison with a reference on labelled rows."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel=f"!has(self.maxLoss) || !self.maxLoss.startsWith('{_ALL}')",
            message="preflight.accuracy.maxLoss: less than 100%, or every loss is allowed; remove it to only measure",
            holds=lambda check: check.max_loss is None or not check.max_loss.startswith(_ALL),
            path=".maxLoss",
        ),
    )

    dataset: ConfigMapKey | None = None
    """Labelled rows; the artefact's dataset.json when absent. Makes a new revision: no."""
    reference: Reference | None = None
    """What to compare with; the stable revision when absent. Makes a new revision: no."""
    output: Annotated[str | None, Field(min_length=1, max_length=256)] = None
    """Output that is scored: class labels, or one score per class. Found when absent. Makes a new revision: no."""
    max_loss: Percent | None = None
    """Largest loss of accuracy in percentage points; enforced on the upper confidence bound. Makes a new revision:
    no."""


class CalibrationCheck(ApiModel):
    """An output that states a confidence."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel=f"!self.errorRate.startsWith('{_ALL}') && !{_cel_nothing('self.errorRate')}",
            message="preflight.calibration.errorRate: more than 0% and less than 100%",
            holds=lambda check: not check.error_rate.startswith(_ALL) and not _is_nothing(check.error_rate),
            path=".errorRate",
        ),
    )

    output: Annotated[str, Field(min_length=1, max_length=256)]
    """Output with one probability per class. Makes a new revision: no."""
    error_rate: Percent = "5%"
    """Error rate that accepted answers should keep; the confidence threshold for it is reported. Default 5%. Makes a
    new revision: no."""


class Preflight(ApiModel):
    """What is proved of a revision before it serves."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="duration(self.budget) >= duration('1s') && duration(self.budget) <= duration('30m')",
            message="preflight.budget: from 1s to 30m; to go without, set preflight.mode to Skip",
            holds=lambda preflight: LEAST_BUDGET <= parse_duration(preflight.budget) <= MOST_BUDGET,
            path=".budget",
        ),
        Rule(
            cel=f"!has(self.requestsPerSecond) || !{_cel_nothing('self.requestsPerSecond')}",
            message="preflight.requestsPerSecond: more than 0; remove it to have the rate found",
            holds=lambda preflight: (
                preflight.requests_per_second is None or not _is_nothing(preflight.requests_per_second)
            ),
            path=".requestsPerSecond",
        ),
        Rule(
            cel="self.mode != 'Enforce' || !has(self.accuracy) || !has(self.accuracy.maxLoss) || !has(self.enforce) || "
            "'Accuracy' in self.enforce",
            message="preflight.enforce: accuracy.maxLoss rejects nothing without Accuracy in enforce; add it, or set "
            "mode to Warn",
            holds=lambda preflight: (
                preflight.mode is not PreflightMode.ENFORCE
                or preflight.accuracy is None
                or preflight.accuracy.max_loss is None
                or PhaseName.ACCURACY in preflight.enforce
            ),
            path=".enforce",
        ),
    )

    mode: PreflightMode = PreflightMode.ENFORCE
    """Enforce: a failed phase named in enforce rejects the revision; Warn: nothing rejects; Skip: no preflight.
    Default Enforce. Makes a new revision: no."""
    enforce: Annotated[
        list[PhaseName],
        Field(default_factory=lambda: list(ENFORCED), max_length=9, json_schema_extra=dict(SET_LIST)),
    ]
    """Phases whose failure rejects; Golden only with expected outputs and Accuracy only with maxLoss. Default Load,
    Golden, Accuracy. Makes a new revision: no."""
    when_no_stable: WhenNoStable = WhenNoStable.GATE
    """Before anything serves. Gate: the first revision passes the preflight before it serves; Serve: it serves when it
    is ready, unverified. Default Gate. Makes a new revision: no."""
    golden: ConfigMapKey | None = None
    """Golden inputs, with or without expected outputs; the artefact's golden.json when absent, else generated ones.
    Makes a new revision: no."""
    tolerance: Annotated[list[OutputTolerance] | None, Field(max_length=64, json_schema_extra=list_map("output"))] = (
        None
    )
    """Tolerances by output; for the others 1e-5 absolute or 1e-3 relative, and integers, text and booleans exactly.
    Makes a new revision: no."""
    repeats: Annotated[int, Field(ge=2, le=1000)] = 10
    """How often the same inputs are sent in the determinism check. Default 10. Makes a new revision: no."""
    batch_sizes: Annotated[
        list[Annotated[int, Field(ge=1, le=4096)]] | None, Field(max_length=16, json_schema_extra=dict(SET_LIST))
    ] = None
    """Batch sizes that are profiled; 1, 2, 4, ... up to the model's maximum when absent. Makes a new revision: no."""
    requests_per_second: Decimal | None = None
    """Rate at which the latency budget is measured; half the measured capacity of one replica when absent. Makes a new
    revision: no."""
    budget: Duration = "2m"
    """Time on the accelerator, loading excluded, divided over the phases. Default 2m. Makes a new revision: no."""
    accuracy: AccuracyCheck | None = None
    """Comparison with a reference. Makes a new revision: no."""
    calibration: CalibrationCheck | None = None
    """Check of a stated confidence. Makes a new revision: no."""
