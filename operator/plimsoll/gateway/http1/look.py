"""The stage around the attempts of an HTTP inference that is looked into: its request and its answer are held, bounded.

Only requests of models that ask for it have one; see `gateway.inspection`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from time import monotonic
from typing import Final, Protocol

from plimsoll.api.confidence import OnLow
from plimsoll.core.inference.elements import Nulls
from plimsoll.core.inference.http_answer import write_http_answer
from plimsoll.core.inference.http_body import write_http
from plimsoll.core.inference.malformed import Fault, Malformed
from plimsoll.core.inference.request import InferRequest
from plimsoll.core.records.outcome import Outcome
from plimsoll.core.routing.headers import CACHE_HEADER, CONFIDENCE_HEADER
from plimsoll.core.routing.table import RevisionRoute
from plimsoll.core.validation.outputs import outputs_of
from plimsoll.core.validation.problem import INVALID_HEADER, Problem
from plimsoll.gateway.cache.store import Answer
from plimsoll.gateway.http1.answer_head import AnswerHead
from plimsoll.gateway.http1.checked_answers import (
    Unchecked,
    abstention_for,
    outputs_in,
    problems_in,
    unchecked,
)
from plimsoll.gateway.http1.fields import CHUNKED
from plimsoll.gateway.http1.own_answers import head_of, own_head, withheld
from plimsoll.gateway.http1.refusals import Reason, Refusal
from plimsoll.gateway.http1.request_head import RequestHead
from plimsoll.gateway.http1.upstream import Piece
from plimsoll.gateway.http1.whole_messages import answer_in, form_of, request_in
from plimsoll.gateway.inspected import Inspected
from plimsoll.gateway.inspection import READ, Copy, Inspection, may_be_copied
from plimsoll.gateway.looked import HIT, How
from plimsoll.gateway.repeated import LONGEST, Form, Repeat

_SHAPE: Final = re.compile(rb'"shape" ?: ?\[ ?([0-9]{1,9})')
_REWRITTEN: Final = re.compile(
    rb"\r\n(?:inference-header-content-length|content-encoding|content-length|transfer-encoding|content-type):[^\r]*",
    re.IGNORECASE,
)
_SMALL_BYTES: Final = 64 << 10
_OK: Final = 200


class Inspectable(Protocol):
    """The exchange, as its look sees it."""

    def send_on(self) -> None:
        """Sends the request to an endpoint."""

    def rewrite(self, message: bytes) -> None:
        """Puts another request in the place of the one that came."""

    def invite(self) -> None:
        """Has the client send the body that it waits with."""

    def fault(self, refusal: Refusal) -> None:
        """Ends the request as the client's fault."""

    def give(self, head: AnswerHead, body: bytes, outcome: Outcome) -> None:
        """Answers it with what no model server was asked for now."""

    def falls_back(self) -> bool:
        """Has another model answer in place of an answer that is not sure enough; returns whether that was possible."""

    def mismatched(self) -> None:
        """Counts that the revision gave another answer than was kept of it."""

    def whole_request(self) -> bytes | None:
        """Returns the request, head and body; None where it is not at hand."""

    def time_left_s(self) -> float:
        """Returns how long the client still waits, in seconds; infinite where it does not say."""


class Look:
    """One request's.

    Attributes:
        reading: The request is held, and came has to be told what comes.
        holding: The answer is held.
        request: What is known of it; for the cache, too.
    """

    __slots__ = (
        "_answer",
        "_exchange",
        "_form",
        "_head",
        "_inspection",
        "_known",
        "_pieces",
        "_revision",
        "_sent_at",
        "_taken",
        "holding",
        "reading",
        "request",
    )

    def __init__(
        self, exchange: Inspectable, inspection: Inspection, revision: RevisionRoute, head: RequestHead
    ) -> None:
        self._exchange = exchange
        self._inspection = inspection
        self._revision = revision
        self._head = head
        self._answer: AnswerHead
        self._pieces: list[Piece] = []
        self._form: Form | None = None
        self._known: Repeat | None = None
        self._sent_at = 0.0
        self._taken = 0
        self.holding = False
        self.reading = False
        self.request = Inspected(inspection, self)

    # ---- the request ---------------------------------------------------------------------------------------------

    def begin(self, *, complete: bool) -> bool:
        """Returns whether the request is held; it goes on, or ends, when it was read."""
        length = self._head.length
        if not self._inspection.reads_requests(self._revision):
            return False
        if length > READ.body_bytes:
            return self._unread(Fault.TOO_LARGE)
        if not self._take(READ.body_bytes if length == CHUNKED else length):
            return self._unread("Busy")
        self.reading = True
        if complete:
            self._read()
        else:
            self._exchange.invite()
        return True

    def came(self, size: int, *, complete: bool) -> None:
        """Takes note of what came: `size` bytes by now, head included."""
        if complete:
            self._read()
        elif size > READ.body_bytes + len(self._head.forward):
            self._stop_reading()
            self._unread(Fault.TOO_LARGE)
            self._exchange.send_on()

    def _unread(self, why: str) -> bool:
        self.request.unread(why)
        return False

    def _read(self) -> None:
        self._stop_reading()
        known = self._known = self._recalled()
        if known is None or not self.request.recall(known.key, known.request):
            self.request.consult(self._revision, self._read_as)

    def _recalled(self) -> Repeat | None:
        """Returns what is known of the request because it has come before; None where it has not, or may be refused."""
        head, rules = self._head, self._revision.rules
        if not 0 <= head.length <= LONGEST or (rules is not None and rules.on_invalid is not None):
            return None
        message = self._exchange.whole_request()
        if message is None or isinstance(head.call, Refusal):
            return None
        form = self._form = form_of(self._revision.name, head.call.version, head, message)
        return self._inspection.repeated.get(form)

    def _read_as(self, nulls: Nulls | None) -> InferRequest:
        message = self._exchange.whole_request()
        if message is None:
            raise Malformed(Fault.TOO_LARGE, "The request is not at hand.")
        return request_in(self._head, message, nulls)

    # ---- for `Inspected` -----------------------------------------------------------------------------------------

    def send_on(self) -> None:
        """Sends the request to an endpoint."""
        self._exchange.send_on()

    def rewrite(self, request: InferRequest) -> None:
        """Puts another request in the place of the one that came."""
        body, length = write_http(request)
        head = _REWRITTEN.sub(b"", self._head.forward[:-2])
        fields = b"content-type: application/octet-stream\r\ncontent-length: %d\r\n" % len(body)
        fields += b"inference-header-content-length: %d\r\n\r\n" % length
        self._exchange.rewrite(head + fields + body)

    def refuse(self, sentence: str) -> None:
        """Ends it as the client's fault."""
        self._exchange.fault(Refusal(400, Reason.INVALID, sentence))

    def give(self, answer: Answer, request: InferRequest, how: How) -> bool:
        """Answers it with what is kept."""
        written = self._written(answer, request)
        if written is None:
            return False
        self.request.how = how
        wanted = self.request.unsure(self._revision, partial(outputs_of, answer.value))
        if wanted is OnLow.FALLBACK:
            return True
        if wanted is OnLow.ABSTAIN:
            written = withheld(self._revision, answer, request)
        elif how == HIT and self._form is not None and (self._known is None or self._known.answer is not answer):
            head, body = written
            repeat = Repeat(self.request.asked_key, request, answer, head.forward, body)
            self._inspection.repeated.keep(self._form, repeat)
        self._exchange.give(*written, self.request.outcome)
        return True

    def _written(self, answer: Answer, request: InferRequest) -> tuple[AnswerHead, bytes] | None:
        """Returns what is kept as this request wants it; None where it cannot be written so."""
        known = self._known
        if known is not None and known.answer is answer:
            return own_head(known.head, len(known.body)), known.body
        written = write_http_answer(answer.value, request)
        if written is None:
            return None
        body, length = written
        return head_of(self._revision, body, length), body

    def falls_back(self) -> bool:
        """Has another model answer in place of an answer that is not sure enough; returns whether that was possible."""
        return self._exchange.falls_back()

    def mismatched(self) -> None:
        """Counts that the revision gave another answer than was kept of it."""
        self._exchange.mismatched()

    def read_request(self) -> InferRequest | None:
        """Returns what it asks; None where it is not at hand, or cannot be read."""
        try:
            return self._read_as(None)
        except Malformed:
            return None

    def first_size(self) -> int | None:
        """Returns the first dimension of the first input, as it seems at next to no cost; None where it does not."""
        head = self._head
        if not 0 <= head.length <= _SMALL_BYTES or b"content-encoding:" in head.forward.lower():
            return None
        message = self._exchange.whole_request()
        found = _SHAPE.search(message, len(head.forward)) if message is not None else None
        return int(found[1]) if found is not None else None

    def time_left_s(self) -> float:
        """Returns how long the client still waits, in seconds; infinite where it does not say."""
        return self._exchange.time_left_s()

    # ---- the answer ----------------------------------------------------------------------------------------------

    def sent(self) -> None:
        """An attempt begins."""
        self._sent_at = monotonic()
        self._let_go()

    def hold(self, head: AnswerHead, piece: Piece) -> bool:
        """Takes the beginning of a success, and returns whether it is held until it is whole."""
        why = unchecked(head) or (None if self._take(head.length) else Unchecked.BUSY)
        if why is not None:
            self.request.unchecked(why)
            self.request.failed()
            return False
        self.holding = True
        self._answer = head
        self._pieces = [piece]
        return True

    def add(self, piece: Piece) -> None:
        """Takes more of it."""
        self._pieces.append(piece)

    def whole(self, piece: Piece) -> tuple[AnswerHead, bytes]:
        """Takes the last of it, and returns all."""
        body = b"".join((*self._pieces, piece))
        self._let_go()
        return self._answer, body

    def why_invalid(self, revision: RevisionRoute, head: AnswerHead, body: Piece) -> str:
        """Judges a whole success of this revision and keeps it. Returns why it is a failure; empty where it is none."""
        why: str | None = unchecked(head)
        if why is not None:
            self.request.unchecked(why)
            self.request.failed()
            return ""
        data = bytes(body)
        if revision.rules is not None:
            schema, seen = revision.rules.schema, False

            def judge(asked: Mapping[str, int], batch: int | None) -> tuple[Problem, ...]:
                nonlocal seen
                found = problems_in(head, data, schema, asked, batch)
                seen = not isinstance(found, Unchecked)
                return () if isinstance(found, Unchecked) else found

            failure = self.request.fails(revision.rules, self.request.problems(revision.rules, judge))
            if failure:
                return failure
            if not seen:
                self.request.unchecked(Unchecked.LONG)
        if self.request.keeps:
            self.request.succeeded(partial(self._answer_of, head, data))
        return ""

    def unsure(self, revision: RevisionRoute, head: AnswerHead, body: Piece) -> OnLow | None:
        """Judges a whole success of this revision by its confidence, and returns what becomes of it, as `Inspected`."""
        if self._inspection.route.confidence is None or head.status != _OK:
            return None
        return self.request.unsure(revision, partial(outputs_in, head, bytes(body)))

    def abstention(self, revision: RevisionRoute, head: AnswerHead, body: Piece) -> tuple[AnswerHead, bytes]:
        """Returns what is given in place of an answer of this revision that is not sure enough."""
        said = abstention_for(head, bytes(body))
        return head_of(revision, said, None), said

    def _answer_of(self, head: AnswerHead, data: bytes) -> Answer:
        return Answer(answer_in(head, data), monotonic() - self._sent_at)

    def passes(self, head: AnswerHead, body: Piece) -> None:
        """Stable's success has gone to the client: a copy of the request may go to the candidate."""
        copies = self._inspection.copies
        if copies is None or not copies.wants():
            return
        message = self._exchange.whole_request()
        if message is None or not may_be_copied(len(message), len(body)):
            copies.dropped()
            return
        request = self.request.asked
        asked = partial(request_in, self._head, message, None) if request is None else partial(_itself, request)
        copies.send(Copy(asked, partial(answer_in, head, bytes(body)), len(message), len(body)))

    def way(self) -> bytes:
        """Returns our header lines about it, for the answer."""
        request = self.request
        lines = b"%s: %s\r\n" % (CACHE_HEADER.encode(), request.how.encode()) if request.how else b""
        if request.sure:
            lines += b"%s: %s\r\n" % (CONFIDENCE_HEADER.encode(), request.sure.encode())
        return lines + (b"%s: %s\r\n" % (INVALID_HEADER.encode(), request.said.encode()) if request.said else b"")

    @property
    def is_hit(self) -> bool:
        """It was answered from the store."""
        return self.request.how == HIT

    def kept_instead(self) -> tuple[AnswerHead, bytes, Outcome] | None:
        """Returns what is given where the check of a kept answer failed, and what that is; None: it is no check."""
        found = self.request.kept_instead()
        written = self._written(*found) if found is not None else None
        if found is None or written is None:
            return None
        wanted = self.request.unsure(self._revision, partial(outputs_of, found[0].value), hands_on=False)
        head, body = withheld(self._revision, *found) if wanted is OnLow.ABSTAIN else written
        return head, body, self.request.outcome

    # ---- the end -------------------------------------------------------------------------------------------------

    def elsewhere(self, revision: RevisionRoute) -> None:
        """This revision answers in place of the one that was tossed; under its own name others ask for its answers."""
        self._let_go()
        if revision.name != self._revision.name:
            self.request.failed()

    def end(self, *, cancelled: bool) -> None:
        """The request is over; `cancelled` by its client."""
        self._let_go()
        self.reading = False
        self.request.over(cancelled=cancelled)

    def _take(self, size: int) -> bool:
        if not self._inspection.budget.take(size):
            return False
        self._taken += size
        return True

    def _stop_reading(self) -> None:
        self.reading = False
        self._give_back()

    def _let_go(self) -> None:
        self.holding = False
        self._pieces = []
        self._give_back()

    def _give_back(self) -> None:
        self._inspection.budget.give(self._taken)
        self._taken = 0


def _itself(request: InferRequest) -> InferRequest:
    return request
