"""The attempts of one call: on a pod, perhaps on another one, to exactly one outcome for each arrival.

The lower half of an `Exchange`: from the moment a pod is known. It speaks to the streams of pods.
"""

from __future__ import annotations

from typing_extensions import override

from plimsoll.api.confidence import OnLow
from plimsoll.core.records.grpc_status import Status, may_succeed_elsewhere, outcome_of
from plimsoll.core.records.outcome import Outcome
from plimsoll.core.routing.table import RevisionRoute
from plimsoll.gateway.http2 import refusals
from plimsoll.gateway.http2.call import Call
from plimsoll.gateway.http2.heads import ResponseHead
from plimsoll.gateway.http2.look import Look
from plimsoll.gateway.http2.streams import PodStream
from plimsoll.gateway.http2.violations import ErrorCode
from plimsoll.gateway.targets import EndpointTarget, RevisionTarget

NO_POD = "No pod of this model can take requests at the moment."


class Attempts(Call):
    """One call; the middle part."""

    __slots__ = ()

    # ---- the pod
    def request_passed(self, size: int) -> None:
        """The pod's connection took bytes; those of a second attempt were credited with the first."""
        self._passed += size
        more = self._passed - self._credited
        caller = self._caller
        if more > 0 and caller is not None:
            self._credited = self._passed
            caller.connection.credit(caller, more)

    def opened(self, pod: PodStream) -> None:
        """A stream to the pod is open: sends what has come so far."""
        self._pod = pod
        self._passed = 0
        connection = pod.connection
        chunks = self._body.chunks
        connection.send_head(pod, self._head.block, ended=self._ended and not chunks)
        for number, payload in enumerate(chunks, 1):
            connection.send_data(pod, payload, ended=self._ended and number == len(chunks))

    def pod_head(self, head: ResponseHead, *, ended: bool) -> bool:
        """Takes the head of the answer, or its trailers. Returns False when it cannot stand here."""
        if head.status is None:
            if not ended or not (self.answered or self.holding):
                return False
            self._end_answer(head)
        elif self.answered or self.holding:
            return False
        elif ended:
            self._answer_of_one_head(head)
        elif not head.is_interim:
            if self._look is None:
                self._begin_answer(head.block)
            else:
                self.holding = True
                self._look.hold(head.block)
        return True

    def pod_data(self, payload: bytes, *, ended: bool) -> None:
        """Takes bytes of the answer. DATA may end it, though gRPC's answers end with trailers."""
        caller = self._caller
        if caller is None:
            return
        if ended and self.holding and self._stands_by(outcome_of(None)):
            return
        if self.holding:
            self._hold(payload, ended=ended)
        else:
            caller.connection.send_data(caller, payload, ended=ended)
        if ended:
            self._finish(outcome_of(None))

    def answer_passed(self, size: int) -> None:
        """The client's connection took bytes of the answer; those that were held were credited when they came."""
        if self._early:
            spared = min(self._early, size)
            self._early -= spared
            size -= spared
        pod = self._pod
        if pod is not None:
            pod.connection.credit(pod, size)

    def pod_reset(self, code: int) -> None:
        """The pod, or its connection, ended the stream before the answer was whole."""
        self._pod = None
        if code == ErrorCode.REFUSED_STREAM:
            self.not_processed()
        else:
            self.broken("The connection to the model pod broke before the answer was whole.")

    def not_processed(self) -> None:
        """The pod certainly did nothing with the call: it goes to another connection, and is not held against it."""
        self._pod = None
        revision = self._revision
        if (
            revision is None
            or self.answered
            or not self._body.is_whole
            or self._unprocessed >= self._board.limits.unprocessed
        ):
            self.broken("The model pod takes no more calls.")
            return
        self._unprocessed += 1
        self._board.counters.unprocessed += 1
        tried = self._release()
        endpoint = revision.least_outstanding(but=tried) or revision.least_outstanding()
        if endpoint is not None:
            self.go_to(endpoint)
        elif not self.second_attempt(Outcome.SHED, is_broken=False):
            self.shed(NO_POD)

    def broken(self, message: str) -> None:
        """The attempt failed without an answer."""
        self._pod = None
        if self._stands_by(Outcome.BROKEN):
            return
        if not self.second_attempt(Outcome.BROKEN, is_broken=True):
            self._record(Outcome.BROKEN)
            self._refuse(Status.UNAVAILABLE, message)

    # ---- attempts
    def go_to(self, endpoint: EndpointTarget) -> None:
        """Sends it to a pod."""
        if self._model is not None:
            self._model.queue.enter(endpoint)
        self._endpoint = endpoint
        if self._look is not None:
            self.holding = False
            self._early = 0
            self._look.sent()
        self._board.pool_of(endpoint).submit(self)

    def shed(self, message: str, retry_after_s: int = 1) -> None:
        """Refuses it for want of a pod."""
        self._record(Outcome.SHED)
        self._refuse(Status.UNAVAILABLE, message, retry_after_s)

    def second_attempt(self, outcome: Outcome, *, is_broken: bool) -> bool:
        """Starts it where it is allowed: a candidate's failure goes to stable, stable's broken connection elsewhere."""
        model, revision, tried = self._model, self._revision, self._endpoint
        if model is None or model.stable is None or self._method is None:
            return False
        if not self._method.may_repeat and outcome is not Outcome.SHED:
            return False
        if self._attempt > 1 or self.answered or not self._body.is_whole or self._caller is None:
            return False
        endpoint = None if revision is model.stable and not is_broken else model.stable.least_outstanding(but=tried)
        if endpoint is None:
            return False
        self._end_arrival(outcome)
        self._release()
        if self._look is not None:
            self._look.elsewhere(model.stable.route)
        self._attempt = 2
        self._revision = model.stable
        self._board.counters.second_attempts += 1
        self.go_to(endpoint)
        return True

    @override
    def _stands_by(self, outcome: Outcome) -> bool:
        kept = self._look.kept_instead() if self._look is not None and not self.answered else None
        if kept is None:
            return False
        self._detach_pod()
        self._end_arrival(outcome)
        self._release()
        self.holding = False
        self.give(*kept)
        return True

    # ---- the answer
    def _answer_of_one_head(self, head: ResponseHead) -> None:
        if self._stands_by(outcome_of(head.grpc_status, head.message)):
            return
        if may_succeed_elsewhere(head.grpc_status):
            self._detach_pod()
            if self.second_attempt(outcome_of(head.grpc_status, head.message), is_broken=False):
                return
        self.answered = True
        self._send_head(head.block + self._way(), ended=True)
        self._finish(outcome_of(head.grpc_status, head.message))

    def _begin_answer(self, block: bytes) -> None:
        self._body.drop()
        self.answered = True
        self._send_head(block + self._way(), ended=False)

    def _end_answer(self, head: ResponseHead) -> None:
        if self.holding and self._look is not None:
            if self._is_failure(self._look, head):
                return
            self._pass_held()
        caller = self._caller
        if caller is not None:
            caller.connection.send_trailers(caller, head.block)
        self._finish(outcome_of(head.grpc_status, head.message))

    def _hold(self, payload: bytes, *, ended: bool) -> None:
        """Takes more of an answer that is held; one that cannot be, goes."""
        look, pod = self._look, self._pod
        self._early += len(payload)
        if pod is not None:
            pod.connection.credit(pod, len(payload))
        if look is None or not look.add(payload) or ended:
            self._pass_held()
        caller = self._caller
        if ended and caller is not None:
            caller.connection.send_data(caller, b"", ended=True)

    def _pass_held(self) -> None:
        """Passes on what was held."""
        self.holding = False
        look, caller = self._look, self._caller
        if look is None or look.answer is None or caller is None:
            return
        block, chunks = look.head, look.answer.chunks
        look.let_go()
        self._begin_answer(block)
        for chunk in chunks:
            caller.connection.send_data(caller, chunk, ended=False)

    def _unsure(self, look: Look, revision: RevisionRoute) -> bool:
        """Does what the spec says about a success that is not sure enough; returns whether it is not to pass."""
        wanted = look.unsure(revision)
        if wanted is OnLow.ABSTAIN and look.answer is not None:
            self._detach_pod()
            self.give(look.answer.abstention(), Outcome.ABSTAINED)
            return True
        return wanted is OnLow.FALLBACK

    def give(self, data: bytes, outcome: Outcome) -> None:
        """Answers it with a message that no pod gave."""
        caller = self._caller
        if caller is not None:
            self._begin_answer(refusals.HEAD)
            caller.connection.send_data(caller, data, ended=False)
            caller.connection.send_trailers(caller, refusals.SUCCESS)
        self._finish(outcome)

    def _is_failure(self, look: Look, head: ResponseHead) -> bool:
        """Judges an answer that is whole and was held, and returns whether something else is done about it."""
        revision = self._revision
        outcome = outcome_of(head.grpc_status, head.message)
        if outcome is Outcome.SUCCEEDED and revision is not None:
            return self._is_unfit(look, revision)
        if outcome is not Outcome.SUCCEEDED and self._stands_by(outcome):
            return True
        if not may_succeed_elsewhere(head.grpc_status):
            return False
        self._detach_pod()
        return self.second_attempt(outcome, is_broken=False)

    def _is_unfit(self, look: Look, revision: RevisionTarget) -> bool:
        """Judges a success; see `_is_failure`."""
        why = look.why_invalid(revision.route)
        if not why:
            if self._unsure(look, revision.route):
                return True
            if self._attempt == 1 and self._model is not None and revision is self._model.stable:
                look.passes()
            return False
        self._detach_pod()
        if self._stands_by(Outcome.INVALID_OUTPUT):
            return True
        if not self.second_attempt(Outcome.INVALID_OUTPUT, is_broken=False):
            self._record(Outcome.INVALID_OUTPUT)
            self._refuse(Status.INTERNAL, why)
        return True
