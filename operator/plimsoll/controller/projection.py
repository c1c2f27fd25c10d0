"""From the API server's JSON to the values of core/world.py: what the caches keep of each kind."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson

from plimsoll.core.names import (
    COMPONENT_LABEL,
    DELETION_COST_ANNOTATION,
    DRAINING_SINCE_ANNOTATION,
    GATEWAY_COMPONENT,
    INTENT_ANNOTATION,
    NUMBER_ANNOTATION,
    REFRESH_ANNOTATION,
    RETIRED_AT_ANNOTATION,
    REVISION_LABEL,
    ROUTING_ANNOTATION,
    SCALE_MANAGER,
    SERVED_ANNOTATION,
)
from plimsoll.core.packing import pack
from plimsoll.core.snapshot import Snapshot
from plimsoll.core.world import Container, Deployment, Pod, ReplicasOwner, Revision, Service
from plimsoll.kube.resources import JsonObject

_LARGEST_EPOCH = 2**53
"""Integers of JSON are exact below it."""
_AUTOSCALER_MANAGER = "kube-controller-manager"
_NUMBER = re.compile(r"[1-9][0-9]{0,8}")
_COST = re.compile(r"0|-?[1-9][0-9]{0,9}")
_COSTS = range(-(2**31), 2**31)
_TEMPLATE_LABEL = "pod-template-hash"
_KEPT_METADATA = ("name", "namespace", "uid", "generation", "deletionTimestamp", "annotations")


def project_model_deployment(obj: JsonObject) -> bytes:
    """Returns what is read of a ModelDeployment, as JSON: parsed when it is planned, small while it is not."""
    metadata = {key: value for key, value in obj["metadata"].items() if key in _KEPT_METADATA}
    annotations = metadata.pop("annotations", {})
    if REFRESH_ANNOTATION in annotations:
        metadata["annotations"] = {REFRESH_ANNOTATION: annotations[REFRESH_ANNOTATION]}
    return orjson.dumps({"metadata": metadata, "spec": obj.get("spec"), "status": obj.get("status")})


def project_revision(obj: JsonObject) -> Revision | None:
    """Returns a ControllerRevision of ours, None when its data is not what an operator of this version writes."""
    annotations = obj["metadata"].get("annotations") or {}
    try:
        snapshot = Snapshot.from_json(obj.get("data") or {})
    except (AttributeError, KeyError, ValueError, TypeError):
        return None
    return Revision(
        **identity(obj),
        packed=b"",
        number=obj.get("revision", 0),
        intent=annotations.get(INTENT_ANNOTATION, ""),
        refresh=annotations.get(REFRESH_ANNOTATION, ""),
        snapshot=snapshot,
    )


def project_deployment(obj: JsonObject) -> Deployment:
    """Returns the Deployment of a revision."""
    metadata, spec, status = obj["metadata"], obj["spec"], obj.get("status") or {}
    annotations: Mapping[str, str] = metadata.get("annotations") or {}
    updated = status.get("updatedReplicas", 0)
    # Ready pods of an older template count as ready too, so at least this many are of the newest one.
    surplus = status.get("replicas", 0) - updated
    return Deployment(
        **identity(obj),
        packed=packed(obj),
        revision=_revision_label(obj),
        number=stated_number(annotations.get(NUMBER_ANNOTATION, "")),
        created_at=time_of(metadata["creationTimestamp"]),
        replicas=spec.get("replicas", 1),
        replicas_owner=_replicas_owner(metadata.get("managedFields") or []),
        pods=status.get("replicas", 0),
        ready=status.get("readyReplicas", 0),
        updated_ready=min(updated, max(0, status.get("readyReplicas", 0) - surplus)),
        observed=status.get("observedGeneration", 0) >= metadata.get("generation", 0),
        failure=condition_message(status, "ReplicaFailure"),
        retired_at=_stated_time(annotations.get(RETIRED_AT_ANNOTATION, "")),
        served=annotations.get(SERVED_ANNOTATION) == "true",
    )


def project_service(obj: JsonObject) -> Service:
    """Returns a Service of ours."""
    selector = obj["spec"].get("selector") or {}
    epoch, routed = _mirrored_routing((obj["metadata"].get("annotations") or {}).get(ROUTING_ANNOTATION, ""))
    gateway = selector.get(COMPONENT_LABEL) == GATEWAY_COMPONENT
    return Service(
        **identity(obj),
        packed=packed(obj),
        revision=routed if gateway else selector.get(REVISION_LABEL, ""),
        gateway=gateway,
        epoch=epoch,
    )


def _mirrored_routing(text: str) -> tuple[int, str]:
    """Returns epoch and stable revision as a Service says them; 0 and nothing where it says neither."""
    try:
        said = orjson.loads(text) if text else {}
        epoch, revision = said.get("epoch", 0), said.get("revision", "")
    except (ValueError, AttributeError):
        return 0, ""
    sound = type(epoch) is int and 0 <= epoch < _LARGEST_EPOCH and isinstance(revision, str)
    return (epoch, revision) if sound else (0, "")


def project_pod(obj: JsonObject) -> Pod:
    """Returns a model pod."""
    metadata, status = obj["metadata"], obj.get("status") or {}
    containers = {
        entry["name"]: container(entry)
        for entry in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ()))
    }
    scheduled = condition(status, "PodScheduled")
    annotations: Mapping[str, str] = metadata.get("annotations") or {}
    return Pod(
        name=metadata["name"],
        revision=_revision_label(obj),
        created_at=time_of(metadata["creationTimestamp"]),
        ready=condition(status, "Ready").get("status") == "True",
        deleting="deletionTimestamp" in metadata,
        unschedulable=scheduled.get("message", "") if scheduled.get("reason") == "Unschedulable" else "",
        scheduled_at=_optional_time(scheduled.get("lastTransitionTime")) if scheduled.get("status") == "True" else None,
        fetch=containers.get("fetch"),
        triton=containers.get("triton"),
        failure=_pod_failure(status),
        uid=metadata["uid"],
        ip=status.get("podIP", ""),
        running=status.get("phase") == "Running",
        template=(metadata.get("labels") or {}).get(_TEMPLATE_LABEL, ""),
        draining_since=_stated_time(annotations.get(DRAINING_SINCE_ANNOTATION, "")),
        deletion_cost=_stated_cost(annotations.get(DELETION_COST_ANNOTATION, "")),
    )


def identity(obj: JsonObject) -> dict[str, Any]:
    """Returns what every child has: name, uids of itself and of its owner, and whether it is being deleted."""
    metadata = obj["metadata"]
    owners = metadata.get("ownerReferences") or []
    return {
        "name": metadata["name"],
        "uid": metadata["uid"],
        "owner_uid": next((owner["uid"] for owner in owners if owner.get("controller")), ""),
        "deleting": "deletionTimestamp" in metadata,
    }


def packed(obj: JsonObject) -> bytes:
    """Returns what was applied of an object, for the check of drift."""
    metadata = obj["metadata"]
    return pack(
        {
            "apiVersion": obj.get("apiVersion"),
            "kind": obj.get("kind"),
            "metadata": {
                key: metadata.get(key) for key in ("name", "namespace", "labels", "annotations", "ownerReferences")
            },
            "spec": obj.get("spec"),
        }
    )


def _revision_label(obj: JsonObject) -> str:
    labels: Mapping[str, str] = obj["metadata"].get("labels") or {}
    return labels.get(REVISION_LABEL, "")


def _replicas_owner(managed_fields: list[dict[str, Any]]) -> ReplicasOwner:
    owners = [entry for entry in managed_fields if "f:replicas" in (entry.get("fieldsV1") or {}).get("f:spec", {})]
    if not owners:
        return ReplicasOwner.NOBODY
    if any(_is_autoscaler(entry) for entry in owners):
        return ReplicasOwner.AUTOSCALER
    if any(entry.get("manager") == SCALE_MANAGER for entry in owners):
        return ReplicasOwner.PLIMSOLL
    return ReplicasOwner.SOMEBODY


def _is_autoscaler(entry: Mapping[str, Any]) -> bool:
    """A HorizontalPodAutoscaler writes through the scale subresource as the controller manager."""
    return entry.get("manager") == _AUTOSCALER_MANAGER and entry.get("subresource") == "scale"


def condition(status: Mapping[str, Any], kind: str) -> dict[str, str]:
    """Returns a condition, empty when there is none of that type."""
    return next((entry for entry in status.get("conditions") or () if entry["type"] == kind), {})


def condition_message(status: Mapping[str, Any], kind: str) -> str:
    """Returns the message of a condition while it holds, else nothing."""
    found = condition(status, kind)
    return found.get("message", "") if found.get("status") == "True" else ""


def _pod_failure(status: Mapping[str, Any]) -> str:
    if status.get("phase") != "Failed":
        return ""
    return ": ".join(part for part in (status.get("reason"), status.get("message")) if part) or "it failed"


def container(entry: Mapping[str, Any]) -> Container:
    """Returns the state of a container from its entry in a pod's status."""
    state = entry.get("state") or {}
    waiting, running = state.get("waiting") or {}, state.get("running") or {}
    ended = state.get("terminated") or (entry.get("lastState") or {}).get("terminated") or {}
    return Container(
        name=entry["name"],
        running_since=_optional_time(running.get("startedAt")),
        restarts=entry.get("restartCount", 0),
        waiting_reason=waiting.get("reason", ""),
        waiting_message=waiting.get("message", ""),
        exit_code=ended.get("exitCode"),
        exit_reason=ended.get("reason", ""),
        exit_message=ended.get("message", ""),
        ended_at=_optional_time(ended.get("finishedAt")),
        ready=bool(entry.get("ready")),
    )


def stated_number(text: str) -> int:
    """Reads an annotation, which anybody may edit: 0 when it holds no number that we wrote."""
    return int(text) if _NUMBER.fullmatch(text) else 0


def _stated_cost(text: str) -> int:
    """Reads a deletion cost as the ReplicaSet controller does: 0 where it is no integer of 32 bits."""
    cost = int(text) if _COST.fullmatch(text) else 0
    return cost if cost in _COSTS else 0


def _stated_time(text: str) -> datetime | None:
    """Reads an annotation, which anybody may edit: None when it holds no time with a time zone."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time if time.tzinfo else None


def time_of(text: str) -> datetime:
    """Reads a time that the API server or we wrote."""
    return datetime.fromisoformat(text)


def _optional_time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
