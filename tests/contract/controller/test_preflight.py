"""A revision passes its preflight before it serves: the whole controller with Jobs whose reports are fetched."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.contract.controller.preflight_jobs import EVICTED, PASSES, REJECTS, Preflight, Preflights, preflights
from tests.contract.controller.whole_controller import NAME, TEAM, World, children, uids

from plimsoll.api.preflight_report import Outcome, PreflightReport
from plimsoll.core.names import NO_REVISION, REPORT_DATA, REVISION_LABEL, preflight_name
from plimsoll.kube.resources import (
    CONFIGMAPS,
    CONTROLLERREVISIONS,
    DEPLOYMENTS,
    JOBS,
    MODELDEPLOYMENTS,
    PODS,
    SERVICES,
    JsonObject,
)

GATED: dict[str, Any] = {"preflight": {}}
UNGATED: dict[str, Any] = {"preflight": {"mode": "Skip"}}
OTHER = "digits-0123456789"


def as_html(_: PreflightReport) -> bytes:
    return b"<html>"


def of_another_revision(report: PreflightReport) -> bytes:
    return report.model_copy(update={"revision": OTHER}).model_dump_json(by_alias=True).encode()


def of_another_key(report: PreflightReport) -> bytes:
    return report.model_copy(update={"key": "another"}).model_dump_json(by_alias=True).encode()


def selected(world: World) -> str:
    return str(world.find(SERVICES)["spec"]["selector"][REVISION_LABEL])


def replicas(world: World, revision: str) -> int:
    return int(world.find(DEPLOYMENTS, revision)["spec"]["replicas"])


def candidate(world: World) -> str:
    return str(world.status().get("candidate", ""))


def kept(world: World, revision: str) -> str:
    """The report in the ConfigMap of a revision; empty without one."""
    found: dict[str, str] = world.find(CONFIGMAPS, preflight_name(revision)).get("data") or {}
    return found.get(REPORT_DATA, "")


def stalled(world: World) -> JsonObject:
    condition = world.condition("Stalled")
    return condition if condition.get("status") == "True" else {}


async def serving_one(world: World) -> str:
    """Makes a first revision serve, without a preflight."""
    world.apply(**UNGATED)
    await world.becomes_ready()
    return world.stable()


async def nothing_of_a_preflight_is_left(world: World, jobs: Preflights) -> None:
    await world.quiet()
    assert world.names(JOBS) == []
    assert all("preflight" not in name for name in world.names(PODS))
    assert len(jobs.begun) == len({request["key"] for request in jobs.begun}), "one Job for each question"


async def test_a_first_revision_serves_when_it_has_passed(operated: World) -> None:
    async with preflights(operated) as jobs, operated.controller():
        jobs.go_on.clear()
        operated.apply(replicas=2, **GATED)
        await operated.until(lambda: jobs.begun)
        await operated.quiet(0.5)
        revision = candidate(operated)
        assert selected(operated) == NO_REVISION
        assert replicas(operated, revision) == 1
        assert operated.status()["phase"] == "Verifying"
        assert operated.condition("Ready")["reason"] == "PreflightRunning"
        jobs.go_on.set()
        await operated.becomes_ready()
        assert (operated.stable(), selected(operated), replicas(operated, revision)) == (revision, revision, 2)
        await nothing_of_a_preflight_is_left(operated, jobs)
        (request,) = jobs.begun
        told = operated.status()["preflight"]
        assert (told["outcome"], told["revision"], told["key"]) == ("Passed", revision, request["key"])
        report = PreflightReport.model_validate_json(kept(operated, revision))
        assert (report.revision, report.outcome) == (revision, Outcome.PASSED)


async def test_it_takes_these_writes_in_this_order_and_the_next_looks_none(operated: World) -> None:
    async with preflights(operated) as jobs, operated.controller(resyncPeriod="3s"):
        operated.apply(**GATED)
        await operated.becomes_ready()
        await operated.quiet(0.5)
        revision = operated.stable()
        status = f"apply ModelDeployment/status {NAME}"
        assert [write for write in operated.journal.writes if write != status] == [
            "patch Secret plimsoll-report-key",
            f"apply Service {NAME}",
            f"apply ControllerRevision {revision}",
            f"apply Service {revision}",
            f"apply Deployment {revision}",
            f"apply Job {preflight_name(revision)}",
            f"apply ConfigMap {preflight_name(revision)}",
            f"delete Job {preflight_name(revision)}",
            f"apply Service {NAME}",
        ]
        operated.journal.writes.clear()
        await operated.passes(10, step_s=0.2)
        assert operated.journal.writes == []
        assert len(jobs.begun) == 1


async def test_what_is_rejected_is_taken_away_and_the_old_one_serves(operated: World) -> None:
    async with preflights(operated, REJECTS) as jobs, operated.controller():
        old = await serving_one(operated)
        operated.apply(version=2, **GATED)
        await operated.until(lambda: stalled(operated))
        await nothing_of_a_preflight_is_left(operated, jobs)
        new = candidate(operated)
        assert (operated.stable(), selected(operated)) == (old, old)
        assert (replicas(operated, old), replicas(operated, new)) == (1, 0)
        assert operated.condition("Serving")["status"] == "True"
        assert stalled(operated)["reason"] == "PreflightRejected"
        assert REJECTS.message in stalled(operated)["message"]
        assert operated.status()["phase"] == "Rejected"
        assert json.loads(kept(operated, new))["outcome"] == "Rejected"
        operated.journal.writes.clear()
        await operated.passes(60, step_s=0.5)
        assert operated.journal.writes == []
        assert len(jobs.begun) == 1, "a rejection lasts"


async def test_another_question_about_what_was_rejected_is_asked_again(operated: World) -> None:
    async with preflights(operated, REJECTS, PASSES) as jobs, operated.controller():
        old = await serving_one(operated)
        operated.apply(version=2, **GATED)
        await operated.until(lambda: stalled(operated))
        operated.apply(version=2, preflight={"repeats": 20})
        await operated.becomes_ready()
        assert operated.stable() != old
        await nothing_of_a_preflight_is_left(operated, jobs)
        assert [request["revision"] for request in jobs.begun] == [operated.stable()] * 2


@pytest.mark.parametrize(
    ("first", "told"),
    [
        pytest.param(
            Preflight(told=of_another_revision, ends=True),
            "no answer to what was asked",
            id="a report of another revision",
        ),
        pytest.param(
            Preflight(told=of_another_key, ends=True), "no answer to what was asked", id="a report of another question"
        ),
        pytest.param(
            Preflight(Outcome.ERROR, "The model server went away.", ends=True), "went away", id="no answer either way"
        ),
        pytest.param(
            Preflight(Outcome.ERROR, "The model server went away.", handed_out=False, ends=True),
            "went away",
            id="last words alone",
        ),
        pytest.param(Preflight(evicted=True), EVICTED.rstrip("."), id="evicted"),
    ],
)
async def test_what_is_no_answer_is_asked_again_and_never_a_pass(operated: World, first: Preflight, told: str) -> None:
    async with preflights(operated, first, PASSES) as jobs, operated.controller():
        old = await serving_one(operated)
        operated.apply(version=2, **GATED)
        await operated.until(lambda: operated.condition("Ready").get("reason") == "PreflightError")
        await operated.quiet(0.5)
        new = candidate(operated)
        assert told in operated.condition("Ready")["message"]
        assert (operated.stable(), selected(operated), replicas(operated, new)) == (old, old, 1)
        assert operated.status()["preflight"]["outcome"] == "Error"
        assert operated.names(JOBS) == []
        await operated.becomes_ready()
        assert operated.stable() == new
        assert operated.status()["preflight"]["outcome"] == "Passed"
        await operated.quiet()
        assert operated.names(JOBS) == []
        assert len(jobs.begun) == 2


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(Preflight(told=as_html), id="a page"),
        pytest.param(Preflight(told=of_another_revision), id="replayed"),
        pytest.param(Preflight(of_another=True), id="refused"),
    ],
)
async def test_a_report_that_cannot_be_had_is_asked_for_again_while_the_old_revision_serves(
    operated: World, first: Preflight
) -> None:
    async with preflights(operated, first) as jobs, operated.controller():
        old = await serving_one(operated)
        operated.apply(version=2, **GATED)
        await operated.until(lambda: jobs.begun)
        await operated.passes(60, step_s=0.2)
        new = candidate(operated)
        assert (operated.stable(), selected(operated), replicas(operated, new)) == (old, old, 1)
        assert operated.condition("Ready")["status"] == "False"
        assert preflight_name(new) not in operated.names(CONFIGMAPS)
        assert len(jobs.begun) == 1


async def test_of_a_report_that_cannot_be_had_the_last_words_count(operated: World) -> None:
    async with preflights(operated, Preflight(of_another=True, ends=True)) as jobs, operated.controller():
        operated.apply(**GATED)
        await operated.becomes_ready()
        assert operated.status()["preflight"]["outcome"] == "Passed"
        assert kept(operated, operated.stable()) == ""
        await nothing_of_a_preflight_is_left(operated, jobs)


async def test_a_controller_that_starts_in_mid_preflight_fetches_the_report(operated: World) -> None:
    """The Job was given the public key of the one before: the pair is kept."""
    async with preflights(operated) as jobs:
        jobs.go_on.clear()
        async with operated.controller():
            operated.apply(**GATED)
            await operated.until(lambda: jobs.begun)
        held = operated.leader()
        jobs.go_on.set()
        async with operated.controller():
            await operated.until(lambda: operated.leader() != held)
            await operated.becomes_ready()
            assert kept(operated, operated.stable())
            await nothing_of_a_preflight_is_left(operated, jobs)
            assert len(jobs.begun) == 1


WRITES_OF_A_CHANGE = 12


@pytest.mark.parametrize("count", range(1, WRITES_OF_A_CHANGE + 1))
async def test_killed_after_each_write_of_a_change(operated: World, count: int) -> None:
    async with preflights(operated) as jobs:
        async with operated.controller():
            old = await serving_one(operated)
            await operated.quiet(0.5)
            last = operated.journal.deaf_after(count)
            operated.apply(version=2, **GATED)
            await operated.until(last.done.is_set)
        operated.journal.clear()
        held = operated.leader()
        async with operated.controller():
            await operated.until(lambda: operated.leader() != held)
            await operated.becomes_ready()
            await operated.quiet()
            new = operated.stable()
            assert new != old
            assert children(operated)["Deployment"] == [new]
            assert selected(operated) == new
            assert operated.names(JOBS) == []
            assert {request["revision"] for request in jobs.begun} == {new}
            assert operated.status()["preflight"]["outcome"] == "Passed"


async def test_a_model_deleted_in_mid_preflight_leaves_nothing(operated: World) -> None:
    async with preflights(operated) as jobs, operated.controller():
        jobs.go_on.clear()
        operated.apply(**GATED)
        await operated.until(lambda: jobs.begun)
        await operated.quiet()
        operated.journal.writes.clear()
        operated.delete(MODELDEPLOYMENTS)
        await operated.quiet()
        assert uids(operated, (CONTROLLERREVISIONS, DEPLOYMENTS, SERVICES, JOBS, CONFIGMAPS, PODS)) == set()
        assert operated.journal.writes == []


async def test_a_model_deleted_after_its_preflight_leaves_nothing(operated: World) -> None:
    async with preflights(operated), operated.controller():
        operated.apply(**GATED)
        await operated.becomes_ready()
        await operated.quiet(0.5)
        operated.delete(MODELDEPLOYMENTS)
        await operated.quiet()
        assert uids(operated, (CONTROLLERREVISIONS, DEPLOYMENTS, SERVICES, JOBS, CONFIGMAPS, PODS)) == set()


async def test_a_spec_that_changes_in_mid_preflight_leaves_the_abandoned_one(operated: World) -> None:
    async with preflights(operated) as jobs, operated.controller():
        old = await serving_one(operated)
        jobs.go_on.clear()
        operated.apply(version=2, **GATED)
        await operated.until(lambda: jobs.begun)
        abandoned = candidate(operated)
        operated.apply(version=3, **GATED)
        await operated.until(lambda: len(jobs.begun) == 2)
        jobs.go_on.set()
        await operated.becomes_ready()
        assert operated.stable() not in {old, abandoned}
        assert [request["revision"] for request in jobs.begun] == [abandoned, operated.stable()]
        await nothing_of_a_preflight_is_left(operated, jobs)
        assert operated.names(DEPLOYMENTS) == [operated.stable()]


async def test_data_that_is_missing_is_named_and_its_preflight_begins_when_it_is_there(operated: World) -> None:
    spec = {"preflight": {"golden": {"name": "golden", "key": "golden.json"}}}
    async with preflights(operated) as jobs, operated.controller():
        operated.apply(**spec)
        await operated.until(lambda: operated.condition("Ready").get("reason") == "PreflightDataMissing")
        assert "ConfigMap golden" in operated.condition("Ready")["message"]
        assert jobs.begun == []
        data = {"metadata": {"namespace": TEAM, "name": "golden"}, "data": {"golden.json": "{}"}}
        operated.api.cluster.add(CONFIGMAPS, data)
        await operated.passes(70, step_s=0.5)
        await operated.becomes_ready()
        assert len(jobs.begun) == 1


async def test_data_that_changes_asks_again_about_what_was_rejected(operated: World) -> None:
    spec = {"preflight": {"golden": {"name": "golden", "key": "golden.json"}}}
    data = {"metadata": {"namespace": TEAM, "name": "golden"}, "data": {"golden.json": "{}"}}
    operated.api.cluster.add(CONFIGMAPS, data)
    async with preflights(operated, REJECTS) as jobs, operated.controller():
        operated.apply(**spec)
        await operated.until(lambda: stalled(operated))
        label = {"labels": {"touched": "yes"}}
        operated.api.cluster.change(CONFIGMAPS, TEAM, "golden", lambda obj: obj["metadata"].update(label))
        await operated.passes(70, step_s=0.5)
        assert len(jobs.begun) == 1, "a label is no data"
        better = {"golden.json": '{"cases": []}'}
        operated.api.cluster.change(CONFIGMAPS, TEAM, "golden", lambda obj: obj.update(data=better))
        await operated.passes(70, step_s=0.5)
        await operated.becomes_ready()
        assert len(jobs.begun) == 2


@pytest.mark.parametrize("mode", ["Skip", "Serve"])
async def test_a_first_revision_that_need_not_pass_serves_as_soon_as_it_is_ready(operated: World, mode: str) -> None:
    asked = UNGATED if mode == "Skip" else {"preflight": {"whenNoStable": "Serve"}}
    async with preflights(operated, REJECTS) as jobs, operated.controller():
        operated.apply(**asked)
        await operated.becomes_ready()
        await operated.quiet()
        assert jobs.begun == []
