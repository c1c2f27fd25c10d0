"""What to do about the gateways of one namespace, given everything observed.

`plan_fleet(observed, now)` is pure and total, and is run again after every change. The Deployment is the anchor: it is
made first, without pods, and everything else belongs to it, so that one deletion takes all and nothing can be left
behind by a crash. Its pods come last, when all that they need is there. It belongs to nobody: deleting one
ModelDeployment must not take everybody's gateways.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from plimsoll.core.actions import Apply, ChildKind, Create, Delete, Mark, Scale
from plimsoll.core.diff import needs_apply
from plimsoll.core.fleet.exposure import Exposure, exposure
from plimsoll.core.fleet.observed import Companion, FleetDeployment, ObservedFleet
from plimsoll.core.fleet.replicas import wanted_replicas
from plimsoll.core.names import GATEWAY_NAME, MODELS_POLICY_NAME
from plimsoll.core.render.gateway import render_gateway_deployment, render_gateway_mark, render_gateway_replicas
from plimsoll.core.render.gateway_companions import companion, render_companions
from plimsoll.core.render.gateway_policy import render_models_policy
from plimsoll.core.render.manifest import Manifest
from plimsoll.core.world import Failure, FailureKind, ReplicasOwner

LINGER = timedelta(minutes=10)
"""From the last ModelDeployment's end to that of the gateways: a namespace that is redeployed keeps them."""
DRAIN = timedelta(minutes=1)
"""From the moment no Service leads to gateways that were switched off to their end: clients that resolved or connected
before have moved on, or are served until they close (kube-proxy needs seconds)."""
TURN = timedelta(seconds=15)
"""How soon to ask again whether it is this namespace's turn to be upgraded."""
LOAD_PERIOD = timedelta(seconds=30)
"""How often the size of a fleet is reconsidered while its load is known."""

FleetAction = Create | Apply | Scale | Mark | Delete


@dataclass(frozen=True, slots=True)
class FleetPlan:
    """What to do.

    Attributes:
        actions: Commands, in order.
        requeue_at: When to look again although nothing changes, None when there is nothing to wait for.
        trouble: Why nothing can be done, None when something can.
    """

    actions: tuple[FleetAction, ...] = ()
    requeue_at: datetime | None = None
    trouble: Failure | None = None


def plan_fleet(observed: ObservedFleet, now: datetime) -> FleetPlan:
    """Returns what to do; empty when all is as wanted.

    Args:
        observed: One namespace.
        now: Aware time in UTC.
    """
    deployment = observed.deployment
    if not observed.wanted:
        return _let_go(observed, deployment, now) if deployment else FleetPlan()
    stranger = next((known for known in observed.companions.values() if not known.ours), None)
    if stranger:
        conflict = fleet_name_conflict(stranger.kind, stranger.name)
        return FleetPlan(trouble=Failure(FailureKind.INVALID, "NameConflict", conflict))
    if deployment is None:
        manifest = render_gateway_deployment(observed.namespace, observed.settings, first_replicas=0)
        why = f"namespace {observed.namespace} has ModelDeployments and no gateways"
        return FleetPlan((Create(ChildKind.DEPLOYMENT, manifest, why),))
    return FleetPlan() if deployment.deleting else _keep(observed, deployment, now)


def fleet_name_conflict(kind: str, name: str) -> str:
    """Returns the message about a name that is taken; used by the shell too."""
    return (
        f"{kind} {name} exists and is not one of the operator's; it is left alone, and without that name the namespace "
        "gets no gateway. Delete or rename it"
    )


def _keep(observed: ObservedFleet, deployment: FleetDeployment, now: datetime) -> FleetPlan:
    exposed = exposure(observed, now)
    manifests = _companions(observed, deployment, exposed)
    upgrade = render_gateway_deployment(observed.namespace, observed.settings)
    differs = needs_apply(upgrade, deployment.body())
    turn = differs and _may_upgrade(observed, deployment)
    actions: tuple[FleetAction, ...] = (
        *_unmark(deployment, observed.namespace),
        *(action for manifest in manifests for action in _companion(observed, manifest)),
        *(() if exposed.policy else _open(observed)),
        *_scale(observed, deployment),
        *([Apply(ChildKind.DEPLOYMENT, _only_to(deployment, upgrade), "another pod template is wanted")] * turn),
    )
    waits = [
        *([now + TURN] if differs and not turn and not observed.rolling_out else []),
        *([now + LOAD_PERIOD] if observed.load else []),
        *([exposed.requeue_at] if exposed.requeue_at else []),
    ]
    return FleetPlan(actions, min(waits, default=None))


def _companions(observed: ObservedFleet, deployment: FleetDeployment, exposed: Exposure) -> list[Manifest]:
    always = render_companions(observed.namespace, observed.settings, deployment.uid)
    if not exposed.policy:
        return always
    spec = render_models_policy(observed.settings, exposed.open)
    policy = companion(
        "networking.k8s.io/v1", "NetworkPolicy", MODELS_POLICY_NAME, observed.namespace, deployment.uid, spec=spec
    )
    return [*always, policy]


def _companion(observed: ObservedFleet, manifest: Manifest) -> Iterator[FleetAction]:
    kind, name = ChildKind(manifest["kind"]), manifest["metadata"]["name"]
    have = observed.companions.get((kind, name))
    if have is None:
        yield Create(kind, manifest, f"{kind} {name} does not exist")
    elif not have.deleting and needs_apply(manifest, have.body()):
        yield Apply(kind, _only_to(have, manifest), f"{kind} {name} differs from what is wanted")


def _open(observed: ObservedFleet) -> Iterator[FleetAction]:
    """Takes the policy on model pods away, if there is one of ours."""
    have = observed.companions.get((ChildKind.NETWORK_POLICY, MODELS_POLICY_NAME))
    if have and have.ours and not have.deleting:
        yield Delete(ChildKind.NETWORK_POLICY, have.name, have.uid, "users are to reach model pods directly")


def _scale(observed: ObservedFleet, deployment: FleetDeployment) -> Iterator[FleetAction]:
    """Sets replicas under a manager of their own, and claims them: the next apply of the rest would reset them to 1.

    An autoscaler that somebody put there keeps them, but never below the first pods.
    """
    if deployment.replicas_owner is ReplicasOwner.AUTOSCALER and deployment.replicas > 0:
        return
    settings = observed.settings
    count = wanted_replicas(deployment.replicas, observed.load, settings.replicas, settings.max_replicas)
    if count < deployment.replicas and not deployment.settled and deployment.replicas <= settings.max_replicas:
        count = deployment.replicas  # pods come and go: what the load will be is not known before they have
    if deployment.replicas != count or deployment.replicas_owner is not ReplicasOwner.PLIMSOLL:
        manifest = render_gateway_replicas(observed.namespace, count)
        yield Scale(_only_to(deployment, manifest), f"{count} gateways are wanted, {deployment.replicas} are set")


def _may_upgrade(observed: ObservedFleet, deployment: FleetDeployment) -> bool:
    """Tells whether pods may be replaced now: by turns, by name, and never while a candidate gets requests.

    Where none is ready there is nothing to protect. A template that does not start stops here: the fleets whose turn it
    was stay in upgrade, and no other gets one.
    """
    if deployment.ready == 0:
        return True
    if observed.rolling_out:
        return False
    if deployment.upgrading:
        return True
    first = sum(other < observed.namespace for other in observed.upgrades.waiting)
    return first + len(observed.upgrades.running) < observed.settings.max_upgrades


def _unmark(deployment: FleetDeployment, namespace: str) -> Iterator[FleetAction]:
    if deployment.retired_at is not None:
        yield Mark(_only_to(deployment, render_gateway_mark(namespace, None)), "the gateways are needed again")


def _let_go(observed: ObservedFleet, deployment: FleetDeployment, now: datetime) -> FleetPlan:
    """Removes gateways that nobody needs, some time after no Service led to them any more.

    When that was stands on the Deployment, so that a restart of the controller does not begin anew.
    """
    if deployment.deleting:
        return FleetPlan()
    opened = () if observed.settings.enabled else tuple(_open(observed))
    if observed.behind:
        return FleetPlan((*opened, *_unmark(deployment, observed.namespace)))
    since = deployment.retired_at
    wait = LINGER if observed.settings.enabled else DRAIN
    if since is None or since > now:
        marked_at = now.replace(microsecond=0)
        mark = Mark(_only_to(deployment, render_gateway_mark(observed.namespace, marked_at)), "nobody needs gateways")
        return FleetPlan((*opened, mark), marked_at + wait)
    if now < since + wait:
        return FleetPlan(opened, since + wait)
    minutes = round((now - since).total_seconds() / 60)
    gone = Delete(ChildKind.DEPLOYMENT, GATEWAY_NAME, deployment.uid, f"nobody needed gateways for {minutes} min")
    return FleetPlan((*opened, gone))


def _only_to(child: Companion | FleetDeployment, manifest: Manifest) -> Manifest:
    """Names the very object: should it be gone, applying is a conflict instead of making half of it in its place."""
    return {**manifest, "metadata": {**manifest["metadata"], "uid": child.uid}}
