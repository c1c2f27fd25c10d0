"""Scale-downs behind gateways in virtual time: nothing is lost, wherever the controller is killed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.sim.model_controller import Crash, Killer
from tests.sim.routed_simulation import RoutedSimulation
from tests.support.builders import wire_spec
from tests.support.model_cluster import JsonObject, Kind

from plimsoll.core.actions import Action

_DRAIN = "20s"
_WRITES = 76
"""Writes in the life below when nothing goes wrong, rounded up; the last cases meet no crash."""


def spec(replicas: int, model: str = "a") -> JsonObject:
    return wire_spec(model, replicas=replicas, runtime={"drain": _DRAIN})


class World:
    """A model behind two gateways that hear late and have requests in flight."""

    def __init__(self, replicas: int = 4, before_write: Callable[[Action], None] = lambda _action: None) -> None:
        self.simulation = RoutedSimulation(seed=7, crashes=False)
        self.controller = self.simulation.controller
        self.cluster = self.controller.cluster
        self.watchman = self.simulation.watchman
        self.wants(replicas)
        self.passes(40)
        assert self.serving() == replicas
        self.controller.before_write = before_write

    def wants(self, replicas: int, model: str = "a") -> None:
        self.cluster.user_applies("digits", spec(replicas, model))

    def passes(self, seconds: int) -> None:
        simulation, dice = self.simulation, self.simulation.dice
        for _ in range(seconds):
            self.cluster.tick(1)
            for gateway in simulation.gateways:
                if dice.random() < 0.6:
                    gateway.hears(self.cluster.get(Kind.MODEL_DEPLOYMENT, "digits"))
                gateway.hears_slices(self.cluster.stores[Kind.SERVICE])
                gateway.serves(self.cluster.ready_pods(gateway.stable), dice)
            self.controller.view.refresh()
            try:
                self.controller.turn()
            except Crash:
                self.controller.restart()
            self.watchman.after(None)

    def replicas(self) -> list[int]:
        return [deployment["spec"]["replicas"] for deployment in self.cluster.stores[Kind.DEPLOYMENT].values()]

    def serving(self) -> int:
        status = self.cluster.stores[Kind.MODEL_DEPLOYMENT]["digits"]["status"]
        return len(self.cluster.ready_pods(status.get("stable")))

    def draining(self) -> list[str]:
        routing = self.cluster.stores[Kind.MODEL_DEPLOYMENT]["digits"]["status"]["routing"]
        return [pod for revision in routing["revisions"] for pod in revision.get("draining", ())]

    def at_rest(self) -> bool:
        return self.controller.turn() == 0 and not self.draining()


def life(fatal: int) -> tuple[World, Killer]:
    """Fewer twice in a row, more in the middle of fewer, none, some, and a new revision in the middle of fewer."""
    killer = Killer(fatal)
    world = World(before_write=killer)
    for replicas, seconds in ((3, 3), (2, 25), (1, 2), (3, 30), (0, 30), (3, 30), (1, 2)):
        world.wants(replicas)
        world.passes(seconds)
    world.wants(2, model="b")
    world.passes(90)
    return world, killer


@pytest.mark.parametrize("fatal", range(1, _WRITES + 1))
def test_a_new_process_finishes_what_the_killed_one_began(fatal: int) -> None:
    world, _ = life(fatal)
    assert (world.replicas(), world.serving(), world.at_rest()) == ([2], 2, True)
    assert world.watchman.drained


def test_the_cases_above_cover_the_whole_life() -> None:
    _, killer = life(fatal=0)
    assert _WRITES - 12 < killer.count <= _WRITES


def test_pods_go_when_no_request_is_in_flight_and_not_before() -> None:
    world = World()
    world.wants(2)
    world.passes(2)
    assert (len(world.draining()), world.replicas()) == (2, [4])
    world.passes(30)
    assert (world.replicas(), world.serving(), world.watchman.drained) == ([2], 2, 2)
    assert "DrainTimedOut" not in world.controller.announced
    assert world.at_rest()


@pytest.mark.parametrize("seconds", range(1, 12))
def test_wanted_again_at_any_moment_all_serve_again(seconds: int) -> None:
    world = World()
    world.wants(2)
    world.passes(seconds)
    world.wants(4)
    world.passes(40)
    assert (world.serving(), world.at_rest()) == (4, True)


def test_a_gateway_that_cannot_be_reached_holds_it_up_for_a_minute_and_the_drain_and_that_is_told() -> None:
    world = World()
    world.simulation.gateways[0].cut_off = True
    world.wants(2)
    world.passes(79)
    assert world.replicas() == [4]
    assert "DrainTimedOut" not in world.controller.announced
    world.passes(5)
    assert world.replicas() == [2]
    assert world.controller.announced.count("DrainTimedOut") == 1


def test_a_request_that_never_ends_holds_it_up_for_the_drain_and_that_is_told() -> None:
    world = World()
    gateway = world.simulation.gateways[0]
    gateway.hung.update(world.cluster.pods)
    gateway.in_flight.update(list(world.cluster.pods))
    world.wants(3)
    world.passes(20)
    assert world.replicas() == [4]
    world.passes(5)
    assert world.replicas() == [3]
    assert world.controller.announced.count("DrainTimedOut") == 1


@pytest.mark.parametrize("deleted", ["one that drains", "one that serves"])
def test_a_pod_that_somebody_deletes_in_the_middle(deleted: str) -> None:
    world = World()
    world.wants(3)
    world.passes(2)
    drains = set(world.draining())
    name = next(pod for pod in world.cluster.pods if (pod in drains) == (deleted == "one that drains"))
    world.watchman.excused = True
    world.cluster.wounds(name)
    world.passes(60)
    assert (world.replicas(), world.serving(), world.at_rest()) == ([3], 3, True)
