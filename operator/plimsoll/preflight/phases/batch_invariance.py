"""Batch invariance: is the answer to an item its own, whoever shares its batch and however large that is?

Kernels differ by batch size, so bits may differ. Beyond the tolerance something leaks from one item into another, most
often a scale computed over the whole batch, as dynamic quantisation does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from plimsoll.api.preflight_report import (
    BatchInvarianceFigures,
    DeterminismLevel,
    PhaseReport,
    PhaseStatus,
    WorstDifference,
)
from plimsoll.core.preflight.comparison import level_of
from plimsoll.preflight.client import Session
from plimsoll.preflight.failures import RefusedError
from plimsoll.preflight.inputs import batch_of
from plimsoll.preflight.phases import Context, Outcome
from plimsoll.preflight.phases.answers import Difference, Tolerances, differences, in_words, tolerances, worst_of
from plimsoll.preflight.tensors import Tensors

_LARGEST: Final = 128
_ROWS: Final = 64
"""Different items; larger batches hold some of them twice."""


async def examine(session: Session, context: Context) -> Outcome:
    """Compares the answer to each row alone with its answers in batches of 2, 4, 8, … in shuffled order."""
    largest = min(session.served.max_batch_size, _LARGEST)
    alone = context.figures.determinism.alone if context.figures.determinism else None
    rows = context.inputs.rows()[:_ROWS]
    if largest < 2:  # noqa: PLR2004 - a batch of two
        return context.report(PhaseStatus.SKIPPED, "NotBatching", "Each request is an execution of its own."), None
    if not rows:
        return context.report(PhaseStatus.SKIPPED, "InputsRefused", "The model takes none of the inputs."), None
    if alone is DeterminismLevel.NONDETERMINISTIC:
        return context.report(
            PhaseStatus.SKIPPED, "Nondeterministic", "The answers differ without any neighbours as well."
        ), None
    sweep = _Sweep(session, context, rows, tolerances(session.served, context.request.preflight.tolerance))
    return await sweep.run(sizes_up_to(largest))


def sizes_up_to(largest: int) -> list[int]:
    """Returns 2, 4, 8, … and `largest` itself."""
    sizes = [2**power for power in range(1, largest.bit_length()) if 2**power <= largest]
    return sizes if sizes and sizes[-1] == largest else [*sizes, largest]


class _Sweep:
    """One pass over the sizes."""

    def __init__(self, session: Session, context: Context, rows: Sequence[Tensors], allowed: Tolerances) -> None:
        self._session = session
        self._context = context
        self._rows = rows
        self._allowed = allowed
        self._alone: dict[int, Tensors] = {}
        self._found: dict[int, list[Difference]] = {}
        self._compared = 0

    async def run(self, sizes: Sequence[int]) -> Outcome:
        for index, size in enumerate(sizes):
            if self._found and self._context.time_left() <= 0:
                break
            try:
                await self._ask(size)
            except RefusedError as error:
                return self._refused(size, error)
            self._context.tell((index + 1) / len(sizes), f"batch {size}")
        figures = self._figures()
        return await self._judged(figures, len(sizes)), figures

    async def _ask(self, size: int) -> None:
        order = self._context.rng.permutation(len(self._rows))
        shuffled = [self._rows[index] for index in order]
        answer = await self._session.infer(self._session.prepare(batch_of(shuffled, size)))
        self._found[size] = []
        for position in range(min(size, len(order))):
            row = int(order[position])
            alone = await self._answer_alone(row)
            self._found[size] += differences(row + 1, alone, _row(answer, position), self._allowed, scores=True)
            self._compared += 1

    async def _answer_alone(self, row: int) -> Tensors:
        if row not in self._alone:
            self._alone[row] = await self._session.infer(self._session.prepare(self._rows[row]))
        return self._alone[row]

    def _figures(self) -> BatchInvarianceFigures:
        found = [one for differences_ in self._found.values() for one in differences_]
        worst = worst_of(found)
        return BatchInvarianceFigures(
            sizes=list(self._found),
            rows=self._compared,
            level=level_of(one.comparison for one in found),
            size=self._size_of(worst),
            worst=worst,
        )

    def _size_of(self, worst: WorstDifference | None) -> int | None:
        """The smallest size at which the worst difference was seen."""
        sizes = (size for size, found in self._found.items() if worst is not None and worst_of(found) == worst)
        return next(sizes, None)

    def _refused(self, size: int, error: RefusedError) -> Outcome:
        report = self._context.report(
            PhaseStatus.FAILED,
            "BatchRefused",
            f"A batch of {size} is answered with an error although each of its rows is not: {error.message:.300}. "
            f"Lower spec.model.config.maxBatchSize.",
        )
        return report, self._figures() if any(self._found.values()) else None

    async def _judged(self, figures: BatchInvarianceFigures, planned: int) -> PhaseReport:
        looked = f"{figures.rows} rows in batches of {', '.join(map(str, figures.sizes))}"
        late = f"; {planned - len(figures.sizes)} sizes were left out for lack of time" if self._late(planned) else ""
        worst = f"; the largest difference is at {figures.size}, {in_words(figures.worst)}" if figures.worst else ""
        match figures.level:
            case DeterminismLevel.EXACT:
                return self._context.report(PhaseStatus.PASSED, "BitEqual", f"The same bits for {looked}{late}.")
            case DeterminismLevel.TOLERANCE:
                return self._context.report(
                    PhaseStatus.PASSED, "WithinTolerance", f"The same answers for {looked}{worst}{late}."
                )
            case DeterminismLevel.NONDETERMINISTIC:
                reason, why = await self._culprit(figures)
                return self._context.report(PhaseStatus.FAILED, reason, f"{why}: {looked}{worst}{late}.")

    def _late(self, planned: int) -> bool:
        return len(self._found) < planned

    async def _culprit(self, figures: BatchInvarianceFigures) -> tuple[str, str]:
        """Asks the worst row once more in a batch of nothing but itself: there are no neighbours to depend on."""
        row = figures.worst.case - 1 if figures.worst else 0
        size = figures.size or figures.sizes[0]
        answer = await self._session.infer(self._session.prepare(batch_of([self._rows[row]], size)))
        alone = await self._answer_alone(row)
        among_itself = [
            one
            for position in range(size)
            for one in differences(row + 1, alone, _row(answer, position), self._allowed, scores=True)
        ]
        if all(one.comparison.within for one in among_itself):
            return "DependsOnNeighbours", "A row's answer depends on the other rows of its batch"
        return "DependsOnBatchSize", "A row's answer depends on the size of its batch"


def _row(answer: Tensors, position: int) -> Tensors:
    """One row's answer; without a row where the answer has too few."""
    return {name: values[position : position + 1] for name, values in answer.items()}
