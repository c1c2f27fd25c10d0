"""From a verdict to `status.preflight`."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import ValidationError

from plimsoll.api.preflight_report import ServedTensor
from plimsoll.api.preflight_status import Interface, PhaseOutcome, PreflightStatus, TensorStatus
from plimsoll.core.conditions import rfc3339
from plimsoll.core.world import Verdict


def preflight_status(verdict: Verdict | None) -> PreflightStatus | None:
    """Returns what status says of a verdict, None where there is none, or one that somebody made unreadable."""
    if verdict is None or not verdict.key:
        return None
    try:
        return PreflightStatus(
            revision=verdict.revision,
            outcome=verdict.outcome,
            reason=verdict.reason,
            message=verdict.message,
            key=verdict.key,
            at=rfc3339(verdict.at),
            phases=[PhaseOutcome(name=name, status=status) for name, status in dict(verdict.phases).items()] or None,
            inputs=_tensors(verdict.inputs),
            outputs=_tensors(verdict.outputs),
            max_batch_size=verdict.max_batch_size,
        )
    except ValidationError:
        return None


def interface_of(verdict: Verdict | None) -> Interface | None:
    """Returns what status says of the interface that a verdict has, None where it has none that can be shown."""
    if verdict is None or not verdict.inputs or not verdict.outputs:
        return None
    try:
        return Interface(
            revision=verdict.revision,
            inputs=_tensors(verdict.inputs),
            outputs=_tensors(verdict.outputs),
            max_batch_size=verdict.max_batch_size,
        )
    except ValidationError:
        return None


def _tensors(served: Iterable[ServedTensor]) -> list[TensorStatus] | None:
    return [
        TensorStatus(name=one.name, data_type=one.data_type, dims=one.dims, optional=one.optional or None)
        for one in served
    ] or None
