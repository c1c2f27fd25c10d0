"""`plimsoll preflight-job`: the preflight as a Job runs it, from the request in its environment to its exit code.

What it finds out leaves the pod in three ways: lines for `kubectl logs`; the report, which the controller fetches; and
the termination message, for the controller that never could. The message is rewritten after every phase, so that a Job
that is killed has said how far it got; until the last phase it says Error, which is no verdict.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar

from plimsoll.api.preflight_report import Outcome, PhaseName, PhaseReport, PreflightReport
from plimsoll.core.names import REPORT_PORT
from plimsoll.core.preflight.verdict import EXIT_CODES, termination_message
from plimsoll.errors import Invalid
from plimsoll.kube.clock import SYSTEM_CLOCK, Clock
from plimsoll.preflight.event_loop import run_precisely
from plimsoll.preflight.progress import LineProgress, Progress
from plimsoll.preflight.report_desk import ReportDesk
from plimsoll.preflight.request import Request, request_from

KEY_VARIABLE: Final = "PLIMSOLL_REPORT_KEY"
POD_UID_VARIABLE: Final = "POD_UID"

_PATIENCE_S = 120.0
"""How long the report waits for the controller, whose upgrade takes a minute. Where a network policy keeps that away,
every roll-out waits this long for the termination message."""
_LINGER_S = 60.0
"""How long it can be fetched again: a controller may die between fetching and saving, and another one takes over."""

Examine: TypeAlias = Callable[[Request, Progress], Coroutine[Any, Any, PreflightReport]]
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where the Job runs.

    Attributes:
        environment: Its environment variables.
        termination_log: The file Kubernetes reads the last words from.
        port: Where the report is handed out.
    """

    environment: Mapping[str, str]
    termination_log: Path = Path("/dev/termination-log")
    port: int = REPORT_PORT


def main() -> int:
    """Runs the preflight that the environment asks for, and returns the exit code: 0 passed, 3 rejected, 1 error."""
    return run_precisely(_until_signal())


async def _until_signal() -> int:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    # Imported late: it loads numpy and gRPC for a second, and a signal has to be heard from the first moment on.
    from plimsoll.preflight.run import run_preflight  # noqa: PLC0415

    return await run_job(Surroundings(os.environ), stop, run_preflight)


async def run_job(where: Surroundings, stop: asyncio.Event, examine: Examine, clock: Clock = SYSTEM_CLOCK) -> int:
    """Examines, says what came out in all three ways, and returns the exit code.

    Args:
        where: Surroundings.
        stop: Set when the pod has to end.
        examine: Does the work: `run.run_preflight`.
        clock: Time.
    """
    words = LastWords(where.termination_log)
    try:
        request = request_from(where.environment)
    except Invalid as error:
        words.write(_unfinished(None, [], clock, error.reason, error.message))
        _say(error.message)
        return EXIT_CODES[Outcome.ERROR]
    desk = ReportDesk(
        where.environment.get(KEY_VARIABLE, ""),
        where.environment.get(POD_UID_VARIABLE, ""),
        lambda: clock.utc_now().timestamp(),
    )
    async with desk.listening(where.port):
        report = await _unless(stop, examine(request, Telling(request, words, clock)))
        if report is None:
            _say("Terminated before the preflight had ended.")
            return EXIT_CODES[Outcome.ERROR]
        words.write(report)
        desk.offer(report.model_dump_json(by_alias=True).encode())
        _say(f"{report.outcome} ({report.reason}): {report.message}")
        await _unless(stop, _fetched(desk, clock))
    return EXIT_CODES[report.outcome]


async def _fetched(desk: ReportDesk, clock: Clock) -> None:
    patience = asyncio.ensure_future(clock.sleep(_PATIENCE_S))
    fetched = asyncio.ensure_future(desk.fetched.wait())
    await _first(patience, fetched)
    if desk.fetched.is_set():
        await clock.sleep(_LINGER_S)
    else:
        _say("Nobody fetched the report; the termination message has to do.")


async def _unless(stop: asyncio.Event, work: Coroutine[Any, Any, _T]) -> _T | None:
    """Returns what the work returns, None when it was cut short by `stop`."""
    working, stopped = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    await _first(working, stopped)
    return None if working.cancelled() else working.result()


async def _first(*tasks: asyncio.Future[Any]) -> None:
    """Waits for the first to end, and ends the others."""
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


class LastWords:
    """The termination message of this container."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, report: PreflightReport) -> None:
        """Replaces what was said before."""
        try:
            self._path.write_bytes(termination_message(report))
        except OSError as error:  # outside a pod there is no such file, and a report can still be fetched
            _say(f"The termination message cannot be written: {error.strerror}")


class Telling:
    """Progress in lines, and after each phase in the termination message."""

    def __init__(self, request: Request, words: LastWords, clock: Clock) -> None:
        self._request = request
        self._words = words
        self._clock = clock
        self._lines = LineProgress(_say)
        self._phases: list[PhaseReport] = []
        self._tell()

    def begins(self, phase: PhaseName, seconds: float) -> None:
        """One line."""
        self._lines.begins(phase, seconds)

    def advances(self, phase: PhaseName, fraction: float, doing: str = "") -> None:
        """A line now and then."""
        self._lines.advances(phase, fraction, doing)

    def ends(self, report: PhaseReport) -> None:
        """One line, and the message."""
        self._lines.ends(report)
        self._phases.append(report)
        self._tell()

    def _tell(self) -> None:
        after = f"after phase {self._phases[-1].name}" if self._phases else "before the first phase had ended"
        message = f"The preflight was cut short {after}; it is tried again."
        self._words.write(_unfinished(self._request, self._phases, self._clock, "Interrupted", message))


def _unfinished(
    request: Request | None, phases: list[PhaseReport], clock: Clock, reason: str, message: str
) -> PreflightReport:
    """Returns a report that says nothing about the model: the preflight has not come to an end."""
    return PreflightReport(
        model=request.model if request else "",
        revision=request.revision if request else "",
        key=request.key if request else "",
        outcome=Outcome.ERROR,
        reason=reason,
        message=message,
        started_at=clock.utc_now().isoformat(timespec="seconds"),
        budget_s=0.0,
        spent_s=0.0,
        phases=phases,
    )


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
