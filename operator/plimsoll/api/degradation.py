"""`spec.killSwitch` and `spec.fallback`: what becomes of requests when a model should not answer them.

Every field's docstring is its `kubectl explain` text, as in v1alpha1.py.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from plimsoll.api.base import ApiModel, Duration, ObjectName, Rule, parse_duration
from plimsoll.api.preflight import Percent

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
