"""Runs a preflight here: lays the model out, starts a Triton unless one is given, and stops it afterwards."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from plimsoll.api.preflight_report import PhaseName, PhaseReport, PreflightReport
from plimsoll.api.vocabulary import ModelFormat
from plimsoll.cli.preflight_local.folder import repository_of, served_name
from plimsoll.cli.preflight_local.progress import shown_progress
from plimsoll.cli.preflight_local.refused import ModelRefused
from plimsoll.cli.preflight_local.request import Stated, request_for, stated
from plimsoll.cli.preflight_local.server import LocalServer, program, running
from plimsoll.cli.preflight_local.signals import interruptible
from plimsoll.core.preflight.verdict import SERVER_REASONS
from plimsoll.errors import Invalid, PlimsollError
from plimsoll.preflight.event_loop import run_precisely
from plimsoll.preflight.progress import Progress
from plimsoll.preflight.request import Request
from plimsoll.preflight.run import run_preflight

_TOLD_BY_THE_LOG: Final = SERVER_REASONS | {"NotReady"}
_LAST_LOOK_S: Final = 1.0
"""How long a run may take to see by itself that its server has ended."""


def run_local(options: argparse.Namespace) -> PreflightReport:
    """Returns the report of a model on this machine.

    Args:
        options: As `preflight_arguments` describes them.

    Raises:
        ModelRefused: The model cannot be served.
        PlimsollError: The preflight cannot run.
        SystemExit: A signal ended it; nothing of ours runs any more.
    """
    with interruptible() as interrupted:
        try:
            return _run(options, stated(options))
        except KeyboardInterrupt:
            raise SystemExit(interrupted.exit_code) from None


def _run(options: argparse.Namespace, found: Stated) -> PreflightReport:
    folder = Path(options.local)
    if not folder.is_dir():
        raise Invalid("NoFolder", f"{folder} is not a folder; name the one with the model in it.")
    own_name = served_name(folder.resolve().name)
    if options.url:
        model = options.model or found.name or own_name
        with shown_progress() as progress:
            return run_precisely(run_preflight(request_for(options, found, model, options.url, None), progress))
    command = program(options.triton)
    name = served_name(options.model) if options.model else found.name or own_name
    with TemporaryDirectory(prefix="plimsoll-preflight-") as made:
        work = Path(made)
        repository = _laid_out(folder, work, name, options.model, found)
        complete = not (found.spec and found.spec.model.format is ModelFormat.TRITON_REPOSITORY)
        started = running(command, repository, work, options.triton_option or (), complete_config=complete)
        with started as server:
            with shown_progress() as progress:
                request = request_for(options, found, name, server.address, server.process.pid)
                report = run_precisely(_examine(request, progress, server))
            if any(phase.reason in _TOLD_BY_THE_LOG for phase in report.phases):
                # Nobody can look at it afterwards.
                print(f"Triton's log ends with:\n{server.last_words()}", file=sys.stderr)
            return report


def _laid_out(folder: Path, work: Path, name: str, entry: str | None, found: Stated) -> Path:
    try:
        return repository_of(folder, work, name, entry, found.spec)
    except Invalid as error:
        raise ModelRefused(error.reason, error.message) from error


async def _examine(request: Request, progress: Progress, server: LocalServer) -> PreflightReport:
    """Runs the phases; a server that ends before the model is ready ends the run with its own words."""
    watched = _Watched(progress)
    run = asyncio.create_task(run_preflight(request, watched))
    ended = asyncio.create_task(server.ended())
    try:
        await asyncio.wait({run, ended}, return_when=asyncio.FIRST_COMPLETED)
        if not run.done() and not watched.loaded:
            await asyncio.wait({run}, timeout=_LAST_LOOK_S)
            if not watched.loaded:
                raise _not_started(server)
        return await run
    finally:
        for task in (run, ended):
            task.cancel()
        await asyncio.gather(run, ended, return_exceptions=True)


def _not_started(server: LocalServer) -> PlimsollError:
    sentence = f"Triton ended with exit code {server.process.returncode} before the model was ready:"
    kind = ModelRefused if server.blames_the_model() else PlimsollError
    return kind("TritonEnded", f"{sentence}\n{server.complaints()}")


class _Watched:
    """Progress that remembers whether the model was loaded."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self.loaded = False

    def begins(self, phase: PhaseName, seconds: float) -> None:
        """Tells it."""
        self._progress.begins(phase, seconds)

    def advances(self, phase: PhaseName, fraction: float, doing: str = "") -> None:
        """Tells it."""
        self._progress.advances(phase, fraction, doing)

    def ends(self, report: PhaseReport) -> None:
        """Tells it; whatever ends first is Load."""
        self.loaded = True
        self._progress.ends(report)
