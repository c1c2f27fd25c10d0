"""From a report, or from a Job's last words, to the verdict that is kept in a ConfigMap."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from plimsoll.api.preflight_report import (
    Outcome,
    PhaseName,
    PhaseReport,
    PhaseStatus,
    PreflightReport,
    ServedTensor,
)
from plimsoll.api.preflight_status import MAX_DIMS, MAX_REASON, MAX_TENSOR_NAME, MAX_TENSORS
from plimsoll.core.actions import Apply, ChildKind, Create
from plimsoll.core.conditions import MAX_MESSAGE, rfc3339
from plimsoll.core.hashing import canonical_json
from plimsoll.core.names import preflight_name
from plimsoll.core.preflight.verdict import EXIT_CODES
from plimsoll.core.render.verdict import render_verdict
from plimsoll.core.world import JobPod, Observed, PreflightJob, Verdict


def record_report(observed: Observed, job_name: str, report: PreflightReport, now: datetime) -> Create | Apply:
    """Returns the action that keeps a fetched report, whose revision and key have been checked."""
    load = report.figures.load
    verdict = dataclasses.replace(
        _about(observed.jobs[job_name], now),
        outcome=report.outcome,
        reason=report.reason[:MAX_REASON],
        message=_short(report.message),
        harmed=_harmed({phase.name: phase.status for phase in report.phases}),
        phases=tuple((phase.name, phase.status) for phase in _once(report.phases)),
        inputs=_shown(load.inputs) if load else (),
        outputs=_shown(load.outputs) if load else (),
        max_batch_size=max(0, load.max_batch_size) if load else None,
    )
    return record(observed, verdict, report.model_dump_json(by_alias=True))


def record(observed: Observed, verdict: Verdict, report: str = "") -> Create | Apply:
    """Returns the action that keeps a verdict, with the whole report where there is one."""
    revision = observed.revisions[verdict.revision]
    manifest = render_verdict(observed.object.metadata, revision, verdict_text(verdict), report)
    have = observed.verdicts.get(preflight_name(verdict.revision))
    why = f"the preflight of revision {verdict.revision} ended: {verdict.outcome}"
    if have is None:
        return Create(ChildKind.CONFIG_MAP, manifest, why)
    return Apply(ChildKind.CONFIG_MAP, {**manifest, "metadata": {**manifest["metadata"], "uid": have.uid}}, why)


def verdict_of_end(job: PreflightJob, now: datetime) -> Verdict:
    """Returns what a Job that has ended says by its termination message; Error where that is no answer to its key."""
    pod = job.pod
    said = _message_of(pod) if pod else {}
    outcome = _outcome(said.get("outcome"))
    answers = (said.get("key"), said.get("revision")) == (job.key, job.revision)
    if outcome is None or not answers or pod is None or pod.exit_code != EXIT_CODES[outcome]:
        return error_of(job, now, "PreflightFailed", _cause(job))
    phases = _phases(said.get("phases"))
    return dataclasses.replace(
        _about(job, now),
        outcome=outcome,
        reason=str(said.get("reason", ""))[:MAX_REASON],
        message=_short(str(said.get("message", ""))),
        harmed=_harmed(phases),
        phases=tuple(phases.items()),
    )


def error_of(job: PreflightJob, now: datetime, reason: str, message: str) -> Verdict:
    """Returns the verdict that says nothing about the revision: the preflight itself did not work."""
    return dataclasses.replace(_about(job, now), reason=reason, message=_short(message))


def verdict_text(verdict: Verdict) -> str:
    """Returns the form in which a verdict is kept, as JSON."""
    return canonical_json(
        {
            "key": verdict.key,
            "outcome": verdict.outcome.value,
            "reason": verdict.reason,
            "message": verdict.message,
            "at": rfc3339(verdict.at),
            "attempt": verdict.attempt,
            "examined": dataclasses.asdict(verdict.examined),
            "harmed": verdict.harmed,
            "phases": [{"name": name.value, "status": status.value} for name, status in verdict.phases],
            "inputs": _tensors_json(verdict.inputs),
            "outputs": _tensors_json(verdict.outputs),
            "maxBatchSize": verdict.max_batch_size,
        }
    )


def _about(job: PreflightJob, now: datetime) -> Verdict:
    return Verdict(
        name=preflight_name(job.revision),
        uid="",
        owner_uid="",
        packed=b"",
        revision=job.revision,
        key=job.key,
        reason="PreflightFailed",
        at=now,
        attempt=job.attempt,
        examined=job.examined,
    )


def _message_of(pod: JobPod) -> Mapping[str, Any]:
    try:
        said = json.loads(pod.termination_message)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _outcome(value: object) -> Outcome | None:
    return next((outcome for outcome in Outcome if outcome == value), None)


def _phases(value: object) -> dict[PhaseName, PhaseStatus]:
    """Reads `{"Load": "Passed Ready"}`: status, then where there was room the reason."""
    given = value if isinstance(value, dict) else {}
    statuses = {name: str(said).partition(" ")[0] for name, said in given.items()}
    known = {name.value for name in PhaseName}, {status.value for status in PhaseStatus}
    return {
        PhaseName(name): PhaseStatus(status)
        for name, status in statuses.items()
        if name in known[0] and status in known[1]
    }


def _once(phases: Iterable[PhaseReport]) -> list[PhaseReport]:
    return list({phase.name: phase for phase in phases}.values())


def _shown(served: Iterable[ServedTensor]) -> tuple[ServedTensor, ...]:
    """Leaves out what the API cannot show: a server may declare anything, and annotations have room for 256 KiB."""
    shown = [tensor for tensor in served if len(tensor.name) <= MAX_TENSOR_NAME and len(tensor.dims) <= MAX_DIMS]
    return tuple(shown[:MAX_TENSORS])


def _harmed(phases: Mapping[PhaseName, PhaseStatus]) -> bool:
    """A server whose memory has grown is not the one that a user should meet."""
    return phases.get(PhaseName.MEMORY) in (PhaseStatus.WARNED, PhaseStatus.FAILED)


def _cause(job: PreflightJob) -> str:
    """Says why a Job ended without an answer."""
    pod = job.pod
    if pod is None:
        return _sentence("The preflight's pod is gone", job.failed_message)
    if pod.failure:
        return _sentence("The preflight's pod failed", pod.failure)
    return _last_words(pod) or _sentence("The preflight ended without an answer", job.failed_message)


def _last_words(pod: JobPod) -> str:
    """Says what the container of a Job left behind that was no answer; empty where it left nothing."""
    said = _message_of(pod)
    if pod.exit_code is not None and _outcome(said.get("outcome")) in (Outcome.PASSED, Outcome.REJECTED):
        return f"The preflight ended with exit code {pod.exit_code}, and its last words are no answer to what was asked"
    if said.get("message"):
        return str(said["message"])
    if pod.exit_reason == "OOMKilled":
        return "The preflight ran out of memory"
    if pod.exit_code is not None:
        return _sentence(f"The preflight ended with exit code {pod.exit_code}", pod.termination_message)
    return ""


def _sentence(what: str, detail: str) -> str:
    line = " ".join(detail.split()).rstrip(".")[:300]
    return f"{what}: {line}" if line else what


def _short(text: str) -> str:
    return text if len(text) <= MAX_MESSAGE else f"{text[: MAX_MESSAGE - 1]}…"


def _tensors_json(tensors: Iterable[ServedTensor]) -> list[dict[str, Any]]:
    return [tensor.model_dump(mode="json", by_alias=True) for tensor in tensors]
