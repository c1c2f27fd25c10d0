"""A model with pods that take a fixed time for each request, and requests that queue for them, in virtual time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from tests.support.recorded import Recorded

from plimsoll.api.routing import Traffic
from plimsoll.core.routing.limits import RequestLimits
from plimsoll.core.routing.table import Endpoint, ModelRoute, RevisionRoute
from plimsoll.gateway.queue import Queue, Rejection, Ticket
from plimsoll.gateway.targets import EndpointTarget, ModelTarget, RevisionTarget, Targets


@dataclass(eq=False)
class Request:
    """One request, and what became of it."""

    house: House
    revision: RevisionTarget
    number: int
    arrived_at: float
    ticket: Ticket | None = None
    endpoint: EndpointTarget | None = None
    waited_s: float | None = None
    rejected_at: float | None = None
    rejection: Rejection | None = None

    def admitted(self, endpoint: EndpointTarget, waited_s: float) -> None:
        assert self.waited_s is None
        assert self.rejection is None
        self.ticket, self.endpoint, self.waited_s = None, endpoint, waited_s
        self.house.queue.enter(endpoint)
        self.house.admitted.append(self)
        if self.house.service_s:
            asyncio.get_running_loop().call_later(self.house.service_s, self.finish)

    def turned_away(self, rejection: Rejection) -> None:
        assert self.waited_s is None
        assert self.rejection is None
        self.ticket, self.rejection = None, rejection
        self.rejected_at = self.house.now

    def finish(self) -> None:
        """Is answered."""
        endpoint, self.endpoint = self.endpoint, None
        assert endpoint is not None
        self.house.queue.leave(self.revision, endpoint)

    def withdraw(self) -> None:
        """Its client goes away."""
        assert self.ticket is not None
        self.house.queue.withdraw(self.ticket)
        self.ticket = None


@dataclass
class House:
    """The model, and everybody who ever came. Without `service_s` requests end when a test says so."""

    limits: RequestLimits
    service_s: float = 0.0
    pods: int = 1
    came: list[Request] = field(default_factory=list)
    admitted: list[Request] = field(default_factory=list)
    records: dict[str, Recorded] = field(default_factory=dict)

    def __post_init__(self) -> None:
        clock = asyncio.get_running_loop().time
        self.targets = Targets(lambda _, name: self.records.setdefault(name, Recorded()), lambda: b"key", clock)
        self.route(self.pods)

    def route(
        self,
        stable: int,
        candidate: int | None = None,
        traffic: Traffic = Traffic.NORMAL,
        limits: RequestLimits | None = None,
        name: str = "r1",
    ) -> None:
        """Gives the revisions so many pods."""
        self.limits = limits or self.limits
        first = RevisionRoute(name, 1000, _pods("a", stable))
        second = None if candidate is None else RevisionRoute("r2", 0, _pods("b", candidate))
        self.targets.follow(ModelRoute("digits", "uid", 1, traffic, first, second, self.limits))

    @property
    def model(self) -> ModelTarget:
        return self.targets.models["digits"]

    @property
    def queue(self) -> Queue:
        return self.model.queue

    @property
    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def arrive(self, revision: RevisionTarget | None = None, granted_s: float | None = None) -> Request:
        """Sends a request, to stable where no revision is named."""
        revision = revision or self.model.stable
        assert revision is not None
        request = Request(self, revision, len(self.came), self.now)
        self.came.append(request)
        endpoint = revision.least_outstanding()
        if endpoint is not None and self.queue.passes(endpoint):
            request.admitted(endpoint, 0.0)
            return request
        joined = self.queue.join(request, revision, granted_s)
        if isinstance(joined, Rejection):
            request.turned_away(joined)
        else:
            request.ticket = joined
        return request


def _pods(prefix: str, count: int) -> tuple[Endpoint, ...]:
    return tuple(Endpoint(f"{prefix}{number}", f"10.0.0.{number}") for number in range(count))
