"""The controller is killed before each single write in the life of an update, then a new one goes on."""

from collections.abc import Callable

import pytest
from tests.sim.model_controller import Crash, Killer, ModelController
from tests.sim.simulation import Watchman, cluster
from tests.support.builders import wire_spec
from tests.support.model_cluster import Kind, ModelCluster

from plimsoll.api.v1alpha1 import ConditionType

Mishap = Callable[[ModelCluster], None]

_FIRST = wire_spec("a", replicas=2, runtime={"drain": "20s"})
_SECOND = wire_spec("b", replicas=3, runtime={"drain": "20s", "pod": {"nodeSelector": {"pool": "gpu"}}})
_LIFE = 40
"""Writes in the life below when nothing goes wrong, rounded up; the last cases meet no crash."""


def _live(controller: ModelController, watchman: Watchman, seconds: int, mishap: Mishap) -> None:
    for _ in range(seconds):
        controller.cluster.tick(1)
        controller.view.refresh()
        try:
            controller.turn()
        except Crash:
            watchman.after(None)
            mishap(controller.cluster)
            controller.cluster.tick(1)
            controller.restart()
        watchman.after(None)


def _nothing(_cluster: ModelCluster) -> None:
    """Nobody but the controller dies."""


def _unselected_pods_die(cluster: ModelCluster) -> None:
    """Nobody notices: the Service does not lead to them yet, or no more."""
    for name, pod in list(cluster.pods.items()):
        if pod.deployment != cluster.selected("digits"):
            cluster.wounds(name)


def _life(fatal: int, mishap: Mishap = _nothing) -> tuple[ModelController, Killer]:
    """First version, second version with more replicas and another node pool, back to the first in mid-change.

    Args:
        fatal: The write before which the controller dies.
        mishap: What else happens then.
    """
    killer = Killer(fatal)
    controller = ModelController(cluster(), before_write=killer)
    watchman = Watchman(controller)
    controller.after_write = watchman.after
    controller.cluster.user_applies("digits", _FIRST)
    _live(controller, watchman, 15, mishap)
    controller.cluster.user_applies("digits", _SECOND)
    _live(controller, watchman, 12, mishap)
    controller.cluster.user_applies("digits", _FIRST)
    _live(controller, watchman, 60, mishap)
    return controller, killer


@pytest.mark.parametrize("mishap", [_nothing, _unselected_pods_die])
@pytest.mark.parametrize("fatal", range(1, _LIFE + 1))
def test_a_new_process_finishes_what_the_killed_one_began(fatal: int, mishap: Mishap) -> None:
    controller, _ = _life(fatal, mishap)
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
