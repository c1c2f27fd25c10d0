"""The four conditions, written only through the verbs here, so that their meaning has one home."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from plimsoll.api.v1alpha1 import Condition, ConditionStatus, ConditionType, Phase

MAX_MESSAGE = 1024


@dataclass(frozen=True, slots=True)
class Situation:
    """What is true of a ModelDeployment now.

    Attributes:
        phase: One word for people.
        serving, ready, reconciling, stalled: The four conditions.
        reason: CamelCase word shared by the conditions that this situation explains.
        message: Sentence with the number and the next step.
    """

    phase: Phase
    serving: bool
    ready: bool
    reconciling: bool
    stalled: bool
    reason: str
    message: str


def stable(ready: int, wanted: int, hint: str = "", *, reason: str = "Promoted") -> Situation:
    """The newest spec serves."""
    return Situation(
        Phase.STABLE, serving=True, ready=True, reconciling=False, stalled=False,
        reason=reason, message=f"{ready} of {wanted} model servers are ready{hint}",
    )  # fmt: skip


def finalizing(old: str, drain: str) -> Situation:
    """The newest spec serves; the old revision still answers on old connections."""
    return Situation(
        Phase.FINALIZING, serving=True, ready=True, reconciling=False, stalled=False,
        reason="Promoted", message=f"Traffic has moved; {old} is removed after a drain of {drain}",
    )  # fmt: skip


def scaled_to_zero(hint: str = "") -> Situation:
    """Nothing runs because none is wanted."""
    return Situation(
        Phase.SCALED_TO_ZERO, serving=False, ready=True, reconciling=False, stalled=False,
        reason="ScaledToZero", message=f"0 replicas are wanted{hint or '; set spec.replicas to 1 or more to serve'}",
    )  # fmt: skip


def stopped() -> Situation:
    """No request is answered because the spec says so."""
    return Situation(
        Phase.STOPPED, serving=False, ready=False, reconciling=False, stalled=True,
        reason="Stopped", message="Every request is refused because spec.traffic is Stopped; set it to Normal to serve",
    )  # fmt: skip


def killed(reason: str, message: str, *, serving: bool) -> Situation:
    """The kill switch has tripped; `serving` where a fallback, or another gateway, answers."""
    return Situation(
        Phase.STALLED if serving else Phase.STOPPED, serving=serving, ready=False, reconciling=False, stalled=True,
        reason=reason, message=message,
    )  # fmt: skip


def without_gateway(reason: str, message: str, *, serving: bool) -> Situation:
    """The newest spec is promoted, but the namespace lacks its gateways; `serving` where requests go past them."""
    return Situation(
        Phase.STABLE if serving else Phase.SCALING, serving=serving, ready=serving, reconciling=not serving,
        stalled=False, reason=reason, message=message,
    )  # fmt: skip


def scaling(reason: str, message: str, *, serving: bool, stalled: bool) -> Situation:
    """The newest spec is promoted but does not have all its model servers."""
    return Situation(
        Phase.STALLED if stalled else Phase.SCALING, serving=serving, ready=serving and not stalled,
        reconciling=not stalled, stalled=stalled, reason=reason, message=message,
    )  # fmt: skip


def preparing(reason: str, message: str, *, serving: bool) -> Situation:
    """The newest spec is on its way; `serving` tells whether an old revision answers meanwhile."""
    return Situation(
        Phase.PREPARING, serving=serving, ready=False, reconciling=True, stalled=False, reason=reason, message=message
    )


def verifying(reason: str, message: str, *, serving: bool, stalled: bool) -> Situation:
    """The newest spec has to show what it can carry; `stalled` where that has failed to come about for long."""
    return Situation(
        Phase.VERIFYING, serving=serving, ready=False, reconciling=not stalled, stalled=stalled,
        reason=reason, message=message,
    )  # fmt: skip


def rejected(reason: str, message: str, *, serving: bool) -> Situation:
    """The newest spec is not good enough to serve."""
    return Situation(
        Phase.REJECTED, serving=serving, ready=False, reconciling=False, stalled=True, reason=reason, message=message
    )


def cannot_start(reason: str, message: str, *, serving: bool) -> Situation:
    """The newest spec does not start and waiting will not help."""
    return Situation(
        Phase.STALLED, serving=serving, ready=False, reconciling=False, stalled=True, reason=reason, message=message
    )


def conditions_of(
    situation: Situation, generation: int, now: datetime, previous: Iterable[Condition]
) -> list[Condition]:
    """Returns the four conditions; a transition time changes only when its status does."""
    before = {condition.type: condition for condition in previous}
    facts = (
        (ConditionType.SERVING, situation.serving, "ModelServersReady", "NoModelServerReady"),
        (ConditionType.READY, situation.ready, situation.reason, situation.reason),
        (ConditionType.RECONCILING, situation.reconciling, situation.reason, "Settled"),
        (ConditionType.STALLED, situation.stalled, situation.reason, "NotStalled"),
    )
    return [
        _condition(before.get(kind), kind, holds, (yes if holds else no), situation, generation, now)
        for kind, holds, yes, no in facts
    ]


def _condition(
    before: Condition | None,
    kind: ConditionType,
    holds: bool,  # noqa: FBT001 - the fact itself
    reason: str,
    situation: Situation,
    generation: int,
    now: datetime,
) -> Condition:
    status = ConditionStatus.TRUE if holds else ConditionStatus.FALSE
    unchanged = before is not None and before.status == status
    explains = holds if kind in (ConditionType.RECONCILING, ConditionType.STALLED) else kind is ConditionType.READY
    return Condition(
        type=kind.value,
        status=status,
        reason=reason,
        message=situation.message[:MAX_MESSAGE] if explains else "",
        last_transition_time=before.last_transition_time if before and unchanged else rfc3339(now),
        observed_generation=generation,
    )


def rfc3339(moment: datetime) -> str:
    """Returns a time as the API server writes it: UTC, whole seconds."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
