"""One call's life: from its head to exactly one outcome for each arrival.

    head -> model found -> revision picked, arrival counted -> pod chosen -> stream opened -> answer passed on -> end
                                          perhaps a wait --^------ once more, where a second attempt is allowed ------'

The request's bytes are kept until the answer begins, as far as the limits allow; a second attempt sends them again.
"""

from __future__ import annotations

import math

from typing_extensions import override

from plimsoll.core.records.grpc_status import Status
from plimsoll.core.records.outcome import Outcome
from plimsoll.gateway.http2 import refusals
from plimsoll.gateway.http2.attempts import NO_POD, Attempts
from plimsoll.gateway.http2.look import Look
from plimsoll.gateway.http2.methods import NamedBy, Refused
from plimsoll.gateway.http2.model_name import renamed
from plimsoll.gateway.http2.naming import name_by_host, name_by_message
from plimsoll.gateway.http2.violations import ErrorCode
from plimsoll.gateway.http2.waiting import Place
from plimsoll.gateway.inspection import SEQUENCES, Inspection
from plimsoll.gateway.queue import rejection_of
from plimsoll.gateway.targets import ModelTarget, RevisionTarget


class Exchange(Attempts):
    """One call; the upper half: until a pod is known, and what its client does meanwhile."""

    __slots__ = ()

    # ---- the request
    def begin(self, *, ended: bool) -> None:
        """Takes up the call."""
        head = self._head
        self._ended = ended
        if self._caller is not None:
            self._caller.exchange = self
        method = head.method
        if head.http_status is not None:
            self._answer_alone(refusals.http_answer(head.http_status))
        elif isinstance(method, Refused):
            self._refuse(method.status, method.message)
        else:
            self._method = method
            if head.timeout_s is not None:
                self._due_slot = self._board.wheel.add(self, self.started_at + head.timeout_s)
            if method.named_by is NamedBy.AUTHORITY:
                self._go_by(name_by_host(head.label, self._board.targets.models))
            elif ended:
                self._find_in_message()

    def request_data(self, payload: bytes, *, ended: bool) -> None:
        """Takes the next bytes of the request."""
        self._ended = ended
        pod = self._pod
        self._body.keep(payload, needed=pod is None)
        if self._body.is_too_large:
            self._end_too_large()
        elif pod is not None:
            pod.connection.send_data(pod, payload, ended=ended)
        elif not self.named:
            self._find_in_message()
        elif self._look is not None and self._look.reading:
            self._look.came(len(payload), ended=ended)

    def caller_left(self) -> None:
        """The client ended the call, or is gone."""
        self._leave_pod(ErrorCode.CANCEL)
        self._record(Outcome.CANCELLED)
        self._close(cancelled=True)

    def never_named(self) -> None:
        """The message that names the model did not come."""
        self._refuse(Status.DEADLINE_EXCEEDED, "The first message did not come, so the model is not known.")

    # ---- finding the way
    def _find_in_message(self) -> None:
        models = self._board.targets.models
        self._go_by(name_by_message(self._body.chunks, ended=self._ended, label=self._head.label, models=models))

    def _go_by(self, name: str | Refused | None) -> None:
        if isinstance(name, Refused):
            self._refuse(name.status, name.message)
        elif name is not None:
            self._found(name)

    def _found(self, name: str) -> None:
        self.named = True
        model = self._model = self._board.targets.models.get(name)
        if model is None:
            self._refuse(Status.NOT_FOUND, f"There is no model {name!r} in this namespace.")
            return
        if self._method is not None and self._method.may_repeat:  # a stream is many messages, each with its size
            self._body.most = model.route.limits.max_body
        if self._body.is_too_large:
            self._end_too_large()
            return
        diversion = model.diversion
        # Calls that do not predict, and those that are refused anyway, must not take a slot of the shares.
        pick = model.pick if self._is_inference and diversion is None else model.pick_without_toss
        revision = self._revision = self._first = pick(wants_candidate=self._head.wants_candidate)
        if revision is not None and self._is_inference:
            revision.recorder.arrived()
        if diversion is not None and (self._is_inference or diversion.stops):
            told = rejection_of(diversion)
            self.shed(told.sentence, told.retry_after_s)
        elif model.inspection is None or revision is None or not self._looks(model.inspection, revision, name):
            self.send_on()

    def _looks(self, inspection: Inspection, revision: RevisionTarget, name: str) -> bool:
        """Has its look begin where there is anything to look at, and returns whether that goes on with it."""
        repeats = self._method is not None and self._method.may_repeat
        if not (self._is_inference and repeats):
            return False
        if inspection.is_stateful(revision.route):
            self.fault(SEQUENCES)
            return True
        if not inspection.looks_at(revision.route):
            return False
        self._look = Look(self, self._board, inspection, revision.route, name)
        return self._look.begin(self._body.size, ended=self._ended)

    def send_on(self) -> None:
        """Sends it to a pod, or has it wait for one."""
        model, revision = self._model, self._revision
        endpoint = revision.least_outstanding() if revision is not None else None
        if model is not None and revision is not None and endpoint is not None:
            if not self._is_inference or model.queue.passes(endpoint):
                self.go_to(endpoint)
            else:
                self._place = Place(self, self._board, model)
                self._place.take(revision, self._head.time_left_s(self.started_at, self._board.clock()))
        elif not self.second_attempt(Outcome.SHED, is_broken=False):
            self.shed(NO_POD)

    @override
    def shed(self, message: str, retry_after_s: int = 1) -> None:
        """Gives what is kept, or has another model answer, where that is wanted and possible; else refuses it."""
        model = self._model
        if model is not None and model.diversion is None and self._stands_by(Outcome.SHED):
            return
        if not self._stands_in():
            super().shed(message, retry_after_s)

    def _stands_in(self, *, unsure: bool = False) -> bool:
        """Sends it to the model that stands in for its own.

        For its own it is a shed one, or one that it abstained from where it has answered and is `unsure`.
        """
        model, method = self._model, self._method
        if model is None or method is None or not (method.is_inference and method.may_repeat) or self._degraded:
            return False
        possible = self._body.is_whole and not self.answered
        found = self._board.targets.stand_in(model, unsure=unsure) if possible else None
        name = found.model.route.model if found is not None else ""
        data = renamed(b"".join(self._body.chunks), name) if found is not None else None
        if found is None or data is None or self._caller is None:
            return False
        if unsure:
            self._answered_unsure(model)
        self._end_arrival(Outcome.ABSTAINED if unsure else Outcome.SHED)
        self._release()
        look, self._look = self._look, None
        if look is not None:
            look.end(cancelled=False)
        self._body.replace(data)
        self._degraded = refusals.about_the_stand_in(name, found.because)
        self._model = found.model
        self._revision = self._first = found.revision
        self._recorded = False
        found.revision.recorder.arrived()
        self.go_to(found.endpoint)
        return True

    def _answered_unsure(self, model: ModelTarget) -> None:
        """Lets go of an answer that is not given, and counts it: it speaks against neither attempt."""
        self._detach_pod()
        self.holding = False
        self._early = 0
        if model.watch is not None:
            model.watch.ended(Outcome.ABSTAINED)
        if self._recorded and self._first is not None:
            self._first.recorder.rescued()

    def _end_too_large(self) -> None:
        self._leave_pod(ErrorCode.CANCEL)
        self._record(Outcome.CLIENT_FAULT)
        self._refuse(Status.RESOURCE_EXHAUSTED, f"A request may have {self._body.most} bytes; this one has more.")

    # ---- for the look at it
    def rewrite(self, data: bytes) -> None:
        """Puts another request in the place of the one that came."""
        self._body.replace(data)

    def fault(self, message: str) -> None:
        """Ends it as the client's fault."""
        self._record(Outcome.CLIENT_FAULT)
        self._refuse(Status.INVALID_ARGUMENT, message)

    def falls_back(self) -> bool:
        """Has another model answer in place of an answer that is not sure enough; returns whether that was possible."""
        return self._stands_in(unsure=True)

    def mismatched(self) -> None:
        """Counts that the revision gave another answer than was kept of it."""
        if self._first is not None:
            self._first.recorder.cache_mismatches += 1

    def whole_request(self) -> bytes | None:
        """Returns all its DATA; None where that is not at hand."""
        return b"".join(self._body.chunks) if self._ended and self._body.is_whole else None

    def credit_request(self, size: int) -> None:
        """Lets the client send more, though nobody has these bytes yet."""
        caller = self._caller
        if caller is not None:
            self._credited += size
            caller.connection.credit(caller, size)

    def time_left_s(self) -> float:
        """Returns how long the client still waits, in seconds; infinite where it does not say."""
        left_s = self._head.time_left_s(self.started_at, self._board.clock())
        return left_s if left_s is not None else math.inf
