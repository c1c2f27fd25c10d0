"""A plan in words for people, and as JSON for programs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from plimsoll.api.v1alpha1 import ModelDeploymentStatus
from plimsoll.core.actions import Action, Apply, Create, Delete, MarkPod, Plan, PullReport, Scale, WriteStatus
from plimsoll.core.conditions import rfc3339
from plimsoll.core.world import Observed


def report_text(observed: Observed, plan: Plan) -> str:
    """Returns the plan as numbered sentences, then the conditions, the Events, and when it is looked at again."""
    metadata = observed.object.metadata
    lines = [f"ModelDeployment {metadata.namespace}/{metadata.name}, generation {metadata.generation}", ""]
    lines += [f"{number}. {_sentence(action)}" for number, action in enumerate(plan.actions, 1)]
    if not plan.actions:
        lines.append("Nothing to do: all is as wanted.")
    lines += ["", *_conditions(_status_after(observed, plan))]
    lines += [f"Event {told.severity.value} {told.reason}: {told.message}" for told in plan.announcements]
    if plan.requeue_at:
        lines.append(f"Looked at again at {rfc3339(plan.requeue_at)} even if nothing changes.")
    return "\n".join(lines)


def report_json(observed: Observed, plan: Plan) -> dict[str, Any]:
    """Returns the plan with its manifests."""
    status = _status_after(observed, plan)
    metadata = observed.object.metadata
    return {
        "namespace": metadata.namespace,
        "name": metadata.name,
        "generation": metadata.generation,
        "actions": [_action_json(action) for action in plan.actions],
        "status": status.model_dump(mode="json", by_alias=True, exclude_none=True) if status else None,
        "events": [
            {"type": told.severity.value, "reason": told.reason, "message": told.message} for told in plan.announcements
        ],
        "requeueAt": rfc3339(plan.requeue_at) if plan.requeue_at else None,
    }


def _sentence(action: Action) -> str:
    match action:
        case Create() | Apply():
            return f"{type(action).__name__} {action.kind} {action.manifest['metadata']['name']}: {action.why}."
        case Scale():
            name, replicas = action.manifest["metadata"]["name"], action.manifest["spec"]["replicas"]
            return f"Scale Deployment {name} to {replicas}: {action.why}."
        case MarkPod():
            return f"Annotate {action.why}."
        case Delete():
            return f"Delete {action.kind} {action.name}: {action.why}."
        case PullReport():
            return f"Fetch the report of Job {action.job} from its pod: {action.why}."
        case WriteStatus():
            return f"Write status: {action.why}."


def _action_json(action: Action) -> dict[str, Any]:
    common = {"action": type(action).__name__, "why": action.why}
    match action:
        case Create() | Apply():
            return {
                **common,
                "kind": action.kind.value,
                "name": action.manifest["metadata"]["name"],
                "manifest": action.manifest,
            }
        case Scale():
            return {
                **common,
                "kind": "Deployment",
                "name": action.manifest["metadata"]["name"],
                "manifest": action.manifest,
            }
        case MarkPod():
            name = action.manifest["metadata"]["name"]
            return {**common, "kind": "Pod", "name": name, "manifest": action.manifest}
        case Delete():
            return {**common, "kind": action.kind.value, "name": action.name}
        case PullReport():
            return {**common, "kind": "Job", "name": action.job}
        case WriteStatus():
            return common


def _status_after(observed: Observed, plan: Plan) -> ModelDeploymentStatus | None:
    written = [action.status for action in plan.actions if isinstance(action, WriteStatus)]
    return written[-1] if written else observed.object.status


def _conditions(status: ModelDeploymentStatus | None) -> Iterator[str]:
    for condition in (status.conditions if status else None) or ():
        message = f": {condition.message}" if condition.message else ""
        yield f"{condition.type} is {condition.status.value} ({condition.reason}){message}"
