"""Leader election against a server that hangs, refuses and lies low; one clock for everybody, moved by hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.support.fakeapi import FakeApi
from tests.support.fakeapi.clocks import ManualClock, eventually

from plimsoll.kube.client import Client, ClientSettings
from plimsoll.kube.connection import open_connection
from plimsoll.kube.elector import Elector, LeaseSettings
from plimsoll.kube.resources import LEASES

SETTINGS = LeaseSettings("plimsoll", "controller")


@pytest.fixture
def time() -> ManualClock:
    return ManualClock(chance=1.0)


class Candidate:
    """One process that would lead."""

    def __init__(self, api: FakeApi, time: ManualClock, name: str) -> None:
        self.lost: list[str] = []
        settings = ClientSettings(timeout_s=30, retries=0, user_agent=name)
        self.client = Client(open_connection(api.url), settings, time.clock)
        self.elector = Elector(self.client, SETTINGS, identity=name, on_lost=self.lost.append, clock=time.clock)
        self.task = asyncio.create_task(self.elector.run())

    def leads(self) -> bool:
        return self.elector.leading.is_set()

    async def die(self) -> None:
        """Ends without a word, as a killed process does."""
        self.task.cancel()
        await asyncio.wait([self.task])
        await self.client.close()


@asynccontextmanager
async def candidates(api: FakeApi, time: ManualClock, *names: str) -> AsyncIterator[list[Candidate]]:
    started = []
    for name in names:
        started.append(Candidate(api, time, name))
        await requests_settle(api)
    try:
        yield started
    finally:
        for candidate in started:
            await candidate.die()


async def requests_settle(api: FakeApi) -> None:
    """Waits until no request has come for a moment: real sockets under a clock that stands still."""
    seen = -1
    while seen != sum(api.counters.requests.values()):
        seen = sum(api.counters.requests.values())
        await asyncio.sleep(0.02)


async def pass_time(api: FakeApi, time: ManualClock, seconds: float) -> None:
    for _ in range(round(seconds)):
        await time.advance(1)
        await requests_settle(api)


def lease(api: FakeApi) -> dict[str, Any]:
    found = api.cluster.find(LEASES, SETTINGS.namespace, SETTINGS.name)
    assert found
    spec: dict[str, Any] = found["spec"]
    return spec


async def test_the_first_leads_and_the_second_waits(api: FakeApi, time: ManualClock) -> None:
    async with candidates(api, time, "one", "two") as (one, two):
        await pass_time(api, time, 60)
        assert (one.leads(), two.leads()) == (True, False)
        assert lease(api)["holderIdentity"] == "one"
        assert lease(api)["leaseTransitions"] == 0
        assert lease(api)["renewTime"] == "2026-01-01T00:01:00.000000Z"
        assert one.lost == two.lost == []


async def test_when_the_leader_dies_the_next_leads_after_the_lease_has_run_out(api: FakeApi, time: ManualClock) -> None:
    async with candidates(api, time, "one", "two") as (one, two):
        await pass_time(api, time, 10)
        await one.die()
        await pass_time(api, time, 12)
        assert not two.leads(), "the lease of the dead still counts"
        await pass_time(api, time, 8)
        assert two.leads()
        assert (lease(api)["holderIdentity"], lease(api)["leaseTransitions"]) == ("two", 1)
        assert two.elector.transitions == 1


async def test_a_leader_who_releases_is_followed_at_once(api: FakeApi, time: ManualClock) -> None:
    async with candidates(api, time, "one", "two") as (one, two):
        await pass_time(api, time, 10)
        await one.elector.release()
        assert not one.leads()
        await asyncio.wait([one.task])
        await pass_time(api, time, 3)
        assert two.leads()
        assert one.lost == [], "releasing is not losing"


async def test_releasing_without_leading_leaves_the_lease_alone(api: FakeApi, time: ManualClock) -> None:
    async with candidates(api, time, "one", "two") as (one, two):
        await pass_time(api, time, 3)
        await two.elector.release()
        await pass_time(api, time, 3)
        assert one.leads()
        assert lease(api)["holderIdentity"] == "one"


@pytest.mark.parametrize("outage", ["refused", "hanging", "500"])
async def test_a_leader_cut_off_has_stopped_before_anybody_else_starts(
    api: FakeApi, time: ManualClock, outage: str
) -> None:
    async with candidates(api, time, "one") as (one,):
        await pass_time(api, time, 5)
        assert one.leads()
        match outage:
            case "refused":
                await api.stop()
            case "hanging":
                api.faults.hang(3600, times=None)
            case _:
                api.faults.fail(500, times=None)
        await pass_time(api, time, 8)
        assert one.leads(), "a short outage is survived"
        await pass_time(api, time, 3)
        assert not one.leads()
        assert one.lost == ["The lease controller could not be renewed for 10 s."]
        await asyncio.wait([one.task])
        await one.elector.release()


@pytest.mark.parametrize("hangs", [True, False], ids=["hanging", "refused"])
async def test_a_leader_cut_off_from_a_server_that_others_reach(
    api: FakeApi, time: ManualClock, *, hangs: bool
) -> None:
    """The dangerous case: the second takes over while the first still runs. There must be a gap between them."""
    async with candidates(api, time, "one", "two") as (one, two):
        await pass_time(api, time, 10)
        if hangs:
            api.faults.hang(3600, times=None, where=lambda asked: asked.manager == "one")
        else:
            api.faults.cut(times=None, where=lambda asked: asked.manager == "one")
        history = []
        for _ in range(25):
            await pass_time(api, time, 1)
            history.append((one.leads(), two.leads()))
        assert (True, True) not in history
        assert (False, False) in history
        assert history[-1] == (False, True)
        assert len(one.lost) == 1


async def test_a_short_outage_costs_nothing(api: FakeApi, time: ManualClock) -> None:
    async with candidates(api, time, "one", "two") as (one, two):
        await pass_time(api, time, 5)
        for _ in range(5):
            api.faults.fail(503, times=6)
            await pass_time(api, time, 10)
        assert (one.leads(), two.leads()) == (True, False)
        assert one.lost == []


async def test_a_lease_taken_by_force_is_noticed_at_the_next_renewal(api: FakeApi, time: ManualClock) -> None:
    async with candidates(api, time, "one") as (one,):
        await pass_time(api, time, 5)
        api.cluster.change(
            LEASES, SETTINGS.namespace, SETTINGS.name, lambda obj: obj["spec"].update(holderIdentity="somebody")
        )
        await pass_time(api, time, 5)
        assert not one.leads()
        assert one.lost == ["The lease controller is held by somebody."]


async def test_a_deleted_lease_is_made_anew_by_the_leader(api: FakeApi, time: ManualClock) -> None:
    async with candidates(api, time, "one", "two") as (one, two):
        await pass_time(api, time, 5)
        api.cluster.drop(LEASES, SETTINGS.namespace, SETTINGS.name)
        await pass_time(api, time, 10)
        assert [one.leads(), two.leads()].count(True) == 1


async def test_both_start_at_once_and_one_leads(api: FakeApi, time: ManualClock) -> None:
    both = [Candidate(api, time, name) for name in ("one", "two")]
    await requests_settle(api)
    await pass_time(api, time, 6)
    assert [candidate.leads() for candidate in both].count(True) == 1
    for candidate in both:
        await candidate.die()


async def test_an_answer_that_was_lost_does_not_cost_the_lead(api: FakeApi, time: ManualClock) -> None:
    async with candidates(api, time, "one") as (one,):
        await pass_time(api, time, 5)
        api.faults.cut(after=True, where=lambda asked: asked.verb == "update")
        await pass_time(api, time, 20)
        assert one.leads()
        assert one.lost == []


async def test_the_first_answer_is_lost_and_the_lease_is_ours_all_the_same(api: FakeApi, time: ManualClock) -> None:
    api.faults.cut(after=True, where=lambda asked: asked.verb == "create")
    async with candidates(api, time, "one") as (one,):
        await pass_time(api, time, 5)
        assert one.leads()


async def test_never_two_leaders_whatever_fails(api: FakeApi, time: ManualClock) -> None:
    """Three candidates, three minutes, and a server that fails in turns: whenever we look, at most one leads."""
    async with candidates(api, time, "one", "two", "three") as all_of_them:
        for second in range(0, 180, 3):
            match second % 45:
                case 9:
                    api.faults.fail(500, times=5)
                case 18:
                    api.faults.cut(after=True, times=3)
                case 27:
                    api.faults.fail(429, times=4, retry_after=1)
                case _:
                    pass
            await pass_time(api, time, 3)
            assert sum(candidate.leads() for candidate in all_of_them) <= 1
        alive = [candidate for candidate in all_of_them if not candidate.lost]
        assert alive


async def test_renewing_is_one_request(api: FakeApi, time: ManualClock) -> None:
    async with candidates(api, time, "one"):
        await pass_time(api, time, 4)
        api.counters.reset()
        await pass_time(api, time, 20)
        assert api.counters.requests["get Lease"] == 0
        assert 9 <= api.counters.requests["update Lease"] <= 11


async def test_waiting_for_the_lead(api: FakeApi, time: ManualClock) -> None:
    async with candidates(api, time, "one") as (one,):
        await one.elector.wait_until_leading()
        assert one.leads()
        await eventually(lambda: one.elector.transitions == 0)
