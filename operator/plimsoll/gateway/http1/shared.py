"""What all connections of one listener share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from plimsoll.core.records.outcome import Outcome
from plimsoll.gateway.http1.addressing import Call
from plimsoll.gateway.http1.limits import Limits
from plimsoll.gateway.http1.pool import Pools
from plimsoll.gateway.http1.refusals import Reason, Refusal
from plimsoll.gateway.targets import Targets


class Meter(Protocol):
    """Counts for people what the records of revisions do not hold. Nothing of it is called for an ordinary request."""

    def refused(self, reason: Reason) -> None:
        """Counts an answer of the gateway's own."""

    def retried(self) -> None:
        """Counts a second attempt on another endpoint."""

    def reconnected(self) -> None:
        """Counts a request that was sent again because the model server had closed the idle connection."""


class Uncounted:
    """Counts nothing: a meter where nobody looks, and the recorder of calls that are no evidence."""

    def refused(self, reason: Reason) -> None:
        """Counts nothing."""

    def retried(self) -> None:
        """Counts nothing."""

    def reconnected(self) -> None:
        """Counts nothing."""

    queued = 0
    cache_hits = 0
    cache_mismatches = 0

    def arrived(self) -> None:
        """Counts nothing."""

    def ended(self, outcome: Outcome, latency_s: float, pod: str, *, exempt: bool = False) -> None:
        """Counts nothing."""

    def rescued(self) -> None:
        """Counts nothing."""


@dataclass(slots=True)
class Shared:
    """The routes, the bounds, the counters, the connections to model servers.

    Attributes:
        draining: The process is about to end: each answer says that its connection ends.
    """

    targets: Targets
    limits: Limits
    meter: Meter
    pools: Pools = field(init=False)
    draining: bool = False

    def __post_init__(self) -> None:
        self.pools = Pools(self.limits)

    def most_body(self, call: Call | Refusal) -> int:
        """Returns the largest body in bytes that a request of this call may have."""
        model = self.targets.models.get(call.model) if isinstance(call, Call) else None
        most = self.limits.body_bytes
        return most if model is None else min(most, model.route.limits.max_body)
