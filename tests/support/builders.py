"""Builders for tests of decisions: a world in a few words, complete enough that nothing in it asks for a write."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from plimsoll.api.preflight_report import Outcome
from plimsoll.api.routing import Routing
from plimsoll.api.v1alpha1 import Accelerator, ModelDeployment, ModelDeploymentStatus
from plimsoll.core.lineage import Target
from plimsoll.core.names import RETIRED_AT_ANNOTATION, preflight_name
from plimsoll.core.packing import pack
from plimsoll.core.render.deployment import render_deployment
from plimsoll.core.render.service import render_revision_service, render_stable_service
from plimsoll.core.snapshot import Defaults, intent_digest, take_snapshot
from plimsoll.core.world import (
    Child,
    Container,
    Deployment,
    Examined,
    Failure,
    Gateways,
    Observed,
    Pod,
    PreflightJob,
    ReplicasOwner,
    Revision,
    Service,
    Verdict,
)

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
UID = "11111111-2222-3333-4444-555555555555"
STRANGER_UID = "99999999-0000-0000-0000-000000000000"

DEFAULTS = Defaults(
    accelerator=Accelerator.NONE,
    triton_image="registry.example.com/triton@sha256:" + "1" * 64,
    fetch_image="registry.example.com/plimsoll@sha256:" + "2" * 64,
    requests={"cpu": "1", "memory": "2Gi"},
    limits={"memory": "2Gi", "ephemeral-storage": "10Gi"},
    progress_deadline=timedelta(minutes=10),
    history_limit=3,
)
UPGRADED_DEFAULTS = replace(
    DEFAULTS,
    triton_image="registry.example.com/triton@sha256:" + "8" * 64,
    fetch_image="registry.example.com/plimsoll@sha256:" + "9" * 64,
)


def ago(**duration: float) -> datetime:
    """The time `duration` before NOW."""
    return NOW - timedelta(**duration)


def digest(letter: str) -> str:
    return "sha256:" + letter * 64


def wire_spec(model: str = "a", **spec: Any) -> dict[str, Any]:
    """A spec on the wire; `model` is one hexadecimal letter that stands for the bytes of the model.

    Without a preflight unless it is given: what holds with one and without is told once.
    """
    uri = f"oci://registry.example.com/models/digits@{digest(model)}"
    return {"model": {"uri": uri}, "preflight": {"mode": "Skip"}, **spec}


def digits(
    model: str = "a",
    *,
    generation: int = 1,
    status: ModelDeploymentStatus | None = None,
    annotations: Mapping[str, str] | None = None,
    **spec: Any,
) -> ModelDeployment:
    """The ModelDeployment `vision/digits`; further words are fields of spec."""
    return ModelDeployment.model_validate(
        {
            "metadata": {
                "name": "digits",
                "namespace": "vision",
                "uid": UID,
                "generation": generation,
                "annotations": annotations,
            },
            "spec": wire_spec(model, **spec),
            "status": status.model_dump(mode="json", by_alias=True, exclude_none=True) if status else None,
        }
    )


def with_status(deployment: ModelDeployment, status: ModelDeploymentStatus | None) -> ModelDeployment:
    return deployment.model_copy(update={"status": status})


def revision_of(
    owner: ModelDeployment, number: int = 1, *, defaults: Defaults = DEFAULTS, refresh: str = "", owner_uid: str = UID
) -> Revision:
    """The revision that `owner`'s spec makes."""
    snapshot = take_snapshot(owner.spec, defaults)
    return Revision(
        name=snapshot.name_for(owner.metadata.name),
        uid=f"revision-{number}",
        owner_uid=owner_uid,
        packed=b"",
        number=number,
        intent=intent_digest(owner.spec),
        refresh=refresh,
        snapshot=snapshot,
    )


def deployment_of(  # noqa: PLR0913 - a Deployment has that many sides
    owner: ModelDeployment,
    revision: Revision,
    *,
    replicas: int = 1,
    ready: int | None = None,
    pods: int | None = None,
    updated_ready: int | None = None,
    owned_by: ReplicasOwner = ReplicasOwner.NOBODY,
    retired_at: datetime | None = None,
    created_at: datetime | None = None,
    **more: Any,
) -> Deployment:
    """The Deployment of `revision` as applied for `owner`; all of its pods are ready unless said otherwise."""
    ready = replicas if ready is None else ready
    return Deployment(
        name=revision.name,
        uid=f"deployment-{revision.number}",
        **{"owner_uid": UID, **more},
        packed=pack(render_deployment(owner, revision, retired_at=retired_at)),
        revision=revision.name,
        number=revision.number,
        created_at=created_at or ago(hours=1),
        replicas=replicas,
        replicas_owner=owned_by,
        pods=replicas if pods is None else pods,
        ready=ready,
        updated_ready=ready if updated_ready is None else updated_ready,
        retired_at=retired_at,
    )


def revision_service_of(owner: ModelDeployment, revision: Revision, **more: Any) -> Service:
    packed = pack(render_revision_service(owner.metadata, revision.name))
    fields = {"uid": f"service-{revision.number}", "owner_uid": UID, **more}
    return Service(name=revision.name, packed=packed, revision=revision.name, **fields)


def stable_service_of(
    owner: ModelDeployment, revision: Revision, *, routing: Routing | None = None, gateway: bool = False, **more: Any
) -> Service:
    """The stable Service as applied for `owner`; `routing` is what it mirrors."""
    packed = pack(render_stable_service(owner.metadata, revision.name, routing=routing, gateway=gateway))
    epoch = routing.epoch if routing else 0
    fields = {"uid": "service-stable", "owner_uid": UID, "gateway": gateway, "epoch": epoch, **more}
    return Service(name=owner.metadata.name, packed=packed, revision=revision.name, **fields)


def children_of(owner: ModelDeployment, revision: Revision, **deployment: Any) -> tuple[Child, ...]:
    """The revision with its Deployment and its headless Service."""
    return (revision, deployment_of(owner, revision, **deployment), revision_service_of(owner, revision))


def observed(
    owner: ModelDeployment,
    *parts: Child | Pod,
    defaults: Defaults = DEFAULTS,
    gateways: Gateways | None = None,
    failure: Failure | None = None,
) -> Observed:
    """Everything known about `owner`: its children and pods in any order."""
    return Observed(
        object=owner,
        defaults=defaults,
        revisions={part.name: part for part in parts if isinstance(part, Revision)},
        deployments={part.name: part for part in parts if isinstance(part, Deployment)},
        services={part.name: part for part in parts if isinstance(part, Service)},
        pods={part.name: part for part in parts if isinstance(part, Pod)},
        jobs={part.name: part for part in parts if isinstance(part, PreflightJob)},
        verdicts={part.name: part for part in parts if isinstance(part, Verdict)},
        gateways=gateways,
        failure=failure,
    )


def existing(revision: Revision) -> Target:
    return Target(revision, missing=False)


def pod_of(revision: Revision, name: str = "pod", *, created_at: datetime | None = None, **more: Any) -> Pod:
    """A pod that is on a node and whose containers have not started."""
    created_at = created_at or ago(minutes=1)
    return Pod(name=name, revision=revision.name, created_at=created_at, **{"scheduled_at": created_at, **more})


EXAMINED = Examined("pod", "pod-uid", 0)


def job_of(revision: Revision, key: str, **more: Any) -> PreflightJob:
    """The Job that examines the pod `EXAMINED` of `revision`, begun a moment ago."""
    fields = {"owner_uid": UID, "created_at": ago(seconds=5), "examined": EXAMINED, **more}
    name = preflight_name(revision.name)
    return PreflightJob(name=name, uid=f"job-{revision.number}", packed=b"", revision=revision.name, key=key, **fields)


def verdict_of(revision: Revision, key: str, outcome: Outcome = Outcome.PASSED, **more: Any) -> Verdict:
    """What is kept of the preflight of `revision`."""
    fields = {"owner_uid": revision.uid, "at": ago(seconds=5), "examined": EXAMINED, "reason": "Told", **more}
    name = preflight_name(revision.name)
    return Verdict(name=name, uid="verdict-1", packed=b"", revision=revision.name, key=key, outcome=outcome, **fields)


def fetching(since: datetime | None = None, **last_run: Any) -> Container:
    """The fetch container at work; `last_run` tells how the attempt before ended."""
    return Container(name="fetch", running_since=since or ago(minutes=1), **last_run)


def fetch_failed(message: str = "", *, code: int = 1, ended_at: datetime | None = None, **more: Any) -> Container:
    """The fetch container between two attempts."""
    return Container(
        name="fetch",
        exit_code=code,
        exit_message=message,
        ended_at=ended_at or ago(seconds=30),
        **{"waiting_reason": "CrashLoopBackOff", "restarts": 1, **more},
    )


def fetched(size: int = 1_000, *, ended_at: datetime | None = None) -> Container:
    """The fetch container when it has done its work."""
    return Container(
        name="fetch",
        exit_code=0,
        exit_reason="Completed",
        exit_message=f'{{"kind":"Fetched","bytes":{size}}}',
        ended_at=ended_at or ago(seconds=30),
        ready=True,
    )


def triton(**state: Any) -> Container:
    return Container(name="triton", **state)


def retired_annotation(manifest: Mapping[str, Any]) -> str | None:
    """Since when the Deployment in `manifest` gets no traffic."""
    value: str | None = manifest["metadata"]["annotations"].get(RETIRED_AT_ANNOTATION)
    return value
