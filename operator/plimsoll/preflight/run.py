"""Runs the phases in order and makes the report.

Whatever keeps the preflight from looking makes its outcome Error. There is no way through this module on which a model
that was not looked at passes.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

import numpy as np

from plimsoll.api.base import parse_duration
from plimsoll.api.preflight import PreflightMode
from plimsoll.api.preflight_report import Figures, InputSource, PhaseName, PhaseReport, PhaseStatus, PreflightReport
from plimsoll.api.preflight_report import Outcome as Verdict
from plimsoll.core.preflight.verdict import SERVER_REASONS, mark_enforced, outcome
from plimsoll.errors import Invalid, PlimsollError
from plimsoll.kube.clock import SYSTEM_CLOCK, Clock
from plimsoll.preflight.budget import Budget
from plimsoll.preflight.cases import golden_cases
from plimsoll.preflight.client import Session
from plimsoll.preflight.documents import first_document
from plimsoll.preflight.failures import CallError
from plimsoll.preflight.generated import generated_inputs
from plimsoll.preflight.inputs import InputSet
from plimsoll.preflight.phases import (
    Context,
    FiguresPart,
    Phase,
    accuracy,
    batch_invariance,
    calibration,
    determinism,
    golden,
    latency,
    load,
    memory,
    profile,
)
from plimsoll.preflight.progress import Progress
from plimsoll.preflight.request import Peer, Request
from plimsoll.preflight.trial import attempt

PHASES: Final[Mapping[PhaseName, Phase]] = MappingProxyType(
    {
        PhaseName.LOAD: load.examine,
        PhaseName.GOLDEN: golden.examine,
        PhaseName.DETERMINISM: determinism.examine,
        PhaseName.BATCH_INVARIANCE: batch_invariance.examine,
        PhaseName.PROFILE: profile.examine,
        PhaseName.LATENCY: latency.examine,
        PhaseName.MEMORY: memory.examine,
        PhaseName.ACCURACY: accuracy.examine,
        PhaseName.CALIBRATION: calibration.examine,
    }
)
_PEER_READY_S: Final = 10.0


async def run_preflight(
    request: Request, progress: Progress, clock: Clock = SYSTEM_CLOCK, phases: Mapping[PhaseName, Phase] = PHASES
) -> PreflightReport:
    """Examines the model and returns the report, whatever happens.

    Args:
        request: What to examine, how, and with what.
        progress: Told how far it is.
        clock: Time.
        phases: What examines, by name; for tests.
    """
    started_at = clock.utc_now().isoformat(timespec="seconds")
    enforced = request.preflight.enforce if request.preflight.mode is PreflightMode.ENFORCE else []
    budget = Budget(parse_duration(request.preflight.budget).total_seconds(), [*phases][1:], enforced)
    run = _Run(request, progress, clock, phases, budget)
    trouble: tuple[str, str] | None = None
    try:
        async with AsyncExitStack() as stack:
            await run.all(stack)
    except PlimsollError as error:
        trouble = error.reason, error.message
    except Exception as error:  # noqa: BLE001 - whatever it is, it is no verdict about the model
        trouble = "PreflightFailed", f"The preflight itself failed: {type(error).__name__}: {error!s:.500}"
    if trouble:
        run.skip_rest("NotReached", f"The preflight ended before: {trouble[1]}")
    verdict = (Verdict.ERROR, *trouble) if trouble else outcome(run.reports, request.preflight.mode, enforced)
    return PreflightReport(
        model=request.model,
        revision=request.revision,
        key=request.key,
        outcome=verdict[0],
        reason=verdict[1],
        message=verdict[2],
        started_at=started_at,
        budget_s=budget.total_s,
        spent_s=budget.spent_s,
        phases=mark_enforced(run.reports, request.preflight.mode, enforced),
        figures=Figures.model_validate(run.figures),
    )


@dataclass(slots=True)
class _Run:
    """One preflight under way."""

    request: Request
    progress: Progress
    clock: Clock
    phases: Mapping[PhaseName, Phase]
    budget: Budget
    reports: list[PhaseReport] = field(default_factory=list)
    figures: dict[str, FiguresPart] = field(default_factory=dict)

    async def all(self, stack: AsyncExitStack) -> None:
        """Runs every phase, or notes why not."""
        session = await stack.enter_async_context(self._session(self.request.target, self.request.model))
        nothing = InputSet(InputSource.GENERATED, (), batches=False)
        await self._run(session, PhaseName.LOAD, self.request.progress_deadline_s, nothing)
        if self.reports[-1].status is not PhaseStatus.PASSED:
            self.skip_rest("NotLoaded", "The model was not loaded as it should be.")
            return
        peers = [await self._peer(stack, peer) for peer in (self.request.stable, self.request.reference)]
        inputs, problem = await self._inputs(session)
        for name in self._left():
            if name is PhaseName.GOLDEN and problem:
                failed = PhaseReport(
                    name=name, status=PhaseStatus.FAILED, reason=problem.reason, message=problem.message
                )
                self._end(failed, 0.0)
                continue
            await self._run(session, name, self.budget.share(name), inputs, *peers)
            if self.reports[-1].reason in SERVER_REASONS:
                self.skip_rest("ServerGone", f"The server did not survive the phase {name}.")
                return

    def skip_rest(self, reason: str, message: str) -> None:
        """Notes for every phase that has not run why."""
        for name in self._left():
            self._end(PhaseReport(name=name, status=PhaseStatus.SKIPPED, reason=reason, message=message), 0.0)

    def _left(self) -> list[PhaseName]:
        done = {report.name for report in self.reports}
        return [name for name in self.phases if name not in done]

    async def _run(
        self, session: Session, name: PhaseName, seconds: float, inputs: InputSet, *peers: Session | None
    ) -> None:
        self.progress.begins(name, seconds)
        began = self.clock.monotonic()
        stable, reference = peers or (None, None)
        context = Context(
            phase=name,
            request=self.request,
            inputs=inputs,
            figures=Figures.model_validate(self.figures),
            seconds=seconds,
            until=began + seconds,
            clock=self.clock,
            rng=np.random.default_rng([self.request.seed, list(PhaseName).index(name)]),
            progress=self.progress,
            stable=stable,
            reference=reference,
        )
        report, figures = await attempt(self.phases[name], session, context)
        self.figures[name.name.lower()] = figures
        self._end(report, self.clock.monotonic() - began)

    def _end(self, report: PhaseReport, seconds: float) -> None:
        if report.name is not PhaseName.LOAD:
            self.budget.spend(report.name, seconds)
        self.reports.append(report.model_copy(update={"seconds": seconds}))
        self.progress.ends(self.reports[-1])

    def _session(self, address: str, model: str) -> Session:
        return Session(address, model, self.request.request_timeout_s, self.clock)

    async def _peer(self, stack: AsyncExitStack, peer: Peer | None) -> Session | None:
        """Connects to another server; None also when it does not answer, which the phases that need it judge."""
        if peer is None:
            return None
        session = await stack.enter_async_context(self._session(peer.address, peer.model))
        try:
            if await session.wait_ready(_PEER_READY_S):
                await session.describe()
                return session
        except CallError:
            pass
        return None

    async def _inputs(self, session: Session) -> tuple[InputSet, Invalid | None]:
        """Returns what is sent; generated inputs, and the problem, where the golden file cannot be used."""
        served, count = session.served, self.request.cases
        generated = generated_inputs(served, count, np.random.default_rng([self.request.seed, len(PhaseName)]))
        try:
            document = await first_document(self.request.golden, self.request.examiner)
            if document is None:
                return generated, None
            return InputSet(document.source, golden_cases(document, served, count), served.batches), None
        except Invalid as problem:
            return generated, problem
