"""From where a ModelDeployment stands to its status. Equal input gives equal output, so that no write is wasted."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import UTC, datetime

from plimsoll.api.preflight_report import Outcome as PreflightOutcome
from plimsoll.api.preflight_status import Interface, PreflightStatus
from plimsoll.api.routing import Routing, Traffic
from plimsoll.api.v1alpha1 import Condition, ConditionStatus, ConditionType, ModelDeploymentStatus, Runtime, Urls
from plimsoll.core import conditions
from plimsoll.core.actions import Announcement, Severity
from plimsoll.core.cache.permission import cache_refusal
from plimsoll.core.conditions import Situation
from plimsoll.core.confidence.warning import confidence_warning
from plimsoll.core.diagnosis import Diagnosis, diagnose
from plimsoll.core.gate import unverified
from plimsoll.core.kill_switch.telling import alert, killed
from plimsoll.core.names import GRPC_PORT, HTTP_PORT, pod_selector, preflight_name, selector_text
from plimsoll.core.preflight.stage import OPEN, Gate, Stage, Waiting
from plimsoll.core.preflight.summary import interface_of, preflight_status
from plimsoll.core.world import Deployment, Failure, FailureKind, Observed, Pod, ReplicasOwner, Revision, Verdict


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a ModelDeployment stands in this plan.

    Attributes:
        stable: Revision that serves, None before the first.
        target: Revision that the newest spec asks for, None when it asks for nothing that can be made.
        failure: Outcome of the last attempt to apply.
        promoted: This plan moves traffic to the target.
        made: This plan makes the target.
        draining: Revisions that still run without traffic.
        gate: What the gate says of the target.
        routing: What gateways are to follow; None leaves it as it is.
        leaving: Pods of the stable revision that are too many and still answer requests.
    """

    stable: str | None
    target: Revision | None
    failure: Failure | None = None
    promoted: bool = False
    made: bool = False
    draining: tuple[str, ...] = ()
    gate: Gate = OPEN
    routing: Routing | None = None
    leaving: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """The status to have, why it is that, what to tell, and when to look again."""

    status: ModelDeploymentStatus
    why: str
    announcements: tuple[Announcement, ...] = ()
    requeue_at: datetime | None = None


def status_for(observed: Observed, standing: Standing, now: datetime) -> Outcome:
    """Returns the status of a ModelDeployment that stands as `standing` says."""
    situation, requeue_at = _situation(observed, standing, now)
    metadata = observed.object.metadata
    before = observed.object.status or ModelDeploymentStatus()
    shown = standing.stable or (standing.target.name if standing.target else None)
    deployment = observed.deployments.get(shown or "")
    candidate = standing.target.name if standing.target and standing.target.name != standing.stable else None
    examined = preflight_status(_verdict(observed, standing))
    status = ModelDeploymentStatus(
        observed_generation=metadata.generation,
        phase=situation.phase,
        stable=standing.stable,
        candidate=candidate,
        replicas=deployment.pods if deployment else 0,
        ready_replicas=deployment.ready if deployment else 0,
        selector=selector_text(pod_selector(metadata.name, shown)) if shown else before.selector,
        urls=_urls(metadata.name, metadata.namespace, tls=_speaks_tls(observed)),
        decision=_decision(standing, before, deployment),
        preflight=examined,
        stable_interface=_stable_interface(observed, standing, examined),
        routing=standing.routing or before.routing,
        conditions=conditions.conditions_of(situation, metadata.generation, now, before.conditions or []),
    )
    return Outcome(status, situation.message, _announcements(standing, situation, before), requeue_at)


def _speaks_tls(observed: Observed) -> bool:
    """Tells whether users meet TLS: where the Service leads to gateways that speak it, or will when it is made."""
    gateways = observed.gateways
    service = observed.services.get(observed.object.metadata.name)
    return gateways is not None and gateways.tls and (service is None or service.gateway)


def _urls(name: str, namespace: str, *, tls: bool) -> Urls:
    host = f"{name}.{namespace}.svc"
    return Urls(http=f"{'https' if tls else 'http'}://{host}:{HTTP_PORT}/v2/models/{name}", grpc=f"{host}:{GRPC_PORT}")


def _situation(observed: Observed, standing: Standing, now: datetime) -> tuple[Situation, datetime | None]:
    """Returns what is true now and when that must be looked at again."""
    serving = _serves(observed, standing)
    before_pods = _before_pods(observed, standing, serving=serving)
    if before_pods or standing.target is None:
        nothing = conditions.cannot_start("Unknown", "The spec asks for no revision", serving=serving)
        return before_pods or nothing, None
    deployment = observed.deployments.get(standing.target.name)
    promoted = standing.stable == standing.target.name
    if deployment is None:
        # The words of diagnosis.py, so that the first look after the creation changes nothing.
        wanted = standing.gate.replicas(observed.object.spec.replicas)
        message = f"Revision {standing.target.name}: 0 of {wanted} model servers are ready"
        if serving and standing.stable and not promoted:
            message = f"{message}. {_OLD_SERVES}"
        if promoted:
            return conditions.scaling("WaitingForPods", message, serving=serving, stalled=False), None
        return conditions.preparing("WaitingForPods", message, serving=serving), None
    if promoted and deployment.settled and deployment.replicas == _wanted(observed, deployment):
        return _settled(observed, standing, deployment), None
    if promoted and standing.leaving:
        return _leaving(observed, standing, deployment, serving=serving), None
    return _unsettled(observed, standing, deployment, now, serving=serving)


def _before_pods(observed: Observed, standing: Standing, *, serving: bool) -> Situation | None:
    """Returns what is true whatever the pods do: traffic was stopped, something was refused, or the gate is shut."""
    traffic = observed.object.spec.traffic
    if traffic is Traffic.STOPPED:
        return conditions.stopped()
    if traffic is not Traffic.FALLBACK and (situation := killed(observed, serving=serving)):
        return situation
    if standing.failure:
        failed = conditions.cannot_start if standing.failure.kind is FailureKind.INVALID else conditions.preparing
        return failed(standing.failure.reason, standing.failure.message, serving=serving)
    if standing.gate.waiting and not standing.promoted:
        return _gated(standing, standing.gate.waiting, serving=serving)
    waits = standing.target and standing.stable and standing.target.name != standing.stable
    if traffic is Traffic.STABLE_ONLY and waits and standing.target and standing.gate.open:
        message = (
            f"Revision {standing.target.name} waits because spec.traffic is StableOnly; set it to Normal. {_OLD_SERVES}"
        )
        return conditions.preparing("StableOnly", message, serving=serving)
    return None


def _gated(standing: Standing, waiting: Waiting, *, serving: bool) -> Situation:
    message = f"{waiting.message}. {_OLD_SERVES}" if serving and standing.stable else waiting.message
    if standing.gate.stage is Stage.REJECTED:
        return conditions.rejected(waiting.reason, message, serving=serving)
    return conditions.verifying(waiting.reason, message, serving=serving, stalled=waiting.stalled)


_OLD_SERVES = "The old revision keeps serving"


def _wanted(observed: Observed, deployment: Deployment) -> int:
    owned_elsewhere = deployment.replicas_owner is ReplicasOwner.AUTOSCALER
    return deployment.replicas if owned_elsewhere else observed.object.spec.replicas


def _serves(observed: Observed, standing: Standing) -> bool:
    """Tells whether users get answers: there is a stable Service of ours, and a ready pod behind it.

    Before the first promotion that is whatever the Service selects: nothing, while the candidate is under the gate.
    """
    service = observed.services.get(observed.object.metadata.name)
    deployment = observed.deployments.get(standing.stable or service.revision) if service else None
    without_gateway = service and service.gateway and observed.gateways and observed.gateways.ready == 0
    return deployment is not None and deployment.ready > 0 and not without_gateway


def _settled(observed: Observed, standing: Standing, deployment: Deployment) -> Situation:
    hint = _overruled(observed, deployment)
    if deployment.replicas == 0:
        return conditions.scaled_to_zero(hint)
    trouble = _gateway_trouble(observed)
    if trouble:
        serving = _serves(observed, standing)
        return conditions.without_gateway(trouble.reason, trouble.message, serving=serving)
    if standing.draining:
        runtime = observed.object.spec.runtime or Runtime()
        return conditions.finalizing(", ".join(standing.draining), runtime.drain)
    return _served(observed, deployment, hint)


def _served(observed: Observed, deployment: Deployment, hint: str) -> Situation:
    """Returns what is true of a revision that serves as wanted, with what is worth a remark."""
    spec = observed.object.spec
    if spec.traffic is Traffic.FALLBACK and spec.fallback:
        hint = f", but {spec.fallback.name} answers, because spec.traffic is Fallback{hint}"
        return conditions.stable(deployment.ready, deployment.replicas, hint, reason="Fallback")
    alerted = alert(observed)
    if alerted:
        return conditions.stable(deployment.ready, deployment.replicas, f". {alerted}{hint}", reason="KillSwitchAlert")
    if unverified(observed, deployment.revision):
        hint = f". Revision {deployment.revision} serves unexamined, as preflight.whenNoStable says{hint}"
        return conditions.stable(deployment.ready, deployment.replicas, hint, reason="Unverified")
    warned = confidence_warning(observed, deployment.revision)
    if warned:
        hint = f". {warned}{hint}"
        return conditions.stable(deployment.ready, deployment.replicas, hint, reason="ConfidenceUnjudged")
    refused = cache_refusal(observed, deployment.revision)
    if refused:
        return conditions.stable(deployment.ready, deployment.replicas, f". {refused}{hint}", reason="CacheRefused")
    return conditions.stable(deployment.ready, deployment.replicas, hint)


def _leaving(observed: Observed, standing: Standing, deployment: Deployment, *, serving: bool) -> Situation:
    drain = (observed.object.spec.runtime or Runtime()).drain
    message = (
        f"Revision {deployment.revision}: {standing.leaving} of {deployment.replicas} model servers get no new "
        f"request, and go when they have answered those they have, or after {drain}"
    )
    return conditions.scaling("Draining", message, serving=serving, stalled=False)


def _gateway_trouble(observed: Observed) -> Failure | None:
    """Returns what is wrong with the gateways, None where none are wanted or the spec goes past them."""
    gateways = observed.gateways
    if gateways is None or observed.object.spec.traffic is Traffic.DIRECT:
        return None
    service = observed.services.get(observed.object.metadata.name)
    if service and service.gateway and gateways.ready == 0:
        message = (
            "0 gateways are ready, so no request arrives; "
            + ("see whether the Secrets with their certificate and keys exist: " if gateways.guarded else "")
            + "look at Deployment plimsoll-gateway, or set spec.traffic to Direct"
            + (", which wants neither TLS nor keys" if gateways.guarded else "")
        )
        return gateways.trouble or Failure(FailureKind.OUTAGE, reason="GatewayUnavailable", message=message)
    return gateways.trouble


def _overruled(observed: Observed, deployment: Deployment) -> str:
    """Says why spec.replicas does not count: Kubernetes remembers an autoscaler's claim after its deletion."""
    name, namespace, wanted = deployment.name, observed.object.metadata.namespace, observed.object.spec.replicas
    if deployment.replicas == wanted:
        return ""
    return (
        f". An autoscaler set the replicas of Deployment {name}, so spec.replicas ({wanted}) does not count. Let it "
        "target the ModelDeployment instead; to end its claim, delete it and run "
        f"`kubectl scale deployment {name} --namespace {namespace} --replicas {wanted}`"
    )


def _unsettled(
    observed: Observed, standing: Standing, deployment: Deployment, now: datetime, *, serving: bool
) -> tuple[Situation, datetime | None]:
    promoted = standing.stable == deployment.revision
    old_serves = serving and standing.stable is not None and not promoted
    found = diagnose(deployment, _pods_of(observed, deployment.revision), now)
    found = dataclasses.replace(found, progress_at=max(found.progress_at, _noticed_at(observed, now)))
    deadline = observed.defaults.progress_deadline
    stalled = found.stalled(now, deadline)
    if promoted and not found.failed:
        # Pods of a roll or a scale-up come and go in dozens: their stages are no news while the revision serves.
        found = dataclasses.replace(found, reason="WaitingForPods", message=_ready_count(deployment))
    message = _told(found, deployment, old_serves=old_serves, stalled=stalled and not found.terminal)
    requeue_at = None if stalled else found.stalls_at(deadline)
    if promoted:
        return conditions.scaling(found.reason, message, serving=serving, stalled=stalled), requeue_at
    verb = conditions.cannot_start if stalled else conditions.preparing
    return verb(found.reason, message, serving=serving), requeue_at


def _ready_count(deployment: Deployment) -> str:
    return f"{deployment.ready} of {deployment.replicas} model servers are ready"


def _noticed_at(observed: Observed, now: datetime) -> datetime:
    """Returns since when the present work is under way: what worked for days gets the whole deadline when it stops.

    A new spec is a new attempt. What is stalled already stays so until its pods move.
    """
    status = observed.object.status
    if status is None or status.observed_generation != observed.object.metadata.generation:
        return now
    held = {c.type: c for c in status.conditions or () if c.status is ConditionStatus.TRUE}
    if ConditionType.STALLED in held:
        return _LONG_AGO
    reconciling = held.get(ConditionType.RECONCILING)
    return datetime.fromisoformat(reconciling.last_transition_time) if reconciling else now


_LONG_AGO = datetime.min.replace(tzinfo=UTC)


def _pods_of(observed: Observed, revision: str) -> list[Pod]:
    return [pod for pod in observed.pods.values() if pod.revision == revision]


def _told(found: Diagnosis, deployment: Deployment, *, old_serves: bool, stalled: bool) -> str:
    parts = [f"Revision {deployment.revision}: {found.message}"]
    if stalled:
        parts.append("No progress within the deadline; it is still being tried")
    if old_serves:
        parts.append(_OLD_SERVES)
    return ". ".join(parts)


def _verdict(observed: Observed, standing: Standing) -> Verdict | None:
    """Returns what was said of the newest revision: on the present question, or once it serves, on the last one."""
    if standing.target is None:
        return None
    kept = observed.verdicts.get(preflight_name(standing.target.name))
    return kept if standing.target.name == standing.stable else standing.gate.verdict


def _stable_interface(observed: Observed, standing: Standing, examined: PreflightStatus | None) -> Interface | None:
    """Returns what gateways that start now have to know of the revision that serves, None where status says it."""
    stable = standing.stable
    if observed.gateways is None or stable is None or (examined and examined.revision == stable):
        return None
    return interface_of(observed.verdicts.get(preflight_name(stable)))


def _decision(standing: Standing, before: ModelDeploymentStatus, deployment: Deployment | None) -> str | None:
    if standing.promoted and standing.target:
        count = deployment.ready if deployment else 0
        instead = f", instead of {before.stable}" if before.stable else ""
        proved = ", and it passed its preflight" if standing.gate.verdict else ""
        return f"{standing.target.name} serves{instead}: {count} of {count} model servers were ready and warm{proved}"
    if standing.gate.stage is Stage.REJECTED and standing.gate.verdict:
        return f"{standing.gate.verdict.revision} does not serve: {standing.gate.verdict.message}"[
            : conditions.MAX_MESSAGE
        ]
    if standing.made and standing.target:
        return f"{standing.target.name} was made, revision {standing.target.number}: the spec had no revision yet"
    return before.decision


def _announcements(standing: Standing, situation: Situation, before: ModelDeploymentStatus) -> tuple[Announcement, ...]:
    told = []
    if standing.made and standing.target and not standing.failure:
        told.append(
            Announcement(
                Severity.NORMAL, "RevisionCreated", f"Created revision {standing.target.name} for the new spec"
            )
        )
    told += _passed(standing.gate.verdict, before)
    if standing.promoted and standing.target:
        told.append(Announcement(Severity.NORMAL, "Promoted", f"Revision {standing.target.name} serves now"))
    elif (not situation.ready or situation.reason == "KillSwitchAlert") and situation.reason not in (
        *_WAITING,
        _reason(before.conditions or []),
    ):
        told.append(Announcement(Severity.WARNING, situation.reason, situation.message))
    return tuple(told)


def _passed(verdict: Verdict | None, before: ModelDeploymentStatus) -> tuple[Announcement, ...]:
    """Tells a pass once: when status does not say so yet."""
    if verdict is None or verdict.outcome is not PreflightOutcome.PASSED:
        return ()
    if before.preflight and (before.preflight.key, before.preflight.outcome) == (verdict.key, verdict.outcome):
        return ()
    message = f"Revision {verdict.revision}: {verdict.message}"
    return (Announcement(Severity.NORMAL, "PreflightPassed", message),)


_WAITING = (
    "WaitingForPods",
    "Scheduling",
    "StartingPod",
    "Fetching",
    "Loading",
    "PreflightRunning",
    "ReplacingPod",
)
"""Reasons that are plain waiting: shown in conditions, no Event each."""


def _reason(before: list[Condition]) -> str:
    return next((condition.reason for condition in before if condition.type == ConditionType.READY), "")
