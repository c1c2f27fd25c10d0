"""Calibration: is a stated confidence the share of right answers, and from which on can answers be accepted?"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from plimsoll.api.preflight_report import CalibrationFigures, PhaseReport, PhaseStatus
from plimsoll.core.preflight.calibration import calibration_figures
from plimsoll.errors import Invalid
from plimsoll.preflight.client import Session
from plimsoll.preflight.labelled import chunks, read_rows
from plimsoll.preflight.phases import Context, Outcome
from plimsoll.preflight.phases.accuracy import share
from plimsoll.preflight.scoring import probabilities


async def examine(session: Session, context: Context) -> Outcome:
    """Asks about the labelled rows, for as long as there is time, but one batch at least.

    Raises:
        Invalid: The dataset or the output cannot be used for this.
    """
    check = context.request.preflight.calibration
    if check is None:
        return context.report(PhaseStatus.SKIPPED, "NotAsked", "spec.preflight.calibration names no output."), None
    rows = await read_rows(session, context)
    if not rows:
        return context.report(PhaseStatus.SKIPPED, "NoDataset", "There are no labelled rows to look at."), None
    if check.output not in {output.name for output in session.served.outputs}:
        raise Invalid("OutputNotFound", f"The model has no output '{check.output}' as spec.preflight.calibration says.")
    found: list[NDArray[np.float64]] = []
    labels: list[NDArray[Any]] = []
    asked = 0
    for chunk in chunks(session, rows, context.rng):
        if asked and context.time_left() <= 0:
            break
        answer = await session.infer(session.prepare(chunk.inputs))
        found.append(probabilities(check.output, answer[check.output], len(chunk.rows)))
        labels.append(chunk.labels)
        asked += len(chunk.rows)
        context.tell(asked / len(rows), f"row {asked}")
    right = _indices(np.concatenate(labels), found[0].shape[1])
    figures = calibration_figures(check.output, np.concatenate(found), right, share(check.error_rate), context.rng)
    return _judged(context, figures), figures


def _indices(labels: NDArray[Any], classes: int) -> NDArray[np.int64]:
    if labels.dtype.kind != "i" or labels.min() < 0 or labels.max() >= classes:
        raise Invalid(
            "LabelsUnusable",
            f"Calibration needs labels from 0 to {classes - 1}, the positions in the output; the dataset has others.",
        )
    return labels.astype(np.int64)


def _judged(context: Context, figures: CalibrationFigures) -> PhaseReport:
    if figures.threshold is None:
        offer = f"No confidence keeps the error rate below {figures.error_rate:.1%} on these rows."
    else:
        kept = f", which {figures.coverage:.0%} of the rows reach" if figures.coverage is not None else ""
        offer = f"A confidence of {figures.threshold:.3f}{kept}, keeps the error rate below {figures.error_rate:.1%}."
    if figures.ece <= figures.noise_floor:
        return context.report(
            PhaseStatus.PASSED,
            "Calibrated",
            f"The expected calibration error is {figures.ece:.3f}, no more than {figures.rows} rows of a calibrated "
            f"model show ({figures.noise_floor:.3f}). {offer}",
        )
    cure = f" Dividing the logits by {figures.temperature:.2f} would help." if figures.temperature is not None else ""
    return context.report(
        PhaseStatus.WARNED,
        "Miscalibrated",
        f"The expected calibration error is {figures.ece:.3f}; {figures.rows} rows of a calibrated model show up to "
        f"{figures.noise_floor:.3f}.{cure} {offer}",
    )
