"""Names, labels and annotations of everything the operator creates. Deterministic: a name is never looked up."""

from __future__ import annotations

from typing import Final

MODEL_LABEL: Final = "plimsoll.dev/model"
REVISION_LABEL: Final = "plimsoll.dev/revision"
MANAGED_BY_LABEL: Final = "app.kubernetes.io/managed-by"
MANAGED_BY: Final = "plimsoll"

DIGEST_ANNOTATION: Final = "plimsoll.dev/digest"
"""Digest of the manifest as last applied: a change here means that what we want has changed."""
INTENT_ANNOTATION: Final = "plimsoll.dev/intent"
"""On a ControllerRevision: digest of the part of the spec that made it."""
REFRESH_ANNOTATION: Final = "plimsoll.dev/refresh"
"""On a ModelDeployment: a new value asks for a revision with today's defaults, which is the present one where these
have not changed. On a ControllerRevision: the value that asked for it."""
RESET_KILL_SWITCH_ANNOTATION: Final = "plimsoll.dev/reset-kill-switch"
"""On a ModelDeployment: a new value releases a kill switch that has tripped. Gateways read it themselves."""
NUMBER_ANNOTATION: Final = "plimsoll.dev/number"
"""On the Deployment of a revision: its number, which outlives a ControllerRevision that somebody deletes. The number is
Triton's version, so another one would restart the pods."""
RETIRED_AT_ANNOTATION: Final = "plimsoll.dev/retired-at"
"""On the Deployment of a revision that no longer gets traffic, or of gateways that nobody needs: since when."""

SERVED_ANNOTATION: Final = "plimsoll.dev/served"
"""On the Deployment of a revision that once was stable: going back to it while it still runs is at once, unexamined."""

ROUTING_ANNOTATION: Final = "plimsoll.dev/routing"
"""On the stable Service: epoch and stable revision of `status.routing` as JSON, written with it or before it, so that
after a lost or restored status the epoch goes on above what gateways have."""

DRAINING_SINCE_ANNOTATION: Final = "plimsoll.dev/draining-since"
"""On a model pod that was chosen to go, behind gateways: since when."""
DELETION_COST_ANNOTATION: Final = "controller.kubernetes.io/pod-deletion-cost"
"""On a model pod that has drained: Kubernetes' own, by which the ReplicaSet controller takes it before others."""

COMPONENT_LABEL: Final = "plimsoll.dev/component"
GATEWAY_COMPONENT: Final = "gateway"

GATEWAY_NAME: Final = "plimsoll-gateway"
"""Of the Deployment, ServiceAccount, RoleBinding, PodDisruptionBudget, ConfigMap and NetworkPolicy of a namespace's
gateways. Rights are limited to it by name, so it is the same everywhere."""
MODELS_POLICY_NAME: Final = "plimsoll-models"
"""Of the NetworkPolicy on a namespace's model pods."""
TEMPLATE_ANNOTATION: Final = "plimsoll.dev/template"
"""On the Deployment of a namespace's gateways: digest of its pod template, by which upgrades take turns."""

PREFLIGHT_LABEL: Final = "plimsoll.dev/preflight"
"""On a preflight Job, its pods and the ConfigMap with its verdict: the revision that is examined. Never beside the
revision label on a pod: Services and Deployments choose the pods of a revision by that one."""
KEY_ANNOTATION: Final = "plimsoll.dev/preflight-key"
"""On a preflight Job: the verdict key, that is, the question it answers."""
ATTEMPT_ANNOTATION: Final = "plimsoll.dev/preflight-attempt"
"""On a preflight Job: how many Jobs were made for this key, with this one."""
EXAMINED_ANNOTATION: Final = "plimsoll.dev/examined"
"""On a preflight Job: the model pod it examines, as JSON (`world.Examined`)."""

VERDICT_ANNOTATION: Final = "plimsoll.dev/verdict"
"""On the ConfigMap that keeps a verdict: what the controller reads back, as JSON. An annotation, because the controller
lists and watches the metadata of these ConfigMaps only: 5,000 reports would be 150 MB of answers."""
REPORT_DATA: Final = "report.json"
"""Key of that ConfigMap: the whole report, for people and the command line."""

FIELD_MANAGER: Final = "plimsoll"
SCALE_MANAGER: Final = "plimsoll-scale"
STATUS_MANAGER: Final = "plimsoll-status"
MARK_MANAGER: Final = "plimsoll-mark"
"""Field managers. Changing one orphans the fields it owns, so these are part of the wire contract."""

HTTP_PORT: Final = 8000
GRPC_PORT: Final = 8001
METRICS_PORT: Final = 8002
EXAMINER_PORT: Final = 8003
"""Of a model pod: a preflight asks the sidecar there for the memory of its processes and for the artefact's files."""
REPORT_PORT: Final = 8080
"""Of a preflight Job's pod: the controller fetches the report there."""
ADMIN_PORT: Final = 8080
"""Of a gateway: health, metrics, and for the controller the record stream."""

NO_REVISION: Final = "none"
"""What the stable Service selects before anything may serve. No revision has this name: each ends in a hash."""
REVISION_HASH_LENGTH: Final = 10


def revision_name(model: str, snapshot_digest: str) -> str:
    """Returns the name of a revision: at most 40 + 1 + 10 characters."""
    return f"{model}-{snapshot_digest[:REVISION_HASH_LENGTH]}"


def preflight_name(revision: str) -> str:
    """Returns the name of the preflight Job of a revision, and of the ConfigMap with its verdict."""
    return f"{revision}-preflight"


def model_labels(model: str) -> dict[str, str]:
    """Labels of every child of a ModelDeployment."""
    return {MANAGED_BY_LABEL: MANAGED_BY, MODEL_LABEL: model}


def revision_labels(model: str, revision: str) -> dict[str, str]:
    """Labels of every child of a revision."""
    return {**model_labels(model), REVISION_LABEL: revision}


def preflight_labels(model: str, revision: str) -> dict[str, str]:
    """Labels of the preflight Job of a revision, of its pods, and of the ConfigMap with its verdict."""
    return {**model_labels(model), PREFLIGHT_LABEL: revision}


def pod_selector(model: str, revision: str) -> dict[str, str]:
    """Labels by which a revision's pods are chosen; immutable in a Deployment, so never extended."""
    return {MODEL_LABEL: model, REVISION_LABEL: revision}


def gateway_selector() -> dict[str, str]:
    """Labels by which a namespace's gateways are chosen."""
    return {COMPONENT_LABEL: GATEWAY_COMPONENT}


def gateway_labels() -> dict[str, str]:
    """Labels of everything that a namespace's gateways consist of.

    Nothing of a ModelDeployment's labels is among them: a tool that tracks objects by label would take the fleet for a
    part of one application, and prune it with that.
    """
    return {MANAGED_BY_LABEL: MANAGED_BY, **gateway_selector()}


def selector_text(labels: dict[str, str]) -> str:
    """Returns a label selector in its string form."""
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items()))


def url_host(ip: str) -> str:
    """Returns an address as it stands before a port: an IPv6 one in brackets."""
    return f"[{ip}]" if ":" in ip else ip
