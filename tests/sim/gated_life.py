"""A life with a gate, and scripts for what becomes of its preflights."""

from collections.abc import Callable
from typing import Any

from tests.sim.gatekeeper import Gatekeeper
from tests.sim.life import Life
from tests.support.builders import digits, revision_of
from tests.support.model_cluster import JsonObject, Kind
from tests.support.model_jobs import Script, Trial

from plimsoll.core.actions import Action
from plimsoll.core.names import PREFLIGHT_LABEL

SETTLES_S = 120
"""Longer than pods, a preflight and the drain take."""


class GatedLife(Life):
    """A life whose manifests have the gate that a manifest without a word about it has."""

    def __init__(self) -> None:
        super().__init__(preflight={})
        self.gatekeeper = Gatekeeper(self.controller, self.jobs)
        watch = self.watchman.after

        def after(action: Action | None) -> None:
            watch(action)
            self.gatekeeper.after(action)

        self.watchman.after = after  # type: ignore[method-assign]
        self.controller.after_write = after

    def serves(self, model: str = "a", **spec: Any) -> str:
        """Has a model pass and serve, and returns its revision."""
        self.apply(model, **spec)
        self.passes(SETTLES_S)
        assert self.true() == {"Serving", "Ready"}
        return str(self.status().stable)

    def under_examination(self, model: str, **spec: Any) -> str:
        """Applies a model and stops in the middle of its preflight; returns the candidate."""
        self.apply(model, **spec)
        self.until(lambda: bool(self.jobs.pods()))
        self.passes(3)
        return str(self.status().candidate)

    def until(self, reached: Callable[[], bool], seconds: int = 60) -> None:
        for _ in range(seconds):
            if reached():
                return
            self.passes(1)
        raise AssertionError(f"not reached within {seconds} s; {self.status()}")

    def selected(self) -> str | None:
        return self.cluster.selected("digits")

    def left_of_preflights(self) -> list[str]:
        """Jobs, and pods of theirs."""
        pods = [
            name for name, obj in self.cluster.stores[Kind.POD].items() if PREFLIGHT_LABEL in obj["metadata"]["labels"]
        ]
        return [*self.cluster.stores[Kind.JOB], *pods]


NAMES = {model: revision_of(digits(model)).name for model in "0123456789abcdef"}


def trials(**by_model: list[Trial]) -> Script:
    """What becomes of each model, one after the other, the last for ever. Models that are not named pass."""
    left = {NAMES[model]: list(trial) for model, trial in by_model.items()}

    def script(request: JsonObject) -> Trial:
        queue = left.get(request["revision"], [Trial.PASSES])
        return queue.pop(0) if len(queue) > 1 else queue[0]

    return script
