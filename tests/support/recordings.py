"""A gateway's counters on a clock that a test sets."""

from __future__ import annotations

from dataclasses import dataclass, field

from plimsoll.core.records.outcome import Outcome
from plimsoll.core.records.record import Record
from plimsoll.core.routing.table import ModelRoute, RevisionRoute, RouteTable
from plimsoll.gateway.recordings import Clocks

WALL = 1_790_000_000.0
"""Wall time when the monotonic clock says 0."""


@dataclass
class Time:
    """A clock that stands still."""

    now: float = 0.0
    wall_offset: float = WALL
    cpu_s: float = 0.0

    def clocks(self) -> Clocks:
        return Clocks(lambda: self.now, lambda: self.now + self.wall_offset, lambda: self.cpu_s)


@dataclass
class Sums:
    """Totals for people, as a list."""

    added: list[tuple[str, Record]] = field(default_factory=list)
    forgotten: list[tuple[str, str]] = field(default_factory=list)

    def add(self, model: str, record: Record) -> None:
        self.added.append((model, record))

    def forget(self, model: str, revision: str) -> None:
        self.forgotten.append((model, revision))


def route(model: str, *revisions: tuple[str, int], uid: str | None = None, epoch: int = 1) -> ModelRoute:
    """A model with a stable revision and perhaps a candidate, each with its weight."""
    stable, candidate = ([RevisionRoute(*each) for each in revisions] + [None, None])[:2]
    return ModelRoute(model, uid or f"uid-{model}", epoch, stable=stable, candidate=candidate)


def table(*routes: ModelRoute) -> RouteTable:
    return RouteTable({each.model: each for each in routes})


def epochs(routes: RouteTable) -> dict[str, int]:
    """What a gateway acknowledges that knows the pods of all."""
    return {each.uid: each.epoch for each in routes.models.values()}


SUCCEEDED = Outcome.SUCCEEDED
