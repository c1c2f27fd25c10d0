"""`spec.requests` and `spec.overload`: what a gateway takes, and what it does with more than the model can answer.

Every field's docstring is its `kubectl explain` text, as in v1alpha1.py.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from plimsoll.api.base import ApiModel, Duration, Quantity, Rule, parse_duration
from plimsoll.api.confidence import Confidence
from plimsoll.api.quantity import value_of
from plimsoll.api.requests_validation import InputChecks
from plimsoll.api.resources import cel_quantity

MOST_BODY = "1Gi"
"""What the gateway's own limit is: nothing larger is even begun."""
LEAST_IDLE, MOST_IDLE = parse_duration("10s"), parse_duration("24h")
_NO_TIME, MOST_WAIT = parse_duration("0s"), parse_duration("30s")
"""Half of what the gateway gives an answer altogether, so that the model has the other half."""
MOST_QUEUED = 10_000


class OverloadAction(StrEnum):
    """What happens to a request that cannot be answered in time."""

    REJECT = "Reject"
    FALLBACK = "Fallback"


class Requests(InputChecks):
    """What is taken of clients."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel=f"{cel_quantity('self.maxBody')}.compareTo(quantity('1')) >= 0 && "
            f"{cel_quantity('self.maxBody')}.compareTo(quantity('{MOST_BODY}')) <= 0",
            message=f"requests.maxBody: from 1 byte to {MOST_BODY}",
            holds=lambda requests: 1 <= value_of(requests.max_body) <= value_of(MOST_BODY),
            path=".maxBody",
        ),
        Rule(
            cel="!has(self.keepWarm) || (duration(self.keepWarm) >= duration('10s') && "
            "duration(self.keepWarm) <= duration('24h'))",
            message="requests.keepWarm: from 10s to 24h; to send nothing, remove it",
            holds=lambda requests: (
                requests.keep_warm is None or LEAST_IDLE <= parse_duration(requests.keep_warm) <= MOST_IDLE
            ),
            path=".keepWarm",
        ),
    )

    max_concurrent: Annotated[int | None, Field(ge=1, le=1_000_000)] = None
    """Most requests that each gateway has with the model at a time, over all its pods; further ones wait as overload
    says. Without it: 64 for each pod. Makes a new revision: no."""
    max_body: Quantity = "64Mi"
    """Largest body of a request, as it comes: HTTP says 413 to a larger one, gRPC RESOURCE_EXHAUSTED. Default 64Mi, at
    most 1Gi. Makes a new revision: no."""
    keep_warm: Duration | None = None
    """After how long without a request a pod gets a small one from a gateway, so that the next user finds it warm; from
    10s to 24h. It is no evidence and not recorded. Without it none is sent. Makes a new revision: no."""
    confidence: Confidence | None = None
    """What becomes of answers of which the model itself is not sure. Makes a new revision: no."""


class Overload(ApiModel):
    """What a gateway does with requests while every pod has as many as it may."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="!has(self.maxWait) || (duration(self.maxWait) > duration('0s') && "
            "duration(self.maxWait) <= duration('30s'))",
            message="overload.maxWait: more than 0s and at most 30s; set maxQueue to 0 where nothing may wait",
            holds=lambda overload: (
                overload.max_wait is None or _NO_TIME < parse_duration(overload.max_wait) <= MOST_WAIT
            ),
            path=".maxWait",
        ),
    )

    max_queue: Annotated[int, Field(ge=0, le=MOST_QUEUED)] = 256
    """Most requests that wait at each gateway; 0: none. Default 256. Makes a new revision: no."""
    max_wait: Duration | None = None
    """Longest that a request may wait. One that would have to wait longer is refused at once. When absent: as long as
    the strictest latency of objective leaves, or 5s without one. Makes a new revision: no."""
    action: OverloadAction = OverloadAction.REJECT
    """What becomes of a request that cannot wait, or for which no replica is ready. Reject: HTTP 503 with Retry-After,
    gRPC UNAVAILABLE; Fallback: the model in spec.fallback answers, and where it cannot at once: as Reject. Default
    Reject. Makes a new revision: no."""
