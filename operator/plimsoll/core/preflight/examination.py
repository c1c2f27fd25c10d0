"""From a question without an answer to one: the Job that examines a candidate, from its creation to its end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from plimsoll.api.preflight import Preflight
from plimsoll.core.actions import Action, ChildKind, Create, PullReport
from plimsoll.core.names import preflight_name
from plimsoll.core.preflight.record import error_of, record, verdict_of_end
from plimsoll.core.preflight.stage import Gate, Stage, Waiting
from plimsoll.core.render.preflight_job import Examinee, job_seconds, render_preflight_job
from plimsoll.core.world import Deployment, Examined, Observed, Pod, PreflightJob, ReplicasOwner, Revision, Verdict

FIRST_PAUSE = timedelta(seconds=10)
LONGEST_PAUSE = timedelta(minutes=10)
_STALLED_AFTER = 7
"""Errors after which the pause is the longest one: 10 min have been waited, as long as any other lack of progress."""
_PULL_AGAIN = timedelta(seconds=10)
_POD_EXPECTED = timedelta(minutes=1)
_QUOTED = 600
"""Characters of a message that are quoted in another, of which status shows 1,024."""
_OVERDUE = timedelta(minutes=5)
"""Beyond the longest run of its pod: the time to schedule it."""


@dataclass(frozen=True, slots=True)
class Examination:
    """Gets an answer to a question that has none; `last` is the Error of the attempt before."""

    observed: Observed
    target: Revision
    stable: str | None
    key: str
    last: Verdict | None
    now: datetime

    def gate(self) -> Gate:
        """Returns what to do for an answer, or what it is waited for."""
        job = self.observed.jobs.get(preflight_name(self.target.name))
        if job is None:
            return self._begin()
        answered = self.last is not None and self.last.attempt >= job.attempt
        if job.deleting or job.key != self.key or answered:
            # The next Job has the same name: this one has to be gone.
            return self._waits(self._after_error() or self._under_way())
        return self._follow(job)

    # No Job

    def _begin(self) -> Gate:
        again_at = self._again_at()
        if again_at and self.now < again_at:
            return self._waits(self._after_error(), requeue_at=again_at)
        candidate = self.observed.deployments.get(self.target.name)
        pod = self._pod_to_examine(candidate) if candidate else None
        if pod is None:
            return self._waits(None)
        restarts = pod.triton.restarts if pod.triton else 0
        examinee = Examinee(
            revision=self.target,
            key=self.key,
            attempt=self.last.attempt + 1 if self.last else 1,
            examined=Examined(pod.name, pod.uid, restarts),
            ip=pod.ip,
            stable=self._compared_with(),
        )
        manifest = render_preflight_job(self.observed.object, examinee, self.observed.defaults)
        create = Create(ChildKind.JOB, manifest, f"revision {self.target.name} has to pass its preflight")
        return self._waits(self._under_way(), actions=(create,), job=preflight_name(self.target.name))

    def _pod_to_examine(self, candidate: Deployment) -> Pod | None:
        """Returns a pod that stays: more than one would be scaled down, perhaps by the very one."""
        alone = candidate.replicas == 1 or candidate.replicas_owner is ReplicasOwner.AUTOSCALER
        if candidate.deleting or not candidate.settled or not alone:
            return None
        fit = [pod for pod in self._pods().values() if pod.ready and pod.ip]
        return min(fit, key=lambda pod: (pod.created_at, pod.name), default=None)

    def _compared_with(self) -> Revision | None:
        """Returns the revision that serves, if it can be asked."""
        serving = self.observed.deployments.get(self.stable or "")
        return self.observed.revisions.get(self.stable or "") if serving and serving.ready else None

    def _pods(self) -> Mapping[str, Pod]:
        """Model pods of the candidate that stay, by uid."""
        return {
            pod.uid: pod
            for pod in self.observed.pods.values()
            if pod.revision == self.target.name and not pod.deleting and not pod.failure
        }

    # A Job

    def _follow(self, job: PreflightJob) -> Gate:
        if self.target.name not in self.observed.revisions:
            # A verdict belongs to its ControllerRevision, which somebody deleted: this very plan makes it again.
            return self._waits(self._under_way(), job=job.name)
        if job.examined.uid not in self._pods():
            # Before any answer: a preflight that lost its model server may well have found it wanting.
            message = "The model server that was examined went away meanwhile (evicted, deleted or moved)"
            return self._record(job, error_of(job, self.now, "PreflightFailed", message))
        overdue_at = self._overdue_at(job)
        if job.pod and job.pod.ready and job.pod.ip and self.now < overdue_at:
            why = f"the preflight of revision {self.target.name} has a report"
            pull = PullReport(job.name, job.pod.name, job.pod.uid, job.pod.ip, job.key, why)
            return self._waits(self._under_way(), actions=(pull,), job=job.name, requeue_at=self.now + _PULL_AGAIN)
        if job.ended:
            return self._record(job, verdict_of_end(job, self.now))
        obstacle = _obstacle(job)
        if self.now >= overdue_at:
            message = f"The preflight has not ended in time. {obstacle}".rstrip()
            return self._record(job, error_of(job, self.now, "PreflightFailed", message))
        return self._runs(job, obstacle, overdue_at)

    def _runs(self, job: PreflightJob, obstacle: str, overdue_at: datetime) -> Gate:
        expected_at = job.created_at + _POD_EXPECTED
        if job.pod is None and self.now < expected_at:
            return self._waits(self._under_way(), job=job.name, requeue_at=expected_at)
        if not obstacle:
            return self._waits(self._under_way(), job=job.name, requeue_at=overdue_at)
        stalls_at = job.created_at + self.observed.defaults.progress_deadline
        stalled = self.now >= stalls_at
        waiting = Waiting("PreflightWaiting", obstacle, stalled=stalled)
        return self._waits(waiting, job=job.name, requeue_at=overdue_at if stalled else min(stalls_at, overdue_at))

    def _overdue_at(self, job: PreflightJob) -> datetime:
        longest = timedelta(seconds=job_seconds(self.observed.object.spec.preflight or Preflight()))
        return job.created_at + longest + _OVERDUE

    def _record(self, job: PreflightJob, verdict: Verdict) -> Gate:
        return self._waits(self._under_way(), actions=(record(self.observed, verdict),), job=job.name)

    # Errors

    def _again_at(self) -> datetime | None:
        """Returns when the next attempt may begin: 10 s after the first error, then 20 s, 40 s, ... 10 min.

        A time of recording in the future (the clock was set back) is no reason to wait.
        """
        if self.last is None or self.last.at > self.now:
            return None
        doublings = max(0, min(self.last.attempt - 1, 16))
        return self.last.at + min(FIRST_PAUSE * (1 << doublings), LONGEST_PAUSE)

    def _after_error(self) -> Waiting | None:
        if self.last is None:
            return None
        message = (
            f"The preflight of revision {self.target.name} did not work, which says nothing about the revision; "
            f"it is tried again. {quoted(self.last.message) or 'It left no word'}"
        )
        return Waiting("PreflightError", message, stalled=self.last.attempt >= _STALLED_AFTER)

    def _under_way(self) -> Waiting:
        after_error = self._after_error()
        if after_error and after_error.stalled:
            return after_error  # one more attempt is no news
        message = f"The preflight examines one model server of revision {self.target.name}, which has no users"
        return Waiting("PreflightRunning", message)

    def _waits(
        self,
        waiting: Waiting | None,
        *,
        actions: tuple[Action, ...] = (),
        job: str | None = None,
        requeue_at: datetime | None = None,
    ) -> Gate:
        return Gate(Stage.EXAMINING, self.last, waiting, actions=actions, job=job, requeue_at=requeue_at)


def quoted(text: str) -> str:
    """Returns what a preflight said, without a full stop, and short enough for what has to follow."""
    line = " ".join(text.split()).rstrip(".")
    return line if len(line) <= _QUOTED else f"{line[: _QUOTED - 1]}…"


def _obstacle(job: PreflightJob) -> str:
    """Says what keeps the pod of a Job from starting, empty when it runs."""
    pod = job.pod
    if pod is None:
        return (
            f"The pod of Job {job.name} cannot be created; `kubectl describe job {job.name}` tells why, as a rule a "
            "ResourceQuota or an admission policy"
        )
    if pod.unschedulable:
        return f"The preflight waits for a node with room for it: {_plain(pod.unschedulable)}"
    if pod.waiting_reason in _IMAGE_TROUBLE:
        return f"The operator's image cannot be pulled for the preflight: {_plain(pod.waiting_message)}"
    if pod.waiting_reason in _CONFIG_TROUBLE:
        return f"The preflight cannot start: {_plain(pod.waiting_message)}"
    return ""


_IMAGE_TROUBLE = {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"}
_CONFIG_TROUBLE = {"CreateContainerConfigError", "CreateContainerError", "RunContainerError"}


def _plain(text: str) -> str:
    return " ".join(text.split()).rstrip(".")[:300]
