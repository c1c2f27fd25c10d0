"""The stage around the attempts of an HTTP inference that is looked into: its request and its answer are held, bounded.

Only requests of models that ask for it have one; see `gateway.inspection`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from time import monotonic
from typing import Final, Protocol

from plimsoll.core.inference.elements import Nulls
from plimsoll.core.inference.encodings import decoded
from plimsoll.core.inference.http_answer import read_http_answer, write_http_answer
from plimsoll.core.inference.http_body import read_http, write_http
from plimsoll.core.inference.malformed import Fault, Malformed
from plimsoll.core.inference.request import InferRequest
from plimsoll.core.routing.headers import CACHE_HEADER, REVISION_HEADER
from plimsoll.core.routing.table import RevisionRoute
from plimsoll.core.validation.problem import INVALID_HEADER, Problem
from plimsoll.gateway.cache.store import Answer
from plimsoll.gateway.http1.answer_head import AnswerHead
from plimsoll.gateway.http1.bodies import unchunked
from plimsoll.gateway.http1.checked_answers import Unchecked, opened, problems_in, unchecked
from plimsoll.gateway.http1.fields import CHUNKED
from plimsoll.gateway.http1.refusals import Reason, Refusal
from plimsoll.gateway.http1.request_head import RequestHead
from plimsoll.gateway.http1.upstream import Piece
from plimsoll.gateway.inspected import HIT, How, Inspected
from plimsoll.gateway.inspection import READ, Inspection
from plimsoll.gateway.repeated import LONGEST, Form, Repeat

_SHAPE: Final = re.compile(rb'"shape" ?: ?\[ ?([0-9]{1,9})')
_HEADER_LENGTH: Final = re.compile(rb"\r\ninference-header-content-length:[ \t]*([^\r]*?)[ \t]*(?=\r\n)", re.IGNORECASE)
_ENCODING: Final = re.compile(rb"\r\ncontent-encoding:[ \t]*([^\r]*?)[ \t]*(?=\r\n)", re.IGNORECASE)
_READ_BY: Final = re.compile(rb"\r\n(?:inference-header-content-length|content-encoding):[^\r]*", re.IGNORECASE)
_REWRITTEN: Final = re.compile(
    rb"\r\n(?:inference-header-content-length|content-encoding|content-length|transfer-encoding|content-type):[^\r]*",
    re.IGNORECASE,
)
_LENGTH: Final = re.compile(rb"[0-9]{1,12}")
_SMALL_BYTES: Final = 64 << 10


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

    def give(self, head: AnswerHead, body: bytes) -> None:
        """Answers it with what no model server was asked for now."""

    def mismatched(self) -> None:
        """Counts that the revision gave another answer than was kept of it."""

    def whole_request(self) -> bytes | None:
        """Returns the request, head and body; None where it is not at hand."""


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
        fields = b"".join(_READ_BY.findall(head.forward))
        form = self._form = Form(self._revision.name, head.call.version, fields, message[len(head.forward) :])
        return self._inspection.repeated.get(form)

    def _read_as(self, nulls: Nulls | None) -> InferRequest:
        message = self._exchange.whole_request()
        if message is None:
            raise Malformed(Fault.TOO_LARGE, "The request is not at hand.")
        head = self._head
        body = message[len(head.forward) :]
        if head.length == CHUNKED:
            body = unchunked(body)
        sizes = _HEADER_LENGTH.findall(head.forward)
        encodings = _ENCODING.findall(head.forward)
        if len(sizes) > 1 or len(encodings) > 1 or not all(map(_LENGTH.fullmatch, sizes)):
            raise Malformed(Fault.BAD_ENCODING, "Say once how the body is encoded, and how long its JSON is.")
        plain = decoded(body, encodings[0].decode("latin-1") if encodings else "", READ)
        length = int(sizes[0]) if sizes else None
        version = head.call.version if not isinstance(head.call, Refusal) else ""
        return read_http(plain, length, version=version, limits=READ, nulls=nulls)

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
        head, body = written
        if how == HIT and self._form is not None and (self._known is None or self._known.answer is not answer):
            self._inspection.repeated.keep(self._form, Repeat(self.request.asked, request, answer, head, body))
        self.request.how = how
        self._exchange.give(AnswerHead(200, len(body), keep_alive=True, forward=head, informational=False), body)
        return True

    def _written(self, answer: Answer, request: InferRequest) -> tuple[bytes, bytes] | None:
        known = self._known
        if known is not None and known.answer is answer:
            return known.head, known.body
        written = write_http_answer(answer.value, request)
        if written is None:
            return None
        body, length = written
        kind = b"application/json" if length is None else b"application/octet-stream"
        head = b"HTTP/1.1 200 OK\r\ncontent-type: %s\r\ncontent-length: %d\r\n" % (kind, len(body))
        if length is not None:
            head += b"inference-header-content-length: %d\r\n" % length
        head += f"{REVISION_HEADER}: {self._revision.name}\r\n".encode()
        return head + b"\r\n", body

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

    def _answer_of(self, head: AnswerHead, data: bytes) -> Answer:
        plain, length = opened(head, data)
        return Answer(read_http_answer(plain, length, READ), monotonic() - self._sent_at)

    def way(self) -> bytes:
        """Returns our header lines about it, for the answer."""
        request = self.request
        lines = b"%s: %s\r\n" % (CACHE_HEADER.encode(), request.how.encode()) if request.how else b""
        return lines + (b"%s: %s\r\n" % (INVALID_HEADER.encode(), request.said.encode()) if request.said else b"")

    @property
    def is_hit(self) -> bool:
        """It was answered from the store."""
        return self.request.how == HIT

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
