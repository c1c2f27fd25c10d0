"""The stage around the attempts of a unary gRPC inference that is looked into: request and answer are held, bounded.

Only calls of models that ask for it have one; see `gateway.inspection`. The counterpart of `http1.look`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

from plimsoll.api.confidence import OnLow
from plimsoll.core.confidence.abstention import abstention
from plimsoll.core.inference.answer import InferAnswer
from plimsoll.core.inference.elements import Nulls
from plimsoll.core.inference.encodings import message_of
from plimsoll.core.inference.grpc_answer import read_grpc_answer, write_grpc_answer
from plimsoll.core.inference.grpc_message import first_size, read_grpc, write_grpc
from plimsoll.core.inference.malformed import Fault, Malformed
from plimsoll.core.inference.request import InferRequest
from plimsoll.core.records.outcome import Outcome
from plimsoll.core.routing.table import RevisionRoute
from plimsoll.core.validation.outputs import outputs_of
from plimsoll.core.validation.problem import Problem
from plimsoll.gateway.cache.store import Answer
from plimsoll.gateway.http2 import refusals
from plimsoll.gateway.http2.checked_answers import HeldMessage, framed
from plimsoll.gateway.inspected import Inspected
from plimsoll.gateway.inspection import READ, Copy, Inspection, may_be_copied
from plimsoll.gateway.looked import HIT, How

if TYPE_CHECKING:
    from plimsoll.gateway.http2.switchboard import Switchboard

_SMALL_BYTES: Final = 64 << 10
_PREFIX_BYTES: Final = 5
_LONG: Final = "long"
_BUSY: Final = "busy"


class Inspectable(Protocol):
    """The call, as its look sees it."""

    def send_on(self) -> None:
        """Sends it to a pod."""

    def rewrite(self, data: bytes) -> None:
        """Puts another request in the place of the one that came."""

    def fault(self, message: str) -> None:
        """Ends it as the client's fault."""

    def give(self, data: bytes, outcome: Outcome) -> None:
        """Answers it with a message that no pod gave."""

    def falls_back(self) -> bool:
        """Has another model answer in place of an answer that is not sure enough; returns whether that was possible."""

    def mismatched(self) -> None:
        """Counts that the revision gave another answer than was kept of it."""

    def whole_request(self) -> bytes | None:
        """Returns all its DATA; None where that is not at hand."""

    def credit_request(self, size: int) -> None:
        """Lets the client send more, though nobody has these bytes yet."""

    def time_left_s(self) -> float:
        """Returns how long the client still waits, in seconds; infinite where it does not say."""


class Look:
    """One call's.

    Attributes:
        reading: The request is held, and `came` has to be told what comes.
        request: What is known of it; for the cache, too.
        head: Of the answer that is held, encoded.
        answer: The answer that is held; None where none is.
    """

    __slots__ = (
        "_board",
        "_call",
        "_inspection",
        "_name",
        "_revision",
        "_sent_at",
        "_size",
        "_taken",
        "answer",
        "head",
        "reading",
        "request",
    )

    def __init__(
        self, call: Inspectable, board: Switchboard, inspection: Inspection, revision: RevisionRoute, name: str
    ) -> None:
        self._call = call
        self._board = board
        self._inspection = inspection
        self._revision = revision
        self._name = name
        self._sent_at = 0.0
        self._size = 0
        self._taken = 0
        self.reading = False
        self.request = Inspected(inspection, self)
        self.head = b""
        self.answer: HeldMessage | None = None

    # ---- the request
    def begin(self, size: int, *, ended: bool) -> bool:
        """Returns whether the request is held; it goes on, or ends, when it was read.

        Args:
            size: How much of it is here.
            ended: That is all.
        """
        if not self._inspection.reads_requests(self._revision):
            return False
        self._size = size
        self.reading = True
        if not self._take(size):
            self._pass_on(_BUSY)
        elif ended:
            self._read()
        return True

    def came(self, size: int, *, ended: bool) -> None:
        """Takes note of more of it."""
        self._size += size
        if self._size > READ.body_bytes or not self._take(size):
            self._pass_on(Fault.TOO_LARGE if self._size > READ.body_bytes else _BUSY)
        elif ended:
            self._read()
        else:
            self._call.credit_request(size)

    def _pass_on(self, why: str) -> None:
        self._stop_reading()
        self.request.unread(why)
        self._call.send_on()

    def _read(self) -> None:
        self._stop_reading()
        self.request.consult(self._revision, self._read_as)

    def _read_as(self, _nulls: Nulls | None) -> InferRequest:
        data = self._call.whole_request()
        if data is None:
            raise Malformed(Fault.UNSUPPORTED, "The request is not at hand.")
        return _request_in(data)

    # ---- for `Inspected`
    def send_on(self) -> None:
        """Sends the call to a pod."""
        self._call.send_on()
        self._board.flush_soon()

    def rewrite(self, request: InferRequest) -> None:
        """Puts another request in the place of the one that came."""
        self._call.rewrite(framed(write_grpc(request, self._name)))

    def refuse(self, sentence: str) -> None:
        """Ends it as the client's fault."""
        self._call.fault(sentence)

    def give(self, answer: Answer, request: InferRequest, how: How) -> bool:
        """Answers it with what is kept."""
        self.request.how = how
        wanted = self.request.unsure(self._revision, partial(outputs_of, answer.value))
        if wanted is not OnLow.FALLBACK:
            self._call.give(_kept(answer, request, wanted), self.request.outcome)
        self._board.flush_soon()
        return True

    def falls_back(self) -> bool:
        """Has another model answer in place of an answer that is not sure enough; returns whether that was possible."""
        return self._call.falls_back()

    def mismatched(self) -> None:
        """Counts that the revision gave another answer than was kept of it."""
        self._call.mismatched()

    def read_request(self) -> InferRequest | None:
        """Returns what it asks; None where it is not at hand, or cannot be read."""
        try:
            return self._read_as(None)
        except Malformed:
            return None

    def first_size(self) -> int | None:
        """Returns the first dimension of the first input, as it seems at next to no cost; None where it does not."""
        data = self._call.whole_request()
        try:
            return first_size(data[_PREFIX_BYTES:]) if data and not data[0] and len(data) <= _SMALL_BYTES else None
        except Malformed:
            return None

    def time_left_s(self) -> float:
        """Returns how long the client still waits, in seconds; infinite where it does not say."""
        return self._call.time_left_s()

    # ---- the answer
    def sent(self) -> None:
        """An attempt begins."""
        self._sent_at = self._board.clock()
        self.let_go()

    def hold(self, head: bytes) -> None:
        """Takes the head of an answer: what follows is held until it is whole."""
        self.head = head
        self.answer = HeldMessage()

    def add(self, payload: bytes) -> bool:
        """Takes more of it; returns False where it cannot be held any longer."""
        answer = self.answer
        if answer is None:
            return False
        has_room = self._take(len(payload))
        if answer.add(payload) and has_room:
            return True
        self.request.unchecked(_LONG if has_room else _BUSY)
        self.request.failed()
        return False

    def why_invalid(self, revision: RevisionRoute) -> str:
        """Judges the success of this revision that is held, and keeps it. Returns why it is a failure, or nothing."""
        answer = self.answer
        if answer is None:
            return ""
        if revision.rules is not None:
            schema = revision.rules.schema

            def judge(asked: Mapping[str, int], batch: int | None) -> tuple[Problem, ...]:
                return answer.problems(schema, asked, batch)

            failure = self.request.fails(revision.rules, self.request.problems(revision.rules, judge))
            if failure:
                return failure
        if self.request.keeps:
            self.request.succeeded(partial(self._answer_of, b"".join(answer.chunks)))
        return ""

    def unsure(self, revision: RevisionRoute) -> OnLow | None:
        """Judges the success of this revision that is held by its confidence, and returns what becomes of it."""
        answer = self.answer
        if answer is None or self._inspection.route.confidence is None:
            return None
        return self.request.unsure(revision, answer.outputs)

    def _answer_of(self, data: bytes) -> Answer:
        return Answer(_answer_in(data), self._board.clock() - self._sent_at)

    def passes(self) -> None:
        """Stable's success is about to go to the client: a copy of the request may go to the candidate behind it."""
        copies, answer = self._inspection.copies, self.answer
        if copies is None or answer is None or not copies.wants():
            return
        asked, given = self._call.whole_request(), b"".join(answer.chunks)
        if asked is None or not may_be_copied(len(asked), len(given)):
            copies.dropped()
            return
        request = self.request.asked
        read = partial(_request_in, asked) if request is None else partial(_itself, request)
        copies.send(Copy(read, partial(_answer_in, given), len(asked), len(given)))

    def way(self) -> bytes:
        """Returns our fields about it, encoded, for the head of the answer."""
        return refusals.about_the_look(self.request.how, self.request.said, self.request.sure)

    @property
    def is_hit(self) -> bool:
        """It was answered from the store."""
        return self.request.how == HIT

    def kept_instead(self) -> tuple[bytes, Outcome] | None:
        """Returns what is given where the check of a kept answer failed, and what that is; None: it is no check."""
        kept = self.request.kept_instead()
        if kept is None:
            return None
        wanted = self.request.unsure(self._revision, partial(outputs_of, kept[0].value), hands_on=False)
        return _kept(*kept, wanted), self.request.outcome

    # ---- the end
    def elsewhere(self, revision: RevisionRoute) -> None:
        """This revision answers in place of the one that was tossed; under its own name others ask for its answers."""
        if revision.name != self._revision.name:
            self.request.failed()

    def end(self, *, cancelled: bool) -> None:
        """The call is over; `cancelled` by its client."""
        self.let_go()
        self.reading = False
        self.request.over(cancelled=cancelled)

    def let_go(self) -> None:
        """Holds no answer any longer."""
        self.head = b""
        self.answer = None
        self._give_back()

    def _take(self, size: int) -> bool:
        if not self._inspection.budget.take(size):
            return False
        self._taken += size
        return True

    def _stop_reading(self) -> None:
        self.reading = False
        self._give_back()

    def _give_back(self) -> None:
        self._inspection.budget.give(self._taken)
        self._taken = 0


def _request_in(data: bytes) -> InferRequest:
    """Returns what the DATA of a whole request asks; raises `Malformed`."""
    if data[:1] == b"\1":
        raise Malformed(Fault.UNSUPPORTED, "The request is compressed.")
    return read_grpc(message_of(data, limits=READ), READ)


def _answer_in(data: bytes) -> InferAnswer:
    """Returns what the DATA of a whole success says; raises `Malformed`."""
    return read_grpc_answer(message_of(data, limits=READ), READ)


def _kept(answer: Answer, request: InferRequest, wanted: OnLow | None) -> bytes:
    """Returns what is given of a kept answer: all of it, or that it is withheld."""
    value = answer.value
    if wanted is OnLow.ABSTAIN:
        value = abstention(value.model, value.version)
    return framed(write_grpc_answer(value, request.id))


def _itself(request: InferRequest) -> InferRequest:
    return request
