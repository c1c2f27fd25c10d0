"""Seeded lives under chaos: edits in mid-change, dying pods, late watches, jumping clocks, crashes between writes."""

import pytest
from tests.sim.simulation import Simulation


@pytest.mark.parametrize("seed", range(40))
def test_users_stay_served_and_everything_settles(seed: int) -> None:
    simulation = Simulation(seed)
    try:
        simulation.run(steps=80)
    except AssertionError as error:
        raise AssertionError(f"seed {seed}, step {simulation.steps}: {error}; {simulation.history}") from error
