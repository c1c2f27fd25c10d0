"""What users are told of a kill switch that has tripped."""

from __future__ import annotations

from collections.abc import Iterable

from plimsoll.api.degradation import KillAction
from plimsoll.api.v1alpha1 import Condition, ConditionType
from plimsoll.core import conditions
from plimsoll.core.conditions import Situation
from plimsoll.core.names import RESET_KILL_SWITCH_ANNOTATION
from plimsoll.core.world import Gateways, Observed

_SEVERITY = (KillAction.STOPPED, KillAction.FALLBACK, KillAction.ALERT)


def killed(observed: Observed, *, serving: bool) -> Situation | None:
    """Returns what is true while a switch keeps requests from the model; None while none does.

    Before any gateway has been heard, after a start of the controller, that is what was true before.
    """
    gateways = observed.gateways
    if gateways is None or observed.object.spec.kill_switch is None:
        return None
    acting = [trip for trip in gateways.trips.values() if trip.acts]
    if not acting:
        return _unheard(observed, gateways, serving=serving)
    stops = any(trip.action is KillAction.STOPPED for trip in acting)
    everywhere = stops and len(acting) >= gateways.ready
    return conditions.killed(reason="KillSwitchTripped", message=sentence(observed), serving=serving and not everywhere)


def alert(observed: Observed) -> str:
    """Returns the sentence of a switch that only alerts; empty while none does."""
    gateways = observed.gateways
    wanted = observed.object.spec.kill_switch is not None
    return sentence(observed) if wanted and gateways is not None and gateways.trips else ""


def sentence(observed: Observed) -> str:
    """Returns what happened, with the numbers of the gateway where it is worst, and the way out; without a full stop.

    At least one switch has tripped.
    """
    gateways, spec, name = observed.gateways, observed.object.spec, observed.object.metadata.name
    trips = gateways.trips if gateways is not None else {}
    pod, worst = min(sorted(trips.items()), key=lambda item: _SEVERITY.index(item[1].action))
    window = spec.kill_switch.window if spec.kill_switch else ""
    acting = sum(trip.acts for trip in trips.values())
    what = f"{worst.failed} of {worst.judged} requests failed within {window} at gateway {pod}"
    match worst.action:
        case KillAction.ALERT:
            return f"{what}, which spec.killSwitch says to tell; look at the model servers' logs"
        case KillAction.FALLBACK:
            done = f"{spec.fallback.name if spec.fallback else 'its fallback'} answers"
        case KillAction.STOPPED:
            done = "every request is refused"
    return (
        f"{what}, so {done} at {acting} of {max(acting, gateways.ready if gateways else 0)} gateways: publish a model "
        "that works, or say that this one does with "
        f"`kubectl annotate mdep {name} {RESET_KILL_SWITCH_ANNOTATION}=REASON --overwrite`"
    )


def _unheard(observed: Observed, gateways: Gateways, *, serving: bool) -> Situation | None:
    status = observed.object.status
    ready = _ready(status.conditions or () if status else ())
    if gateways.newest or ready is None or ready.reason != "KillSwitchTripped":
        return None
    return conditions.killed(reason="KillSwitchTripped", message=ready.message, serving=serving)


def _ready(before: Iterable[Condition]) -> Condition | None:
    return next((condition for condition in before if condition.type == ConditionType.READY), None)
