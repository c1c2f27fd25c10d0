"""How often a batch cliff is located, and models with answers that cannot be relied on are named."""

from __future__ import annotations

from collections.abc import Callable

from tests.scale.error_rate import highest_rate
from tests.scale.saying import say
from tests.support.planted_server import run_phase, serving_planted

from plimsoll.api.preflight_report import (
    BatchInvarianceFigures,
    CliffKind,
    DeterminismFigures,
    PhaseName,
    ProfileFigures,
)
from plimsoll.api.preflight_report import Figures as Found
from plimsoll.preflight.phases import batch_invariance, determinism, profile
from plimsoll_dev.images.local_triton import LocalTriton

CLIFF_AT = 64
PROFILE_SECONDS = 30.0

Figures = dict[str, float]
Trial = Callable[[LocalTriton, str, int], bool]
"""Whether the run with that seed is right about that model."""


def cliff_verdicts(runs: int) -> Figures:
    """The cliff has to be located by an item's time at exactly 64; nowhere else, and on other models nowhere at all."""
    wanted = {"cliff": [CLIFF_AT], "constant": [], "linear": []}

    def right(server: LocalTriton, model: str, seed: int) -> bool:
        _, figures = run_phase(server, model, profile.examine, PhaseName.PROFILE, seconds=PROFILE_SECONDS, seed=seed)
        if not isinstance(figures, ProfileFigures):
            return False
        found = [cliff.batch for cliff in figures.cliffs if cliff.kind is CliffKind.ITEM_TIME]
        others = [f"{cliff.kind} at {cliff.batch}" for cliff in figures.cliffs if cliff.kind is not CliffKind.ITEM_TIME]
        say(f"{model} {seed}: item time rises at {found or 'no size'}; besides {', '.join(others) or 'nothing'}")
        return found == wanted[model]

    return {key: value for model in wanted for key, value in _counted("profile", model, runs, right).items()}


def answer_verdicts(runs: int) -> Figures:
    """Determinism and batch invariance, one after the other as in a preflight, on two faults and none."""
    wanted = {
        "neighbours": ("BitEqual", "DependsOnNeighbours"),
        "nondeterministic": ("Nondeterministic", "Nondeterministic"),
        "clean": ("BitEqual", "BitEqual"),
    }

    def right(server: LocalTriton, model: str, seed: int) -> bool:
        repeated, figures = run_phase(server, model, determinism.examine, PhaseName.DETERMINISM, seed=seed)
        assert isinstance(figures, DeterminismFigures)
        batched, size = run_phase(
            server,
            model,
            batch_invariance.examine,
            PhaseName.BATCH_INVARIANCE,
            seed=seed,
            figures=Found(determinism=figures),
        )
        at = size.size if isinstance(size, BatchInvarianceFigures) else None
        say(f"{model} {seed}: repeated {repeated.reason}, in batches {batched.reason} (worst at {at})")
        # Neighbours that happened to meet in the server's own batches show as soon as answers are compared.
        company = model == "neighbours" and repeated.reason == "DiffersConcurrently"
        return (("BitEqual" if company else repeated.reason), batched.reason) == wanted[model]

    return {key: value for model in wanted for key, value in _counted("answers", model, runs, right).items()}


def _counted(phase: str, model: str, runs: int, right: Trial) -> Figures:
    with serving_planted(model) as server:
        wrong = sum(not right(server, model, seed) for seed in range(1, runs + 1))
    say(f"{model}: wrong in {wrong} of {runs} runs")
    return {
        f"{phase}_{model}_runs": runs,
        f"{phase}_{model}_wrong": wrong,
        f"{phase}_{model}_wrong_percent_95": round(100 * highest_rate(wrong, runs), 1),
    }
