"""What the phases add up to, and how little of that fits a termination message."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from plimsoll.api.preflight import PreflightMode
from plimsoll.api.preflight_report import Outcome, PhaseName, PhaseReport, PhaseStatus, PreflightReport

MAX_TERMINATION_BYTES: Final = 2048
"""Kubernetes keeps 4096 bytes per container and 12 KiB per pod; half leaves room for whoever else writes."""

EXIT_CODES: Final[Mapping[Outcome, int]] = MappingProxyType({Outcome.PASSED: 0, Outcome.REJECTED: 3, Outcome.ERROR: 1})
"""Of the Job's container. One that says another outcome than its message is believed neither."""

SERVER_DIED: Final = "ServerDied"
HANGS: Final = "ModelHangs"
SERVER_GONE: Final = "ServerGone"
"""Why a phase was skipped whose turn came after that."""
SERVER_REASONS: Final = frozenset({SERVER_DIED, HANGS})
"""A failure with one of these, in whatever phase, is one of Load: the model no longer serves. It is also one of every
phase that could not look any more: what was to be proved there is not."""


def mark_enforced(
    phases: Sequence[PhaseReport], mode: PreflightMode, enforce: Collection[PhaseName]
) -> list[PhaseReport]:
    """Returns the phases with `enforced` set. In any mode but Enforce none is."""
    decides = _deciding(phases, mode, enforce)
    return [phase.model_copy(update={"enforced": phase.name in decides}) for phase in phases]


def outcome(
    phases: Sequence[PhaseReport], mode: PreflightMode, enforce: Collection[PhaseName]
) -> tuple[Outcome, str, str]:
    """Returns outcome, reason and message of a preflight whose phases ran.

    Each phase of `PhaseName` has to be there, once, and Load must not be skipped: otherwise the outcome is Error, since
    a preflight that did not look is no pass. Of several failures that reject, the first gives reason and message.
    """
    missing = [name for name in PhaseName if [phase.name for phase in phases].count(name) != 1]
    if missing:
        return Outcome.ERROR, "Incomplete", f"The preflight did not report {_listed(missing)} once. This is a bug."
    load = next(phase for phase in phases if phase.name is PhaseName.LOAD)
    if load.status is PhaseStatus.SKIPPED:
        return Outcome.ERROR, "Incomplete", f"The preflight did not look at the model: {load.message}"
    failed = [phase for phase in phases if phase.status is PhaseStatus.FAILED]
    decides = _deciding(phases, mode, enforce)
    rejecting = [phase for phase in failed if phase.name in decides]
    if rejecting:
        return Outcome.REJECTED, rejecting[0].reason, _rejection(rejecting)
    noted = [phase for phase in phases if phase.status in (PhaseStatus.FAILED, PhaseStatus.WARNED)]
    if noted:
        return Outcome.PASSED, "PassedWithWarnings", _warning(noted)
    skipped = [phase.name for phase in phases if phase.status is PhaseStatus.SKIPPED]
    return Outcome.PASSED, "Passed", _pass(len(phases) - len(skipped), skipped)


def termination_message(report: PreflightReport) -> bytes:
    """Returns the verdict as JSON of at most `MAX_TERMINATION_BYTES`.

    Shortened first is the message, then the phases' reasons go; outcome, revision and key are never touched, because a
    shortened key would be another question's.

    Raises:
        ValueError: Revision and key alone are too long.
    """
    verdict: dict[str, Any] = {
        "format": report.format,
        "revision": report.revision,
        "key": report.key,
        "outcome": report.outcome.value,
        "reason": report.reason,
        "message": report.message,
        "phases": {phase.name.value: f"{phase.status} {phase.reason}" for phase in report.phases},
    }
    statuses = {phase.name.value: phase.status.value for phase in report.phases}
    for phases in (verdict["phases"], statuses, {}):
        verdict["phases"] = phases
        fitted = _with_message(verdict)
        if fitted is not None:
            return fitted
    raise ValueError(f"the verdict of {report.revision:.64} does not fit {MAX_TERMINATION_BYTES} bytes")


_LEAST_MESSAGE: Final = 80
"""Characters of a message below which the reasons of the phases make room for it."""


def _with_message(verdict: dict[str, Any]) -> bytes | None:
    message = verdict["message"]
    least = min(len(message), _LEAST_MESSAGE) if verdict["phases"] else 0
    low, high = least, len(message)
    if len(_encoded(verdict, least)) > MAX_TERMINATION_BYTES:
        return None
    while low < high:
        middle = (low + high + 1) // 2
        if len(_encoded(verdict, middle)) <= MAX_TERMINATION_BYTES:
            low = middle
        else:
            high = middle - 1
    return _encoded(verdict, low)


def _encoded(verdict: dict[str, Any], length: int) -> bytes:
    message = verdict["message"]
    shown = message if length >= len(message) else f"{message[:length]}…"
    # A lone surrogate, which JSON from elsewhere can hold, has no UTF-8.
    text = json.dumps(verdict | {"message": shown}, ensure_ascii=False, separators=(",", ":"))
    return text.encode(errors="replace")


def _deciding(
    phases: Sequence[PhaseReport], mode: PreflightMode, enforce: Collection[PhaseName]
) -> Collection[PhaseName]:
    """Names the phases whose failure rejects."""
    if mode is not PreflightMode.ENFORCE:
        return ()
    unseen = {phase.name for phase in phases if phase.reason == SERVER_GONE}
    if not unseen.union((PhaseName.LOAD,)).intersection(enforce):
        return enforce
    return {*enforce, *(phase.name for phase in phases if phase.reason in SERVER_REASONS)}


def _rejection(rejecting: Sequence[PhaseReport]) -> str:
    others = [phase.name for phase in rejecting[1:]]
    return f"{rejecting[0].name}: {rejecting[0].message}" + (f" Failed as well: {_listed(others)}." if others else "")


def _warning(noted: Sequence[PhaseReport]) -> str:
    others = [phase.name for phase in noted[1:]]
    more = f" There is more to see in {_listed(others)}." if others else ""
    return f"Passed, but {noted[0].name}: {noted[0].message}{more}"


def _pass(looked: int, skipped: Sequence[PhaseName]) -> str:
    return f"{looked} phases passed." + (f" Skipped: {_listed(skipped)}." if skipped else "")


def _listed(names: Sequence[PhaseName]) -> str:
    return ", ".join(names)
