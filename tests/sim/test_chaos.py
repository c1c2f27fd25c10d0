"""Seeded lives under chaos: edits in mid-change, dying pods, late watches, jumping clocks, crashes between writes."""

import pytest
from tests.sim.gated_simulation import GatedSimulation
from tests.sim.routed_simulation import RoutedSimulation, ScalingSimulation
from tests.sim.simulation import Simulation


@pytest.mark.parametrize("seed", range(40))
def test_users_stay_served_and_everything_settles(seed: int) -> None:
    live(Simulation(seed))


@pytest.mark.parametrize("seed", range(40))
def test_nothing_unproved_ever_serves(seed: int) -> None:
    live(GatedSimulation(seed))


@pytest.mark.parametrize("seed", range(40))
def test_users_behind_gateways_stay_served(seed: int) -> None:
    live(RoutedSimulation(seed))


@pytest.mark.parametrize("seed", range(20))
def test_pods_behind_gateways_go_when_they_are_idle(seed: int) -> None:
    live(ScalingSimulation(seed))


def live(simulation: Simulation) -> None:
    try:
        simulation.run(steps=80)
    except AssertionError as error:
        told = f"seed {simulation.seed}, step {simulation.steps}: {error}; {simulation.history}"
        raise AssertionError(told) from error
