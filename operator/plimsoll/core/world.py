"""Everything a decision may look at, as plain values. Built from the API server's objects by the shell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from plimsoll.api.preflight_report import Outcome, PhaseName, PhaseStatus, ServedTensor
from plimsoll.api.v1alpha1 import ModelDeployment
from plimsoll.core.kill_switch.switch import Trip
from plimsoll.core.packing import unpack
from plimsoll.core.snapshot import Defaults, Snapshot


class ReplicasOwner(StrEnum):
    """Who last set a Deployment's replicas, by field manager."""

    NOBODY = "Nobody"
    PLIMSOLL = "Plimsoll"
    AUTOSCALER = "Autoscaler"
    SOMEBODY = "Somebody"


@dataclass(frozen=True, slots=True)
class Child:
    """An object that carries our labels.

    Attributes:
        name: Its name; the namespace is that of the ModelDeployment.
        uid: Its uid, the precondition of a deletion.
        owner_uid: uid of the controlling owner, empty when it has none.
        packed: What was applied (labels, annotations, owner, spec) as `core.packing.pack` made it; `body` unpacks it.
    """

    name: str
    uid: str
    owner_uid: str
    packed: bytes = field(repr=False)
    deleting: bool = False

    def body(self) -> Mapping[str, Any]:
        """Returns what was applied, for the check of drift."""
        return unpack(self.packed)


@dataclass(frozen=True, slots=True)
class Revision(Child):
    """A ControllerRevision of ours.

    Attributes:
        number: Grows by one with each new revision; also Triton's version number.
        intent: Digest of the spec that made it.
        refresh: Value of the refresh annotation when it was made, empty when there was none.
        snapshot: What it is.
    """

    number: int = 0
    intent: str = ""
    refresh: str = ""
    snapshot: Snapshot = field(kw_only=True)


@dataclass(frozen=True, slots=True)
class Deployment(Child):
    """The Deployment of one revision.

    Attributes:
        revision: The revision's name.
        number: The revision's number, 0 when it is not known.
        created_at: Creation time.
        replicas: Wanted pods (`spec.replicas`).
        replicas_owner: Who set them.
        pods: Pods that exist.
        ready: Ready pods.
        updated_ready: Ready pods of the newest template.
        observed: The Deployment controller has seen the newest spec.
        failure: Message of the ReplicaFailure condition (quota, admission), empty when there is none.
        retired_at: Since when it gets no traffic, None while it may.
        served: It has been stable and was retired; never true of one that was not.
    """

    revision: str = ""
    number: int = 0
    created_at: datetime = field(kw_only=True)
    replicas: int = 1
    replicas_owner: ReplicasOwner = ReplicasOwner.NOBODY
    pods: int = 0
    ready: int = 0
    updated_ready: int = 0
    observed: bool = True
    failure: str = ""
    retired_at: datetime | None = None
    served: bool = False

    @property
    def settled(self) -> bool:
        """All wanted pods are of the newest template and ready."""
        return self.observed and self.updated_ready >= self.replicas and self.pods == self.replicas


@dataclass(frozen=True, slots=True)
class Service(Child):
    """A Service of ours.

    Attributes:
        revision: Whose pods it selects; of one that selects the gateway: the stable revision when that was written.
        gateway: It selects the gateway.
        epoch: Of the routing last written, 0 when none is known.
    """

    revision: str = ""
    gateway: bool = False
    epoch: int = 0


@dataclass(frozen=True, slots=True)
class Gateways:
    """The namespace's gateways, as one ModelDeployment sees them.

    Attributes:
        ready: Pods that take requests.
        acknowledged: The oldest epoch of this ModelDeployment that one of the ready ones follows; 0 while one of them
            follows none, or has not told.
        newest: The newest epoch that any of them follows, 0 when none has told.
        trouble: Why there are none or too few, None when nothing is wrong.
        in_flight: Requests that draining pods have yet to answer, by pod; only of pods of which all have told.
        mismatches: Kept answers that a revision contradicted, by revision; only those that are to be told now.
        trips: Why the model's kill switch has tripped, by name of the gateway where it has.
        guarded: They speak TLS or ask for keys: no request may pass them by.
        tls: They speak TLS.
    """

    ready: int = 0
    acknowledged: int = 0
    newest: int = 0
    trouble: Failure | None = None
    in_flight: Mapping[str, int] = field(default_factory=dict)
    mismatches: Mapping[str, int] = field(default_factory=dict)
    trips: Mapping[str, Trip] = field(default_factory=dict)
    guarded: bool = False
    tls: bool = False


@dataclass(frozen=True, slots=True)
class Container:
    """State of one container of a pod.

    Attributes:
        name: `fetch` or `triton`.
        running_since: Start of the present run, None when it does not run.
        restarts: How often it was restarted.
        waiting_reason, waiting_message: As the kubelet reports, empty when not waiting.
        exit_code: Of the last run that ended, None before the first end.
        exit_reason: For example `OOMKilled`.
        exit_message: Termination message of the last run that ended.
        ended_at: End of the last run.
        ready: Readiness, or for the init container: it has completed.
    """

    name: str
    running_since: datetime | None = None
    restarts: int = 0
    waiting_reason: str = ""
    waiting_message: str = ""
    exit_code: int | None = None
    exit_reason: str = ""
    exit_message: str = ""
    ended_at: datetime | None = None
    ready: bool = False


@dataclass(frozen=True, slots=True)
class Pod:
    """A model pod.

    Attributes:
        ip: Its address; empty until it has one.
        running: A container of it has run; before that its phase is Pending.
        template: Which pod template it was made from, as its ReplicaSet calls it.
        draining_since: When it was chosen to go, None where it was not.
        deletion_cost: What its annotation says: of equal pods the ReplicaSet controller deletes the cheapest first.
    """

    name: str
    revision: str
    created_at: datetime
    ready: bool = False
    deleting: bool = False
    unschedulable: str = ""
    scheduled_at: datetime | None = None
    fetch: Container | None = None
    triton: Container | None = None
    failure: str = ""
    uid: str = ""
    ip: str = ""
    running: bool = False
    template: str = ""
    draining_since: datetime | None = None
    deletion_cost: int = 0


@dataclass(frozen=True, slots=True)
class Examined:
    """The model pod that a preflight examines, as it was found.

    Attributes:
        pod, uid: Its name and uid.
        restarts: How often Triton had been restarted in it.
    """

    pod: str = ""
    uid: str = ""
    restarts: int = 0


@dataclass(frozen=True, slots=True)
class JobPod:
    """The newest pod of a preflight Job.

    Attributes:
        ready: Its report can be fetched from `ip`.
        termination_message, exit_code: Of the container `preflight`; None before its end.
        exit_reason: For example `OOMKilled`.
        waiting_reason, waiting_message: As the kubelet reports, empty when not waiting.
        unschedulable: What the scheduler says, empty when it has found a node.
        failure: Why the pod failed as a whole (evicted, deadline), empty when it did not.
    """

    name: str
    uid: str
    ip: str = ""
    ready: bool = False
    termination_message: str = ""
    exit_code: int | None = None
    exit_reason: str = ""
    waiting_reason: str = ""
    waiting_message: str = ""
    unschedulable: str = ""
    failure: str = ""


@dataclass(frozen=True, slots=True)
class PreflightJob(Child):
    """The Job that examines a revision.

    Attributes:
        revision: The revision's name.
        key: Verdict key: the question that this Job answers.
        attempt: How many Jobs were made for this key, with this one.
        created_at: Creation time.
        examined: The model pod it looks at.
        ended: It is complete or has failed.
        failed_reason, failed_message: Of its Failed condition, empty when it has not failed.
        pod: Its newest pod, None when there is none.
    """

    revision: str = ""
    key: str = ""
    attempt: int = 1
    created_at: datetime = field(kw_only=True)
    examined: Examined = Examined()
    ended: bool = False
    failed_reason: str = ""
    failed_message: str = ""
    pod: JobPod | None = None


@dataclass(frozen=True, slots=True)
class Verdict(Child):
    """What the last preflight of a revision said, kept in a ConfigMap that belongs to the ControllerRevision.

    Attributes:
        revision: The revision's name.
        key: Verdict key: the question that was answered.
        outcome, reason, message: The answer.
        at: When it was recorded.
        attempt: How many Jobs were made for this key.
        examined: The model pod that was looked at.
        harmed: That pod is not what it was (a leak): it is replaced before the revision serves.
        phases: How each phase ended, in the order they ran.
        inputs, outputs, max_batch_size: What is served; empty and None when the preflight did not get that far.
    """

    revision: str = ""
    key: str = ""
    outcome: Outcome = Outcome.ERROR
    reason: str = ""
    message: str = ""
    at: datetime = field(kw_only=True)
    attempt: int = 1
    examined: Examined = Examined()
    harmed: bool = False
    phases: tuple[tuple[PhaseName, PhaseStatus], ...] = ()
    inputs: tuple[ServedTensor, ...] = ()
    outputs: tuple[ServedTensor, ...] = ()
    max_batch_size: int | None = None


class FailureKind(StrEnum):
    """What a failure asks for."""

    INVALID = "Invalid"
    NOT_YET = "NotYet"
    OUTAGE = "Outage"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why the last attempt to apply a plan, or a pod, failed."""

    kind: FailureKind
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Observed:
    """One ModelDeployment, its children and the defaults in force.

    Attributes:
        object: The ModelDeployment as read.
        defaults: The chart's defaults.
        revisions, deployments, services: Children by name, whoever owns them.
        pods: Model pods by name.
        jobs, verdicts: Preflight Jobs, and ConfigMaps with their verdicts, by name, whoever owns them.
        config_map_versions: Of each ConfigMap in `core.gate.config_maps_needed`, a version that changes with its
            content; empty when it does not exist.
        gateways: None where the chart makes none.
        shielded: A NetworkPolicy may keep users away from the model pods.
        failure: Outcome of the last attempt to apply, None when it worked.
    """

    object: ModelDeployment
    defaults: Defaults
    revisions: Mapping[str, Revision] = field(default_factory=dict)
    deployments: Mapping[str, Deployment] = field(default_factory=dict)
    services: Mapping[str, Service] = field(default_factory=dict)
    pods: Mapping[str, Pod] = field(default_factory=dict)
    jobs: Mapping[str, PreflightJob] = field(default_factory=dict)
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)
    config_map_versions: Mapping[str, str] = field(default_factory=dict)
    gateways: Gateways | None = None
    shielded: bool = False
    failure: Failure | None = None
