"""What holds for every plan, whatever the spec and whatever is observed."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.sim.model_controller import ModelController
from tests.support.builders import (
    DEFAULTS,
    NOW,
    STRANGER_UID,
    UID,
    UPGRADED_DEFAULTS,
    ago,
    deployment_of,
    digest,
    digits,
    fetch_failed,
    fetched,
    fetching,
    job_of,
    observed,
    pod_of,
    revision_of,
    revision_service_of,
    stable_service_of,
    triton,
    verdict_of,
    with_status,
)
from tests.support.model_cluster import ModelCluster

from plimsoll.api.base import broken_rules
from plimsoll.api.preflight_report import Outcome
from plimsoll.api.v1alpha1 import ModelDeployment, ModelDeploymentStatus, Resources
from plimsoll.core.actions import Create, Delete, WriteStatus
from plimsoll.core.plan import plan
from plimsoll.core.preflight.key import verdict_key
from plimsoll.core.world import Child, Failure, FailureKind, JobPod, Observed, Pod, ReplicasOwner

NAMES = st.sampled_from(["x", "y", "input__0"])
QUANTITIES = st.one_of(st.integers(0, 64).map(str), st.sampled_from(["500m", "0.5", "1.5Gi", "4Gi", "2000m", "1k"]))
TENSORS = st.lists(
    st.fixed_dictionaries(
        {
            "name": NAMES,
            "dataType": st.sampled_from(["FP32", "INT64", "BYTES"]),
            "dims": st.lists(st.integers(-1, 512), max_size=3),
        }
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda tensor: tensor["name"],
)


def some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Maps with any of the fields."""
    return st.fixed_dictionaries({}, optional=fields)


PODS = some(
    labels=st.dictionaries(st.sampled_from(["team", "app.kubernetes.io/managed-by"]), st.sampled_from(["a", ""])),
    annotations=st.dictionaries(st.sampled_from(["note"]), st.text(max_size=5)),
    nodeSelector=st.dictionaries(st.sampled_from(["pool"]), st.sampled_from(["gpu", "cpu"])),
    tolerations=st.lists(some(key=st.just("gpu"), operator=st.sampled_from(["Exists", "Equal"])), max_size=2),
    topologySpreadConstraints=st.lists(st.just({"topologyKey": "zone"}), max_size=1),
    runtimeClassName=st.just("nvidia"),
    env=st.lists(
        st.fixed_dictionaries({"name": st.sampled_from(["A", "B", "ORT_DISABLE_TELEMETRY"]), "value": NAMES}),
        max_size=3,
        unique_by=lambda variable: variable["name"],
    ),
    resourceClaims=st.lists(st.just({"name": "gpu", "resourceClaimName": "shared"}), max_size=1),
)
AMOUNTS = st.dictionaries(st.sampled_from(["cpu", "memory", "ephemeral-storage"]), QUANTITIES)
RESOURCES = some(requests=AMOUNTS, limits=AMOUNTS).filter(
    lambda given: not list(broken_rules(Resources.model_validate(given)))
)
RUNTIMES = some(
    image=st.just("registry.example.com/triton@" + digest("7")),
    accelerator=st.sampled_from(["Nvidia", "None"]),
    resources=RESOURCES,
    drain=st.sampled_from(["0s", "30s", "1m30s", "1h"]),
    pod=PODS,
)
GPUS = st.fixed_dictionaries(
    {"accelerator": st.just("Nvidia"), "resources": st.just({"limits": {"nvidia.com/gpu": "2000m"}})}
)
CREDENTIALS = some(secretRef=st.just({"name": "pull"}), caConfigMapRef=st.just({"name": "ca"}))


@st.composite
def specs(draw: st.DrawFn) -> dict[str, Any]:
    """Specs that the API server admits."""
    scheme = draw(st.sampled_from(["oci://registry.example.com/digits", "https://example.com/m.onnx", "pvc://claim/m"]))
    model: dict[str, Any] = {"uri": scheme, "digest": digest(draw(st.sampled_from("abc")))}
    model |= draw(some(config=st.dictionaries(NAMES, st.integers(0, 5), max_size=2), credentials=CREDENTIALS))
    if draw(st.booleans()):
        model |= {"inputs": draw(TENSORS), "outputs": draw(TENSORS)}
    if draw(st.booleans()):
        model |= {"format": "TritonRepository", "entry": "ensemble"}
    spec: dict[str, Any] = {"model": model, "replicas": draw(st.integers(0, 4))}
    return spec | draw(some(runtime=st.one_of(RUNTIMES, GPUS)))


def valid(spec: Mapping[str, Any]) -> ModelDeployment:
    metadata = {"name": "digits", "namespace": "vision", "uid": UID}
    deployment = ModelDeployment.model_validate({"metadata": metadata, "spec": spec})
    assert list(broken_rules(deployment)) == []
    return deployment


@settings(max_examples=settings.default.max_examples // 3)
@given(specs(), specs())
def test_what_was_done_is_not_done_again(first: dict[str, Any], second: dict[str, Any]) -> None:
    """Any valid spec, then any other: applied once, a second look at the same moment finds nothing to do."""
    cluster = ModelCluster()
    controller = ModelController(cluster)
    for spec in (first, second):
        valid(spec)
        cluster.user_applies("digits", spec)
        for _ in range(8):
            cluster.tick(2)
            controller.view.refresh()
            controller.turn()
            controller.view.refresh()
            if not controller.turn():
                continue
            # What was applied may itself be something new to look at (a claim of replicas), once.
            controller.view.refresh()
            assert controller.turn() == 0


A, B, C = digits("a"), digits("b"), digits("c")
REVISIONS = [revision_of(A, 1), revision_of(B, 2), revision_of(C, 3)]
TIMES = st.sampled_from(
    [ago(days=365), ago(minutes=20), ago(seconds=31), ago(seconds=5), NOW, NOW + timedelta(hours=1)]
)
COUNTS = st.integers(0, 3)
OWNERS = st.sampled_from([UID, UID, UID, UID, "", STRANGER_UID])
REPORT = '{"kind":"%s","reason":"NotFound","message":"gone","progressed":true,"bytes":9}'
FETCHES = st.sampled_from(
    [
        None,
        fetching(),
        fetched(10**11),
        fetch_failed(REPORT % "Invalid"),
        fetch_failed(REPORT % "NotYet"),
        fetch_failed("garbage", exit_reason="OOMKilled"),
        fetching(ended_at=ago(hours=1), exit_code=3, exit_message=REPORT % "NotYet"),
    ]
)
SERVERS = st.sampled_from(
    [
        None,
        triton(),
        triton(waiting_reason="ImagePullBackOff", waiting_message="x" * 5000),
        triton(waiting_reason="InvalidImageName"),
        triton(restarts=3, exit_code=1, exit_message="boom\n" * 500),
        triton(restarts=1, exit_code=137, exit_reason="OOMKilled"),
    ]
)


@st.composite
def pods(draw: st.DrawFn) -> list[Pod]:
    return [
        pod_of(
            draw(st.sampled_from(REVISIONS)),
            f"pod-{number}",
            created_at=draw(TIMES),
            scheduled_at=draw(st.none() | TIMES),
            unschedulable=draw(st.sampled_from(["", "Insufficient nvidia.com/gpu"])),
            ready=draw(st.booleans()),
            deleting=draw(st.booleans()),
            uid=draw(st.sampled_from(["", "pod-uid", f"uid-{number}"])),
            ip=draw(st.sampled_from(["", "10.0.0.7", "fd00::7"])),
            failure=draw(st.sampled_from(["", "", "", "Evicted"])),
            fetch=draw(FETCHES),
            triton=draw(SERVERS),
        )
        for number in range(draw(COUNTS))
    ]


@st.composite
def children(draw: st.DrawFn) -> list[Child]:
    """Any of the children of three revisions, in any state, with any owner."""
    made: list[Child] = []
    for owner, revision in zip((A, B, C), REVISIONS, strict=True):
        if draw(st.booleans()):
            made.append(replace(revision, owner_uid=draw(OWNERS), deleting=draw(st.booleans())))
        if draw(st.booleans()):
            made.append(revision_service_of(owner, revision, owner_uid=draw(OWNERS)))
        if draw(st.booleans()):
            deployment = deployment_of(
                owner,
                revision,
                replicas=draw(COUNTS),
                ready=draw(COUNTS),
                pods=draw(COUNTS),
                updated_ready=draw(COUNTS),
                owned_by=draw(st.sampled_from(ReplicasOwner)),
                retired_at=draw(st.none() | TIMES),
                created_at=draw(TIMES),
                owner_uid=draw(OWNERS),
                failure=draw(st.sampled_from(["", "", "exceeded quota: team"])),
            )
            made.append(replace(deployment, observed=draw(st.booleans()), deleting=draw(st.booleans())))
    if draw(st.booleans()):
        made.append(stable_service_of(A, draw(st.sampled_from(REVISIONS)), owner_uid=draw(OWNERS)))
    return made


GOLDEN = {"name": "cases", "key": "golden.json"}
PREFLIGHTS: list[dict[str, Any]] = [{"mode": "Skip"}, {}, {}, {"mode": "Warn"}, {"whenNoStable": "Serve"}]
PREFLIGHTS += [{"golden": GOLDEN}]
DATA = {"cases": "1"}
JOB_PODS = st.none() | st.builds(
    JobPod,
    st.just("job-pod"),
    st.just("job-pod-uid"),
    ip=st.sampled_from(["", "10.0.0.9"]),
    ready=st.booleans(),
    termination_message=st.sampled_from(["", "[]", "garbage", '{"outcome":"Passed"}']),
    exit_code=st.sampled_from([None, 0, 1, 3, 137]),
    unschedulable=st.sampled_from(["", "no node."]),
    failure=st.sampled_from(["", "Evicted"]),
)


@st.composite
def answers(draw: st.DrawFn, owner: ModelDeployment) -> list[Child]:
    """Jobs and verdicts, on the present question or on any other, of anybody's."""
    made: list[Child] = []
    stables = [None, *(revision.name for revision in REVISIONS)]
    for revision in REVISIONS:
        keys = [verdict_key(owner.spec, revision, stable, data) for stable in stables for data in ({}, DATA)]
        key = st.sampled_from(["", "x" * 100, *keys])
        if draw(st.booleans()):
            job = job_of(
                revision,
                draw(key),
                owner_uid=draw(OWNERS),
                created_at=draw(TIMES),
                attempt=draw(COUNTS),
                deleting=draw(st.booleans()),
                ended=draw(st.booleans()),
                pod=draw(JOB_PODS),
            )
            made.append(job)
        if draw(st.booleans()):
            verdict = verdict_of(
                revision,
                draw(key),
                draw(st.sampled_from(Outcome)),
                owner_uid=draw(st.sampled_from([revision.uid, revision.uid, "", STRANGER_UID])),
                at=draw(TIMES),
                attempt=draw(st.sampled_from([-1, 0, 1, 7, 10**12])),
                harmed=draw(st.booleans()),
                message=draw(st.sampled_from(["", "It is so.", "m" * 2000])),
                max_batch_size=draw(st.sampled_from([None, 0, -1])),
            )
            made.append(verdict)
    return made


FAILURES = st.none() | st.builds(Failure, st.sampled_from(FailureKind), st.just("Refused"), st.just("It is refused"))


@st.composite
def worlds(draw: st.DrawFn) -> Observed:
    """Anything that may be observed, also what no controller of ours would have brought about."""
    model = draw(st.sampled_from("abcd"))
    spec = {"replicas": draw(COUNTS), **draw(some(runtime=RUNTIMES))}
    stable = draw(st.none() | st.sampled_from([*(revision.name for revision in REVISIONS), "digits-gone"]))
    status = draw(st.none() | st.just(ModelDeploymentStatus(observed_generation=1, stable=stable)))
    preflight = draw(st.sampled_from(PREFLIGHTS))
    owner = digits(model, status=status, preflight=preflight, **spec)
    world = observed(
        owner,
        *draw(children()),
        *draw(pods()),
        *draw(answers(owner)),
        defaults=draw(st.sampled_from([DEFAULTS, UPGRADED_DEFAULTS])),
        failure=draw(FAILURES),
    )
    return replace(world, config_map_versions=draw(st.sampled_from([{}, {"cases": ""}, DATA])))


def reordered(world: Observed) -> Observed:
    def back(mapping: Mapping[str, Any]) -> dict[str, Any]:
        return dict(reversed(mapping.items()))  # type: ignore[call-overload]

    return replace(
        world,
        revisions=back(world.revisions),
        deployments=back(world.deployments),
        services=back(world.services),
        pods=back(world.pods),
        jobs=back(world.jobs),
        verdicts=back(world.verdicts),
    )


@given(worlds())
def test_plan_is_total_and_the_order_of_things_does_not_count(world: Observed) -> None:
    assert plan(reordered(world), NOW) == plan(world, NOW)


@given(worlds())
def test_a_status_once_written_is_not_written_again(world: Observed) -> None:
    for action in plan(world, NOW).actions:
        if isinstance(action, WriteStatus):
            again = replace(world, object=with_status(world.object, action.status))
            assert not [a for a in plan(again, NOW).actions if isinstance(a, WriteStatus)]


@given(worlds())
def test_nothing_is_deleted_that_is_wanted_or_serves_or_belongs_to_others(world: Observed) -> None:
    service = world.services.get("digits")
    decided = plan(world, NOW)
    moved = {
        action.manifest["spec"]["selector"]["plimsoll.dev/revision"]
        for action in decided.actions
        if getattr(action, "kind", None) == "Service" and not isinstance(action, Delete)
        if action.manifest["metadata"]["name"] == "digits"  # type: ignore[union-attr]
    }
    selected = moved or ({service.revision} if service and service.owner_uid == UID else set())
    for action in decided.actions:
        if isinstance(action, Delete):
            assert action.name not in selected
            if action.kind == "Pod":
                assert world.pods[action.name].uid == action.uid != ""
                continue
            kinds = {"Deployment": world.deployments, "Service": world.services, "Job": world.jobs}
            child = kinds.get(action.kind, world.revisions)[action.name]  # type: ignore[attr-defined]
            assert child.owner_uid == UID


@given(worlds())
def test_messages_fit_and_never_end_in_two_stops(world: Observed) -> None:
    decided = plan(world, NOW)
    for action in decided.actions:
        if isinstance(action, WriteStatus):
            for condition in action.status.conditions or ():
                assert len(condition.message) <= 1024
                assert not condition.message.endswith(".")
    assert decided.requeue_at is None or decided.requeue_at.tzinfo is not None


@given(worlds())
def test_traffic_moves_to_nothing_that_is_asked_and_has_not_passed(world: Observed) -> None:
    """Unless no replicas are wanted, or it served before."""
    before = world.object.status.stable if world.object.status else None
    for action in plan(world, NOW).actions:
        if not isinstance(action, WriteStatus) or action.status.stable in (None, before):
            continue
        stable = str(action.status.stable)
        deployment, service = world.deployments[stable], world.services.get("digits")
        selected = service is not None and service.revision == stable and deployment.ready
        verdict = world.verdicts.get(f"{stable}-preflight")
        preflight = world.object.spec.preflight
        free = preflight and (preflight.mode == "Skip" or preflight.when_no_stable == "Serve")
        said = verdict is not None and verdict.outcome is not Outcome.ERROR
        assert free or selected or deployment.replicas == 0 or said, f"{stable} has shown nothing"


@given(worlds())
def test_a_plan_makes_one_job_at_most_and_keeps_no_other(world: Observed) -> None:
    made = [a for a in plan(world, NOW).actions if isinstance(a, Create) and a.kind == "Job"]
    assert len(made) <= 1
    for action in made:
        assert not any(job.name == action.manifest["metadata"]["name"] for job in world.jobs.values())
