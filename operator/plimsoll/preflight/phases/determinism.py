"""Determinism: do the same inputs get the same answers, alone and while others are being answered?

Only a model that does may be cached. The rounds alternate between one request after the other and many at once, since
some models differ only when requests overlap: by a race, or because the server batches them and neighbours matter.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from plimsoll.api.preflight_report import DeterminismFigures, DeterminismLevel, PhaseReport, PhaseStatus
from plimsoll.core.preflight.comparison import level_of
from plimsoll.preflight.client import Prepared, Session
from plimsoll.preflight.phases import Context, Outcome
from plimsoll.preflight.phases.answers import Difference, differences, in_words, tolerances, worst_of
from plimsoll.preflight.tensors import Tensors

_CASES: Final = 20
_CONCURRENCY: Final = 8


async def examine(session: Session, context: Context) -> Outcome:
    """Asks up to 20 cases `repeats` times, as often as there is time, but twice at least."""
    cases = context.inputs.usable[:_CASES]
    if not cases:
        return context.report(PhaseStatus.SKIPPED, "InputsRefused", "The model takes none of the inputs."), None
    allowed = tolerances(session.served, context.request.preflight.tolerance)
    requests = [session.prepare(case.inputs) for case in cases]
    repeats = context.request.preflight.repeats
    first = await _one_by_one(session, requests)
    alone: list[Difference] = []
    overlapping: list[Difference] = []
    done = 1
    while done < repeats and (done == 1 or context.time_left() > 0):
        ask, found = (_at_once, overlapping) if done % 2 else (_one_by_one, alone)
        answers = await ask(session, requests)
        for case, expected, answer in zip(cases, first, answers, strict=True):
            found += differences(case.number, expected, answer, allowed, scores=True)
        done += 1
        context.tell(done / repeats, f"repeat {done}")
    found = [*alone, *overlapping]
    level = level_of(one.comparison for one in found)
    figures = DeterminismFigures(
        level=level,
        alone=level_of(one.comparison for one in alone) if alone else None,
        cases=len(cases),
        repeats=done,
        concurrency=min(_CONCURRENCY, len(cases)),
        cacheable=level is not DeterminismLevel.NONDETERMINISTIC,
        worst=worst_of(found),
    )
    return _judged(context, figures), figures


async def _one_by_one(session: Session, requests: Sequence[Prepared]) -> list[Tensors]:
    return [await session.infer(request) for request in requests]


async def _at_once(session: Session, requests: Sequence[Prepared]) -> list[Tensors]:
    places = asyncio.Semaphore(_CONCURRENCY)

    async def ask(request: Prepared) -> Tensors:
        async with places:
            return await session.infer(request)

    return list(await asyncio.gather(*(ask(request) for request in requests)))


def _judged(context: Context, figures: DeterminismFigures) -> PhaseReport:
    asked = f"{figures.cases} inputs, asked {figures.repeats} times, up to {figures.concurrency} at once"
    match figures.level:
        case DeterminismLevel.EXACT:
            return context.report(PhaseStatus.PASSED, "BitEqual", f"The same bits each time: {asked}.")
        case DeterminismLevel.TOLERANCE:
            worst = f"; {in_words(figures.worst)}" if figures.worst else ""
            return context.report(
                PhaseStatus.PASSED, "WithinTolerance", f"The same answers within the tolerance: {asked}{worst}."
            )
        case DeterminismLevel.NONDETERMINISTIC:
            worst = f"; {in_words(figures.worst)}" if figures.worst else ""
            if figures.alone in (DeterminismLevel.EXACT, DeterminismLevel.TOLERANCE):
                reason, when = "DiffersConcurrently", "only while others are being answered "
            else:
                reason, when = "Nondeterministic", ""
            return context.report(
                PhaseStatus.FAILED,
                reason,
                f"The same inputs get different answers {when}({asked}){worst}. "
                "Answers of this model must not be cached.",
            )
