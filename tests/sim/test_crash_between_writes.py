"""The controller is killed before each single write in the life of an update, then a new one goes on."""

import pytest
from tests.sim.model_controller import Crash, Killer, ModelController
from tests.sim.simulation import Watchman, cluster
from tests.support.builders import wire_spec
from tests.support.model_cluster import Kind

from plimsoll.api.v1alpha1 import ConditionType

_FIRST = wire_spec("a", replicas=2, runtime={"drain": "20s"})
_SECOND = wire_spec("b", replicas=3, runtime={"drain": "20s", "pod": {"nodeSelector": {"pool": "gpu"}}})
_LIFE = 40
"""Writes in the life below when nothing goes wrong, rounded up; the last cases meet no crash."""


def _live(controller: ModelController, watchman: Watchman, seconds: int) -> None:
    for _ in range(seconds):
        controller.cluster.tick(1)
        controller.view.refresh()
        try:
            controller.turn()
        except Crash:
            watchman.after(None)
            controller.restart()
        watchman.after(None)


def _life(fatal: int) -> tuple[ModelController, Killer]:
    """First version, second version with more replicas and another node pool, back to the first in mid-change."""
    killer = Killer(fatal)
    controller = ModelController(cluster(), before_write=killer)
    watchman = Watchman(controller)
    controller.after_write = watchman.after
    controller.cluster.user_applies("digits", _FIRST)
    _live(controller, watchman, 15)
    controller.cluster.user_applies("digits", _SECOND)
    _live(controller, watchman, 12)
    controller.cluster.user_applies("digits", _FIRST)
    _live(controller, watchman, 60)
    return controller, killer


@pytest.mark.parametrize("fatal", range(1, _LIFE + 1))
def test_a_new_process_finishes_what_the_killed_one_began(fatal: int) -> None:
    controller, _ = _life(fatal)
    observed = controller.observe()
    assert observed is not None
    assert controller.turn() == 0
    status = observed.object.status
    assert status is not None
    held = {c.type for c in status.conditions or () if c.status == "True"}
    assert held == {ConditionType.SERVING, ConditionType.READY}
    assert list(controller.cluster.stores[Kind.DEPLOYMENT]) == [status.stable]
    assert controller.cluster.selected("digits") == status.stable
    assert len(controller.cluster.ready_pods(status.stable)) == 2


def test_the_cases_above_cover_the_whole_life() -> None:
    _, killer = _life(fatal=0)
    assert killer.count <= _LIFE
    assert killer.count > _LIFE - 6, "lower _LIFE: the last cases test nothing"
