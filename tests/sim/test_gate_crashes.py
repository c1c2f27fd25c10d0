"""The controller is killed before each single write in the life of a gated update, then a new one goes on."""

import pytest
from tests.sim.gated_life import GatedLife, trials
from tests.sim.model_controller import Crash
from tests.support.model_jobs import Trial

from plimsoll.core.actions import Action

_LIFE = 76
"""Writes in the life below when nothing goes wrong, rounded up; the last cases meet no crash."""


class Killer:
    """Ends the process before its n-th write, once."""

    def __init__(self, fatal: int) -> None:
        self.fatal = fatal
        self.count = 0

    def __call__(self, _action: Action) -> None:
        self.count += 1
        if self.count == self.fatal:
            raise Crash


def live(fatal: int) -> tuple[GatedLife, Killer]:
    """A first version, one that errs before it is rejected, one that leaks and takes over, and one that is given up."""
    life, killer = GatedLife(), Killer(fatal)
    life.controller.before_write = killer
    life.jobs.script = trials(b=[Trial.ERRORS, Trial.REJECTS], c=[Trial.LEAKS])
    life.cluster.behaviours.clear()
    for model, seconds in (("a", 50), ("b", 80), ("c", 60), ("d", 14), ("c", 60)):
        life.apply(model, replicas=2)
        life.passes(seconds, step=2)
    return life, killer


@pytest.mark.parametrize("fatal", range(1, _LIFE + 1))
def test_a_new_process_finishes_what_the_killed_one_began(fatal: int) -> None:
    life, _ = live(fatal)
    assert life.true() == {"Serving", "Ready"}
    assert life.replicas() == {life.selected(): 2}
    assert life.left_of_preflights() == []
    assert life.jobs.made <= 6


def test_the_cases_above_cover_the_whole_life() -> None:
    _, killer = live(fatal=0)
    assert killer.count <= _LIFE
    assert killer.count > _LIFE - 6, "lower _LIFE: the last cases test nothing"
