"""The stage between revision and pod: a call's place in the queue. Only calls that have to wait have one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from plimsoll.core.records.outcome import Outcome
from plimsoll.gateway.http2 import refusals
from plimsoll.gateway.queue import Rejection, Ticket, Why

if TYPE_CHECKING:
    from plimsoll.gateway.http2.switchboard import Switchboard
    from plimsoll.gateway.targets import EndpointTarget, ModelTarget, RevisionTarget


class Waits(Protocol):
    """The call, as its place sees it."""

    def go_to(self, endpoint: EndpointTarget) -> None:
        """Sends it to a pod."""

    def second_attempt(self, outcome: Outcome, *, is_broken: bool) -> bool:
        """Starts it on stable where that is allowed, and returns whether it did."""

    def shed(self, message: str, retry_after_s: int) -> None:
        """Refuses it for want of a pod."""


class Place:
    """One call's place.

    Attributes:
        said: What is appended to the head of its answer: how long it waited, where it did.
    """

    __slots__ = ("_board", "_call", "_model", "_revision", "_ticket", "said")

    def __init__(self, call: Waits, board: Switchboard, model: ModelTarget) -> None:
        self._call = call
        self._board = board
        self._model = model
        self._revision: RevisionTarget | None = None
        self._ticket: Ticket | None = None
        self.said = b""

    @property
    def is_held(self) -> bool:
        """Whether the call waits."""
        return self._ticket is not None

    def take(self, revision: RevisionTarget, granted_s: float | None) -> None:
        """Waits for a pod of the revision, or goes on or is refused at once.

        Args:
            revision: What it waits for.
            granted_s: How long the caller still waits for an answer, in seconds; None: without limit.
        """
        self._revision = revision
        joined = self._model.queue.join(self, revision, granted_s)
        if isinstance(joined, Rejection):
            self.turned_away(joined)
        else:
            self._ticket = joined

    def leave(self) -> None:
        """Waits no longer."""
        ticket, self._ticket = self._ticket, None
        if ticket is not None:
            self._model.queue.withdraw(ticket)

    def admitted(self, endpoint: EndpointTarget, waited_s: float) -> None:
        """Goes on to the pod that has room."""
        self._ticket = None
        if waited_s > 0:
            self.said = refusals.about_the_wait(waited_s)
        self._call.go_to(endpoint)
        self._board.flush_soon()

    def turned_away(self, rejection: Rejection) -> None:
        """Tries stable where the candidate has no room, or none any more; else tells the client."""
        self._ticket = None
        model = self._model
        has_room = self._revision is not model.stable and model.queue.has_room(model.stable)
        elsewhere = (has_room or rejection.why is Why.LEFT) and model.diversion is None
        if not (elsewhere and self._call.second_attempt(Outcome.SHED, is_broken=False)):
            self._call.shed(rejection.sentence, rejection.retry_after_s)
        self._board.flush_soon()
