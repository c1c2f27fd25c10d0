"""May the candidate serve, and what is done to find out? One row for each answer."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from tests.support.builders import (
    DEFAULTS,
    EXAMINED,
    NOW,
    ago,
    children_of,
    digits,
    job_of,
    observed,
    pod_of,
    revision_of,
    stable_service_of,
    triton,
    verdict_of,
    with_status,
)

from plimsoll.api.preflight_report import Outcome
from plimsoll.api.v1alpha1 import ModelDeploymentStatus
from plimsoll.core.actions import Action, Apply, Create, Delete, PullReport
from plimsoll.core.gate import config_maps_needed, gate, holds_first, unverified
from plimsoll.core.plan import plan
from plimsoll.core.preflight.key import verdict_key
from plimsoll.core.preflight.stage import Gate, Stage
from plimsoll.core.world import Child, Deployment, JobPod, Observed, Pod, ReplicasOwner

A = digits("a", preflight={})
B = digits("b", preflight={})
OLD, NEW = revision_of(A, 1), revision_of(B, 2)
STABLE = ModelDeploymentStatus(observed_generation=1, stable=OLD.name)
SERVING = (*children_of(A, OLD), stable_service_of(A, OLD))
CANDIDATE = children_of(B, NEW)
KEY = verdict_key(B.spec, NEW, OLD.name, {})
SERVER = pod_of(NEW, ready=True, uid="pod-uid", ip="10.0.0.7", triton=triton())
JOB_POD = JobPod("job-pod", "job-pod-uid", ip="10.0.0.9")
READY = replace(JOB_POD, ready=True)
ENDED = replace(JOB_POD, exit_code=137, exit_reason="OOMKilled")


def error(attempt: int = 1, at: datetime | None = None) -> Child:
    return verdict_of(NEW, KEY, Outcome.ERROR, attempt=attempt, at=at or ago(seconds=1), message="It was evicted.")


def asked(*parts: Child | Pod, now: datetime = NOW, wanted: int = 1, **spec: Any) -> Gate:
    """What the gate says of B beside A, which serves."""
    owner = with_status(digits("b", **{"preflight": {}, **spec}), STABLE)
    return gate(observed(owner, *SERVING, NEW, *parts), NEW, OLD.name, wanted, now)


def told(action: Action) -> str:
    match action:
        case Create() | Apply():
            return f"{type(action).__name__.lower()} {action.kind}"
        case Delete():
            return f"delete {action.kind} {action.name} {action.uid}"
        case PullReport():
            return f"pull {action.pod} {action.pod_uid} {action.ip}"
        case _:
            raise AssertionError(action)


@dataclass(frozen=True)
class Row:
    """A situation, and what the gate says of it."""

    situation: str
    parts: tuple[Child | Pod, ...]
    stage: Stage = Stage.EXAMINING
    reason: str | None = None
    actions: str = ""
    again_s: float | None = None
    job: bool = False
    spec: Mapping[str, Any] = field(default_factory=dict)
    wanted: int = 1


TABLE = [
    Row("no pod yet", ()),
    Row("a pod that is not ready", (*children_of(B, NEW, ready=0), replace(SERVER, ready=False))),
    Row("more pods than one: one of them goes", (*children_of(B, NEW, replicas=3), SERVER), wanted=3),
    Row("a pod is ready", (*CANDIDATE, SERVER), reason="PreflightRunning", actions="create Job", job=True),
    Row("the Deployment goes", (NEW, *children_of(B, NEW, deleting=True), SERVER)),
    Row(
        "an autoscaler's pods",
        (*children_of(B, NEW, replicas=3, owned_by=ReplicasOwner.AUTOSCALER), SERVER),
        reason="PreflightRunning",
        actions="create Job",
        job=True,
        wanted=3,
    ),
    Row(
        "a Job whose pod has yet to be made",
        (*CANDIDATE, SERVER, job_of(NEW, KEY)),
        reason="PreflightRunning",
        job=True,
        again_s=55,
    ),
    Row(
        "a Job without a pod for a minute",
        (*CANDIDATE, SERVER, job_of(NEW, KEY, created_at=ago(seconds=61))),
        reason="PreflightWaiting",
        job=True,
        again_s=539,
    ),
    Row(
        "a Job that runs",
        (*CANDIDATE, SERVER, job_of(NEW, KEY, pod=JOB_POD)),
        reason="PreflightRunning",
        job=True,
        again_s=120 + 1200 + 300 - 5,
    ),
    Row(
        "a Job whose pod fits no node",
        (*CANDIDATE, SERVER, job_of(NEW, KEY, pod=replace(JOB_POD, unschedulable="0/1 nodes"))),
        reason="PreflightWaiting",
        job=True,
        again_s=595,
    ),
    Row(
        "a report",
        (*CANDIDATE, SERVER, job_of(NEW, KEY, pod=READY)),
        reason="PreflightRunning",
        actions="pull job-pod job-pod-uid 10.0.0.9",
        job=True,
        again_s=10,
    ),
    Row(
        "a report that cannot be fetched when its pod should have ended",
        (*CANDIDATE, SERVER, job_of(NEW, KEY, pod=READY, created_at=ago(hours=1))),
        reason="PreflightRunning",
        actions="create ConfigMap",
        job=True,
    ),
    Row(
        "a Job that ended",
        (*CANDIDATE, SERVER, job_of(NEW, KEY, pod=ENDED, ended=True)),
        reason="PreflightRunning",
        actions="create ConfigMap",
        job=True,
    ),
    Row(
        "a Job that ended, and an older verdict",
        (*CANDIDATE, SERVER, job_of(NEW, KEY, pod=ENDED, ended=True), verdict_of(NEW, "before")),
        reason="PreflightRunning",
        actions="apply ConfigMap",
        job=True,
    ),
    Row(
        "the model server that is examined is another one by now",
        (*CANDIDATE, replace(SERVER, uid="next"), job_of(NEW, KEY, pod=READY)),
        reason="PreflightRunning",
        actions="create ConfigMap",
        job=True,
    ),
    Row("a Job that goes", (*CANDIDATE, SERVER, job_of(NEW, KEY, deleting=True)), reason="PreflightRunning"),
    Row("a Job for another question", (*CANDIDATE, SERVER, job_of(NEW, "other")), reason="PreflightRunning"),
    Row("an error, whose Job goes", (*CANDIDATE, SERVER, job_of(NEW, KEY), error()), reason="PreflightError"),
    Row("an error, and the pause", (*CANDIDATE, SERVER, error()), reason="PreflightError", again_s=9),
    Row(
        "an error, and the pause is over",
        (*CANDIDATE, SERVER, error(at=ago(seconds=10))),
        reason="PreflightRunning",
        actions="create Job",
        job=True,
    ),
    Row(
        "an error that is to come: the clock was set back",
        (*CANDIDATE, SERVER, error(at=NOW + timedelta(hours=1))),
        reason="PreflightRunning",
        actions="create Job",
        job=True,
    ),
    Row("it passed", (*CANDIDATE, SERVER, verdict_of(NEW, KEY)), Stage.OPEN),
    Row("it passed, and its Job is left", (*CANDIDATE, SERVER, verdict_of(NEW, KEY), job_of(NEW, KEY)), Stage.OPEN),
    Row(
        "it passed, and is harmed",
        (*CANDIDATE, SERVER, verdict_of(NEW, KEY, harmed=True)),
        Stage.OPEN,
        "ReplacingPod",
        "delete Pod pod pod-uid",
    ),
    Row(
        "it passed, and was restarted on the way",
        (*CANDIDATE, replace(SERVER, triton=triton(restarts=1)), verdict_of(NEW, KEY)),
        Stage.OPEN,
        "ReplacingPod",
        "delete Pod pod pod-uid",
    ),
    Row(
        "it passed, and the harmed one goes",
        (*CANDIDATE, replace(SERVER, deleting=True), verdict_of(NEW, KEY, harmed=True)),
        Stage.OPEN,
        "ReplacingPod",
    ),
    Row("it passed, and the harmed one is gone", (*CANDIDATE, verdict_of(NEW, KEY, harmed=True)), Stage.OPEN),
    Row("it passed another question", (verdict_of(NEW, "other"),)),
    Row("a verdict that goes", (verdict_of(NEW, KEY, deleting=True),)),
    Row("it was rejected", (verdict_of(NEW, KEY, Outcome.REJECTED),), Stage.REJECTED, "PreflightRejected"),
    Row(
        "it was rejected, and no replicas are wanted",
        (verdict_of(NEW, KEY, Outcome.REJECTED),),
        Stage.REJECTED,
        "PreflightRejected",
        wanted=0,
    ),
    Row("it was rejected for another question", (verdict_of(NEW, "other", Outcome.REJECTED),)),
    Row("no replicas are wanted", (*CANDIDATE, SERVER), Stage.OPEN, wanted=0),
    Row("no gate", (*CANDIDATE, SERVER), Stage.OPEN, spec={"preflight": {"mode": "Skip"}}),
    Row(
        "no gate any more",
        (*CANDIDATE, SERVER, job_of(NEW, KEY), verdict_of(NEW, KEY, Outcome.REJECTED)),
        Stage.OPEN,
        spec={"preflight": {"mode": "Skip"}},
    ),
    Row(
        "golden data that is missing",
        (),
        reason="PreflightDataMissing",
        again_s=60,
        spec={"preflight": {"golden": {"name": "cases", "key": "golden.json"}}},
    ),
]


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.situation)
def test_what_the_gate_says(row: Row) -> None:
    found = asked(*row.parts, wanted=row.wanted, **row.spec)
    assert found.stage is row.stage
    assert (found.waiting.reason if found.waiting else None) == row.reason
    assert ", ".join(told(action) for action in found.actions) == row.actions
    assert found.requeue_at == (NOW + timedelta(seconds=row.again_s) if row.again_s else None)
    assert (found.job is not None) is row.job


@pytest.mark.parametrize(("stage", "replicas"), [(Stage.OPEN, 3), (Stage.EXAMINING, 1), (Stage.REJECTED, 0)])
def test_replicas_of_a_candidate(stage: Stage, replicas: int) -> None:
    assert Gate(stage).replicas(3) == replicas
    assert Gate(stage).replicas(0) == 0


def test_a_pass_opens_when_all_pods_are_there_and_fit() -> None:
    verdict = verdict_of(NEW, KEY)
    second = replace(SERVER, name="second", uid="second")
    assert asked(*CANDIDATE, SERVER, verdict).open
    assert not asked(*CANDIDATE, SERVER, verdict, wanted=2).open
    assert asked(*CANDIDATE, SERVER, second, verdict, wanted=2).open
    assert not asked(*CANDIDATE, SERVER, replace(second, deleting=True), verdict, wanted=2).open
    assert not asked(*CANDIDATE, SERVER, second, replace(verdict, harmed=True), wanted=2).open


@pytest.mark.parametrize(
    ("attempt", "pause_s"), [(1, 10), (2, 20), (3, 40), (4, 80), (5, 160), (6, 320), (7, 600), (8, 600), (10**9, 600)]
)
def test_the_pause_doubles_up_to_ten_minutes(attempt: int, pause_s: int) -> None:
    waits = asked(*CANDIDATE, SERVER, error(attempt, NOW))
    assert waits.requeue_at == NOW + timedelta(seconds=pause_s)
    assert waits.waiting
    assert waits.waiting.stalled is (attempt >= 7)
    assert asked(*CANDIDATE, SERVER, error(attempt, NOW), now=NOW + timedelta(seconds=pause_s)).job


def test_what_keeps_a_job_from_starting_is_stalled_after_the_progress_deadline() -> None:
    job = job_of(NEW, KEY, pod=replace(JOB_POD, waiting_reason="ImagePullBackOff", waiting_message="no such image"))
    before = asked(*CANDIDATE, SERVER, replace(job, created_at=ago(seconds=599)))
    after = asked(*CANDIDATE, SERVER, replace(job, created_at=ago(seconds=600)))
    assert [found.waiting.stalled for found in (before, after) if found.waiting] == [False, True]
    assert before.requeue_at == NOW + timedelta(seconds=1)


def test_the_next_job_examines_a_pod_by_name_uid_and_restarts_and_counts_attempts() -> None:
    server = replace(SERVER, triton=triton(restarts=2))
    (create,) = asked(*CANDIDATE, server, error(3, ago(minutes=1))).actions
    assert isinstance(create, Create)
    annotations = create.manifest["metadata"]["annotations"]
    assert annotations["plimsoll.dev/examined"] == '{"pod":"pod","restarts":2,"uid":"pod-uid"}'
    assert annotations["plimsoll.dev/preflight-attempt"] == "4"
    assert annotations["plimsoll.dev/preflight-key"] == KEY


def deployed(served: bool, ready: int) -> Deployment:  # noqa: FBT001 - a column
    (found,) = (part for part in children_of(B, NEW, ready=ready) if isinstance(part, Deployment))
    return replace(found, served=served)


@pytest.mark.parametrize(
    ("why", "parts", "asks"),
    [
        ("it is new", (), True),
        ("it is retired after it served", (deployed(served=True, ready=1),), False),
        ("status was lost, users are served", (deployed(served=False, ready=1), stable_service_of(B, NEW)), False),
        ("selected without a gate, never ready", (deployed(served=False, ready=0), stable_service_of(B, NEW)), True),
        ("ready, and selected by nobody", (deployed(served=False, ready=1),), True),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_has_served_is_not_asked(why: str, parts: tuple[Child, ...], asks: bool) -> None:  # noqa: FBT001
    world = observed(B, NEW, *parts)
    assert holds_first(world, NEW) is asks
    assert (gate(world, NEW, None, 1, NOW).stage is Stage.EXAMINING) is asks


def test_what_is_stable_is_not_asked() -> None:
    assert gate(observed(B, NEW), NEW, NEW.name, 1, NOW) == Gate()


@pytest.mark.parametrize(
    ("preflight", "first_waits", "says_so"),
    [
        ({}, True, False),
        ({"whenNoStable": "Serve"}, False, True),
        ({"mode": "Skip", "whenNoStable": "Serve"}, False, False),
        ({"mode": "Warn"}, True, False),
    ],
    ids=str,
)
def test_a_first_revision(preflight: dict[str, str], first_waits: bool, says_so: bool) -> None:  # noqa: FBT001
    world = observed(digits("b", preflight=preflight), NEW)
    assert holds_first(world, NEW) is first_waits
    assert unverified(world, NEW.name) is says_so
    assert not unverified(replace(world, verdicts={f"{NEW.name}-preflight": verdict_of(NEW, KEY)}), NEW.name)


DATA = {
    "golden": {"name": "cases", "key": "golden.json"},
    "accuracy": {"dataset": {"name": "rows", "key": "dataset.json"}},
}


@pytest.mark.parametrize(
    ("preflight", "status", "names"),
    [
        (DATA, STABLE, {"cases", "rows"}),
        ({}, STABLE, set()),
        ({**DATA, "mode": "Skip"}, STABLE, set()),
        (DATA, ModelDeploymentStatus(observed_generation=1, stable=NEW.name), set()),
    ],
)
def test_config_maps_are_read_while_they_decide_something(
    preflight: dict[str, Any], status: ModelDeploymentStatus, names: set[str]
) -> None:
    owner = with_status(digits("b", preflight=preflight), status)
    assert config_maps_needed(observed(owner, *SERVING, *CANDIDATE)) == names


def test_missing_data_is_stalled_when_nothing_else_is_missing() -> None:
    preflight = {"golden": DATA["golden"]}
    early, late = asked(preflight=preflight), asked(*CANDIDATE, SERVER, preflight=preflight)
    assert [found.waiting.stalled for found in (early, late) if found.waiting] == [False, True]


def test_a_rejection_that_depends_on_data_looks_for_other_data_every_minute() -> None:
    owner = digits("b", preflight={"golden": DATA["golden"]})
    world = replace(observed(with_status(owner, STABLE), *SERVING, NEW), config_map_versions={"cases": "1"})
    key = verdict_key(owner.spec, NEW, OLD.name, {"cases": "1"})
    verdict = verdict_of(NEW, key, Outcome.REJECTED)
    rejected = replace(world, verdicts={verdict.name: verdict})
    assert gate(rejected, NEW, OLD.name, 1, NOW).requeue_at == NOW + timedelta(minutes=1)
    other = replace(rejected, config_map_versions={"cases": "2"})
    assert gate(other, NEW, OLD.name, 1, NOW).stage is Stage.EXAMINING


def planned(world: Observed) -> list[str]:
    return [f"{type(a).__name__} {getattr(a, 'kind', '')}".strip() for a in plan(world, NOW).actions]


def test_a_job_that_is_over_goes_before_the_next_one_is_made() -> None:
    """A quota with room for one Job must not keep both from happening."""
    abandoned = job_of(revision_of(digits("c"), 3), "other")
    done = planned(observed(with_status(B, STABLE), *SERVING, *CANDIDATE, SERVER, abandoned))
    assert done.index("Delete Job") < done.index("Create Job")


def test_a_snapshot_that_is_gone_keeps_its_answer_waiting() -> None:
    """The verdict belongs to the ControllerRevision, which this plan makes again."""
    parts = [part for part in (*CANDIDATE, SERVER, job_of(NEW, KEY, pod=ENDED, ended=True)) if part is not NEW]
    done = planned(observed(with_status(B, STABLE), *SERVING, *parts, defaults=DEFAULTS))
    assert "Create ControllerRevision" in done
    assert not {"Create ConfigMap", "Delete Job"} & set(done)


def test_a_verdict_of_a_snapshot_that_was_made_again_is_awaited() -> None:
    stale = verdict_of(NEW, KEY, owner_uid="earlier")
    assert planned(observed(with_status(B, STABLE), *SERVING, *CANDIDATE, SERVER, stale)) == ["WriteStatus"]


def test_a_harmed_pod_is_known_by_its_uid() -> None:
    assert EXAMINED.uid == SERVER.uid
    unknown = replace(SERVER, uid="")
    assert asked(*CANDIDATE, unknown, verdict_of(NEW, KEY, harmed=True, examined=replace(EXAMINED, uid=""))).open
