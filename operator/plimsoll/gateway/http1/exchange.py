"""One request's life: pick the revision and the endpoint, send, perhaps once more, and say what became of it.

A client connection has one `Exchange` and uses it for its requests one after the other.
"""

from __future__ import annotations

from plimsoll.core.records.outcome import Outcome
from plimsoll.gateway.http1.addressing import Call, unknown_model
from plimsoll.gateway.http1.answer_head import AnswerHead
from plimsoll.gateway.http1.attempts import NO_EVIDENCE, Attempts
from plimsoll.gateway.http1.look import Look
from plimsoll.gateway.http1.refusals import Reason, Refusal, too_large
from plimsoll.gateway.http1.request_head import RequestHead
from plimsoll.gateway.http1.standing_in import Exempt, addressed_to, said
from plimsoll.gateway.http1.upstream import Piece
from plimsoll.gateway.http1.waiting import refusal_of
from plimsoll.gateway.inspection import SEQUENCES, Inspection
from plimsoll.gateway.queue import Rejection, Why, rejection_of
from plimsoll.gateway.targets import EndpointTarget

_HELD_WHILE_CONNECTING = 64 << 10


class Exchange(Attempts):
    """One request after the other; the upper half: until an endpoint is known, and what its client does meanwhile."""

    __slots__ = ()

    # ---- for the client connection -----------------------------------------------------------------------------------

    def begin(self, head: RequestHead, first: bytes, rest: Piece, started: float, *, complete: bool) -> None:
        """Takes on a request.

        Args:
            head: Its head.
            first: The head as it goes to the model server, perhaps with the body.
            rest: More of the body.
            started: When its first byte came in, on the monotonic clock.
            complete: There is no more of the body.
        """
        self._head = head
        self._started = started
        self._sent.append(first)
        self._held = len(first) + len(rest)
        if rest:
            self._sent.append(rest)
        self._revision = None
        self._recorder = NO_EVIDENCE
        self._recorded = False
        self._replayable = True
        self._on_candidate = False
        self._invites = head.expects and not complete and self._held == len(head.forward)
        self._attempt = 1
        self._extra = b""
        self.active = True
        self.answering = False
        self.complete = complete
        if head.timeout_s is not None:
            self._patience.grant(head.timeout_s, started, self._too_late)
        call = head.call
        if isinstance(call, Refusal):
            self._refuse(call)
        else:
            self._route(call)

    def body(self, piece: Piece, *, complete: bool) -> None:
        """Takes more of the request's body."""
        self.complete = complete
        if not self.active:
            return
        upstream = self._upstream
        self._held += len(piece)
        if upstream is not None:
            if self._replayable and not self.answering:
                self._sent.append(piece)
                self._bound_replay()
            upstream.send(piece)
            return
        self._sent.append(piece)
        if self._look is not None and self._look.reading:
            self._look.came(self._held, complete=complete)
        elif self._held > _HELD_WHILE_CONNECTING:
            self._client.hold(held=True)

    def client_stuffed(self, *, stuffed: bool) -> None:
        """The client reads slower than the answer comes; or no longer."""
        if self._upstream is not None:
            self._upstream.hold(held=stuffed)

    def client_left(self) -> None:
        """The client has gone: the model server's connection is closed, so that it can stop working."""
        self._abandon(Outcome.CANCELLED)

    def client_failed(self, refusal: Refusal) -> None:
        """What the client sends cannot be taken any further."""
        self._abandon(Outcome.CLIENT_FAULT)
        self._end_with(refusal)

    def timed_out(self) -> None:
        """The model server did not answer in time."""
        self._too_late(f"The model did not answer within {self._shared.limits.response_s:g} s.")

    # ---- for the queue -----------------------------------------------------------------------------------------------

    def admitted(self, endpoint: EndpointTarget, waited_s: float) -> None:
        """Goes on to the endpoint that has room."""
        self._extra += self._patience.waited(waited_s)
        self._client.hold(held=False)
        if self._revision is not None:
            self._go(self._revision, endpoint)

    def turned_away(self, rejection: Rejection) -> None:
        """Tries stable where the candidate has no room, or none any more; else tells the client."""
        self._patience.left()
        model = self._model
        elsewhere = rejection.why is Why.LEFT or (self._on_candidate and model.queue.has_room(model.stable))
        if not (elsewhere and model.diversion is None and self._try_again(Outcome.SHED)):
            self._shed(refusal_of(rejection))

    # ---- for the look at it ------------------------------------------------------------------------------------------

    def send_on(self) -> None:
        """Sends the request to an endpoint."""
        if isinstance(self._head.call, Call):
            self._place(self._head.call)

    def rewrite(self, message: bytes) -> None:
        """Puts another request in the place of the one that came."""
        self._sent = [message]
        self._held = len(message)

    def fault(self, refusal: Refusal) -> None:
        """Ends the request as the client's fault."""
        self._abandon(Outcome.CLIENT_FAULT)
        self._end_with(refusal)

    def give(self, head: AnswerHead, body: bytes, outcome: Outcome) -> None:
        """Answers it with what no model server was asked for now."""
        self._send(head, body)
        self._finish(outcome)

    def falls_back(self) -> bool:
        """Has another model answer in place of an answer that is not sure enough; returns whether that was possible."""
        return self._stands_in(unsure=True)

    def mismatched(self) -> None:
        """Counts that the revision gave another answer than was kept of it."""
        self._recorder.cache_mismatches += 1

    def whole_request(self) -> bytes | None:
        """Returns the request, head and body; None where it is not at hand."""
        return b"".join(self._sent) if self.complete and self._replayable else None

    def time_left_s(self) -> float:
        """Returns how long the client still waits, in seconds; infinite where it does not say."""
        return self._patience.time_left_s()

    # ---- within ------------------------------------------------------------------------------------------------------

    def _route(self, call: Call) -> None:
        model = self._shared.targets.models.get(call.model)
        if model is None:
            self._refuse(unknown_model(call.model))
            return
        self._model = model
        if self._head.length > model.route.limits.max_body:
            self._refuse(too_large(model.route.limits.max_body, self._head.length))
            return
        diversion = model.diversion
        if call.infers and diversion is None:
            revision = model.pick(wants_candidate=self._head.wants_candidate)
        else:
            revision = model.pick_without_toss(wants_candidate=self._head.wants_candidate)
        if revision is not None:
            self._revision = revision
            self._on_candidate = revision is model.candidate
            if call.infers:
                self._recorder = revision.recorder
                self._recorder.arrived()
        if diversion is not None and (call.infers or diversion.stops):
            self._shed(refusal_of(rejection_of(diversion)))
        elif model.inspection is None or not (call.infers and self._looks(call, model.inspection)):
            self._place(call)

    def _looks(self, call: Call, inspection: Inspection) -> bool:
        """Has its look begin where there is anything to look at, and returns whether that goes on with it."""
        revision = self._revision
        if revision is None or self._head.method != b"POST":
            return False
        if inspection.is_stateful(revision.route):
            self.fault(Refusal(400, Reason.INVALID, SEQUENCES))
            return True
        if not (call.has_tensors and inspection.looks_at(revision.route)):
            return False
        self._look = Look(self, inspection, revision.route, self._head)
        return self._look.begin(complete=self.complete)

    def _place(self, call: Call) -> None:
        """Sends it to an endpoint, or has it wait for one."""
        model, revision = self._model, self._revision
        endpoint = revision.least_outstanding() if revision is not None else None
        if revision is None or endpoint is None:
            if not self._try_again(Outcome.SHED):
                self._shed(Refusal(503, Reason.NO_ENDPOINT, f"No replica of {call.model} is ready. Try again.", 1))
        elif call.infers and not model.queue.passes(endpoint):
            self._patience.queue(model.queue, self, revision)
        else:
            self._go(revision, endpoint)

    def _shed(self, refusal: Refusal) -> None:
        """Gives what is kept, or has another model answer, where that is wanted and possible; else tells the client."""
        if self._model.diversion is None and self._stands_by(Outcome.SHED):
            return
        if not self._stands_in():
            self._abandon(Outcome.SHED)
            self._end_with(refusal)

    def _stands_in(self, *, unsure: bool = False) -> bool:
        """Sends the request to the model that stands in for its own.

        For its own it is a shed one, or one that it abstained from where it has answered and is `unsure`.
        """
        call, shared = self._head.call, self._shared
        wanted = isinstance(call, Call) and call.infers and not isinstance(self._recorder, Exempt)
        possible = wanted and self._replayable and bool(self._sent)
        found = shared.targets.stand_in(self._model, unsure=unsure) if possible else None
        if found is None:
            return False
        if unsure:
            self._answered_unsure()
        self._leave(Outcome.ABSTAINED if unsure else Outcome.SHED)
        look, self._look = self._look, None
        if look is not None:
            look.end(cancelled=False)
        name = found.model.route.model
        self._sent[0] = addressed_to(name, bytes(self._sent[0]))
        self._extra += said(name, found.because)
        self._model, self._on_candidate = found.model, False
        self._recorder, self._recorded = Exempt(found.revision.recorder), False
        self._recorder.arrived()
        self._go(found.revision, found.endpoint)
        return True

    def _answered_unsure(self) -> None:
        """Counts an answer that is not given: it speaks neither against its model nor against the second attempt."""
        watch = self._model.watch
        if watch is not None:
            self._watched(watch, Outcome.ABSTAINED)
        if self._recorded:
            self._recorder.rescued()

    def _too_late(self, sentence: str) -> None:
        """Ends a request whose time is over. That it waited for a replica until then is no evidence."""
        outcome = Outcome.SHED if self._patience.queues else Outcome.TIMED_OUT
        if self._stands_by(outcome):
            return
        self._abandon(outcome)
        self._end_with(Refusal(504, Reason.TIMED_OUT, sentence))
