"""What becomes of requests that a model should not, or cannot, answer: who stands in, and when.

The ladder has two steps down: another model answers, or nobody does. There is no third: the model that stands in sends
no request on, whatever its own spec says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from plimsoll.api.degradation import Fallback, KillAction
from plimsoll.api.requests import Overload, OverloadAction
from plimsoll.api.routing import Traffic
from plimsoll.core.kill_switch.policy import KillPolicy
from plimsoll.core.kill_switch.switch import Trip


@dataclass(frozen=True, slots=True)
class Ladder:
    """One model's.

    Attributes:
        fallback: Public name of the model that stands in; None where none is to.
        on_overload: It also does for requests that cannot wait.
        kill: When the kill switch trips; None where there is none.
        reset: Any text; a tripped switch is released when it changes.
    """

    fallback: str | None = None
    on_overload: bool = False
    kill: KillPolicy | None = None
    reset: str = ""


NO_LADDER = Ladder()


def ladder_of(fallback: Fallback | None, overload: Overload | None, kill: KillPolicy | None, reset: str = "") -> Ladder:
    """Returns the ladder that a spec asks for."""
    return Ladder(
        fallback.name if fallback else None,
        overload is not None and overload.action is OverloadAction.FALLBACK,
        kill,
        reset,
    )


class Diversion(NamedTuple):
    """That a model gets no request, overload apart.

    Attributes:
        stops: Nobody answers; else the fallback does, as far as it can.
        because: One word for the answer's header: traffic or kill-switch.
        sentence: What is told to clients who get no answer.
    """

    stops: bool
    because: str
    sentence: str


OVERLOAD = "overload"
"""Why a fallback answers where there is no diversion."""
CONFIDENCE = "confidence"
"""Why it does where the model has answered, and is not sure enough."""


def diversion_of(model: str, traffic: Traffic, trip: Trip | None) -> Diversion | None:
    """Returns where the requests of a model go instead of to its pods; None where they go there.

    What the spec says goes before the switch: a person has decided.

    Args:
        model: Its public name.
        traffic: `spec.traffic`.
        trip: Of its kill switch.
    """
    if traffic is Traffic.STOPPED:
        return Diversion(True, "traffic", f"Traffic to {model} is stopped by its spec.")
    if traffic is Traffic.FALLBACK:
        return Diversion(False, "traffic", f"Traffic to {model} goes to its fallback, which cannot take this request.")
    if trip is None or not trip.acts:
        return None
    why = f"the kill switch of {model} has tripped: {trip.failed} of {trip.judged} requests failed"
    if trip.action is KillAction.STOPPED:
        return Diversion(True, "kill-switch", f"No request is answered, because {why}.")
    return Diversion(False, "kill-switch", f"Its fallback cannot take this request, and {why}.")


def degraded(model: str, because: str) -> str:
    """Returns the value of `x-plimsoll-degraded` on an answer that this model gave in another one's place.

    An item of RFC 8941 with parameters: names of models are tokens of it.
    """
    return f"fallback; model={model}; reason={because}"
