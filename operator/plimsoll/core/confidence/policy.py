"""`spec.requests.confidence` as the gateway follows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from plimsoll.api.confidence import Confidence, OnLow
from plimsoll.api.quantity import value_of
from plimsoll.api.vocabulary import DataType
from plimsoll.core.validation.elements import FLOATS, packed, values_of


@dataclass(frozen=True, slots=True)
class ConfidencePolicy:
    """From which confidence on an answer of one model is given as it is.

    Attributes:
        output: Name of the output that states it.
        least: The threshold, rounded to each type that the output may have: 0.9 as FP32 is a little less than 0.9, and
            is not below the threshold 0.9.
        on_low: What becomes of an answer below.
    """

    output: str
    least: Mapping[DataType, float]
    on_low: OnLow


def confidence_policy_of(spec: Confidence | None) -> ConfidencePolicy | None:
    """Returns the policy that a spec asks for; None where it asks for none. The number has passed its pattern."""
    if spec is None:
        return None
    threshold = value_of(spec.threshold)
    least = {kind: float(values_of(kind, cast("bytes", packed(kind, threshold)))[0]) for kind in FLOATS}
    return ConfidencePolicy(spec.output, least, spec.on_low)
