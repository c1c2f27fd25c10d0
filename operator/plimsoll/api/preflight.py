"""`spec.objective` and `spec.preflight`: what a revision has to show before it serves.

Every field's docstring is its `kubectl explain` text, as in v1alpha1.py.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from plimsoll.api.base import SET_LIST, ApiModel, Duration, ObjectName, list_map
from plimsoll.api.preflight_report import PhaseName

PERCENT_PATTERN = r"^(100(\.0{1,3})?|[0-9]{1,2}(\.[0-9]{1,3})?)%$"
Percent = Annotated[str, Field(pattern=PERCENT_PATTERN, max_length=8)]
"""A share such as `1%` or `99.9%`."""

DECIMAL_PATTERN = r"^[0-9]{1,9}(\.[0-9]{1,9})?(e-?[0-9]{1,2})?$"
Decimal = Annotated[str, Field(pattern=DECIMAL_PATTERN, max_length=24)]
"""A number that is not whole, as text: the API has no floats."""


class LatencyObjective(ApiModel):
    """One line of the latency objective."""

    percentile: Annotated[str, Field(pattern=r"^[0-9]{1,2}(\.[0-9]{1,2})?$", max_length=5)]
    """Percentile, for example "99". Makes a new revision: no."""
    max: Duration
    """Longest latency at that percentile. Makes a new revision: no."""


class Objective(ApiModel):
    """What users are promised."""

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


class ConfigMapKey(ApiModel):
    """A key of a ConfigMap in the same namespace."""

    name: ObjectName
    """Name of the ConfigMap."""
    key: Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[-._a-zA-Z0-9]+$")]
    """Key in it."""


class OutputTolerance(ApiModel):
    """How much one output may differ from what is expected; values pass within either bound."""

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

    output: Annotated[str, Field(min_length=1, max_length=256)]
    """Output with one probability per class. Makes a new revision: no."""
    error_rate: Percent = "5%"
    """Error rate that accepted answers should keep; the confidence threshold for it is reported. Default 5%. Makes a
    new revision: no."""


class Preflight(ApiModel):
    """What is proved of a revision before it serves."""

    mode: PreflightMode = PreflightMode.ENFORCE
    """Enforce: a failed phase named in enforce rejects the revision; Warn: nothing rejects; Skip: no preflight.
    Default Enforce. Makes a new revision: no."""
    enforce: Annotated[
        list[PhaseName],
        Field(default_factory=lambda: list(ENFORCED), max_length=9, json_schema_extra=dict(SET_LIST)),
    ]
    """Phases whose failure rejects; Golden only with expected outputs and Accuracy only with maxLoss. Default Load,
    Golden, Accuracy. Makes a new revision: no."""
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
