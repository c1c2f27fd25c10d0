"""The requests of one model: how many it has, and those that wait because it may have no more.

Used by both protocols: a slot that an HTTP request leaves may be a gRPC call's next. A request that need not wait pays
for a comparison or two; everything else happens only while requests wait.

    passes? ── yes ──────────────────────────────▶ enter ──▶ leave ──▶ the first in line enters
       └─ no ─▶ join ─▶ waits ─▶ admitted(endpoint) ──┘
                  └─▶ refused      └─▶ turned_away: its time is over, or its revision has left
"""

from __future__ import annotations

import asyncio
import sys
from collections import OrderedDict
from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, Protocol

from plimsoll.core.routing.ladder import Diversion
from plimsoll.core.routing.limits import RequestLimits
from plimsoll.core.routing.queueing import Found, Pace, Verdict, decide, overdue_sentence, refusal_sentence

if TYPE_CHECKING:
    from plimsoll.gateway.targets import EndpointTarget, RevisionTarget


class Why(StrEnum):
    """Why a request did not get a slot."""

    OVERLOADED = "overloaded"
    LEFT = "left"
    """Its revision takes no requests any more."""
    STOPPED = "stopped"
    NO_FALLBACK = "no_fallback"
    """The model gets no request, and the one that stands in cannot take it."""


class Rejection(NamedTuple):
    """What the client is told; `retry_after_s` in seconds, 0 where trying again is no advice."""

    why: Why
    sentence: str
    retry_after_s: int


def rejection_of(diversion: Diversion) -> Rejection:
    """Returns what the client of a diverted request is told that nobody answers."""
    if diversion.stops:
        return Rejection(Why.STOPPED, diversion.sentence, 10)
    return Rejection(Why.NO_FALLBACK, diversion.sentence, 1)


class Waiting(Protocol):
    """A request that waits. Exactly one of these is called, once, unless it withdraws before."""

    def admitted(self, endpoint: EndpointTarget, waited_s: float) -> None:
        """Takes a slot, with `Queue.enter`, and goes on; perhaps within `join`, where it waited for 0 s."""

    def turned_away(self, rejection: Rejection) -> None:
        """Waits no longer."""


class Ticket:
    """A place in a line; `line` is None from when it was left."""

    __slots__ = ("allowed_s", "line", "number", "since", "timer", "waiter")

    def __init__(self, waiter: Waiting, line: _Line, number: int, since: float, allowed_s: float) -> None:
        self.waiter = waiter
        self.line: _Line | None = line
        self.number = number
        self.since = since
        self.allowed_s = allowed_s
        self.timer: asyncio.TimerHandle | None = None


class _Line:
    """Who waits for one revision, in the order of arrival.

    An `OrderedDict`, because a plain one looks for its first behind all that were ever taken out.
    """

    __slots__ = ("pace", "revision", "tickets")

    def __init__(self, revision: RevisionTarget, now: float) -> None:
        self.revision = revision
        self.pace = Pace(now)
        self.tickets: OrderedDict[Ticket, None] = OrderedDict()


class Queue:
    """What one model has in hand, and who waits.

    Attributes:
        length: Requests that wait.
        in_service: Requests that pods have and have not answered.
    """

    __slots__ = (
        "_clock",
        "_limits",
        "_lines",
        "_model",
        "_most",
        "_numbers",
        "_outstanding",
        "_waking",
        "in_service",
        "length",
    )

    def __init__(self, model: str, limits: RequestLimits, clock: Callable[[], float]) -> None:
        """Makes an empty one.

        Args:
            model: Its public name, for sentences.
            limits: How many are taken.
            clock: Monotonic time in seconds.
        """
        self._model = model
        self._clock = clock
        self._lines: dict[RevisionTarget, _Line] = {}
        self._numbers = 0
        self._waking = False
        self.length = 0
        self.in_service = 0
        self._limit(limits)

    # ---- on the path of every request ----------------------------------------------------------------------------

    def passes(self, endpoint: EndpointTarget) -> bool:
        """Tells whether a request may go to this endpoint, the least busy of its revision, without waiting."""
        return endpoint.outstanding < self._outstanding and not self.length and self.in_service < self._most

    def enter(self, endpoint: EndpointTarget) -> None:
        """Counts a request that is sent to this endpoint. Whoever may not wait need not ask before."""
        endpoint.outstanding += 1
        self.in_service += 1

    def leave(self, revision: RevisionTarget, endpoint: EndpointTarget) -> None:
        """Counts the end of a request, or of an attempt, at this endpoint of that revision."""
        endpoint.outstanding -= 1
        self.in_service -= 1
        if self.length:
            self._freed(revision)

    # ---- while requests wait -------------------------------------------------------------------------------------

    def join(
        self, waiter: Waiting, revision: RevisionTarget, granted_s: float | None = None
    ) -> Ticket | Rejection | None:
        """Gives a request a place in the line of its revision.

        Args:
            waiter: Who waits.
            revision: For what.
            granted_s: How long the client still waits for an answer, in seconds; None: no limit is known.

        Returns:
            The ticket to withdraw with; why the request may not wait; None where it was admitted at once.
        """
        now = self._clock()
        line = self._lines.get(revision)
        if line is None:
            line = self._lines[revision] = _Line(revision, now)
        ahead = self.length if self._limits.max_concurrent else len(line.tickets)
        slots = self._slots(revision)
        free = self._room(revision) is not None
        found = Found(self.length, ahead, free, slots, line.pace.rate(now, slots))
        decision = decide(found, self._limits, granted_s)
        if decision.verdict in {Verdict.FULL, Verdict.LATE}:
            sentence = refusal_sentence(self._model, decision, self._limits.max_queue)
            return Rejection(Why.OVERLOADED, sentence, decision.retry_after_s)
        self._numbers += 1
        ticket = Ticket(waiter, line, self._numbers, now, decision.allowed_s)
        if not line.tickets:
            line.pace.crowded(now, slots)
        line.tickets[ticket] = None
        self.length += 1
        revision.recorder.queued += 1
        self.wake()
        if ticket.line is None:
            return None
        ticket.timer = asyncio.get_running_loop().call_later(ticket.allowed_s, self._overdue, ticket)
        return ticket

    def withdraw(self, ticket: Ticket) -> None:
        """Leaves the line; nothing happens where that has happened already."""
        line = ticket.line
        if line is None:
            return
        ticket.line = None
        del line.tickets[ticket]
        self.length -= 1
        line.revision.recorder.queued -= 1
        if not line.tickets:
            line.pace.crowded(self._clock(), 0)
        if ticket.timer is not None:
            ticket.timer.cancel()
            ticket.timer = None

    def wake(self) -> None:
        """Admits as many as there is room for, in the order in which they came."""
        if self._waking:
            return  # Who was admitted has ended at once, or turned another away: the loop below goes on.
        self._waking = True
        try:
            while self.length and self._admit_first():
                pass
        finally:
            self._waking = False

    def has_room(self, revision: RevisionTarget | None) -> bool:
        """Tells whether a request for this revision need not wait."""
        line = self._lines.get(revision) if revision is not None else None
        return revision is not None and not (line and line.tickets) and self._room(revision) is not None

    # ---- when routes change --------------------------------------------------------------------------------------

    def follow(self, limits: RequestLimits) -> None:
        """Follows new limits or endpoints. Who waits already is not turned away by a shorter queue."""
        self._limit(limits)
        if self.length:
            now = self._clock()
            for line in self._lines.values():
                if line.tickets:
                    line.pace.crowded(now, self._slots(line.revision))
            self.wake()

    def abandon(self, revision: RevisionTarget) -> None:
        """Turns away who waits for a revision that has left."""
        line = self._lines.pop(revision, None)
        if line is not None:
            self._turn_away(list(line.tickets), Rejection(Why.LEFT, f"No replica of {self._model} is ready.", 1))

    def divert(self, diversion: Diversion) -> None:
        """Turns everybody away: the model gets no requests."""
        tickets = [ticket for line in self._lines.values() for ticket in line.tickets]
        self._turn_away(tickets, rejection_of(diversion))

    # ---- within --------------------------------------------------------------------------------------------------

    def _limit(self, limits: RequestLimits) -> None:
        self._limits = limits
        self._outstanding = limits.outstanding
        self._most = limits.max_concurrent or sys.maxsize

    def _freed(self, revision: RevisionTarget) -> None:
        line = self._lines.get(revision)
        if line is not None and line.tickets:
            line.pace.freed(self._clock())
        self.wake()

    def _admit_first(self) -> bool:
        """Admits the first for whom there is room, and returns whether there was one."""
        first: Ticket | None = None
        place: EndpointTarget | None = None
        for line in self._lines.values():
            ticket = next(iter(line.tickets), None)
            if ticket is None or (first is not None and first.number < ticket.number):
                continue
            endpoint = self._room(line.revision)
            if endpoint is not None:
                first, place = ticket, endpoint
        if first is None or place is None:
            return False
        self.withdraw(first)
        first.waiter.admitted(place, self._clock() - first.since)
        return True

    def _room(self, revision: RevisionTarget) -> EndpointTarget | None:
        """Returns an endpoint that may have another request."""
        if self.in_service >= self._most:
            return None
        return revision.below(self._outstanding)

    def _slots(self, revision: RevisionTarget) -> int:
        return min(self._outstanding * len(revision.endpoints), self._most)

    def _overdue(self, ticket: Ticket) -> None:
        self.withdraw(ticket)
        sentence = overdue_sentence(self._model, ticket.allowed_s)
        ticket.waiter.turned_away(Rejection(Why.OVERLOADED, sentence, 1))

    def _turn_away(self, tickets: list[Ticket], rejection: Rejection) -> None:
        for ticket in tickets:
            if ticket.line is not None:
                self.withdraw(ticket)
                ticket.waiter.turned_away(rejection)
