"""One call's life: from its head to exactly one outcome for each arrival.

    head -> model found -> revision picked, arrival counted -> pod chosen -> stream opened -> answer passed on -> end
                                          perhaps a wait --^------ once more, where a second attempt is allowed ------'

The request's bytes are kept until the answer begins, as far as the limits allow; a second attempt sends them again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from plimsoll.api.routing import Traffic
from plimsoll.core.records.grpc_status import Status, may_succeed_elsewhere, outcome_of
from plimsoll.core.records.outcome import Outcome
from plimsoll.gateway.http2 import refusals
from plimsoll.gateway.http2.heads import RequestHead, ResponseHead
from plimsoll.gateway.http2.methods import Method, NamedBy, Refused
from plimsoll.gateway.http2.naming import name_by_host, name_by_message
from plimsoll.gateway.http2.replay import Replay
from plimsoll.gateway.http2.streams import CallerStream, PodStream
from plimsoll.gateway.http2.violations import ErrorCode
from plimsoll.gateway.http2.waiting import Place
from plimsoll.gateway.targets import EndpointTarget, ModelTarget, RevisionTarget

if TYPE_CHECKING:
    from plimsoll.gateway.http2.switchboard import Switchboard

_NO_POD = "No pod of this model can take requests at the moment."


class Exchange:
    """One call.

    Attributes:
        started_at: When its head came, on the gateway's clock.
        answered: The head of an answer went to the client: no second attempt any more.
        named: Its model was found, or it was refused.
    """

    __slots__ = (
        "_attempt",
        "_board",
        "_body",
        "_caller",
        "_credited",
        "_due_slot",
        "_ended",
        "_endpoint",
        "_first",
        "_head",
        "_method",
        "_model",
        "_passed",
        "_place",
        "_pod",
        "_recorded",
        "_revision",
        "_unprocessed",
        "answered",
        "named",
        "started_at",
    )

    def __init__(self, board: Switchboard, caller: CallerStream, head: RequestHead, now: float) -> None:
        self._board = board
        self._caller: CallerStream | None = caller
        self._head = head
        self._method: Method | None = None
        self._body = Replay(board.replay, board.limits)
        self._ended = False
        self._passed = 0
        self._credited = 0
        self._model: ModelTarget | None = None
        self._revision: RevisionTarget | None = None
        self._first: RevisionTarget | None = None
        self._recorded = False
        self._endpoint: EndpointTarget | None = None
        self._pod: PodStream | None = None
        self._attempt = 1
        self._unprocessed = 0
        self._due_slot = -1
        self._place: Place | None = None
        self.started_at = now
        self.answered = False
        self.named = False
        caller.exchange = self

    # ---- the request
    def begin(self, *, ended: bool) -> None:
        """Takes up the call."""
        head = self._head
        self._ended = ended
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

    def request_passed(self, size: int) -> None:
        """The pod's connection took bytes; those of a second attempt were credited with the first."""
        self._passed += size
        more = self._passed - self._credited
        caller = self._caller
        if more > 0 and caller is not None:
            self._credited = self._passed
            caller.connection.credit(caller, more)

    def caller_left(self) -> None:
        """The client ended the call, or is gone."""
        self._leave_pod(ErrorCode.CANCEL)
        self._record(Outcome.CANCELLED)
        self._close()

    def expired(self) -> None:
        """The caller's time is over."""
        self._due_slot = -1
        self._leave_pod(ErrorCode.CANCEL)
        # That it waited for a pod until then is no evidence.
        waits = self._place is not None and self._place.is_held
        self._record(Outcome.SHED if waits else Outcome.TIMED_OUT)
        self._refuse(
            Status.DEADLINE_EXCEEDED, f"No whole answer within the {self._head.timeout_s:g} s that are granted."
        )

    def never_named(self) -> None:
        """The message that names the model did not come."""
        self._refuse(Status.DEADLINE_EXCEEDED, "The first message did not come, so the model is not known.")

    # ---- the pod
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
            if not ended or not self.answered:
                return False
            self._end_answer(head)
        elif self.answered:
            return False
        elif ended:
            self._answer_of_one_head(head)
        elif not head.is_interim:
            self._body.drop()
            self.answered = True
            self._send_head(head.block + self._way(), ended=False)
        return True

    def pod_data(self, payload: bytes, *, ended: bool) -> None:
        """Takes bytes of the answer. DATA may end it, though gRPC's answers end with trailers."""
        caller = self._caller
        if caller is None:
            return
        caller.connection.send_data(caller, payload, ended=ended)
        if ended:
            self._finish(outcome_of(None))

    def answer_passed(self, size: int) -> None:
        """The client's connection took bytes of the answer."""
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
            self.shed(_NO_POD)

    def broken(self, message: str) -> None:
        """The attempt failed without an answer."""
        self._pod = None
        if not self.second_attempt(Outcome.BROKEN, is_broken=True):
            self._record(Outcome.BROKEN)
            self._refuse(Status.UNAVAILABLE, message)

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
        stopped = model.route.traffic is Traffic.STOPPED
        # Calls that do not predict, and those that are refused anyway, must not take a slot of the shares.
        pick = model.pick if self._is_inference and not stopped else model.pick_without_toss
        revision = self._revision = self._first = pick(wants_candidate=self._head.wants_candidate)
        if revision is not None and self._is_inference:
            revision.recorder.arrived()
        endpoint = revision.least_outstanding() if revision is not None else None
        if stopped:
            self.shed(f"Traffic to model {name!r} is stopped by its owner.")
        elif revision is not None and endpoint is not None:
            if not self._is_inference or model.queue.passes(endpoint):
                self.go_to(endpoint)
            else:
                self._place = Place(self, self._board, model)
                self._place.take(revision, self._head.time_left_s(self.started_at, self._board.clock()))
        elif not self.second_attempt(Outcome.SHED, is_broken=False):
            self.shed(_NO_POD)

    def _end_too_large(self) -> None:
        self._leave_pod(ErrorCode.CANCEL)
        self._record(Outcome.CLIENT_FAULT)
        self._refuse(Status.RESOURCE_EXHAUSTED, f"A request may have {self._body.most} bytes; this one has more.")

    @property
    def _is_inference(self) -> bool:
        return self._method is not None and self._method.is_inference

    def go_to(self, endpoint: EndpointTarget) -> None:
        """Sends it to a pod."""
        if self._model is not None:
            self._model.queue.enter(endpoint)
        self._endpoint = endpoint
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
        self._record(outcome)
        self._release()
        self._attempt = 2
        self._revision = model.stable
        self._board.counters.second_attempts += 1
        self.go_to(endpoint)
        return True

    # ---- the answer
    def _answer_of_one_head(self, head: ResponseHead) -> None:
        if may_succeed_elsewhere(head.grpc_status):
            pod, self._pod = self._pod, None
            if pod is not None:
                pod.exchange = None
            if self.second_attempt(outcome_of(head.grpc_status, head.message), is_broken=False):
                return
        self.answered = True
        self._send_head(head.block + self._way(), ended=True)
        self._finish(outcome_of(head.grpc_status, head.message))

    def _end_answer(self, head: ResponseHead) -> None:
        caller = self._caller
        if caller is not None:
            caller.connection.send_trailers(caller, head.block)
        self._finish(outcome_of(head.grpc_status, head.message))

    def _send_head(self, block: bytes, *, ended: bool) -> None:
        caller = self._caller
        if caller is not None:
            caller.connection.send_head(caller, block, ended=ended)

    def _refuse(self, status: Status, message: str, retry_after_s: int = 0) -> None:
        """Answers in the pod's place: after an answer that had begun by ending it."""
        self._board.counters.refused[status] += 1
        if not self.answered:
            extra = (refusals.retry_pushback(retry_after_s),) if retry_after_s else ()
            way = self._way() if self._revision is not None else b""
            self._answer_alone(refusals.trailers_only(status, message, extra) + way)
            return
        caller = self._caller
        if caller is not None:
            caller.connection.sender.give_up(caller)
            caller.connection.send_trailers(caller, refusals.trailers(status, message))
        self._close()

    def _answer_alone(self, block: bytes) -> None:
        self.answered = self.named = True
        self._send_head(block, ended=True)
        self._close()

    def _way(self) -> bytes:
        way = self._board.about_the_way(self._revision, self._attempt)
        return way if self._place is None else way + self._place.said

    # ---- the end
    def _finish(self, outcome: Outcome) -> None:
        self._record(outcome)
        if self._attempt > 1 and outcome is Outcome.SUCCEEDED and self._first is not None and self._is_inference:
            self._first.recorder.rescued()
        self._close()

    def _record(self, outcome: Outcome) -> None:
        """Counts the first attempt's end, once."""
        if self._recorded or self._first is None or not self._is_inference:
            return
        self._recorded = True
        pod = self._endpoint.endpoint.pod if self._endpoint is not None else ""
        self._first.recorder.ended(outcome, self._board.clock() - self.started_at, pod)

    def _leave_pod(self, code: ErrorCode) -> None:
        pod, self._pod = self._pod, None
        if pod is not None:
            pod.exchange = None
            pod.connection.reset(pod, code)
        elif self._endpoint is not None:
            self._board.pool_of(self._endpoint).withdraw(self)

    def _release(self) -> EndpointTarget | None:
        endpoint, self._endpoint = self._endpoint, None
        if endpoint is not None and self._model is not None and self._revision is not None:
            self._model.queue.leave(self._revision, endpoint)
        return endpoint

    def _close(self) -> None:
        """Lets go of everything: links in a circle would wait for the garbage collector."""
        self.named = True
        self._release()
        self._body.drop()
        place, self._place = self._place, None
        if place is not None:
            place.leave()
        if self._due_slot >= 0:
            self._board.wheel.remove(self, self._due_slot)
            self._due_slot = -1
        pod, self._pod = self._pod, None
        if pod is not None:
            pod.exchange = None
        caller, self._caller = self._caller, None
        if caller is not None:
            caller.exchange = None
