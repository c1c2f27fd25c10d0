"""One call: what it holds, what the gateway says in its answer, and its end: one outcome for each arrival."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from plimsoll.core.records.grpc_status import Status
from plimsoll.core.records.outcome import Outcome
from plimsoll.gateway.http2 import refusals
from plimsoll.gateway.http2.heads import RequestHead
from plimsoll.gateway.http2.look import Look
from plimsoll.gateway.http2.methods import Method
from plimsoll.gateway.http2.replay import Replay
from plimsoll.gateway.http2.streams import CallerStream, PodStream
from plimsoll.gateway.http2.violations import ErrorCode
from plimsoll.gateway.http2.waiting import Place
from plimsoll.gateway.targets import EndpointTarget, ModelTarget, RevisionTarget

if TYPE_CHECKING:
    from plimsoll.gateway.http2.switchboard import Switchboard


_ANSWERED: Final = (Outcome.SUCCEEDED, Outcome.ABSTAINED)


class Call:
    """One call.

    Attributes:
        started_at: When its head came, on the gateway's clock.
        answered: The head of an answer went to the client: no second attempt any more.
        holding: The head of an answer came, and nothing of it has gone to the client yet.
        named: Its model was found, or it was refused.
    """

    __slots__ = (
        "_attempt",
        "_board",
        "_body",
        "_caller",
        "_credited",
        "_degraded",
        "_due_slot",
        "_early",
        "_ended",
        "_endpoint",
        "_first",
        "_head",
        "_look",
        "_method",
        "_model",
        "_passed",
        "_place",
        "_pod",
        "_recorded",
        "_revision",
        "_unprocessed",
        "answered",
        "holding",
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
        self._look: Look | None = None
        self._early = 0
        self._degraded = b""
        self.started_at = now
        self.answered = False
        self.holding = False
        self.named = False

    # ---- what the gateway says
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
        way = self._board.about_the_way(self._revision, self._attempt) + self._degraded
        if self._look is not None:
            way += self._look.way()
        return way if self._place is None else way + self._place.said

    # ---- the end
    def expired(self) -> None:
        """The caller's time is over."""
        self._due_slot = -1
        self._leave_pod(ErrorCode.CANCEL)
        # That it waited for a pod until then is no evidence.
        waits = self._place is not None and self._place.is_held
        outcome = Outcome.SHED if waits else Outcome.TIMED_OUT
        if self._stands_by(outcome):
            return
        self._record(outcome)
        self._refuse(
            Status.DEADLINE_EXCEEDED, f"No whole answer within the {self._head.timeout_s:g} s that are granted."
        )

    def _stands_by(self, outcome: Outcome) -> bool:  # noqa: ARG002 - for those that have a kept answer
        """Gives the kept answer where it was a check of that which failed, and returns whether it did."""
        return False

    def _finish(self, outcome: Outcome) -> None:
        was_recorded = self._recorded
        self._record(outcome)
        if was_recorded and self._attempt > 1 and outcome in _ANSWERED and self._first and self._is_inference:
            self._first.recorder.rescued()
        self._close()

    def _record(self, outcome: Outcome) -> None:
        """Counts the end of the call: for the arrival, unless its first attempt has ended before, and what came of it.

        What a model answers in another one's place is not held to its kill switch.
        """
        watch = self._model.watch if self._model is not None else None
        if watch is not None and self._is_inference and not self._degraded:
            exempt = self._look is not None and self._look.request.exempt
            watch.ended(outcome, granted_s=self._head.timeout_s, exempt=exempt)
        self._end_arrival(outcome)

    def _end_arrival(self, outcome: Outcome) -> None:
        """Counts the first attempt's end, once."""
        if self._recorded or self._first is None or not self._is_inference:
            return
        self._recorded = True
        pod = self._endpoint.endpoint.pod if self._endpoint is not None else ""
        latency_s = self._board.clock() - self.started_at
        if self._look is None:
            # What it answers in another model's place is a revision's load, and no evidence about it.
            self._first.recorder.ended(outcome, latency_s, pod, exempt=bool(self._degraded))
            return
        self._first.recorder.cache_hits += self._look.is_hit
        self._first.recorder.ended(outcome, latency_s, pod, exempt=self._look.request.exempt)

    def _detach_pod(self) -> None:
        pod, self._pod = self._pod, None
        if pod is not None:
            pod.exchange = None

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

    def _close(self, *, cancelled: bool = False) -> None:
        """Lets go of everything: links in a circle would wait for the garbage collector."""
        self.named = True
        self._release()
        look, self._look = self._look, None
        if look is not None:
            look.end(cancelled=cancelled)
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

    @property
    def _is_inference(self) -> bool:
        return self._method is not None and self._method.is_inference
