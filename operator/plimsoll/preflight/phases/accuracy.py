"""Accuracy: how much worse than a reference does the model do on the same labelled rows?

The reference is the model that the spec names, as a rule the FP32 twin of a quantised one, else the stable revision.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plimsoll.api.preflight_report import PhaseReport, PhaseStatus
from plimsoll.core.preflight.paired import accuracy_figures, accuracy_status
from plimsoll.errors import Invalid
from plimsoll.preflight.client import Session
from plimsoll.preflight.failures import CallError, RefusedError
from plimsoll.preflight.labelled import Chunk, chunks, read_rows
from plimsoll.preflight.phases import Context, Outcome, PeerGoneError
from plimsoll.preflight.scoring import Scoring, classes, find_scoring


@dataclass(slots=True)
class _Answers:
    labels: list[NDArray[Any]] = field(default_factory=list)
    ours: list[NDArray[Any]] = field(default_factory=list)
    theirs: list[NDArray[Any]] = field(default_factory=list)


async def examine(session: Session, context: Context) -> Outcome:
    """Asks both about every row, for as long as there is time, but one batch at least.

    Raises:
        PeerGoneError: With `maxLoss`, when the reference does not answer: without it nothing can be said.
    """
    check = context.request.preflight.accuracy
    max_loss = share(check.max_loss) if check and check.max_loss else None
    try:
        return await _examine(session, context, max_loss)
    except Invalid as error:
        return context.report(_failed(max_loss), error.reason, error.message), None
    except RefusedError as error:
        message = f"The model answers labelled rows with an error: {error.message}."
        return context.report(_failed(max_loss), "AnsweredWithError", message), None
    except PeerGoneError as error:
        if max_loss is not None:
            raise
        return context.report(PhaseStatus.SKIPPED, "ReferenceGone", error.message), None


def _failed(max_loss: float | None) -> PhaseStatus:
    """With maxLoss the spec asks for a proof, and what prevents it must not pass for one."""
    return PhaseStatus.WARNED if max_loss is None else PhaseStatus.FAILED


async def _examine(session: Session, context: Context, max_loss: float | None) -> Outcome:
    rows = await read_rows(session, context)
    if not rows:
        return _without_rows(context, max_loss), None
    reference, label = _reference(context)
    if reference is None:
        return _without_reference(context), None
    check = context.request.preflight.accuracy
    scoring = find_scoring(session.served, [row.label for row in rows], check.output if check else None)
    answers = _Answers()
    asked = 0
    for chunk in chunks(session, rows, context.rng):
        if asked and context.time_left() <= 0:
            break
        await _ask(session, reference, chunk, scoring, answers)
        asked += len(chunk.rows)
        context.tell(asked / len(rows), f"row {asked}")
    ours, theirs = np.concatenate(answers.ours), np.concatenate(answers.theirs)
    figures = accuracy_figures(label, np.concatenate(answers.labels), ours, theirs, max_loss)
    status, reason, message = accuracy_status(figures)
    late = f" {asked} of {len(rows)} rows were asked for lack of time." if asked < len(rows) else ""
    return context.report(status, reason, message + late), figures


def share(percent: str) -> float:
    """Returns `1.5%` as 0.015."""
    return float(percent.removesuffix("%")) / 100


async def _ask(session: Session, reference: Session, chunk: Chunk, scoring: Scoring, answers: _Answers) -> None:
    ours = await session.infer(session.prepare(chunk.inputs))
    try:
        theirs = await reference.infer(reference.prepare(chunk.inputs))
    except CallError as error:
        raise PeerGoneError(f"The reference '{reference.model}' does not answer: {error.message:.300}") from error
    missing = next(
        (name for name, answer in (("model", ours), ("reference", theirs)) if scoring.output not in answer), ""
    )
    if missing:
        raise Invalid("OutputNotFound", f"The {missing} does not answer the output '{scoring.output}'.")
    answers.labels.append(chunk.labels)
    answers.ours.append(classes(scoring, ours[scoring.output], len(chunk.rows)))
    answers.theirs.append(classes(scoring, theirs[scoring.output], len(chunk.rows)))


def _reference(context: Context) -> tuple[Session | None, str]:
    """The server to compare with and what to call it.

    Raises:
        PeerGoneError: There should be one, but it does not answer.
    """
    named = context.request.names_reference
    peer = context.request.reference if named else context.request.stable
    found = context.reference if named else context.stable
    if found is None and (named or peer is not None):
        which = "model that spec.preflight.accuracy.reference names" if named else "stable revision"
        raise PeerGoneError(f"The {which} does not serve, so there is nothing to compare with.")
    return found, peer.label if peer else ""


def _without_rows(context: Context, max_loss: float | None) -> PhaseReport:
    if max_loss is None:
        return context.report(PhaseStatus.SKIPPED, "NoDataset", "There are no labelled rows to compare on.")
    return context.report(
        PhaseStatus.FAILED,
        "DatasetMissing",
        "spec.preflight.accuracy.maxLoss is set, but there are no labelled rows. Put dataset.json beside the model, or "
        "name a ConfigMap in spec.preflight.accuracy.dataset.",
    )


def _without_reference(context: Context) -> PhaseReport:
    return context.report(
        PhaseStatus.SKIPPED,
        "NoReference",
        "There is no stable revision to compare with. Name a model in spec.preflight.accuracy.reference to have one.",
    )
