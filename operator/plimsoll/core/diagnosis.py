"""Why a revision is not ready: from pods and Deployment to one sentence, and whether it still makes progress.

Progress, not size, is what counts: a fetch that moves bytes makes progress however long it takes, and loading is given
time in proportion to the bytes fetched. What started again after a failure makes none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from plimsoll.core.world import Container, Deployment, FailureKind, Pod

LOAD_BYTES_PER_SECOND = 50_000_000
"""Loading slower than this from local disk into memory counts as no progress."""

_BROKEN_IMAGE = {"InvalidImageName", "ErrImageNeverPull"}
_MISSING_IMAGE = {"ErrImagePull", "ImagePullBackOff", "RegistryUnavailable"}
_BACK_OFF = re.compile(r'Back-off pulling image "[^"]*"(: )?(ErrImagePull: )?')
"""The kubelet says this in between attempts; without it the sentence stays the same, and status with it."""
_POD_FORBIDDEN = re.compile(r'^pods "[^"]*" is forbidden: ')
"""Holds the random name of a pod."""
_RESOURCE = re.compile(r"(?:(?:requests|limits)\.)?(?:cpu|memory|ephemeral-storage)\b")
_CONFIG_ERRORS = {"CreateContainerConfigError", "CreateContainerError", "RunContainerError"}


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Where a revision stands on its way to Ready.

    Attributes:
        reason: CamelCase word.
        message: Sentence with the way out.
        terminal: Waiting will not help; the user must act.
        progress_at: When it last made progress.
        allowance: Time that may pass from there without further progress.
        failed: Something went wrong that is being retried (a warning), as opposed to plain waiting.
    """

    reason: str
    message: str
    progress_at: datetime
    terminal: bool = False
    allowance: timedelta = timedelta(0)
    failed: bool = False

    def stalled(self, now: datetime, deadline: timedelta) -> bool:
        """Tells whether there is no point in saying "in progress" any longer."""
        return self.terminal or now >= self.stalls_at(deadline)

    def stalls_at(self, deadline: timedelta) -> datetime:
        """Returns when it will be called stalled unless it moves."""
        return self.progress_at + deadline + self.allowance


def diagnose(deployment: Deployment, pods: Iterable[Pod], now: datetime) -> Diagnosis:
    """Returns the most telling finding over the pods of a revision that has not settled."""
    alive = _relevant(pods)
    findings = [_diagnose_pod(pod, now) for pod in alive if not pod.ready]
    if deployment.failure:
        findings.append(refused(deployment))
    if not findings:
        return Diagnosis(
            "WaitingForPods",
            f"{deployment.ready} of {deployment.replicas} model servers are ready",
            _newest(deployment.created_at, (pod.created_at for pod in alive)),
        )
    return max(findings, key=lambda found: (found.terminal, found.failed, found.progress_at, found.message))


def _relevant(pods: Iterable[Pod]) -> list[Pod]:
    """Leaves out pods that are going, and failed ones that a ready one replaced: Kubernetes keeps those for long."""
    alive = [pod for pod in pods if not pod.deleting]
    replaced_at = max((pod.created_at for pod in alive if pod.ready), default=None)
    return [pod for pod in alive if not pod.failure or replaced_at is None or pod.created_at > replaced_at]


def refused(deployment: Deployment) -> Diagnosis:
    """Returns what the API server says against the pods of a Deployment, which has a failure."""
    said = _plain(_POD_FORBIDDEN.sub("", deployment.failure))
    return Diagnosis(
        "QuotaExceeded" if "exceeded quota" in said else "PodRefused",
        f"The API server refuses the pods: {said}; {_way_to_admission(said)}",
        deployment.created_at,
        failed=True,
    )


def _way_to_admission(said: str) -> str:
    if "exceeded quota" in said:
        return "raise the ResourceQuota, or lower runtime.resources or replicas"
    _, unstated, rest = said.partition("must specify ")
    if unstated:
        return f"set {' and '.join(dict.fromkeys(_resource_field(found) for found in _RESOURCE.findall(rest)))}"
    if "per Container" in said or "per Pod" in said:
        return "set runtime.resources to what the LimitRange allows"
    return "correct what it names"


def _resource_field(quota_name: str) -> str:
    """Returns the field behind the name of a resource in a ResourceQuota, where `cpu` is short for `requests.cpu`."""
    side, dot, resource = quota_name.partition(".")
    return f"runtime.resources.{side}.{resource}" if dot else f"runtime.resources.requests.{quota_name}"


def _diagnose_pod(pod: Pod, now: datetime) -> Diagnosis:
    if pod.failure:
        return Diagnosis("PodFailed", f"A pod failed: {_plain(pod.failure)}", pod.created_at, failed=True)
    if pod.scheduled_at is None:
        return _unscheduled(pod)
    for container in (pod.fetch, pod.triton):
        if container and container.waiting_reason:
            found = _waiting(container, pod)
            if found:
                return found
    if pod.fetch is None:
        return Diagnosis("StartingPod", _STARTING, pod.scheduled_at)
    if not pod.fetch.ready:
        return _fetching(pod.fetch, pod.scheduled_at, now)
    return _loading(pod)


def _unscheduled(pod: Pod) -> Diagnosis:
    if not pod.unschedulable:
        return Diagnosis("Scheduling", "Waiting for a node", pod.created_at)
    gpu = "nvidia.com/gpu" in pod.unschedulable
    way_out = "; free a GPU, add a GPU node, or set runtime.accelerator to None" if gpu else ""
    return Diagnosis(
        "InsufficientCapacity", f"No node fits: {_plain(pod.unschedulable)}{way_out}", pod.created_at, failed=True
    )


def _waiting(container: Container, pod: Pod) -> Diagnosis | None:
    field = "runtime.image" if container.name == "triton" else "the operator's image"
    since = pod.scheduled_at or pod.created_at
    reason = container.waiting_reason
    if reason in _BROKEN_IMAGE:
        return Diagnosis(
            "ImageInvalid", f"{field}: {_plain(container.waiting_message)}", since, terminal=True, failed=True
        )
    if reason in _MISSING_IMAGE:
        detail = _plain(_BACK_OFF.sub("", container.waiting_message))
        cause = f": {detail}" if detail else ""
        message = f"{field} cannot be pulled{cause}; check the name, the digest and runtime.pod.imagePullSecrets"
        return Diagnosis("ImagePullFailed", message, since, failed=True)
    if reason in _CONFIG_ERRORS:
        return Diagnosis(
            "ContainerConfig", f"A container cannot start: {_plain(container.waiting_message)}", since, failed=True
        )
    return None


_STARTING = "The node prepares the pod (images, volumes, Secrets); `kubectl describe pod` tells what is missing"


def _fetching(fetch: Container, scheduled_at: datetime, now: datetime) -> Diagnosis:
    report = _report(fetch.exit_message)
    if fetch.exit_code in (None, 0):
        if fetch.running_since is None:
            return Diagnosis("StartingPod", _STARTING, scheduled_at)
        return Diagnosis("Fetching", "The model is being fetched", now)
    progress_at = scheduled_at
    if report.get("progressed") and fetch.ended_at is not None:
        # It resumes where it ended: an attempt that goes on after one that moved bytes is taken to move bytes too.
        progress_at = now if fetch.running_since else fetch.ended_at
    if fetch.exit_reason == "OOMKilled":
        return Diagnosis("FetchFailed", "Fetching ran out of memory", progress_at, failed=True)
    kind = report.get("kind")
    return Diagnosis(
        str(report.get("reason") or "FetchFailed"),
        str(report.get("message") or f"Fetching the model ended with exit code {fetch.exit_code}; see its log"),
        progress_at,
        terminal=kind == FailureKind.INVALID,
        failed=True,
    )


def _loading(pod: Pod) -> Diagnosis:
    triton = pod.triton
    started = pod.scheduled_at or pod.created_at
    fetched = _report(pod.fetch.exit_message).get("bytes") if pod.fetch else None
    allowance = timedelta(seconds=(fetched if isinstance(fetched, int) else 0) / LOAD_BYTES_PER_SECOND)
    if pod.fetch and pod.fetch.ended_at:
        started = pod.fetch.ended_at
    if triton is None or (triton.exit_code is None and triton.restarts == 0):
        return Diagnosis("Loading", "The model is being loaded and warmed up", started, allowance=allowance)
    if triton.exit_reason == "OOMKilled":
        message = "Triton ran out of memory while loading the model; raise runtime.resources.limits.memory"
        return Diagnosis("OutOfMemory", message, started, failed=True)
    tail = _plain(triton.exit_message)
    detail = f": {tail}" if tail else "; see `kubectl logs` of the pod, container triton, with --previous"
    message = f"Triton ended with exit code {triton.exit_code} and is restarted{detail}"
    return Diagnosis("ServerCrashed", message, started, failed=True)


def _report(text: str) -> dict[str, Any]:
    """Reads a termination message of `plimsoll fetch`; anything else is no report."""
    try:
        report = json.loads(text)
    except ValueError:
        return {}
    return report if isinstance(report, dict) else {}


def _newest(first: datetime, others: Iterable[datetime]) -> datetime:
    return max([first, *others])


def _plain(text: str, limit: int = 400) -> str:
    """Returns one line of bounded length without a full stop."""
    line = " ".join(text.split()).rstrip(".")
    return line if len(line) <= limit else f"{line[: limit - 1]}…"
