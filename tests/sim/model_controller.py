"""A controller over the model cluster: observe, plan, apply as in plimsoll/controller/, with a crash where asked.

It keeps the promises of the real shell: own writes enter the caches at once, nothing is decided before own deletions
are seen, a child is created only under a free name, status is written against the version it was planned from, a
refusal is written into status, and whatever was not finished is planned anew.
"""

import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from tests.support.builders import DEFAULTS
from tests.support.model_cluster import Conflict, JsonObject, Kind, Missing, ModelCluster, View
from tests.support.model_jobs import ModelJobs

from plimsoll.api.v1alpha1 import ModelDeployment
from plimsoll.controller.preflight_projection import (
    is_job_pod,
    project_job,
    project_job_pod,
    project_verdict,
    verdict_of,
    with_newest_pod,
)
from plimsoll.controller.projection import project_deployment, project_pod, project_revision, project_service
from plimsoll.core.actions import Action, Apply, Create, Delete, MarkPod, PullReport, Scale, WriteStatus
from plimsoll.core.gate import config_maps_needed
from plimsoll.core.hashing import digest_of
from plimsoll.core.names import FIELD_MANAGER, MARK_MANAGER, MODEL_LABEL, SCALE_MANAGER
from plimsoll.core.ownership import name_conflict
from plimsoll.core.plan import plan
from plimsoll.core.preflight.record import record_report
from plimsoll.core.snapshot import Defaults
from plimsoll.core.world import Failure, FailureKind, Gateways, Observed, Pod
from plimsoll.errors import Invalid

_PROJECTIONS: dict[Kind, Callable[[JsonObject], Any]] = {
    Kind.CONTROLLER_REVISION: project_revision,
    Kind.DEPLOYMENT: project_deployment,
    Kind.SERVICE: project_service,
    Kind.POD: lambda obj: project_job_pod(obj) if is_job_pod(obj) else project_pod(obj),
    Kind.JOB: project_job,
    Kind.CONFIG_MAP: lambda obj: verdict_of(project_verdict(obj)),
}


class Crash(Exception):  # noqa: N818 - reads as the event it is
    """The process is gone; what it had not written never happened."""


@dataclass
class Killer:
    """Ends the process before its n-th write, once."""

    fatal: int
    count: int = 0

    def __call__(self, _action: Action) -> None:
        self.count += 1
        if self.count == self.fatal:
            raise Crash


class WastedWrite(AssertionError):  # noqa: N818 - as Crash
    """A write that changed nothing although the caches were up to date."""


@dataclass
class ModelController:
    """One process; `restart` makes it the next one.

    Attributes:
        before_write: Called before each write; raises `Crash` to end the process there.
        after_write: Called after each write with what was done.
        clock_offset: What the process' clock shows beyond virtual time.
        jobs: Whose reports are fetched, None where nothing runs Jobs.
        gateways: What is heard of the gateways, None where the chart makes none.
    """

    cluster: ModelCluster
    name: str = "digits"
    defaults: Defaults = DEFAULTS
    before_write: Callable[[Action], None] = lambda _action: None
    after_write: Callable[[Action], None] = lambda _action: None
    clock_offset: timedelta = timedelta(0)
    jobs: ModelJobs | None = None
    gateways: Callable[[], Gateways | None] = lambda: None
    view: View = field(init=False)
    failure: Failure | None = None
    announced: list[str] = field(default_factory=list)
    requeue_at: datetime | None = None
    _projected: dict[tuple[str, str], Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """A new process lists everything and remembers nothing."""
        self.view = View(self.cluster)
        self.view.refresh()
        self.failure = None
        self.requeue_at = None

    def now(self) -> datetime:
        return self.cluster.now + self.clock_offset

    def turn(self) -> int:
        """Observes, plans and applies once; returns the number of actions, 0 when there was nothing to do."""
        observed = None if self.view.behind else self.observe()
        if observed is None:
            return 0
        decided = plan(observed, self.now())
        self.requeue_at = decided.requeue_at
        try:
            self._perform_all(observed, (act for act in decided.actions if not isinstance(act, PullReport)))
            self._keep_reports(observed, decided.actions)
        except Invalid as error:
            self._say_why(observed, Failure(FailureKind.INVALID, error.reason, error.message))
            return len(decided.actions)
        except (Conflict, Missing):
            return len(decided.actions)
        self.announced += [told.reason for told in decided.announcements]
        if self.failure is not None:
            self.failure = None
            return len(decided.actions) + 1
        return len(decided.actions)

    def observe(self) -> Observed | None:
        obj = self.view.objects[Kind.MODEL_DEPLOYMENT].get(self.name)
        if obj is None:
            return None
        pods = self._children(Kind.POD)
        job_pods = [pod for pod in pods.values() if not isinstance(pod, Pod)]
        observed = Observed(
            object=ModelDeployment.model_validate(obj),
            defaults=self.defaults,
            revisions=self._children(Kind.CONTROLLER_REVISION),
            deployments=self._children(Kind.DEPLOYMENT),
            services=self._children(Kind.SERVICE),
            pods={name: pod for name, pod in pods.items() if isinstance(pod, Pod)},
            jobs={name: with_newest_pod(job, job_pods) for name, job in self._children(Kind.JOB).items()},
            verdicts=self._children(Kind.CONFIG_MAP),
            gateways=self.gateways(),
            failure=self.failure,
        )
        versions = {name: self._content(name) for name in config_maps_needed(observed)}
        return dataclasses.replace(observed, config_map_versions=versions)

    def _content(self, config_map: str) -> str:
        found = self.cluster.get(Kind.CONFIG_MAP, config_map)
        return digest_of(found["data"]) if found else ""

    def _keep_reports(self, observed: Observed, actions: Iterable[Action]) -> None:
        for pull in actions:
            report = self.jobs.report(pull.pod) if self.jobs and isinstance(pull, PullReport) else None
            if isinstance(pull, PullReport) and report:
                self._perform_all(observed, [record_report(observed, pull.job, report, self.now())])

    def _children(self, kind: Kind) -> dict[str, Any]:
        return {
            name: self._project(kind, obj)
            for name, obj in self.view.objects[kind].items()
            if (obj["metadata"].get("labels") or {}).get(MODEL_LABEL) == self.name and self._project(kind, obj)
        }

    def _project(self, kind: Kind, obj: JsonObject) -> Any:
        key = (obj["metadata"]["uid"], obj["metadata"]["resourceVersion"])
        if key not in self._projected:
            self._projected[key] = _PROJECTIONS[kind](obj)
        return self._projected[key]

    def _say_why(self, observed: Observed, failure: Failure) -> None:
        self.failure = failure
        decided = plan(dataclasses.replace(observed, failure=failure), self.now())
        try:
            self._perform_all(observed, (action for action in decided.actions if isinstance(action, WriteStatus)))
        except (Conflict, Missing):
            return
        self.announced += [told.reason for told in decided.announcements]

    def _perform_all(self, observed: Observed, actions: Iterable[Action]) -> None:
        for action in actions:
            self.before_write(action)
            fresh = all(self.view.lag(kind) == 0 for kind in Kind)
            version = self.cluster._version  # noqa: SLF001 - the model's own tests look inside
            self._perform(observed, action)
            self.cluster.writes += 1
            if fresh and version == self.cluster._version:  # noqa: SLF001
                raise WastedWrite(action.why)
            self.after_write(action)

    def _perform(self, observed: Observed, action: Action) -> None:
        match action:
            case Create():
                self._create(action)
            case Apply():
                kind = Kind(action.kind)
                self.view.wrote(kind, self.cluster.apply(kind, action.manifest, FIELD_MANAGER))
            case Scale():
                self.view.wrote(Kind.DEPLOYMENT, self.cluster.apply(Kind.DEPLOYMENT, action.manifest, SCALE_MANAGER))
            case MarkPod():
                try:
                    self.view.wrote(Kind.POD, self.cluster.apply(Kind.POD, action.manifest, MARK_MANAGER))
                except Conflict:
                    return
            case Delete():
                kind = Kind(action.kind)
                try:
                    self.cluster.delete(kind, action.name, uid=action.uid)
                except (Missing, Conflict):
                    return
                self.view.deleted(kind)
            case PullReport():
                raise AssertionError("reports are fetched after the writes")
            case WriteStatus():
                metadata = observed.object.metadata
                status = action.status.model_dump(mode="json", by_alias=True, exclude_none=True)
                written = self.cluster.write_status(metadata.name, metadata.resource_version, status)
                self.view.wrote(Kind.MODEL_DEPLOYMENT, written)

    def _create(self, action: Create) -> None:
        kind = Kind(action.kind)
        name = action.manifest["metadata"]["name"]
        existing = self.cluster.get(kind, name)
        if existing is None:
            self.view.wrote(kind, self.cluster.apply(kind, action.manifest, FIELD_MANAGER))
            return
        if _owner_uids(existing) != _owner_uids(action.manifest):
            raise Invalid("NameConflict", name_conflict(kind, name))
        if kind is Kind.CONTROLLER_REVISION and project_revision(existing) is None:
            raise Invalid("RevisionDamaged", name)
        if (existing["metadata"].get("labels") or {}).items() < action.manifest["metadata"]["labels"].items():
            existing = self.cluster.apply(kind, _with_replicas_of(existing, action.manifest), FIELD_MANAGER)
        self.view.wrote(kind, existing)


def _owner_uids(obj: JsonObject) -> set[str]:
    return {owner["uid"] for owner in obj["metadata"].get("ownerReferences") or []}


def _with_replicas_of(existing: JsonObject, manifest: JsonObject) -> JsonObject:
    if "replicas" not in existing.get("spec", {}):
        return manifest
    return {**manifest, "spec": {**manifest["spec"], "replicas": existing["spec"]["replicas"]}}
