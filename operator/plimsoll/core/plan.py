"""The heart: what to do about one ModelDeployment, given everything observed.

`plan(observed, now)` is pure and total. It is run again after every change, so it decides from what is there and never
from what it did before. Order matters where a crash could hurt users: the old revision is marked retired, then status
names the new one, which gateways follow, then the Service moves, and only what has drained is deleted. What is made is
made before the pods that need it: Services, whose names may be taken or over quota, before Deployments, which cost
machines.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from plimsoll.api.base import parse_duration
from plimsoll.api.routing import Routing, Traffic
from plimsoll.api.v1alpha1 import Runtime
from plimsoll.core import status as status_of
from plimsoll.core.actions import (
    Action,
    Announcement,
    Apply,
    ChildKind,
    Create,
    Delete,
    Plan,
    Scale,
    Severity,
    WriteStatus,
)
from plimsoll.core.cache import mismatches
from plimsoll.core.cache.permission import cacheable
from plimsoll.core.diff import needs_apply
from plimsoll.core.drain.scale_down import ScaleDown, scale_down
from plimsoll.core.gate import gate, holds_first
from plimsoll.core.lineage import Target, beyond_history, expired, retirement, stable_of, target_of
from plimsoll.core.names import NO_REVISION
from plimsoll.core.ownership import ours, refuse_strangers
from plimsoll.core.preflight.stage import Gate, Stage
from plimsoll.core.render.deployment import render_deployment, render_replicas
from plimsoll.core.render.manifest import Manifest
from plimsoll.core.render.revision import render_revision
from plimsoll.core.render.service import render_revision_service, render_stable_service
from plimsoll.core.routing.publish import acknowledged, leads_to_gateway, newest_epoch, next_routing
from plimsoll.core.routing.shadow import shadow_permille
from plimsoll.core.status import Standing
from plimsoll.core.world import Child, Deployment, Failure, FailureKind, Observed, ReplicasOwner, Revision
from plimsoll.errors import Invalid, NotYet


def plan(observed: Observed, now: datetime) -> Plan:
    """Returns what to do; empty when all is as wanted.

    Args:
        observed: One ModelDeployment, its children and the defaults in force.
        now: Aware time in UTC.
    """
    if observed.object.metadata.deletion_timestamp:
        return Plan()
    own = ours(observed)
    try:
        target = target_of(own)
        refuse_strangers(observed, target, stable_of(own, target.revision.name))
    except Invalid as error:
        return _only_status(own, Failure(FailureKind.INVALID, error.reason, error.message), now)
    except NotYet as waiting:
        return _only_status(own, Failure(FailureKind.NOT_YET, waiting.reason, waiting.message), now)
    return _Planner(own, target, now).plan()


def plan_refusal(observed: Observed, now: datetime) -> Plan:
    """Returns what to say after an action was refused (`observed.failure`): nothing that did not happen.

    In particular no promotion: the actions that it needs come first, and one of them failed.
    """
    own = ours(observed)
    planner = _Planner(own, target_of(own), now)
    target = planner.target.revision
    stable = stable_of(own, target.name)
    return _say(own, Standing(stable=stable, target=target, failure=observed.failure, gate=planner.gate), now)


def _only_to(child: Child, manifest: Manifest) -> Manifest:
    """Names the very object: should it be gone, applying is a conflict instead of making half a child in its place."""
    return {**manifest, "metadata": {**manifest["metadata"], "uid": child.uid}}


def _only_status(observed: Observed, failure: Failure, now: datetime) -> Plan:
    """Says why nothing is done. A preflight of what the spec no longer asks for ends; what runs is left as it is."""
    said = _say(observed, Standing(stable=stable_of(observed), target=None, failure=failure), now)
    over = _jobs_over(observed, None) if failure.kind is FailureKind.INVALID else ()
    return replace(said, actions=(*over, *said.actions))


def _jobs_over(observed: Observed, under_way: str | None) -> Iterator[Action]:
    """Deletes Jobs before another is made: where a quota has room for one, that one waits for this."""
    for name, job in sorted(observed.jobs.items()):
        if name != under_way and not job.deleting:
            yield Delete(ChildKind.JOB, name, job.uid, "its preflight is over, or no longer asked for")


def _say(observed: Observed, standing: Standing, now: datetime) -> Plan:
    outcome = status_of.status_for(observed, standing, now)
    return Plan(_status_actions(observed, outcome), outcome.announcements, outcome.requeue_at)


def _status_actions(observed: Observed, outcome: status_of.Outcome) -> tuple[Action, ...]:
    if outcome.status == observed.object.status:
        return ()
    return (WriteStatus(outcome.status, outcome.why),)


@dataclass(slots=True)
class _Planner:
    observed: Observed
    target: Target
    now: datetime
    gate: Gate = field(init=False)
    scaled: dict[str, ScaleDown] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        candidate = self.target.revision
        wanted = self._wanted_replicas(self.observed.deployments.get(candidate.name))
        self.gate = gate(self.observed, candidate, self._serving, wanted, self.now)

    def plan(self) -> Plan:
        promote = self._may_promote()
        stable = self.target.revision.name if promote else self._serving
        self.scaled = {deployment.name: self._scaled(deployment) for deployment in self._wanted(stable)}
        routing = self._routing(stable)
        kept, gone = self._sort_out(stable, routing)
        standing = Standing(
            stable=stable,
            target=self.target.revision,
            failure=self.observed.failure,
            promoted=promote,
            made=self.target.missing,
            draining=tuple(name for name in kept if name not in (stable, self.target.revision.name)),
            gate=self.gate,
            routing=routing,
            leaving=self.scaled[stable].waiting if stable in self.scaled else 0,
        )
        outcome = status_of.status_for(self.observed, standing, self.now)
        before, after = self._stable_service(stable, routing)
        actions = (
            *before,
            *self._make_revision(),
            *self._revision_services(kept),
            *self._deployments(kept),
            *_jobs_over(self.observed, self.gate.job),
            *self.gate.actions,
            *(mark for scaled in self.scaled.values() for mark in scaled.marks),
            *_status_actions(self.observed, outcome),
            *after,
            *self._removals(gone, (*kept, stable)),
        )
        told = (announcement for scaled in self.scaled.values() for announcement in scaled.announcements)
        announcements = (*outcome.announcements, *told, *self._farewells(gone), *mismatches.announced(self.observed))
        return Plan(actions, announcements, self._requeue_at(kept, outcome.requeue_at))

    @property
    def _serving(self) -> str | None:
        return stable_of(self.observed, self.target.revision.name)

    def _may_promote(self) -> bool:
        """The candidate takes over when the gate is open and every wanted pod of it is ready, hence warm."""
        candidate = self.observed.deployments.get(self.target.revision.name)
        if candidate is None or candidate.deleting or self.target.revision.name == self._serving:
            return False
        if self.observed.object.spec.traffic is Traffic.STABLE_ONLY and self._serving:
            return False
        return self.gate.open and candidate.settled and candidate.replicas == self._wanted_replicas(candidate)

    def _wanted_replicas(self, deployment: Deployment | None) -> int:
        """Returns the replicas of a revision: those of spec, unless an autoscaler owns those of the Deployment."""
        if deployment and deployment.replicas_owner is ReplicasOwner.AUTOSCALER:
            return deployment.replicas
        serving = self.observed.deployments.get(self._serving or "")
        if serving and serving is not deployment and serving.replicas_owner is ReplicasOwner.AUTOSCALER:
            return serving.replicas
        return self.observed.object.spec.replicas

    def _allowed_replicas(self, name: str, deployment: Deployment | None) -> int:
        """Returns the replicas of a revision that the gate lets it have."""
        wanted = self._wanted_replicas(deployment)
        return self.gate.replicas(wanted) if name == self.target.revision.name else wanted

    def _selected(self, stable: str | None) -> str | None:
        """Returns the revision that users reach: before the first promotion, where nothing is asked of it, the target.

        Its pods answer then as soon as they are ready.
        """
        candidate = self.target.revision
        return stable or (None if holds_first(self.observed, candidate) else candidate.name)

    def _routing(self, stable: str | None) -> Routing | None:
        """Returns what gateways are to follow; None where there are none and never were."""
        status = self.observed.object.status
        before = status.routing if status else None
        if before is None and self.observed.gateways is None:
            return None
        candidate = self.target.revision.name if self.gate.open else None
        draining = {name: scaled.draining for name, scaled in self.scaled.items()}
        known, keeps = newest_epoch(self.observed), cacheable(self.observed)
        shadow = shadow_permille(self.observed.object.spec.rollout)
        return next_routing(before, known, self._selected(stable), candidate, draining, keeps, shadow)

    def _wanted(self, stable: str | None) -> Iterator[Deployment]:
        """Returns the Deployments that are to stay."""
        for name in sorted({self.target.revision.name, stable or ""}):
            deployment = self.observed.deployments.get(name)
            if deployment and not deployment.deleting:
                yield deployment

    def _scaled(self, deployment: Deployment) -> ScaleDown:
        wanted = self._allowed_replicas(deployment.name, deployment)
        return scale_down(self.observed, deployment, wanted, self._drain, self.now)

    def _sort_out(
        self, stable: str | None, routing: Routing | None
    ) -> tuple[dict[str, datetime | None], list[Deployment]]:
        """Returns the revisions that stay, with their time of retirement, and the Deployments that go."""
        wanted = {self.target.revision.name, stable} - {None}
        kept: dict[str, datetime | None] = dict.fromkeys(sorted(name for name in wanted if name))
        gone = []
        service = self.observed.services.get(self.observed.object.metadata.name)
        for name, deployment in sorted(self.observed.deployments.items()):
            if name in wanted or deployment.deleting:
                continue
            retired_at = retirement(deployment, service, self.now)
            sent_there = deployment.ready or retired_at is not None or name == self._serving
            if service and service.gateway and sent_there and not acknowledged(self.observed, routing):
                # A gateway may still send requests there. The drain begins anew when it would have ended: one write
                # for each length of it, not one for each turn.
                retired_at = self.now if expired(retired_at, self._drain, self.now) else retired_at
            unknown = deployment.retired_at is None and name not in self.observed.revisions
            selected = service is not None and service.revision == name
            # Without its ControllerRevision it cannot be rendered, hence not be marked.
            if expired(retired_at, self._drain, self.now) or (unknown and not selected):
                gone.append(deployment)
            else:
                kept[name] = retired_at
        return kept, gone

    @property
    def _drain(self) -> timedelta:
        runtime = self.observed.object.spec.runtime or Runtime()
        return parse_duration(runtime.drain)

    def _make_revision(self) -> Iterator[Action]:
        if self.target.missing:
            made = self.target.revision
            manifest = render_revision(
                self.observed.object.metadata,
                made.snapshot,
                number=made.number,
                intent=made.intent,
                refresh=made.refresh,
            )
            yield Create(ChildKind.CONTROLLER_REVISION, manifest, f"the spec asks for revision {made.name}")

    def _deployments(self, kept: dict[str, datetime | None]) -> Iterator[Action]:
        for name, retired_at in kept.items():
            revision = self._revision(name)
            deployment = self.observed.deployments.get(name)
            if revision is None or (deployment and deployment.deleting):
                continue
            if deployment is None:
                wanted = self._allowed_replicas(name, None)
                first = wanted if wanted != 1 else None
                manifest = render_deployment(self.observed.object, revision, first_replicas=first)
                yield Create(ChildKind.DEPLOYMENT, manifest, f"revision {name} has no Deployment")
                continue
            if retired_at is not None and retired_at == deployment.retired_at:
                continue  # it only waits for its end: new labels or another node would restart what drains
            if retired_at is None and name in self.scaled:
                yield from self._scale(deployment, self.scaled[name].replicas)
            served = deployment.served or (retired_at is not None and name == self._serving)
            manifest = render_deployment(self.observed.object, revision, retired_at=retired_at, served=served)
            if needs_apply(manifest, deployment.body()):
                yield Apply(
                    ChildKind.DEPLOYMENT,
                    _only_to(deployment, manifest),
                    f"Deployment {name} differs from what is wanted",
                )

    def _scale(self, deployment: Deployment, wanted: int) -> Iterator[Action]:
        """Sets replicas, and claims them where another manager holds a value other than 1.

        The next apply of the rest would otherwise reset an unclaimed value to the default, 1.
        """
        rejected = deployment.name == self.target.revision.name and self.gate.stage is Stage.REJECTED
        if deployment.replicas_owner is ReplicasOwner.AUTOSCALER and not rejected:
            return
        unclaimed = deployment.replicas_owner is not ReplicasOwner.PLIMSOLL and deployment.replicas != 1
        if deployment.replicas != wanted or unclaimed:
            manifest = render_replicas(self.observed.object, deployment.name, wanted)
            yield Scale(_only_to(deployment, manifest), f"{wanted} replicas are wanted, {deployment.replicas} are set")

    def _revision_services(self, kept: dict[str, datetime | None]) -> Iterator[Action]:
        for name in kept:
            yield from self._service(name, render_revision_service(self.observed.object.metadata, name))

    def _stable_service(self, stable: str | None, routing: Routing | None) -> tuple[list[Action], list[Action]]:
        """Creates the stable Service, or changes it; returns what is done first of all and what after status.

        Creating comes first: its name is the likeliest to be a stranger's, and then nothing else was made. So does
        remembering the epoch, before gateways can follow it. What the Service selects changes after status, which
        names it; where it leads to the gateway before and after, it is status that moves the requests.
        """
        owner = self.observed.object.metadata
        service = self.observed.services.get(owner.name)
        gateway = leads_to_gateway(self.observed, service, routing)
        stopped = self.observed.object.spec.traffic is Traffic.STOPPED and not gateway
        selected = None if stopped else self._selected(stable)
        manifest = render_stable_service(owner, selected or NO_REVISION, routing=routing, gateway=gateway)
        actions = list(self._service(owner.name, manifest))
        if service is None or (service.gateway and gateway):
            return actions, []
        if routing is None or routing.epoch == service.epoch:
            return [], actions
        selects = service.revision or NO_REVISION
        remembering = render_stable_service(owner, selects, routing=routing, gateway=service.gateway)
        return list(self._service(owner.name, remembering)), [] if remembering == manifest else actions

    def _service(self, name: str, manifest: Manifest) -> Iterator[Action]:
        service = self.observed.services.get(name)
        if service is None:
            yield Create(ChildKind.SERVICE, manifest, f"Service {name} does not exist")
        elif not service.deleting and needs_apply(manifest, service.body()):
            yield Apply(ChildKind.SERVICE, _only_to(service, manifest), f"Service {name} differs from what is wanted")

    def _removals(self, gone: list[Deployment], in_use: tuple[str | None, ...]) -> Iterator[Action]:
        for deployment in gone:
            yield Delete(
                ChildKind.DEPLOYMENT, deployment.name, deployment.uid, f"revision {deployment.name} is not used"
            )
        used = {name for name in in_use if name}
        for name, service in sorted(self.observed.services.items()):
            if name != self.observed.object.metadata.name and name not in used and not service.deleting:
                yield Delete(ChildKind.SERVICE, name, service.uid, f"revision {name} is not used")
        limit = self.observed.defaults.history_limit
        for revision in beyond_history(self.observed.revisions, used, limit):
            yield Delete(
                ChildKind.CONTROLLER_REVISION,
                revision.name,
                revision.uid,
                f"more than {limit} unused revisions are kept",
            )

    def _farewells(self, gone: list[Deployment]) -> Iterator[Announcement]:
        for deployment in gone:
            yield Announcement(Severity.NORMAL, "RevisionRemoved", f"Removed the pods of revision {deployment.name}")

    def _revision(self, name: str) -> Revision | None:
        """Returns a revision, None when its snapshot is gone: its Deployment is then left as it is."""
        return self.target.revision if name == self.target.revision.name else self.observed.revisions.get(name)

    def _requeue_at(self, kept: dict[str, datetime | None], first: datetime | None) -> datetime | None:
        times = [retired_at + self._drain for retired_at in kept.values() if retired_at is not None]
        others = (first, self.gate.requeue_at, *(scaled.look_at for scaled in self.scaled.values()))
        return min([*times, *(time for time in others if time)], default=None)
