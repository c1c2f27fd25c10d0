"""What a plan consists of: commands as values. The shell performs them in order; each is idempotent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from plimsoll.api.v1alpha1 import ModelDeploymentStatus


class ChildKind(StrEnum):
    """Kinds of children, and of what a namespace's gateways consist of."""

    CONTROLLER_REVISION = "ControllerRevision"
    DEPLOYMENT = "Deployment"
    SERVICE = "Service"
    JOB = "Job"
    CONFIG_MAP = "ConfigMap"
    POD = "Pod"
    SERVICE_ACCOUNT = "ServiceAccount"
    ROLE_BINDING = "RoleBinding"
    POD_DISRUPTION_BUDGET = "PodDisruptionBudget"
    NETWORK_POLICY = "NetworkPolicy"


@dataclass(frozen=True, slots=True)
class Create:
    """Create a child by server-side apply, after checking that its name is free: nothing foreign is ever adopted."""

    kind: ChildKind
    manifest: dict[str, Any]
    why: str


@dataclass(frozen=True, slots=True)
class Apply:
    """Make a child of ours as the manifest says, by server-side apply."""

    kind: ChildKind
    manifest: dict[str, Any]
    why: str


@dataclass(frozen=True, slots=True)
class Scale:
    """Set a Deployment's replicas, under the scale field manager."""

    manifest: dict[str, Any]
    why: str


@dataclass(frozen=True, slots=True)
class Mark:
    """Set a Deployment's annotations as the manifest says, or take them away, under the mark field manager.

    Apart from `Apply`, so that a mark never carries a new pod template with it.
    """

    manifest: dict[str, Any]
    why: str


@dataclass(frozen=True, slots=True)
class MarkPod:
    """Set a pod's annotations as the manifest says, or take them away, under the mark field manager.

    A pod that has gone meanwhile, or is another one of the same name, is no failure.
    """

    manifest: dict[str, Any]
    why: str


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete a child of ours, if it is still the one that was seen (`uid`)."""

    kind: ChildKind
    name: str
    uid: str
    why: str


@dataclass(frozen=True, slots=True)
class PullReport:
    """Fetch the report of a preflight from its pod, and keep it as `core.preflight.record.record_report` says.

    A pod that does not answer is no failure of the plan: it is asked again, and when its Job has ended the termination
    message has to do.

    Attributes:
        job: Name of the Job.
        pod, pod_uid, ip: Its pod; the uid is whom the request's token is for.
        key: Verdict key that the report has to answer.
    """

    job: str
    pod: str
    pod_uid: str
    ip: str
    key: str
    why: str


@dataclass(frozen=True, slots=True)
class WriteStatus:
    """Write the status."""

    status: ModelDeploymentStatus
    why: str


Action = Create | Apply | Scale | MarkPod | Delete | PullReport | WriteStatus


class Severity(StrEnum):
    """Types of Kubernetes Events."""

    NORMAL = "Normal"
    WARNING = "Warning"


@dataclass(frozen=True, slots=True)
class Announcement:
    """A Kubernetes Event."""

    severity: Severity
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do about one ModelDeployment.

    Attributes:
        actions: Commands, in order.
        announcements: Events, told after the actions succeeded.
        requeue_at: When to look again although nothing changes, None when there is nothing to wait for.
    """

    actions: tuple[Action, ...] = ()
    announcements: tuple[Announcement, ...] = ()
    requeue_at: datetime | None = None
