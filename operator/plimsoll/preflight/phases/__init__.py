"""The phases, one module each, and what they have in common.

A phase is `async def examine(session: Session, context: Context) -> tuple[PhaseReport, FiguresPart]`. It looks at
`context.time_left()` between requests and ends by itself when that is used up, with what it has. It raises what the
session raises: that the server died, hangs or refuses inputs is judged in one place, run.py.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import numpy as np

from plimsoll.api.preflight_report import (
    AccuracyFigures,
    BatchInvarianceFigures,
    CalibrationFigures,
    DeterminismFigures,
    Figures,
    GoldenFigures,
    LatencyFigures,
    LoadFigures,
    MemoryFigures,
    PhaseName,
    PhaseReport,
    PhaseStatus,
    ProfileFigures,
)
from plimsoll.errors import PlimsollError
from plimsoll.kube.clock import Clock
from plimsoll.preflight.client import Session
from plimsoll.preflight.failures import NoAnswerError, ServerGoneError
from plimsoll.preflight.inputs import InputSet
from plimsoll.preflight.progress import Progress
from plimsoll.preflight.request import Request

FiguresPart = (
    LoadFigures
    | GoldenFigures
    | DeterminismFigures
    | BatchInvarianceFigures
    | ProfileFigures
    | LatencyFigures
    | MemoryFigures
    | AccuracyFigures
    | CalibrationFigures
    | None
)
"""What a phase measured; None when it did not get that far."""

Outcome = tuple[PhaseReport, FiguresPart]


@dataclass(frozen=True, slots=True)
class Context:
    """What a phase may use besides the session with the candidate."""

    phase: PhaseName
    request: Request
    inputs: InputSet
    """What is sent; empty in the load phase. `inputs.usable` leaves out what the model refused."""
    figures: Figures
    """Of the phases before."""
    seconds: float
    """This phase's share of the budget."""
    until: float
    """When that is used up, in `clock.monotonic()`."""
    clock: Clock
    rng: np.random.Generator
    """Of this phase alone, with a fixed seed: a phase that draws more does not change what the next one sends."""
    progress: Progress
    stable: Session | None = None
    """Described and ready; None where there is none."""
    reference: Session | None = None
    """The same for the accuracy reference that the spec names."""

    def time_left(self) -> float:
        """Seconds until the phase has to end; below 0 when it is late."""
        return self.until - self.clock.monotonic()

    def tell(self, fraction: float, doing: str = "") -> None:
        """Tells how far the phase is."""
        self.progress.advances(self.phase, fraction, doing)

    def report(self, status: PhaseStatus, reason: str, message: str) -> PhaseReport:
        """Makes the phase's report; run.py adds the seconds, the verdict whether it is enforced."""
        return PhaseReport(name=self.phase, status=status, reason=reason, message=message)


Phase = Callable[[Session, Context], Awaitable[Outcome]]


class InterruptedPhaseError(Exception):
    """The server died or hung in the middle of a phase that has figures to show for it."""

    def __init__(self, cause: ServerGoneError | NoAnswerError, figures: FiguresPart) -> None:
        super().__init__(cause.message)
        self.cause = cause
        self.figures = figures


class PeerGoneError(PlimsollError):
    """A server the candidate has to be compared with does not answer: an outage."""

    def __init__(self, message: str) -> None:
        super().__init__("ReferenceGone", message)
