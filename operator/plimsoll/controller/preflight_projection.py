"""What the caches keep of preflights: of Jobs and their pods the part that decides, of a verdict its text alone.

5,000 verdicts stay in memory for ever, so each is kept as the bytes of its annotation and read when it is planned from.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import orjson

from plimsoll.api.preflight_report import Outcome, PhaseName, PhaseStatus, ServedTensor
from plimsoll.controller.projection import (
    condition,
    condition_message,
    container,
    identity,
    stated_number,
    time_of,
)
from plimsoll.core.hashing import digest_of
from plimsoll.core.names import (
    ATTEMPT_ANNOTATION,
    EXAMINED_ANNOTATION,
    KEY_ANNOTATION,
    PREFLIGHT_LABEL,
    VERDICT_ANNOTATION,
)
from plimsoll.core.world import Examined, JobPod, PreflightJob, Verdict
from plimsoll.kube.resources import JsonObject

_CONTAINER = "preflight"
_UNREADABLE = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True)
class KeptJobPod:
    """A pod of a Job, and what it takes to find the newest one of that very Job."""

    owner_uid: str
    created_at: datetime
    deleting: bool
    pod: JobPod


def is_job_pod(obj: JsonObject) -> bool:
    """Tells a pod of a preflight Job from a model pod."""
    return PREFLIGHT_LABEL in (obj["metadata"].get("labels") or {})


def project_job(obj: JsonObject) -> PreflightJob:
    """Returns a preflight Job, without its pod."""
    metadata, status = obj["metadata"], obj.get("status") or {}
    annotations: Mapping[str, str] = metadata.get("annotations") or {}
    failed = condition(status, "Failed")
    has_failed = failed.get("status") == "True"
    return PreflightJob(
        **identity(obj),
        packed=b"",  # a Job cannot be changed, so it is never compared with what is wanted
        revision=_revision(obj),
        key=annotations.get(KEY_ANNOTATION, ""),
        attempt=stated_number(annotations.get(ATTEMPT_ANNOTATION, "")),
        created_at=time_of(metadata["creationTimestamp"]),
        examined=_examined(_json(annotations.get(EXAMINED_ANNOTATION, ""))),
        ended=has_failed or condition(status, "Complete").get("status") == "True",
        failed_reason=failed.get("reason", "") if has_failed else "",
        failed_message=condition_message(status, "Failed"),
    )


def project_job_pod(obj: JsonObject) -> KeptJobPod:
    """Returns a pod of a preflight Job."""
    metadata, status = obj["metadata"], obj.get("status") or {}
    found = next((entry for entry in status.get("containerStatuses") or () if entry["name"] == _CONTAINER), None)
    state = container(found) if found else None
    scheduled = condition(status, "PodScheduled")
    pod = JobPod(
        name=metadata["name"],
        uid=metadata["uid"],
        ip=status.get("podIP", ""),
        ready=condition(status, "Ready").get("status") == "True",
        termination_message=state.exit_message if state else "",
        exit_code=state.exit_code if state else None,
        exit_reason=state.exit_reason if state else "",
        waiting_reason=state.waiting_reason if state else "",
        waiting_message=state.waiting_message if state else "",
        unschedulable=scheduled.get("message", "") if scheduled.get("reason") == "Unschedulable" else "",
        failure=_failure(status),
    )
    child = identity(obj)
    return KeptJobPod(child["owner_uid"], time_of(metadata["creationTimestamp"]), child["deleting"], pod)


def with_newest_pod(job: PreflightJob, pods: Iterable[KeptJobPod]) -> PreflightJob:
    """Returns the Job with the newest of its pods, one that is going only where there is no other.

    Pods of an earlier Job of the same name are not its own.
    """
    own = [kept for kept in pods if kept.owner_uid == job.uid]
    newest = max(own, key=lambda kept: (not kept.deleting, kept.created_at, kept.pod.name), default=None)
    return replace(job, pod=newest.pod) if newest else job


def project_verdict(obj: JsonObject) -> bytes:
    """Returns what is kept of a ConfigMap with a verdict; its data need not be there."""
    annotations: Mapping[str, str] = obj["metadata"].get("annotations") or {}
    return orjson.dumps(
        {"child": identity(obj), "revision": _revision(obj), "verdict": annotations.get(VERDICT_ANNOTATION, "")}
    )


def verdict_of(kept: bytes) -> Verdict:
    """Returns the verdict that `project_verdict` kept; one that somebody damaged answers no question."""
    parts = orjson.loads(kept)
    common = {**parts["child"], "packed": b"", "revision": parts["revision"]}
    try:
        return Verdict(**common, **_answer(_json(parts["verdict"])))
    except (AttributeError, KeyError, TypeError, ValueError):
        return Verdict(**common, at=_UNREADABLE)


def content_digest(config_map: JsonObject) -> str:
    """Returns a digest of what a ConfigMap holds: with its version, a new label would ask for another preflight."""
    return digest_of({part: config_map.get(part) or {} for part in ("data", "binaryData")})


def _answer(told: Mapping[str, Any]) -> dict[str, Any]:
    at = time_of(told["at"])
    if at.tzinfo is None:
        raise ValueError("a time without a time zone")
    return {
        "key": str(told["key"]),
        "outcome": Outcome(told["outcome"]),
        "reason": str(told["reason"]),
        "message": str(told["message"]),
        "at": at,
        "attempt": int(told["attempt"]),
        "examined": _examined(told["examined"]),
        "harmed": bool(told["harmed"]),
        "phases": tuple((PhaseName(phase["name"]), PhaseStatus(phase["status"])) for phase in told["phases"]),
        "inputs": tuple(ServedTensor.model_validate(tensor) for tensor in told["inputs"]),
        "outputs": tuple(ServedTensor.model_validate(tensor) for tensor in told["outputs"]),
        "max_batch_size": None if told.get("maxBatchSize") is None else int(told["maxBatchSize"]),
    }


def _examined(told: Mapping[str, Any]) -> Examined:
    restarts = told.get("restarts", 0)
    return Examined(
        pod=str(told.get("pod", "")),
        uid=str(told.get("uid", "")),
        restarts=restarts if isinstance(restarts, int) else 0,
    )


def _json(text: str) -> dict[str, Any]:
    """Reads an annotation, which anybody may edit: empty when it is no object."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}


def _failure(status: Mapping[str, Any]) -> str:
    """Returns why the pod as a whole failed; one whose container has ended by itself has no reason of its own."""
    if status.get("phase") != "Failed":
        return ""
    return ": ".join(part for part in (status.get("reason"), status.get("message")) if part)


def _revision(obj: JsonObject) -> str:
    labels: Mapping[str, str] = obj["metadata"].get("labels") or {}
    return labels.get(PREFLIGHT_LABEL, "")
