"""Who may write: one controller, and not a moment longer than it leads."""

from __future__ import annotations

from contextlib import AsyncExitStack

import pytest
from tests.contract.controller.whole_controller import LEASE, NAME, Running, World, children, turns
from tests.support.controller_process import TRITON_IMAGE

from plimsoll.kube.resources import DEPLOYMENTS, LEASES, SERVICES

DURATION_S = 15
DEADLINE_S = 10


async def writes_no_more(world: World, running: Running) -> None:
    """Waits for the end of a controller and has a user and somebody else change things afterwards."""
    await world.until(running.task.done)
    assert running.lost_leadership()
    world.journal.writes.clear()
    world.apply(version=7)
    world.delete(SERVICES)
    await world.passes(30)
    assert world.journal.writes == []


async def test_a_leader_that_cannot_renew_ends_and_writes_no_more(operated: World) -> None:
    operated.apply()
    async with operated.controller() as running:
        await operated.becomes_ready()
        operated.journal.fail(500, times=None, where=lambda asked: asked.kind == "Lease")
        await writes_no_more(operated, running)


async def test_a_leader_whose_lease_somebody_took_ends_and_writes_no_more(operated: World) -> None:
    operated.apply()
    async with operated.controller() as running:
        await operated.becomes_ready()
        operated.api.cluster.change(LEASES, *LEASE, lambda lease: lease["spec"].update(holderIdentity="other"))
        await writes_no_more(operated, running)


async def test_a_leader_that_loses_the_lease_in_mid_work_ends_and_writes_no_more(operated: World) -> None:
    names = [f"model-{number}" for number in range(5)]
    async with operated.controller(workers=2) as running:
        await operated.until(operated.leader)
        operated.journal.fail(500, times=None, where=lambda asked: asked.kind == "Lease")
        operated.journal.hang(3600, times=None, where=lambda asked: asked.verb == "apply")
        for name in names:
            operated.apply(name=name)
        await operated.until(running.task.done)
        assert running.lost_leadership()
        assert children(operated) == {"ControllerRevision": [], "Deployment": [], "Service": []}
        assert len(operated.journal.writes) == 2, "one request in flight a worker"


async def test_a_standby_writes_nothing_and_takes_over_when_the_lease_has_run_out(operated: World) -> None:
    operated.apply()
    async with operated.controller() as leader:
        await operated.becomes_ready()
        held = operated.leader()
        async with operated.controller():
            await operated.passes(5)
            await leader.die()
            operated.journal.writes.clear()
            operated.apply(version=2)
            await operated.passes(DEADLINE_S - 2)
            assert operated.journal.writes == []
            assert operated.leader() == held
            await operated.passes(DURATION_S - DEADLINE_S + 5)  # and two looks at the lease
            assert operated.leader() not in {"", held}
            await operated.becomes_ready()


@pytest.fixture(params=["the same defaults", "newer defaults"])
def second_image(request: pytest.FixtureRequest) -> str:
    return TRITON_IMAGE if request.param == "the same defaults" else TRITON_IMAGE.replace("0", "8")


async def test_two_leaders_at_once_do_no_harm_and_come_to_rest(operated: World, second_image: str) -> None:
    """Each holds a Lease of its own, and so both believe to lead."""
    newer = {"defaults": {"accelerator": "None", "tritonImage": second_image}}
    async with AsyncExitStack() as running:
        for name, settings in (("one", {}), ("two", newer)):
            controller = operated.controller(lease={"name": name}, resyncPeriod="3s", **settings)
            await running.enter_async_context(controller)
        await operated.until(lambda: len(operated.api.cluster.all(LEASES)) == 2)
        operated.apply()
        await operated.becomes_ready()
        first = operated.stable()
        operated.delete(DEPLOYMENTS, first)
        operated.apply(version=2, replicas=2)
        await operated.becomes_ready()
        operated.apply(version=3)
        operated.apply(version=2, replicas=3)
        await operated.becomes_ready()
        await operated.quiet()
        stable = operated.stable()
        assert operated.names(DEPLOYMENTS) == [stable]
        assert operated.names(SERVICES) == sorted([NAME, stable])
        assert operated.find(SERVICES)["spec"]["selector"]["plimsoll.dev/revision"] == stable
        assert operated.status()["readyReplicas"] == 3
        operated.journal.writes.clear()
        looks = turns("unchanged")
        await operated.until(lambda: turns("unchanged") >= looks + 6)
        assert operated.journal.writes == []
