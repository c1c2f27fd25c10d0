"""The heart: what to do about one ModelDeployment, given everything observed.

`plan(observed, now)` is pure and total. It is run again after every change, so it decides from what is there and never
from what it did before. Order matters where a crash could hurt users: the old revision is marked retired, then status
names the new one, then the Service moves, and only what has drained is deleted. What is made is made before the pods
that need it: Services, whose names may be taken or over quota, before Deployments, which cost machines.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

from plimsoll.api.base import parse_duration
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
from plimsoll.core.diff import needs_apply
from plimsoll.core.gate import gate, holds_first
from plimsoll.core.lineage import Target, beyond_history, expired, retirement, stable_of, target_of
from plimsoll.core.names import NO_REVISION, preflight_name
from plimsoll.core.preflight.stage import Gate, Stage
from plimsoll.core.render.deployment import render_deployment, render_replicas
from plimsoll.core.render.manifest import Manifest
from plimsoll.core.render.revision import render_revision
from plimsoll.core.render.service import render_revision_service, render_stable_service
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
    ours = _ours(observed)
    try:
        target = target_of(ours)
        _refuse_strangers(observed, target, stable_of(ours, target.revision.name))
    except Invalid as error:
        return _only_status(ours, Failure(FailureKind.INVALID, error.reason, error.message), now)
    except NotYet as waiting:
        return _only_status(ours, Failure(FailureKind.NOT_YET, waiting.reason, waiting.message), now)
    return _Planner(ours, target, now).plan()


def plan_refusal(observed: Observed, now: datetime) -> Plan:
    """Returns what to say after an action was refused (`observed.failure`): nothing that did not happen.

    In particular no promotion: the actions that it needs come first, and one of them failed.
    """
    ours = _ours(observed)
    planner = _Planner(ours, target_of(ours), now)
    target = planner.target.revision
    stable = stable_of(ours, target.name)
    return _say(ours, Standing(stable=stable, target=target, failure=observed.failure, gate=planner.gate), now)


def _ours(observed: Observed) -> Observed:
    """Leaves out what carries our labels and belongs to somebody else: it is neither trusted, changed nor deleted."""
    uid = observed.object.metadata.uid
    return dataclasses.replace(
        observed,
        revisions=_owned(observed.revisions, uid),
        deployments=_owned(observed.deployments, uid),
        services=_owned(observed.services, uid),
        jobs=_owned(observed.jobs, uid),
        verdicts={
            name: verdict
            for name, verdict in observed.verdicts.items()
            if (of := observed.revisions.get(verdict.revision)) and of.owner_uid == uid and of.uid == verdict.owner_uid
        },
    )


_C = TypeVar("_C", bound=Child)


def _owned(children: Mapping[str, _C], uid: str) -> Mapping[str, _C]:
    return {name: child for name, child in children.items() if child.owner_uid == uid}


def _refuse_strangers(observed: Observed, target: Target, stable: str | None) -> None:
    """Children carry our labels, but an object under a name we need may belong to somebody else: never adopt it.

    A verdict belongs to its ControllerRevision, and one of a ControllerRevision that was deleted and made again is on
    its way out. What serves needs no verdict.

    Raises:
        Invalid: it has no owner that could take it away.
        NotYet: it has one, as a rule a deleted ModelDeployment of this name, whose children go a moment later.
    """
    uid = observed.object.metadata.uid
    owners = {uid, *(revision.uid for revision in observed.revisions.values() if revision.owner_uid == uid)}
    needed = {observed.object.metadata.name, target.revision.name}
    if target.revision.name != stable:
        needed.add(preflight_name(target.revision.name))
    children: list[tuple[str, str, Child]] = [
        *((child.name, "ControllerRevision", child) for child in observed.revisions.values()),
        *((child.name, "Deployment", child) for child in observed.deployments.values()),
        *((child.name, "Service", child) for child in observed.services.values()),
        *((child.name, "Job", child) for child in observed.jobs.values()),
        *((child.name, "ConfigMap", child) for child in observed.verdicts.values()),
    ]
    for _, kind, child in sorted(children, key=lambda found: found[:2]):
        if child.name not in needed or child.owner_uid in (owners if kind == "ConfigMap" else {uid}):
            continue
        if child.owner_uid:
            raise NotYet("WaitingForName", _name_in_use(kind, child.name))
        if not child.deleting:
            raise Invalid("NameConflict", name_conflict(kind, child.name))


def _name_in_use(kind: str, name: str) -> str:
    return (
        f"{kind} {name} still belongs to another object, as a rule a deleted ModelDeployment of the same name; it goes "
        "by itself then, else delete it"
    )


def _only_to(child: Child, manifest: Manifest) -> Manifest:
    """Names the very object: should it be gone, applying is a conflict instead of making half a child in its place."""
    return {**manifest, "metadata": {**manifest["metadata"], "uid": child.uid}}


def name_conflict(kind: str, name: str) -> str:
    """Returns the message about a name that is taken; used by the shell too, for objects without our labels."""
    return (
        f"{kind} {name} exists and belongs to something else; it is left alone. Delete or rename it, or give this "
        "ModelDeployment another name"
    )


def _only_status(observed: Observed, failure: Failure, now: datetime) -> Plan:
    return _say(observed, Standing(stable=stable_of(observed), target=None, failure=failure), now)


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

    def __post_init__(self) -> None:
        candidate = self.target.revision
        wanted = self._wanted_replicas(self.observed.deployments.get(candidate.name))
        self.gate = gate(self.observed, candidate, self._serving, wanted, self.now)

    def plan(self) -> Plan:
        promote = self._may_promote()
        stable = self.target.revision.name if promote else self._serving
        kept, gone = self._sort_out(stable)
        standing = Standing(
            stable=stable,
            target=self.target.revision,
            failure=self.observed.failure,
            promoted=promote,
            made=self.target.missing,
            draining=tuple(name for name in kept if name not in (stable, self.target.revision.name)),
            gate=self.gate,
        )
        outcome = status_of.status_for(self.observed, standing, self.now)
        actions = (
            *self._stable_service(stable, create=True),
            *self._make_revision(),
            *self._revision_services(kept),
            *self._deployments(kept),
            *self._jobs_over(),
            *self.gate.actions,
            *_status_actions(self.observed, outcome),
            *self._stable_service(stable, create=False),
            *self._removals(gone, (*kept, stable)),
        )
        announcements = (*outcome.announcements, *self._farewells(gone))
        return Plan(actions, announcements, self._requeue_at(kept, outcome.requeue_at))

    @property
    def _serving(self) -> str | None:
        return stable_of(self.observed, self.target.revision.name)

    def _may_promote(self) -> bool:
        """The candidate takes over when the gate is open and every wanted pod of it is ready, hence warm."""
        candidate = self.observed.deployments.get(self.target.revision.name)
        if candidate is None or candidate.deleting or self.target.revision.name == self._serving:
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

    def _sort_out(self, stable: str | None) -> tuple[dict[str, datetime | None], list[Deployment]]:
        """Returns the revisions that stay, with their time of retirement, and the Deployments that go."""
        wanted = {self.target.revision.name, stable} - {None}
        kept: dict[str, datetime | None] = dict.fromkeys(sorted(name for name in wanted if name))
        gone = []
        service = self.observed.services.get(self.observed.object.metadata.name)
        for name, deployment in sorted(self.observed.deployments.items()):
            if name in wanted or deployment.deleting:
                continue
            retired_at = retirement(deployment, service, self.now)
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
            wanted = self._wanted_replicas(deployment)
            if name == self.target.revision.name:
                wanted = self.gate.replicas(wanted)
            if deployment is None:
                first = wanted if wanted != 1 else None
                manifest = render_deployment(self.observed.object, revision, first_replicas=first)
                yield Create(ChildKind.DEPLOYMENT, manifest, f"revision {name} has no Deployment")
                continue
            if retired_at is not None and retired_at == deployment.retired_at:
                continue  # it only waits for its end: new labels or another node would restart what drains
            if retired_at is None:
                yield from self._scale(deployment, wanted)
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

    def _stable_service(self, stable: str | None, *, create: bool) -> Iterator[Action]:
        """Creates the stable Service, or changes it: two places in the order of actions, never both in one plan.

        Creating comes first of all: its name is the likeliest to be a stranger's, and then nothing else was made.
        Changing comes after status, which names what it selects. Before the first promotion that is nothing, or where
        nothing is asked of the candidate, its pods, which answer as soon as they are ready.
        """
        owner, candidate = self.observed.object.metadata, self.target.revision
        selected = stable or (NO_REVISION if holds_first(self.observed, candidate) else candidate.name)
        if create == (owner.name not in self.observed.services):
            yield from self._service(owner.name, render_stable_service(owner, selected))

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

    def _jobs_over(self) -> Iterator[Action]:
        """Deletes Jobs before another is made: where a quota has room for one, that one waits for this."""
        for name, job in sorted(self.observed.jobs.items()):
            if name != self.gate.job and not job.deleting:
                yield Delete(ChildKind.JOB, name, job.uid, "its preflight is over, or no longer asked for")

    def _farewells(self, gone: list[Deployment]) -> Iterator[Announcement]:
        for deployment in gone:
            yield Announcement(Severity.NORMAL, "RevisionRemoved", f"Removed the pods of revision {deployment.name}")

    def _revision(self, name: str) -> Revision | None:
        """Returns a revision, None when its snapshot is gone: its Deployment is then left as it is."""
        return self.target.revision if name == self.target.revision.name else self.observed.revisions.get(name)

    def _requeue_at(self, kept: dict[str, datetime | None], first: datetime | None) -> datetime | None:
        times = [retired_at + self._drain for retired_at in kept.values() if retired_at is not None]
        return min([*times, *(time for time in (first, self.gate.requeue_at) if time)], default=None)
