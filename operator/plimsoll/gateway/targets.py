"""The routes as the hot path sees them: what is counted per endpoint, and which endpoint takes the next request.

`core.routing` holds values; these are the things behind them, which keep their identity and their counters while the
table changes: a connection in mid-request belongs to an `EndpointTarget`, whatever has become of its route.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Final, NamedTuple, Protocol

from plimsoll.api.routing import Traffic
from plimsoll.core.records.outcome import Outcome
from plimsoll.core.routing.ladder import CONFIDENCE, OVERLOAD, Diversion, diversion_of
from plimsoll.core.routing.split import Split
from plimsoll.core.routing.table import Endpoint, ModelRoute, RevisionRoute, RouteTable
from plimsoll.gateway.inspection import Inspection, Inspections
from plimsoll.gateway.queue import Queue
from plimsoll.gateway.watch import Watch

COMPARED: Final = 32
"""Endpoints compared for one request: at most 2 us, measured, where all of a thousand would cost 65."""
_NORMAL: Final = Traffic.NORMAL


class Switches(Protocol):
    """The kill switches of all models."""

    def of(self, route: ModelRoute, act: Callable[[], None]) -> Watch | None:
        """Returns what watches over a model under its new route; `act` is called when it tripped."""


class Recorder(Protocol):
    """Counts what becomes of the requests of one revision.

    Attributes:
        queued: Requests that wait for a slot now; kept by the queue.
        cache_hits: Requests that were answered from the cache; kept by that stage.
        cache_mismatches: Re-checks that got another answer than was kept; the same.
    """

    queued: int
    cache_hits: int
    cache_mismatches: int

    def arrived(self) -> None:
        """Counts a request whose first attempt goes to this revision."""

    def ended(self, outcome: Outcome, latency_s: float, pod: str, *, exempt: bool = False) -> None:
        """Counts the end of a first attempt: exactly once for each arrival.

        Args:
            outcome: What became of it.
            latency_s: From the request's first byte to its end, in seconds.
            pod: Where it was sent; empty when it was sent nowhere.
            exempt: It is no evidence about the revision, whatever became of it.
        """

    def rescued(self) -> None:
        """Counts a request whose first attempt failed here and that was answered by a second one."""


class EndpointTarget:
    """One pod.

    Attributes:
        endpoint: Where it is.
        outstanding: Requests of both protocols that it has not answered.
        gone: It left the table: no new request, and its connections close when they are idle.
        on_gone: Called once when that happens.
    """

    __slots__ = ("endpoint", "gone", "on_gone", "outstanding")

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.outstanding = 0
        self.gone = False
        self.on_gone: list[Callable[[], None]] = []

    def leave(self) -> None:
        """Marks it as gone."""
        self.gone = True
        for call in self.on_gone:
            call()
        self.on_gone.clear()


class RevisionTarget:
    """One revision of a model: its endpoints and its counters."""

    __slots__ = ("_next", "endpoints", "recorder", "route")

    def __init__(self, route: RevisionRoute, recorder: Recorder) -> None:
        self.route = RevisionRoute(route.name, 0)
        self.recorder = recorder
        self.endpoints: list[EndpointTarget] = []
        self._next = 0
        self.update(route)

    def least_outstanding(self, *, but: EndpointTarget | None = None) -> EndpointTarget | None:
        """Returns the endpoint with the fewest outstanding requests, in turn among equals; None without one.

        Of more than `COMPARED` endpoints it looks at that many in turn, so that a request costs the same whatever the
        number of pods.

        Args:
            but: One that was tried already and is not tried again.
        """
        endpoints = self.endpoints
        count = len(endpoints)
        best: EndpointTarget | None = None
        start = self._next = (self._next + 1) % count if count else 0
        for position in range(start, start + min(count, COMPARED)):
            endpoint = endpoints[position % count]
            if endpoint is but:
                continue
            if not endpoint.outstanding:
                return endpoint
            if best is None or endpoint.outstanding < best.outstanding:
                best = endpoint
        return best

    def below(self, limit: int) -> EndpointTarget | None:
        """Returns an endpoint with fewer outstanding requests than `limit`; None where none of them has."""
        endpoint = self.least_outstanding()
        if endpoint is not None and endpoint.outstanding >= limit and len(self.endpoints) > COMPARED:
            endpoint = min(self.endpoints, key=lambda each: each.outstanding)
        return endpoint if endpoint is not None and endpoint.outstanding < limit else None

    def update(self, route: RevisionRoute) -> list[EndpointTarget]:
        """Follows a new route: endpoints that stay keep their counters, those that left are told and returned."""
        same = route.endpoints == self.route.endpoints
        self.route = route
        if same:
            return []
        known = {target.endpoint: target for target in self.endpoints}
        self.endpoints = [known.get(endpoint) or EndpointTarget(endpoint) for endpoint in route.endpoints]
        left = [known[endpoint] for endpoint in known.keys() - set(route.endpoints)]
        for target in left:
            target.leave()
        return left


class ModelTarget:
    """One model.

    Attributes:
        route: What it follows.
        stable, candidate: Its revisions, None where there is none.
        queue: What it has in hand, and who waits.
        inspection: What is looked at of its requests and answers; None where nothing is.
        diversion: That its pods get no request, only calls that are no inference; None in the ordinary case.
        watch: Is told what its clients got in the end; None where no kill switch wants to know.
    """

    __slots__ = (
        "_inspections",
        "_leaving",
        "_recorder_of",
        "_split",
        "_switches",
        "candidate",
        "diversion",
        "inspection",
        "queue",
        "route",
        "stable",
        "watch",
    )

    def __init__(
        self,
        route: ModelRoute,
        recorder_of: Callable[[str, str], Recorder],
        split: Split,
        clock: Callable[[], float] = monotonic,
        inspections: Inspections | None = None,
        switches: Switches | None = None,
    ) -> None:
        self._recorder_of = recorder_of
        self._inspections = inspections
        self._switches = switches
        self.watch: Watch | None = None
        self.inspection: Inspection | None = None
        self.diversion: Diversion | None = None
        self._split = split
        self._leaving: list[EndpointTarget] = []
        self.route = ModelRoute(route.model, route.uid, route.epoch)
        self.queue = Queue(route.model, route.limits, clock)
        self.stable: RevisionTarget | None = None
        self.candidate: RevisionTarget | None = None
        self.update(route)

    def pick(self, *, wants_candidate: bool = False) -> RevisionTarget | None:
        """Returns the revision that gets the next request; None when there is none.

        Args:
            wants_candidate: The request asks for the candidate by its header, and gets it where the spec lets it.
        """
        candidate = self.candidate
        if candidate is None:
            return self.stable
        if wants_candidate and self.route.traffic is _NORMAL and candidate.endpoints:
            return candidate
        return candidate if self._split.toss(candidate.route.weight_permille) else self.stable

    def pick_without_toss(self, *, wants_candidate: bool = False) -> RevisionTarget | None:
        """Returns the revision for a call that is no evidence: it takes no slot of the split."""
        stable, candidate = self.stable, self.candidate
        if candidate is None:
            return stable
        alone = candidate.route.weight_permille and (stable is None or not stable.endpoints)
        return candidate if wants_candidate or alone else stable

    def update(self, route: ModelRoute) -> None:
        """Follows a new route; a candidate that became stable stays the same target."""
        self._leaving = [target for target in self._leaving if target.outstanding]
        known = {target.route.name: target for target in (self.stable, self.candidate) if target}
        self.stable = self._follow(known, route.stable)
        self.candidate = self._follow(known, route.candidate)
        self.route = route
        self.inspect()
        for left in known.values():
            self._leaving += left.update(RevisionRoute(left.route.name, 0))
            self.queue.abandon(left)
        if self._switches is not None:
            self.watch = self._switches.of(route, self._divert)
        self._divert()
        self.queue.follow(route.limits)

    def inspect(self) -> None:
        """Finds out anew what is looked at of its requests and answers."""
        if self._inspections is not None:
            self.inspection = self._inspections.of(self.route)

    def _divert(self) -> None:
        trip = self.watch.switch.trip if self.watch is not None else None
        self.diversion = diversion_of(self.route.model, self.route.traffic, trip)
        if self.diversion is not None:
            self.queue.divert(self.diversion)

    def in_flight(self) -> dict[str, int]:
        """Returns the unanswered requests of each pod that drains: they only become fewer, until it no longer drains.

        Of a pod that drained before, and took requests again in between, those of both times count.
        """
        counts = {pod: 0 for part in (self.route.stable, self.route.candidate) if part for pod in part.draining}
        if counts:
            for target in self._leaving:
                if target.endpoint.pod in counts:
                    counts[target.endpoint.pod] += target.outstanding
        return counts

    def _follow(self, known: dict[str, RevisionTarget], route: RevisionRoute | None) -> RevisionTarget | None:
        if route is None:
            return None
        target = known.pop(route.name, None)
        if target is None:
            return RevisionTarget(route, self._recorder_of(self.route.model, route.name))
        self._leaving += target.update(route)
        return target


class StandIn(NamedTuple):
    """A model that answers a request in place of another one.

    Attributes:
        model, revision, endpoint: Which, and which pod has room for it now.
        because: Why, as `ladder.degraded` takes it.
    """

    model: ModelTarget
    revision: RevisionTarget
    endpoint: EndpointTarget
    because: str


class Targets:
    """All models of the gateway, by public name."""

    __slots__ = ("_clock", "_inspections", "_recorder_of", "_split_key", "_switches", "models")

    def __init__(
        self,
        recorder_of: Callable[[str, str], Recorder],
        split_key: Callable[[], bytes],
        clock: Callable[[], float] = monotonic,
        inspections: Inspections | None = None,
        switches: Switches | None = None,
    ) -> None:
        """Makes an empty one.

        Args:
            recorder_of: Returns the counters of a model's revision, the same ones every time.
            split_key: Returns a new random key each time.
            clock: Monotonic time in seconds.
            inspections: Say what is looked at of requests and answers; nothing is where they are None.
            switches: Kill switches; there are none where they are None.
        """
        self._clock = clock
        self._switches = switches
        self._inspections = inspections
        self._recorder_of = recorder_of
        self._split_key = split_key
        self.models: dict[str, ModelTarget] = {}

    def apply(self, table: RouteTable) -> None:
        """Follows a new table."""
        for name in self.models.keys() - table.models.keys():
            self.forget(name)
        for route in table.models.values():
            self.follow(route)

    def follow(self, route: ModelRoute) -> None:
        """Follows a new route of one model. One whose uid is another one is another model: nothing of the old stays."""
        target = self.models.get(route.model)
        if target is not None and target.route.uid != route.uid:
            self.forget(route.model)
            target = None
        if target is None:
            split = Split(self._split_key())
            self.models[route.model] = ModelTarget(
                route, self._recorder_of, split, self._clock, self._inspections, self._switches
            )
        elif target.route is not route:
            target.update(route)

    def stand_in(self, model: ModelTarget, *, unsure: bool = False) -> StandIn | None:
        """Returns what answers an inference that `model` does not; None where nothing may, or can at once.

        A model that is diverted itself stands in for nobody, so there is one hop, and no circle; nor does one that
        keeps a state. Such a request does not wait, and takes no slot of a split: it goes to the revision that serves.

        Args:
            model: That was asked.
            unsure: It has answered, and is not sure enough.
        """
        ladder, diversion = model.route.ladder, model.diversion
        wanted = unsure or ladder.on_overload if diversion is None else not diversion.stops
        other = self.models.get(ladder.fallback) if wanted and ladder.fallback is not None else None
        if other is None or other is model or other.diversion is not None:
            return None
        revision = other.pick_without_toss()
        endpoint = revision.least_outstanding() if revision is not None else None
        if revision is None or endpoint is None or not other.queue.passes(endpoint):
            return None
        if other.inspection is not None and other.inspection.is_stateful(revision.route):
            return None
        because = CONFIDENCE if unsure else OVERLOAD if diversion is None else diversion.because
        return StandIn(other, revision, endpoint, because)

    def in_flight(self) -> dict[str, dict[str, int]]:
        """Returns the unanswered requests of pods that drain, by uid of the ModelDeployment; only where any drains."""
        counts = {target.route.uid: target.in_flight() for target in self.models.values()}
        return {uid: pods for uid, pods in counts.items() if pods}

    def forget(self, model: str) -> None:
        """Sends nothing to a model any more; its endpoints are told."""
        gone = self.models.pop(model)
        gone.update(ModelRoute(model, gone.route.uid, gone.route.epoch))
