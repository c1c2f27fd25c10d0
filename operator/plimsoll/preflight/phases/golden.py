"""Golden test: are the answers the expected ones, and answers at all?

What is enforced depends on who vouches for the inputs. A file with expected outputs: all of it. A file without: each
answer has to be one (all outputs, right types and shapes, not empty, finite). Generated inputs: the same, but that the
model refuses some, or has no finite answer to some, says nothing about it.

Another model is expected to answer differently from stable, so that is a warning at most; with the same model only what
is around it changed (server, libraries, hardware), so its answers have to agree.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from plimsoll.api.preflight_report import GoldenFigures, PhaseReport, PhaseStatus
from plimsoll.core.preflight.comparison import invalid, labels_equal
from plimsoll.preflight.client import Session
from plimsoll.preflight.failures import CallError, RefusedError
from plimsoll.preflight.inputs import Case
from plimsoll.preflight.phases import Context, Outcome, PeerGoneError
from plimsoll.preflight.phases.answers import (
    Difference,
    Tolerances,
    differences,
    in_words,
    misshapen,
    tolerances,
    worst_of,
)
from plimsoll.preflight.tensors import Tensor, Tensors, rows_of

_LEAST_AGREEMENT: Final = 0.9
"""Share of golden cases with the same class as stable below which another model is worth a look."""


@dataclass(slots=True)
class _Tally:
    """What the cases came to."""

    asked: int = 0
    expected: int = 0
    errors: dict[int, str] = field(default_factory=dict)
    """By number of the case, as the next two."""
    invalid: dict[int, str] = field(default_factory=dict)
    not_finite: dict[int, str] = field(default_factory=dict)
    wrong: set[int] = field(default_factory=set)
    differences: list[Difference] = field(default_factory=list)
    agree: int = 0
    compared: int = 0
    stable_says: str = ""
    """Why stable was not asked any further."""
    worst_to_stable: list[Difference] = field(default_factory=list)


async def examine(session: Session, context: Context) -> Outcome:
    """Asks every case once, alone; what the model refuses is left out by later phases."""
    allowed = tolerances(session.served, context.request.preflight.tolerance)
    tally = _Tally()
    cases = context.inputs.cases
    for case in cases:
        if tally.asked and context.time_left() <= 0:
            break
        await _ask(session, context, case, allowed, tally)
        context.tell(tally.asked / len(cases), f"case {tally.asked}")
    figures = GoldenFigures(
        source=context.inputs.source,
        cases=tally.asked,
        expected=tally.expected,
        failed=len(tally.wrong | tally.errors.keys() | tally.invalid.keys() | tally.not_finite.keys()),
        errors=len(tally.errors),
        worst=worst_of(tally.differences),
        stable_agreement=tally.agree / tally.compared if tally.compared else None,
    )
    return _judged(context, tally, figures), figures


async def _ask(session: Session, context: Context, case: Case, allowed: Tolerances, tally: _Tally) -> None:
    tally.asked += 1
    tally.expected += case.expected is not None
    try:
        answer = await session.infer(session.prepare(case.inputs))
    except RefusedError as error:
        tally.errors[case.number] = error.message
        context.inputs.refused.add(case.number)
        return
    problem = _empty_or_misshapen(answer, session, case)
    if problem:
        tally.invalid[case.number] = problem
        return
    problem = next((f"{name}: {why}" for name, values in answer.items() if (why := invalid(values))), "")
    if problem:
        tally.not_finite[case.number] = problem
        return
    if case.expected is not None:
        found = list(differences(case.number, case.expected, answer, allowed))
        tally.differences += found
        if not all(one.comparison.within for one in found):
            tally.wrong.add(case.number)
    if context.request.stable and not tally.stable_says:
        await _ask_stable(session, context, case, answer, allowed, tally)


def _empty_or_misshapen(answer: Tensors, session: Session, case: Case) -> str:
    served = session.served
    problem = misshapen(answer, served, rows_of(case.inputs, batches=served.batches))
    return problem or next((f"{name}: {invalid(values)}" for name, values in answer.items() if not values.size), "")


async def _ask_stable(
    session: Session,
    context: Context,
    case: Case,
    answer: Tensors,
    allowed: Tolerances,
    tally: _Tally,
) -> None:
    stable = context.stable
    if stable is None:
        _without_stable(context, tally, "it was not ready")
        return
    if {one.name: one for one in stable.served.inputs} != {one.name: one for one in session.served.inputs}:
        tally.stable_says = "stable takes other inputs"
        return
    try:
        theirs = await stable.infer(stable.prepare(case.inputs))
    except RefusedError:
        return
    except CallError as error:
        _without_stable(context, tally, error.message)
        return
    tally.compared += 1
    if not context.request.same_model:
        shared = answer.keys() & theirs.keys()
        tally.agree += bool(shared) and all(_same_class(theirs[name], answer[name]) for name in shared)
        return
    found = list(differences(case.number, theirs, answer, allowed))
    if all(one.comparison.within for one in found):
        tally.agree += 1
        return
    again = await session.infer(session.prepare(case.inputs))
    if all(one.comparison.within for one in differences(case.number, answer, again, allowed)):
        tally.worst_to_stable += found
    else:
        tally.compared -= 1  # it does not even agree with itself: the determinism phase says so


def _without_stable(context: Context, tally: _Tally, why: str) -> None:
    if context.request.same_model:
        raise PeerGoneError(f"The stable revision, whose answers these have to be, does not answer: {why}.")
    tally.stable_says = f"stable does not answer ({why})"


def _same_class(theirs: Tensor, ours: Tensor) -> bool:
    return theirs.shape == ours.shape and theirs.dtype == ours.dtype and labels_equal(theirs, ours)


def _judged(context: Context, tally: _Tally, figures: GoldenFigures) -> PhaseReport:
    reason, message = _failure(context, tally, figures)
    if reason:
        return context.report(PhaseStatus.FAILED, reason, message)
    if len(tally.errors) == tally.asked:
        return context.report(
            PhaseStatus.SKIPPED,
            "InputsRefused",
            f"The model refuses all {tally.asked} generated inputs ({_first(tally.errors)}). Put a golden.json with "
            f"inputs that it takes beside the model, and all phases can look at it.",
        )
    reason, message = _warning(context, tally, figures)
    if reason:
        return context.report(PhaseStatus.WARNED, reason, message)
    if figures.expected:
        return context.report(
            PhaseStatus.PASSED, "AsExpected", f"{figures.expected} answers are as expected{_rest(context, tally)}."
        )
    origin = "generated inputs" if context.inputs.generated else "golden inputs without expected outputs"
    return context.report(
        PhaseStatus.PASSED,
        "ValidAnswers",
        f"{tally.asked - len(tally.errors)} valid answers to {origin}{_rest(context, tally)}. Expected outputs in "
        f"golden.json would prove that they are right.",
    )


def _failure(context: Context, tally: _Tally, figures: GoldenFigures) -> tuple[str, str]:
    generated = context.inputs.generated
    if tally.wrong and figures.worst:
        return "UnexpectedAnswers", (
            f"{len(tally.wrong)} of {tally.expected} answers are not the expected ones; {in_words(figures.worst)}. "
            f"Correct the model, or the expected outputs and spec.preflight.tolerance."
        )
    if tally.invalid:
        return "InvalidAnswers", f"{len(tally.invalid)} of {tally.asked} answers are none: {_first(tally.invalid)}"
    answered = tally.asked - len(tally.errors)
    if tally.not_finite and (not generated or len(tally.not_finite) == answered):
        return "NotFinite", f"{len(tally.not_finite)} of {answered} answers are not finite: {_first(tally.not_finite)}"
    if tally.errors and not generated:
        return "AnsweredWithError", (
            f"{len(tally.errors)} of {tally.asked} golden inputs are answered with an error: {_first(tally.errors)}."
        )
    if tally.worst_to_stable:
        worst = worst_of(tally.worst_to_stable)
        return "DiffersFromStable", (
            f"The model is stable's, but {tally.compared - tally.agree} of {tally.compared} answers are not"
            f"{'; ' + in_words(worst) if worst else ''}. What changed is the server, a library or the hardware."
        )
    return "", ""


def _warning(context: Context, tally: _Tally, figures: GoldenFigures) -> tuple[str, str]:
    if tally.not_finite:
        return (
            "NotFinite",
            f"{len(tally.not_finite)} answers to generated inputs are not finite: {_first(tally.not_finite)}",
        )
    if tally.asked < len(context.inputs.cases) and figures.expected:
        return "OutOfTime", (
            f"{tally.asked} of {len(context.inputs.cases)} golden cases were asked in {context.seconds:.0f} s, all as "
            f"expected. Raise spec.preflight.budget to see the others."
        )
    agreement = figures.stable_agreement
    if agreement is not None and agreement < _LEAST_AGREEMENT and not context.inputs.generated:
        return "DiffersFromStable", (
            f"{agreement:.0%} of the answers are stable's. Another model may differ; look whether it is meant to."
        )
    return "", ""


def _rest(context: Context, tally: _Tally) -> str:
    parts = []
    if tally.errors:
        parts.append(f"{len(tally.errors)} were refused by the model and skipped")
    if tally.asked < len(context.inputs.cases):
        parts.append(f"{len(context.inputs.cases) - tally.asked} were not asked for lack of time")
    if tally.stable_says:
        parts.append(tally.stable_says)
    return "".join(f"; {part}" for part in parts)


def _first(problems: dict[int, str]) -> str:
    case, problem = next(iter(problems.items()))
    return f"case {case}, {problem:.200}"
