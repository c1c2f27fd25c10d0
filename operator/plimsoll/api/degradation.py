"""`spec.killSwitch` and `spec.fallback`: what becomes of requests when a model should not answer them.

Every field's docstring is its `kubectl explain` text, as in v1alpha1.py.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, Any, ClassVar

from pydantic import Field

from plimsoll.api.base import ApiModel, Duration, ObjectName, Rule, parse_duration
from plimsoll.api.confidence import OnLow
from plimsoll.api.preflight import Percent
from plimsoll.api.requests import OverloadAction
from plimsoll.api.routing import Traffic

_SHORTEST, _LONGEST = parse_duration("1s"), parse_duration("10m")
_NOTHING = r"^[0.]+%$"


class KillAction(StrEnum):
    """What a kill switch does."""

    ALERT = "Alert"
    FALLBACK = "Fallback"
    STOPPED = "Stopped"


class KillSwitch(ApiModel):
    """Takes a model that fails too often away from its users, in each gateway by itself."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="duration(self.window) >= duration('1s') && duration(self.window) <= duration('10m')",
            message="killSwitch.window: from 1s to 10m",
            holds=lambda switch: _SHORTEST <= parse_duration(switch.window) <= _LONGEST,
            path=".window",
        ),
        Rule(
            cel=f"!self.errorRate.matches('{_NOTHING}')",
            message="killSwitch.errorRate: more than 0%; to have no switch, remove killSwitch",
            holds=lambda switch: re.search(_NOTHING, switch.error_rate) is None,
            path=".errorRate",
        ),
    )

    error_rate: Percent = "20%"
    """Share of failed requests at which the switch trips. Failed are those that users got no good answer to because of
    the model: server errors, broken connections, timeouts, invalid answers; never what clients did wrong, and never
    requests that were refused for want of room. Default 20%. Makes a new revision: no."""
    window: Duration = "1m"
    """Over how long, from 1s to 10m. Default 1m. Makes a new revision: no."""
    min_requests: Annotated[int, Field(ge=1, le=1_000_000)] = 50
    """Requests of the window, at one gateway, below which it does not trip. Default 50. Makes a new revision: no."""
    action: KillAction = KillAction.ALERT
    """What happens then. Alert: nothing but what the others do as well: a metric, an Event and the status tell it;
    Fallback: the model in spec.fallback answers; Stopped: every request is refused. The latter two last until
    killSwitch changes, another revision serves, or the annotation plimsoll.dev/reset-kill-switch changes. Default
    Alert. Makes a new revision: no."""


class Fallback(ApiModel):
    """The model that answers in place of this one."""

    name: ObjectName
    """ModelDeployment in the same namespace. It takes the same inputs. Makes a new revision: no."""


def _falls_back(spec: Any) -> bool:
    return (
        spec.traffic is Traffic.FALLBACK
        or (spec.overload is not None and spec.overload.action is OverloadAction.FALLBACK)
        or (spec.kill_switch is not None and spec.kill_switch.action is KillAction.FALLBACK)
        or _falls_back_when_unsure(spec.requests)
    )


def _falls_back_when_unsure(requests: Any) -> bool:
    confidence = requests.confidence if requests is not None else None
    return confidence is not None and confidence.on_low is OnLow.FALLBACK


FALLBACK_NEEDED = Rule(
    cel="has(self.fallback) || !(self.traffic == 'Fallback' || "
    "(has(self.overload) && self.overload.action == 'Fallback') || "
    "(has(self.killSwitch) && self.killSwitch.action == 'Fallback') || "
    "(has(self.requests) && has(self.requests.confidence) && self.requests.confidence.onLow == 'Fallback'))",
    message="spec.fallback: is needed where traffic, overload.action, killSwitch.action or requests.confidence.onLow "
    "is Fallback; name the ModelDeployment that answers in place of this one",
    holds=lambda spec: spec.fallback is not None or not _falls_back(spec),
)
"""Of a spec."""
FALLBACK_IS_ANOTHER = Rule(
    cel="!has(self.spec.fallback) || self.spec.fallback.name != self.metadata.name",
    message="spec.fallback: is this ModelDeployment itself; name another one",
    holds=lambda deployment: (
        deployment.spec.fallback is None or deployment.spec.fallback.name != deployment.metadata.name
    ),
    path=".spec.fallback",
)
"""Of a ModelDeployment."""
