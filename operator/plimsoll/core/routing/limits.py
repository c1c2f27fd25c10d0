"""What a gateway takes for one model, as numbers, from `spec.requests`, `spec.overload` and `spec.objective`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from plimsoll.api.base import parse_duration
from plimsoll.api.preflight import Objective
from plimsoll.api.quantity import parse_quantity
from plimsoll.api.requests import LEAST_IDLE, MOST_BODY, MOST_QUEUED, MOST_WAIT, Overload, Requests

OUTSTANDING: Final = 64
"""Requests that a gateway leaves with one pod: what the preflight measures capacity with, too."""
_LEAST_IDLE_S: Final = LEAST_IDLE.total_seconds()
_MOST_WAIT_S: Final = MOST_WAIT.total_seconds()
_MOST_BODY: Final = int(parse_quantity(MOST_BODY) or 0)


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """Limits of one model at each gateway.

    Attributes:
        outstanding: Requests that one pod may have at a time.
        max_concurrent: The same for all pods together; None: nothing beyond that.
        max_body: Largest body of a request, in bytes.
        max_queue: Requests that may wait.
        max_wait_s: Longest wait that the spec states, in seconds; None when it states none.
        promise_s: Strictest latency of the objective, in seconds; None without one.
        keep_warm_s: Idle time after which a pod gets a request of the gateway's own, in seconds; None: never.
    """

    outstanding: int = OUTSTANDING
    max_concurrent: int | None = None
    max_body: int = 64 << 20
    max_queue: int = 256
    max_wait_s: float | None = None
    promise_s: float | None = None
    keep_warm_s: float | None = None


def limits_of(requests: Requests | None, overload: Overload | None, objective: Objective | None) -> RequestLimits:
    """Returns the limits that a spec asks for.

    What the API server admitted under newer rules may be beyond what this program can keep; it gets the nearest that it
    can.
    """
    requests, overload = requests or Requests(), overload or Overload()
    body = parse_quantity(requests.max_body)
    wait_s = parse_duration(overload.max_wait).total_seconds() if overload.max_wait else None
    idle_s = parse_duration(requests.keep_warm).total_seconds() if requests.keep_warm else None
    promised = [parse_duration(line.max).total_seconds() for line in (objective.latency or ())] if objective else []
    return RequestLimits(
        max_concurrent=requests.max_concurrent,
        max_body=_MOST_BODY if body is None else max(1, min(int(body), _MOST_BODY)),
        max_queue=min(overload.max_queue, MOST_QUEUED),
        max_wait_s=None if wait_s is None else min(wait_s, _MOST_WAIT_S),
        promise_s=min(promised, default=None),
        keep_warm_s=None if idle_s is None else max(idle_s, _LEAST_IDLE_S),
    )
