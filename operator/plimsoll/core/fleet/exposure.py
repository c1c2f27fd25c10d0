"""Which model pods only the gateways may reach, and from when.

A policy may be enforced on connections that exist already, so it closes late and opens early: pods are closed some time
after their Service has led to the gateways, and opened before it leads to them again (the Service's owner waits for
`FleetState.shields`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from plimsoll.core.actions import ChildKind
from plimsoll.core.fleet.observed import ObservedFleet
from plimsoll.core.names import MODELS_POLICY_NAME
from plimsoll.core.render.gateway_policy import open_models

SETTLING = timedelta(minutes=5)
"""From a Service's move to the gateways to the end of connections that users had opened before it."""
MOST_OPEN = 50
"""Exceptions in one policy: with more, as after the gateways were switched on in a large namespace, there is none, and
not one write of a long list for each ModelDeployment that moves."""


@dataclass(frozen=True, slots=True)
class Exposure:
    """What the policy on model pods says.

    Attributes:
        policy: There is to be one.
        open: ModelDeployments that it leaves out, in ascending order.
        requeue_at: When the next pods are closed, None when none wait for it.
    """

    policy: bool
    open: tuple[str, ...] = ()
    requeue_at: datetime | None = None


def exposure(observed: ObservedFleet, now: datetime) -> Exposure:
    """Returns which model pods are open; what the present policy closes stays closed while it may."""
    policy = observed.companions.get((ChildKind.NETWORK_POLICY, MODELS_POLICY_NAME))
    opened = open_models(policy.body()) if policy and policy.ours else None
    kept_open: list[str] = []
    closing: list[datetime] = []
    for model in observed.models:
        since = observed.behind.get(model.name)
        if model.direct or since is None:
            kept_open.append(model.name)
        elif now < since + SETTLING and (opened is None or model.name in opened):
            kept_open.append(model.name)
            closing.append(since + SETTLING)
    useful = len(kept_open) < len(observed.models) and len(kept_open) <= MOST_OPEN
    return Exposure(useful, tuple(sorted(kept_open)) if useful else (), min(closing, default=None))
