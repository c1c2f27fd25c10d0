"""The attempts of one request: to an endpoint, perhaps to another one, and what became of it.

The lower half of an `Exchange`: from the moment an endpoint is known. It speaks to connections to model servers.
"""

from __future__ import annotations

from time import monotonic
from typing import Final

from typing_extensions import override

from plimsoll.api.confidence import OnLow
from plimsoll.core.records.outcome import Outcome
from plimsoll.core.routing.headers import ATTEMPT_HEADER, REVISION_HEADER
from plimsoll.core.routing.table import RevisionRoute
from plimsoll.gateway.http1.answer_head import AnswerHead
from plimsoll.gateway.http1.asker import Asker
from plimsoll.gateway.http1.failures import is_failure, judged
from plimsoll.gateway.http1.look import Look
from plimsoll.gateway.http1.outcomes import outcome_of
from plimsoll.gateway.http1.refusals import Reason, Refusal, written
from plimsoll.gateway.http1.request_head import RequestHead
from plimsoll.gateway.http1.shared import Shared, Uncounted
from plimsoll.gateway.http1.standing_in import Exempt
from plimsoll.gateway.http1.upstream import Carried, Piece, UpstreamConnection
from plimsoll.gateway.http1.waiting import Patience
from plimsoll.gateway.targets import EndpointTarget, ModelTarget, Recorder, RevisionTarget
from plimsoll.gateway.watch import Watch

CLOSE_LINE: Final = b"connection: close\r\n"
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
NO_EVIDENCE: Final = Uncounted()
_SUCCEEDED: Final = Outcome.SUCCEEDED
_ANSWERED: Final = (Outcome.SUCCEEDED, Outcome.CLIENT_FAULT, Outcome.ABSTAINED)


class Attempts(Carried):
    """One request after the other.

    Attributes:
        active: There is a request whose answer has not ended.
        answering: The first byte of its answer is on the way to the client: from now on there is no second attempt.
    """

    __slots__ = (
        "_attempt",
        "_client",
        "_endpoint",
        "_extra",
        "_head",
        "_held",
        "_invites",
        "_keep",
        "_look",
        "_model",
        "_on_candidate",
        "_outcome",
        "_patience",
        "_recorded",
        "_recorder",
        "_replayable",
        "_revision",
        "_sent",
        "_shared",
        "_started",
        "_ticket",
        "_upstream",
        "active",
        "answering",
    )

    def __init__(self, shared: Shared, client: Asker) -> None:
        super().__init__()
        self._shared = shared
        self._client = client
        self._head: RequestHead
        self._model: ModelTarget
        self._revision: RevisionTarget | None = None
        self._endpoint: EndpointTarget | None = None
        self._upstream: UpstreamConnection | None = None
        self._recorder: Recorder = NO_EVIDENCE
        self._sent: list[Piece] = []
        self._patience = Patience()
        self._look: Look | None = None
        self._extra = b""
        self._held = 0
        self._replayable = True
        self._on_candidate = False
        self._invites = False
        self._recorded = True
        self._keep = True
        self._attempt = 1
        self._ticket = 0
        self._outcome = Outcome.SUCCEEDED
        self._started = 0.0
        self.active = False
        self.answering = False

    # ---- for the connection to the model server ----------------------------------------------------------------------

    def connected(self, connection: UpstreamConnection, ticket: int) -> bool:
        """Takes a new connection; returns False when it is no longer wanted."""
        if ticket != self._ticket or not self.active:
            return False
        self._client.hold(held=False)
        self._load(connection)
        return True

    def not_connected(self, why: str, ticket: int) -> None:
        """There is no connection to the endpoint."""
        if ticket == self._ticket and self.active:
            self.broken(why)

    @override
    def upstream_stuffed(self, *, stuffed: bool) -> None:
        """The model server reads slower than the request comes in; or no longer."""
        self._client.hold(held=stuffed)

    @override
    def informed(self, head: bytes) -> None:
        """Passes an informational answer on."""
        self._client.send_more(head)

    @override
    def answered(self, head: AnswerHead, body: Piece) -> None:
        """Passes a whole answer on, or asks stable where the candidate failed."""
        self._upstream = None  # It may be another's from now on: the client's pace must not stop it.
        outcome = outcome_of(head.status)
        if outcome is not _SUCCEEDED:
            failing = is_failure(head)
            if failing:
                head, outcome = judged(head, bytes(body))
            if self._stands_by(outcome):
                return
            if failing and self._on_candidate and outcome is not Outcome.CLIENT_FAULT and self._try_again(outcome):
                return
        elif self._look is not None and self._revision is not None:
            why = self._look.why_invalid(self._revision.route, head, body)
            if why:
                self._invalid(why)
                return
            if self._unsure(self._look, self._revision.route, head, body):
                return
        self._send(head, body)
        if self._look is not None and outcome is Outcome.SUCCEEDED and self._attempt == 1 and not self._on_candidate:
            self._look.passes(head, body)
        self._finish(outcome)

    @override
    def answer_begins(self, head: AnswerHead, piece: Piece) -> None:
        """Passes the beginning of an answer on; a failure in parts is the server's, whatever it says."""
        upstream = self._upstream
        self._outcome = Outcome.SERVER_FAULT if is_failure(head) else outcome_of(head.status)
        if self._outcome is not Outcome.SUCCEEDED and self._stands_by(self._outcome):
            return
        if self._on_candidate and self._outcome is Outcome.SERVER_FAULT and self._try_again(self._outcome):
            if upstream is not None:
                upstream.close()
            return
        if self._look is not None and self._outcome is Outcome.SUCCEEDED and self._look.hold(head, piece):
            return
        self.answering = True
        self._sent.clear()
        self._send(head, piece)

    @override
    def answer_goes_on(self, piece: Piece) -> None:
        """Passes more of the answer's body on."""
        if self._look is not None and self._look.holding:
            self._look.add(piece)
        else:
            self._client.send_more(piece)

    @override
    def answer_ends(self, piece: Piece) -> None:
        """Passes the last of the answer's body on."""
        if self._look is not None and self._look.holding:
            self.answered(*self._look.whole(piece))
            return
        self._upstream = None  # As in `answered`.
        self._client.send_more(piece)
        self._finish(self._outcome)

    @override
    def went_stale(self) -> None:
        """Sends the request again over a new connection to the same endpoint: the server never saw it."""
        self._upstream = None
        if not self._replayable or self._endpoint is None or self._revision is None:
            self.broken("the idle connection had been closed")
            return
        self._shared.meter.reconnected()
        self._connect(self._revision, self._endpoint)

    @override
    def broken(self, why: str) -> None:
        """Tries once more where that is allowed; else tells the client."""
        self._upstream = None
        if not self.answering and (self._stands_by(Outcome.BROKEN) or self._try_again(Outcome.BROKEN)):
            return
        self._abandon(Outcome.BROKEN)
        self._end_with(Refusal(502, Reason.BROKEN, f"The model server gave no whole answer: {why}. Try again."))

    # ---- within ------------------------------------------------------------------------------------------------------

    def _go(self, revision: RevisionTarget, endpoint: EndpointTarget) -> None:
        self._model.queue.enter(endpoint)
        self._revision = revision
        self._endpoint = endpoint
        if self._look is not None:
            self._look.sent()
        if self._invites:
            self.invite()
        upstream = self._shared.pools.of(endpoint, revision.route.name).take()
        if upstream is None:
            self._connect(revision, endpoint)
        else:
            self._load(upstream)

    def invite(self) -> None:
        """Has the client send the body that it waits with."""
        if self._invites:
            self._invites = False
            self._client.send_more(_CONTINUE)

    def _connect(self, revision: RevisionTarget, endpoint: EndpointTarget) -> None:
        self._ticket += 1
        self._shared.pools.of(endpoint, revision.route.name).connect(self, self._ticket)

    def _load(self, upstream: UpstreamConnection) -> None:
        self._upstream = upstream
        upstream.carry(self, self._started if self._attempt == 1 else monotonic(), to_head=self._head.method == b"HEAD")
        for piece in self._sent:
            upstream.send(piece)
        self._bound_replay()

    def _bound_replay(self) -> None:
        if self._held > self._shared.limits.replay_bytes:
            self._replayable = False
            self._sent.clear()

    def _try_again(self, outcome: Outcome) -> bool:
        """Starts a second attempt where there is an endpoint for it, and records the first one's outcome."""
        if self._attempt > 1 or not self._replayable:
            return False
        revision = self._model.stable
        endpoint = revision.least_outstanding(but=self._endpoint) if revision is not None else None
        if revision is None or endpoint is None:
            return False
        self._leave(outcome)
        if self._look is not None:
            self._look.elsewhere(revision.route)
        self._attempt = 2
        self._extra += b"%s: 2\r\n" % ATTEMPT_HEADER.encode()
        self._shared.meter.retried()
        self._go(revision, endpoint)
        return True

    def _stands_by(self, outcome: Outcome) -> bool:
        """Gives the kept answer where it was a check of that which failed, and returns whether it did."""
        kept = self._look.kept_instead() if self._look is not None and not self.answering else None
        if kept is None:
            return False
        if self._upstream is not None:
            self._upstream.close()
        self._leave(outcome)
        head, body, said = kept
        self._send(head, body)
        self._finish(said)
        return True

    def _invalid(self, sentence: str) -> None:
        """Takes a success for the failure that it is."""
        if self._stands_by(Outcome.INVALID_OUTPUT):
            return
        if not (self._on_candidate and self._try_again(Outcome.INVALID_OUTPUT)):
            self._abandon(Outcome.INVALID_OUTPUT)
            self._end_with(Refusal(502, Reason.INVALID_OUTPUT, sentence))

    def _unsure(self, look: Look, revision: RevisionRoute, head: AnswerHead, body: Piece) -> bool:
        """Does what the spec says about a success that is not sure enough; returns whether it is not to pass."""
        wanted = look.unsure(revision, head, body)
        if wanted is OnLow.ABSTAIN:
            self._send(*look.abstention(revision, head, body))
            self._finish(Outcome.ABSTAINED)
            return True
        return wanted is OnLow.FALLBACK

    def _send(self, head: AnswerHead, piece: Piece) -> None:
        keep = self._keep = self._head.keep_alive and not self._shared.draining
        extra = self._extra if keep else self._extra + CLOSE_LINE
        if self._look is not None:
            extra += self._look.way()
        self._client.send(head.forward[:-2] + extra + b"\r\n" if extra else head.forward, piece)

    def _finish(self, outcome: Outcome) -> None:
        now = monotonic()
        endpoint, self._endpoint = self._endpoint, None
        watch = self._model.watch
        if watch is not None:
            self._watched(watch, outcome)
        if not self._recorded:
            self._ended(outcome, now, endpoint)
        elif self._attempt > 1 and outcome in _ANSWERED:
            self._recorder.rescued()
        if endpoint is not None and self._revision is not None:
            self._model.queue.leave(self._revision, endpoint)
        self._over()
        self._client.exchange_ended(now, keep=self._keep)

    def _ended(self, outcome: Outcome, now: float, endpoint: EndpointTarget | None) -> None:
        """Records what became of the arrival."""
        self._recorded = True
        pod = endpoint.endpoint.pod if endpoint is not None else ""
        if self._look is None:
            self._recorder.ended(outcome, now - self._started, pod)
            return
        self._recorder.cache_hits += self._look.is_hit
        self._recorder.ended(outcome, now - self._started, pod, exempt=self._look.request.exempt)

    def _watched(self, watch: Watch, outcome: Outcome) -> None:
        """Tells the kill switch what the client got; what a model answers in another one's place is not held to it."""
        recorder = self._recorder
        if recorder is not NO_EVIDENCE and not isinstance(recorder, Exempt):
            exempt = self._look is not None and self._look.request.exempt
            watch.ended(outcome, granted_s=self._head.timeout_s, exempt=exempt)

    def _leave(self, outcome: Outcome) -> None:
        """Ends an attempt; the first one's outcome is the arrival's."""
        endpoint, self._endpoint = self._endpoint, None
        self._upstream = None
        self._ticket += 1
        self._client.hold(held=False)
        if not self._recorded:
            self._ended(outcome, monotonic(), endpoint)
        if endpoint is not None and self._revision is not None:
            self._model.queue.leave(self._revision, endpoint)

    def _over(self, *, cancelled: bool = False) -> None:
        """Lets go of the request."""
        look, self._look = self._look, None
        if look is not None:
            look.end(cancelled=cancelled)
        self._sent.clear()
        self.active = False
        if self._patience.held:
            self._patience.end()

    def _abandon(self, outcome: Outcome) -> None:
        """Ends the exchange for good."""
        watch = self._model.watch if self._recorder is not NO_EVIDENCE else None
        if watch is not None:
            self._watched(watch, outcome)
        if self._upstream is not None:
            self._upstream.close()
        self._leave(outcome)
        self._over(cancelled=outcome is Outcome.CANCELLED)

    def _end_with(self, refusal: Refusal) -> None:
        if self.answering:
            self._client.cut()
        else:
            self._refuse(refusal)

    def _refuse(self, refusal: Refusal) -> None:
        self._over()
        keep = self.complete and self._head.keep_alive and not self._shared.draining
        more = b"" if keep else CLOSE_LINE
        if self._revision is not None:
            more += f"{REVISION_HEADER}: {self._revision.route.name}\r\n".encode() + self._extra
        answer = written(refusal, more, bodiless=self._head.method == b"HEAD")
        self._client.refuse(answer, refusal.reason, keep=keep)
