"""The Job controller and the preflight itself over the model cluster, in virtual time.

A preflight reads its request from the Job, takes a while, hands out a report for as long as the real one does, leaves
its last words and ends with its exit code. What it says of a model is up to a script (`Trial`); whatever goes wrong on
the way is the cluster's doing.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from tests.support.model_cluster import NAMESPACE, JsonObject, Kind, ModelCluster, rfc3339

from plimsoll.api.preflight_report import Outcome, PhaseName, PhaseReport, PhaseStatus, PreflightReport
from plimsoll.core.preflight.verdict import EXIT_CODES, termination_message


class Trial(StrEnum):
    """How a preflight goes."""

    PASSES = "Passes"
    REJECTS = "Rejects"
    LEAKS = "Leaks"
    """Passes, with a warning about memory."""
    ERRORS = "Errors"
    """It says itself that it did not work."""
    DIES = "Dies"
    """Killed for memory: no last words."""
    LIES = "Lies"
    """Its exit code says that it passed, and its last words are those of another revision."""
    EVICTED = "Evicted"
    """Its node is drained; the pod that follows passes."""
    HANGS = "Hangs"
    """Until its deadline."""


Script = Callable[[JsonObject], Trial]
"""From the request (the JSON of preflight/request.py) to what becomes of it."""

_START = timedelta(seconds=2)
_WORK = timedelta(seconds=12)
_PATIENCE = timedelta(seconds=120)
_LINGER = timedelta(seconds=60)
_OUTCOMES = {
    Trial.PASSES: Outcome.PASSED,
    Trial.LEAKS: Outcome.PASSED,
    Trial.EVICTED: Outcome.PASSED,
    Trial.REJECTS: Outcome.REJECTED,
}


@dataclass(slots=True)
class _Run:
    """One pod of a Job; `pod` has its name."""

    pod: str
    job_uid: str
    request: JsonObject
    trial: Trial
    born: datetime
    reported_at: datetime | None = None
    fetched_at: datetime | None = None
    ended: bool = False


@dataclass
class ModelJobs:
    """Runs every Job of the cluster; `run` is one of the cluster's controllers.

    Attributes:
        script: What becomes of a request.
        reachable: Whether the controller's requests get through to the pods.
        answered: Outcomes that preflights came to by themselves, by revision and key: what may be believed.
    """

    cluster: ModelCluster
    script: Script = lambda _request: Trial.PASSES
    reachable: bool = True
    answered: set[tuple[str, str, Outcome]] = field(default_factory=set)
    made: int = 0
    _runs: dict[str, _Run] = field(default_factory=dict)
    _drained: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.cluster.controllers.append(self.run)

    def run(self) -> None:
        """Does what is due now."""
        for name, run in list(self._runs.items()):
            if self.cluster.get(Kind.POD, name) is None:
                del self._runs[name]
            elif not run.ended:
                self._advance(run)
        for job in list(self.cluster.stores[Kind.JOB].values()):
            uid = job["metadata"]["uid"]
            if not job.get("status") and not any(run.job_uid == uid for run in self._runs.values()):
                self._start(job)

    def report(self, pod: str) -> PreflightReport | None:
        """Returns what a pod hands out, None when nothing can be fetched from it."""
        run = self._runs.get(pod)
        if run is None or run.ended or run.reported_at is None or not self.reachable:
            return None
        run.fetched_at = run.fetched_at or self.cluster.now
        return report_of(run.request, _OUTCOMES[run.trial], leaks=run.trial is Trial.LEAKS)

    def drain(self, pod: str) -> None:
        """The node of a pod is drained: the Job goes on in another one."""
        self._drained.add(self._runs.pop(pod).job_uid)
        self.cluster.evict(pod)

    def pods(self) -> list[str]:
        """Pods of Jobs that have not ended."""
        return [name for name, run in self._runs.items() if not run.ended]

    def _start(self, job: JsonObject) -> None:
        self.made += 1
        template, metadata = job["spec"]["template"], job["metadata"]
        request = json.loads(template["spec"]["containers"][0]["env"][0]["value"].replace("$$", "$"))
        name = f"{metadata['name']}-{self.made}"
        owner = {"kind": "Job", "name": metadata["name"], "uid": metadata["uid"], "controller": True}
        pod_metadata = {
            "name": name,
            "namespace": NAMESPACE,
            "uid": f"job-pod-{self.made}",
            "labels": template["metadata"]["labels"],
            "creationTimestamp": rfc3339(self.cluster.now),
            "ownerReferences": [owner],
        }
        trial = self.script(request)
        if trial is Trial.EVICTED and metadata["uid"] in self._drained:
            trial = Trial.PASSES
        self._runs[name] = _Run(name, metadata["uid"], request, trial, self.cluster.now)
        self.cluster.put(Kind.POD, name, {"metadata": pod_metadata, "status": {"phase": "Pending"}})

    def _advance(self, run: _Run) -> None:
        now, age = self.cluster.now, self.cluster.now - run.born
        if run.reported_at:
            waited = now - (run.fetched_at or run.reported_at)
            if waited >= (_LINGER if run.fetched_at else _PATIENCE):
                self._end(run, EXIT_CODES[_OUTCOMES[run.trial]], self._words(run))
        elif age < _START:
            return
        elif age < _START + _WORK or run.trial is Trial.HANGS:
            self._work(run, age)
        else:
            self._conclude(run)

    def _work(self, run: _Run, age: timedelta) -> None:
        job = self._job(run)
        if job and age >= timedelta(seconds=job["spec"]["template"]["spec"]["activeDeadlineSeconds"]):
            self._end(run, 137, "", reason="DeadlineExceeded")
        elif not self._model_server(run):
            self._end(run, 1, self._words(run, Outcome.ERROR))
        else:
            self._show(run, {"phase": "Running", "podIP": "10.1.0.9"})

    def _conclude(self, run: _Run) -> None:
        match run.trial:
            case Trial.EVICTED:
                self.drain(run.pod)
            case Trial.ERRORS:
                self._end(run, 1, self._words(run, Outcome.ERROR))
            case Trial.DIES:
                self._end(run, 137, "")
            case Trial.LIES:
                other = {**run.request, "revision": "digits-0000000000"}
                self._end(run, 0, termination_message(report_of(other, Outcome.PASSED)).decode())
            case _:
                run.reported_at = self.cluster.now
                self.answered.add((run.request["revision"], run.request["key"], _OUTCOMES[run.trial]))
                ready = [{"type": "Ready", "status": "True"}]
                self._show(run, {"phase": "Running", "podIP": "10.1.0.9", "conditions": ready})

    def _words(self, run: _Run, outcome: Outcome | None = None) -> str:
        report = report_of(run.request, outcome or _OUTCOMES[run.trial], leaks=run.trial is Trial.LEAKS)
        return termination_message(report).decode()

    def _model_server(self, run: _Run) -> bool:
        """Tells whether the pod that is examined is still there: its uid stands in the request, as the examiner's."""
        uid = run.request["examiner"]["token"]
        pods = self.cluster.stores[Kind.POD].values()
        return any(pod["metadata"]["uid"] == uid and "deletionTimestamp" not in pod["metadata"] for pod in pods)

    def _end(self, run: _Run, code: int, words: str, *, reason: str = "") -> None:
        run.ended = True
        ended = {"exitCode": code, "message": words, "reason": "" if words or reason else "OOMKilled"}
        container = {"name": "preflight", "state": {"terminated": {**ended, "finishedAt": rfc3339(self.cluster.now)}}}
        phase = {"phase": "Failed" if code else "Succeeded", **({"reason": reason} if reason else {})}
        self._show(run, {**phase, "containerStatuses": [container]})
        job = self._job(run)
        if job:
            condition = {"type": "Failed" if code else "Complete", "status": "True"}
            self.cluster.put(Kind.JOB, job["metadata"]["name"], {**job, "status": {"conditions": [condition]}})

    def _show(self, run: _Run, status: JsonObject) -> None:
        pod = self.cluster.stores[Kind.POD][run.pod]
        self.cluster.put(Kind.POD, run.pod, {**pod, "status": status})

    def _job(self, run: _Run) -> JsonObject | None:
        jobs = self.cluster.stores[Kind.JOB].values()
        return next((job for job in jobs if job["metadata"]["uid"] == run.job_uid), None)


def report_of(request: JsonObject, outcome: Outcome, *, leaks: bool = False) -> PreflightReport:
    """Returns the report that answers a request."""
    statuses: dict[PhaseName, PhaseStatus] = dict.fromkeys(PhaseName, PhaseStatus.PASSED)
    if outcome is Outcome.REJECTED:
        statuses[PhaseName.GOLDEN] = PhaseStatus.FAILED
    if leaks:
        statuses[PhaseName.MEMORY] = PhaseStatus.WARNED
    told: dict[Outcome, tuple[str, str]] = {
        Outcome.PASSED: ("Passed", "9 phases passed."),
        Outcome.REJECTED: ("GoldenMismatch", "Golden: 37 of 100 answers differ from what is expected."),
        Outcome.ERROR: ("ServerUnreachable", "No answer from the model server."),
    }
    reason, message = told[outcome]
    return PreflightReport(
        model=request["model"],
        revision=request["revision"],
        key=request["key"],
        outcome=outcome,
        reason=reason,
        message=message,
        started_at="2026-03-01T12:00:00Z",
        budget_s=120,
        spent_s=12,
        phases=[
            PhaseReport(name=name, status=how, reason="Told", message="It is so.") for name, how in statuses.items()
        ],
    )
