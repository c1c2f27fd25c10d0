"""The gate: may the candidate serve, and what has to be done to find out?

A pure function that the planner consults. What it says follows from what is there: the verdict on the present question,
else the Job that is to answer it, else nothing yet. So it never matters where a crash left off.

    no verdict ──▶ one replica, at weight 0 ──ready──▶ Job ──report, or its last words──▶ verdict
    Passed     ──▶ a harmed pod is replaced; then all replicas, then promotion
    Rejected   ──▶ no replica, until the question changes
    Error      ──▶ the Job goes; after a pause, which doubles, the next one
"""

from __future__ import annotations

from datetime import datetime, timedelta

from plimsoll.api.preflight import Preflight, PreflightMode, WhenNoStable
from plimsoll.api.preflight_report import Outcome
from plimsoll.api.v1alpha1 import ModelDeploymentSpec
from plimsoll.core.actions import ChildKind, Delete
from plimsoll.core.lineage import stable_of, target_of
from plimsoll.core.names import preflight_name
from plimsoll.core.preflight.examination import Examination, quoted
from plimsoll.core.preflight.key import data_names, verdict_key
from plimsoll.core.preflight.stage import OPEN, Gate, Stage, Waiting
from plimsoll.core.world import Observed, Pod, Revision, Verdict
from plimsoll.errors import PlimsollError

DATA_AGAIN = timedelta(minutes=1)
"""ConfigMaps of users are not watched: that would put all of them into the controller's memory."""


def config_maps_needed(observed: Observed) -> frozenset[str]:
    """Returns the ConfigMaps whose version is part of the question; none where nothing is asked."""
    named = data_names(observed.object.spec)
    if not named:
        return frozenset()
    try:
        target = target_of(observed).revision
    except PlimsollError:
        return frozenset()
    stable = stable_of(observed, target.name)
    return named if _asks(observed, target, stable) else frozenset()


def gate(observed: Observed, target: Revision, stable: str | None, wanted: int, now: datetime) -> Gate:
    """Returns what the gate says of `target`.

    Args:
        observed: Children of ours only.
        target: The revision that the newest spec asks for.
        stable: The revision that serves, None before the first.
        wanted: Replicas that it will have.
        now: Aware time in UTC.
    """
    if not _asks(observed, target, stable):
        return OPEN
    spec = observed.object.spec
    data = {name: observed.config_map_versions.get(name, "") for name in sorted(data_names(spec))}
    key = verdict_key(spec, target, stable, data)
    kept = observed.verdicts.get(preflight_name(target.name))
    verdict = kept if kept and kept.key == key and not kept.deleting else None
    if verdict and verdict.outcome is Outcome.REJECTED and _preflight(spec).mode is PreflightMode.ENFORCE:
        return _rejected(verdict, now if data else None)
    if wanted == 0:
        return OPEN
    if verdict and verdict.outcome is not Outcome.ERROR:
        return _passed(observed, verdict, wanted)
    missing = [name for name, version in data.items() if not version]
    if missing:
        return _without_data(observed, target, missing[0], now)
    return Examination(observed, target, stable, key, verdict, now).gate()


def unverified(observed: Observed, revision: str) -> bool:
    """Tells whether a revision that serves does so by `whenNoStable: Serve`, unexamined."""
    preflight = _preflight(observed.object.spec)
    kept = observed.verdicts.get(preflight_name(revision))
    passed = kept is not None and kept.outcome is Outcome.PASSED
    return preflight.mode is not PreflightMode.SKIP and preflight.when_no_stable is WhenNoStable.SERVE and not passed


def holds_first(observed: Observed, target: Revision) -> bool:
    """Tells whether a first revision gets no traffic before it is promoted."""
    return _asks(observed, target, None)


def _preflight(spec: ModelDeploymentSpec) -> Preflight:
    return spec.preflight or Preflight()


def _asks(observed: Observed, target: Revision, stable: str | None) -> bool:
    """Tells whether `target` has to show anything before it serves. What served already has not.

    The stable Service still says so when status was lost: under a gate it selects a revision after its promotion only.
    Without one it selects a first revision before it is ready, so it counts where somebody is served. And the
    Deployment of a revision that drains says that it served, so that going back to it takes no longer than before.
    """
    preflight = _preflight(observed.object.spec)
    if preflight.mode is PreflightMode.SKIP or target.name == stable:
        return False
    if stable is None and preflight.when_no_stable is WhenNoStable.SERVE:
        return False
    service = observed.services.get(observed.object.metadata.name)
    deployment = observed.deployments.get(target.name)
    if deployment is None:
        return True
    return not (deployment.served or (deployment.ready and service and service.revision == target.name))


def _rejected(verdict: Verdict, data_read_at: datetime | None) -> Gate:
    why = quoted(verdict.message) or verdict.reason
    message = (
        f"Revision {verdict.revision} was rejected by its preflight. {why}. The whole report is in ConfigMap "
        f"{preflight_name(verdict.revision)}; correct the model, or what spec.preflight asks of it"
    )
    requeue_at = data_read_at + DATA_AGAIN if data_read_at else None
    waiting = Waiting("PreflightRejected", message, stalled=True)
    return Gate(Stage.REJECTED, verdict, waiting, requeue_at=requeue_at)


def _passed(observed: Observed, verdict: Verdict, wanted: int) -> Gate:
    """All replicas, and promotion when they are there; but a pod that the preflight harmed does not serve."""
    pods = [pod for pod in observed.pods.values() if pod.revision == verdict.revision]
    harmed = next((pod for pod in pods if _is_harmed(pod, verdict)), None)
    fit = [pod for pod in pods if pod is not harmed and pod.ready and not pod.deleting]
    if harmed is None:
        return Gate(verdict=verdict, held=len(fit) < wanted)
    why = "the preflight harmed it, so it is replaced before it serves"
    actions = () if harmed.deleting else (Delete(ChildKind.POD, harmed.name, harmed.uid, why),)
    message = "The model server that was examined is replaced, because the preflight left it restarted or grown"
    return Gate(verdict=verdict, waiting=Waiting("ReplacingPod", message), held=True, actions=actions)


def _is_harmed(pod: Pod, verdict: Verdict) -> bool:
    if not pod.uid or pod.uid != verdict.examined.uid:
        return False
    restarts = pod.triton.restarts if pod.triton else 0
    return verdict.harmed or restarts > verdict.examined.restarts


def _without_data(observed: Observed, target: Revision, name: str, now: datetime) -> Gate:
    """Stalled once the ConfigMap is all that is missing: one applied along with the spec is there before any pod."""
    message = (
        f"ConfigMap {name}, which spec.preflight names, does not exist; create it, or remove it from spec.preflight"
    )
    candidate = observed.deployments.get(target.name)
    waiting = Waiting("PreflightDataMissing", message, stalled=candidate is not None and candidate.ready > 0)
    return Gate(Stage.EXAMINING, None, waiting, requeue_at=now + DATA_AGAIN)
