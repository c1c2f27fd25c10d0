"""From a verdict to `status.preflight`."""

from __future__ import annotations

from collections.abc import Iterable

from plimsoll.api.preflight_report import ServedTensor
from plimsoll.api.preflight_status import (
    MAX_DIMS,
    MAX_TENSOR_NAME,
    MAX_TENSORS,
    PhaseOutcome,
    PreflightStatus,
    TensorStatus,
)
from plimsoll.core.conditions import MAX_MESSAGE, rfc3339
from plimsoll.core.world import Verdict

_MAX_REASON = 128


def preflight_status(verdict: Verdict | None) -> PreflightStatus | None:
    """Returns what status says of a verdict, None where there is none or it answers no question."""
    if verdict is None or not verdict.key:
        return None
    return PreflightStatus(
        revision=verdict.revision,
        outcome=verdict.outcome,
        reason=verdict.reason[:_MAX_REASON],
        message=verdict.message[:MAX_MESSAGE],
        key=verdict.key,
        at=rfc3339(verdict.at),
        phases=[PhaseOutcome(name=name, status=status) for name, status in verdict.phases] or None,
        inputs=_tensors(verdict.inputs),
        outputs=_tensors(verdict.outputs),
        max_batch_size=verdict.max_batch_size,
    )


def _tensors(served: Iterable[ServedTensor]) -> list[TensorStatus] | None:
    """Leaves out what the API cannot show: a server may declare anything."""
    shown = [
        TensorStatus(name=tensor.name, data_type=tensor.data_type, dims=tensor.dims)
        for tensor in served
        if len(tensor.name) <= MAX_TENSOR_NAME and len(tensor.dims) <= MAX_DIMS
    ]
    return shown[:MAX_TENSORS] or None
