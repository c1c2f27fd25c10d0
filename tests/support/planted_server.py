"""A real Triton with planted models, and single phases or whole preflights against it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from tests.support.planted_models import plant
from tests.support.preflighting import context, golden, request

from plimsoll.api.preflight_report import Figures, PhaseName, PreflightReport
from plimsoll.preflight.client import Session
from plimsoll.preflight.event_loop import run_precisely
from plimsoll.preflight.inputs import Case
from plimsoll.preflight.phases import Outcome, Phase
from plimsoll.preflight.progress import LineProgress
from plimsoll.preflight.request import Examiner, Request
from plimsoll.preflight.run import run_preflight
from plimsoll_dev.images.local_triton import LocalTriton, running_triton

_ROWS = 32


@contextmanager
def serving_planted(*models: str, **parameters: Any) -> Iterator[LocalTriton]:
    """A fresh server of these models, `parameters` instead of their own, while the context lasts."""
    with tempfile.TemporaryDirectory() as folder:
        for model in models:
            plant(Path(folder), model, **parameters)
        with running_triton(Path(folder)) as server:
            yield server


def run_phase(
    server: LocalTriton,
    model: str,
    phase: Phase,
    name: PhaseName,
    *,
    seconds: float = 60.0,
    seed: int = 1,
    figures: Figures | None = None,
    **asked: Any,
) -> Outcome:
    """Runs one phase with 32 inputs that, like all that is random in it, follow from `seed`."""

    async def work() -> Outcome:
        async with Session(server.grpc, model, timeout_s=5) as session:
            await session.describe()
            rows = np.random.default_rng(seed).normal(size=(_ROWS, 4)).astype("f4")
            cases = [Case(number + 1, {"x": rows[number : number + 1]}) for number in range(_ROWS)]
            wanted = request(server.grpc, model=model, **asked)
            given = context(wanted, name, golden(cases), seconds=seconds, figures=figures)
            return await phase(session, replace(given, rng=np.random.default_rng(seed)))

    return run_precisely(work())


def run_whole(server: LocalTriton, model: str) -> PreflightReport:
    """Runs a preflight with nothing stated but the model."""
    asked = Request(model=model, target=server.grpc, examiner=Examiner(process_id=server.process_id))
    return run_precisely(run_preflight(asked, LineProgress(lambda _: None)))
