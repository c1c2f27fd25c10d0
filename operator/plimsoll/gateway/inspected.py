"""One request of a model that is looked into, whatever it came over.

read ─▶ rules ─┬▶ refused                            ┌─▶ given
               └▶ look-up ─┬▶ kept ──────────────────┤
                           ├▶ asked by another one ──┼─▶ (that one failed) ─┐
                           │                         │                      └▶ sent
                           └▶ new ─▶ shared store? ──┴─▶ sent ─▶ checked ─▶ stored
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from plimsoll.api.confidence import OnLow
from plimsoll.api.requests_validation import OnInvalid
from plimsoll.core.confidence.abstention import ABSTAINED
from plimsoll.core.confidence.finding import Finding, found_in
from plimsoll.core.inference.elements import Nulls
from plimsoll.core.inference.malformed import Fault, Malformed
from plimsoll.core.inference.request import InferRequest
from plimsoll.core.records.outcome import Outcome
from plimsoll.core.routing.table import RevisionRoute
from plimsoll.core.validation.answers import Unreadable
from plimsoll.core.validation.decision import Decision
from plimsoll.core.validation.inputs import brings_not_finite
from plimsoll.core.validation.outputs import Output
from plimsoll.core.validation.problem import Kind, Problem, header_value, sentences
from plimsoll.core.validation.rules import Rules
from plimsoll.gateway.cache.caches import question
from plimsoll.gateway.cache.model_cache import Errand, ModelCache
from plimsoll.gateway.cache.store import Answer, Inquiry
from plimsoll.gateway.inspection import Inspection, Subject
from plimsoll.gateway.looked import HIT, MISS, RECHECK, SHARED, How, Looked

_NOT_OURS: Final = frozenset({Fault.UNSUPPORTED, Fault.TOO_LARGE})
"""Requests that are not read for these reasons may be right all the same: the model server judges."""
_OF_ITSELF: Final = frozenset({Kind.NOT_FINITE, Kind.EMPTY, Kind.SIZE, Kind.UNREADABLE})
"""What is wrong with an answer whatever was asked."""
_PATIENCE: Final = 0.25
"""Part of the time that is left in which the shared store may answer: the rest is the model's."""
_NOTHING: Final[Mapping[str, int]] = {}

Judge = Callable[[Mapping[str, int], int | None], tuple[Problem, ...]]
"""Returns what is wrong with an answer, from the outputs that the request names and its batch."""


LOW: Final = "low"
UNKNOWN: Final = "unknown"
UNHELD: Final = "unheld"
"""An answer that was too long, or came in a form, to be held and judged."""


class Inspected:
    """One request.

    Attributes:
        exempt: It is no evidence: an arm held its answer, it waited for another one's, or it brought the NaN that came
            back.
        said: Value of `x-plimsoll-invalid`, about the request.
        how: What the cache did for it; empty where it was not asked.
        sure: Value of `x-plimsoll-confidence`, about the answer; empty where it is sure enough, or nobody asks.
        asked_key: Key under which the cache was asked for its answer; empty where it was not.
    """

    __slots__ = (
        "_cache",
        "_call",
        "_errand",
        "_inquiry",
        "_inspection",
        "_kept",
        "_key",
        "_request",
        "asked_key",
        "exempt",
        "how",
        "said",
        "sure",
    )

    def __init__(self, inspection: Inspection, call: Looked) -> None:
        self._inspection = inspection
        self._call = call
        self._request: InferRequest | None = None
        self._cache = inspection.cache  # Kept to the end: another one may take its place meanwhile.
        self._errand: Errand | None = None
        self._kept: Answer | None = None
        self._inquiry: Inquiry | None = None
        self._key: bytes | None = None
        self.exempt = False
        self.said = ""
        self.how: How = ""
        self.sure = ""
        self.asked_key = b""

    @property
    def asked(self) -> InferRequest | None:
        """What it asks, as it was sent on; None where that was not read."""
        return self._request

    # ---- the request
    def consult(self, revision: RevisionRoute, read: Callable[[Nulls | None], InferRequest]) -> None:
        """Decides what becomes of a request that is all there, and has it done.

        Args:
            revision: That was tossed for it.
            read: Reads it, as `http_body.read_http` takes `nulls`; raises `Malformed`.
        """
        rules = revision.rules
        judges = rules is not None and rules.on_invalid is not None
        nulls: Nulls = {}
        try:
            request = read(nulls if judges else None)
        except Malformed as malformed:
            self._unread(malformed, rules if judges else None)
            return
        decision = rules.judged(request, nulls) if rules is not None else Decision(request)
        self._note(Subject.REQUEST, decision.problems)
        self.said = decision.header
        if decision.refusal:
            self._call.refuse(decision.refusal)
            return
        self._request = decision.request
        if decision.filled:
            self._call.rewrite(decision.request)
        if not self._look_up(revision, decision.request):
            self._call.send_on()

    def recall(self, key: bytes, request: InferRequest) -> bool:
        """Goes on with a request of which it is known what it asks; returns False where no answer to it is kept now."""
        cache = self._cache
        if cache is None or not cache.holds(key):
            return False
        self._request = request
        self.exempt = True
        self.asked_key = key
        found = cache.look_up(key, self)
        if found is None:
            self._key = key
        elif not isinstance(found, Answer):
            self._take_on(found)
            self._call.send_on()
        elif not self._call.give(found, request, HIT):
            self._call.send_on()
        return True

    def _unread(self, malformed: Malformed, rules: Rules | None) -> None:
        if rules is None or malformed.fault in _NOT_OURS:
            self.unread(malformed.fault)
        else:
            problem = Problem(Kind.UNREADABLE, malformed.input, str(malformed))
            self._note(Subject.REQUEST, (problem,))
            if rules.on_invalid is not OnInvalid.FLAG:
                self._call.refuse(problem.sentence)
                return
            self.said = header_value((problem,))
        self._call.send_on()

    def _look_up(self, revision: RevisionRoute, request: InferRequest) -> bool:
        """Returns whether the request need not be sent now."""
        cache = self._cache
        asked = question(cache, self._inspection.route, revision, request) if cache is not None else None
        if cache is None or asked is None:
            return False
        self.exempt = asked.exempt
        self.asked_key = asked.key
        found = cache.look_up(asked.key, self)
        if found is None:
            # Before it is known how the other one ends, or failures would count for more than successes.
            self.exempt = True
            self._key = asked.key
            return True
        if isinstance(found, Answer):
            return self._call.give(found, request, HIT)
        self._take_on(found)
        return found.kept is None and self._inquires(cache, found, asked.others)

    def _take_on(self, errand: Errand) -> None:
        self._errand = errand
        self._kept = errand.kept
        self.how = RECHECK if errand.kept is not None else MISS

    # ---- a request that waits for the store that gateways share
    def _inquires(self, cache: ModelCache, errand: Errand, others: tuple[bytes, ...]) -> bool:
        """Returns whether it waits: a short while, and a small part of what its client grants at most."""
        longest_s = cache.longest_wait_s
        if not longest_s:
            return False
        wait_s = min(longest_s, self._call.time_left_s() * _PATIENCE)
        self._inquiry = cache.inquire(errand, others, wait_s, self._learnt)
        return self._inquiry is not None

    def _learnt(self, found: Answer | Errand, held: bool) -> None:  # noqa: FBT001 - as `inquire` calls it
        self._inquiry = None
        self.exempt = self.exempt or held
        request = self._request
        if isinstance(found, Errand):
            self._take_on(found)
            self._call.send_on()
            return
        self._errand = None
        if request is None or not self._call.give(found, request, HIT):
            self._call.send_on()

    # ---- a request that waits for another one's answer
    def answered(self, answer: Answer) -> None:
        """Takes it."""
        self._key = None
        cache, request = self._cache, self._request
        if cache is not None:
            cache.shared(answer)
        if request is None or not self._call.give(answer, request, SHARED):
            self._call.send_on()

    def lead(self) -> None:
        """Sends its own request, and speaks for those that wait."""
        key, self._key = self._key, None
        if key is not None:
            self._errand = Errand(key)
            self.how = MISS
        self._call.send_on()

    def go_alone(self) -> None:
        """Sends its own request."""
        self._key = None
        self._call.send_on()

    # ---- the answer
    def problems(self, rules: Rules, judge: Judge) -> tuple[Problem, ...]:
        """Returns what is wrong with a success. The request is read only where something seems to be."""
        request = self._request
        batches = bool(rules.schema.max_batch_size)
        if request is None:
            found = judge(_NOTHING, self._call.first_size() if batches else None)
            if not found:
                return found
            request = self._call.read_request()
            if request is None:
                return tuple(problem for problem in found if problem.kind in _OF_ITSELF)
        self._request = request
        asked = {output.name: output.classes for output in request.outputs}
        return judge(asked, request.inputs[0].shape[0] if batches and request.inputs[0].shape else None)

    def fails(self, rules: Rules, problems: tuple[Problem, ...]) -> str:
        """Takes note of what is wrong with a success, and returns why it is a failure; empty where it is none."""
        self._note(Subject.ANSWER, problems)
        if not problems:
            return ""
        self.failed()
        if self._request is not None and all(problem.kind is Kind.NOT_FINITE for problem in problems):
            self.exempt = self.exempt or brings_not_finite(self._request, rules.checks)
        if rules.fails_invalid_outputs:
            return sentences(problems)
        self.said = ", ".join(filter(None, (self.said, header_value(problems))))
        return ""

    def unread(self, why: str) -> None:
        """Takes note of a request that passes without a look."""
        self._inspection.passed[Subject.REQUEST, why] += 1

    def unchecked(self, why: str) -> None:
        """Takes note of an answer that passes without a look."""
        inspection = self._inspection
        inspection.passed[Subject.ANSWER, why] += 1
        if inspection.route.confidence is not None:
            inspection.confidence[UNHELD] += 1
            self.sure = UNKNOWN

    # ---- how sure the answer is
    def unsure(
        self, revision: RevisionRoute, read: Callable[[], Sequence[Output]], *, hands_on: bool = True
    ) -> OnLow | None:
        """Judges a success by its confidence, and returns what becomes of it instead of its being given.

        Abstain: it is to be withheld; Fallback: another model answers by now. None: it is to be given, and where it is
        not sure enough, or not known to be, `sure` says so.

        Args:
            revision: That gave it.
            read: Returns its outputs; raises `Malformed` or `Unreadable`.
            hands_on: Another model may be asked.
        """
        inspection = self._inspection
        policy = inspection.route.confidence
        if policy is None or self.sure:
            return None
        rules = revision.rules
        try:
            finding = found_in(read(), policy, batches=None if rules is None else rules.schema.max_batch_size > 0)
        except (Malformed, Unreadable):
            finding = Finding.UNREADABLE
        if finding is not Finding.LOW:
            self.sure = "" if finding is Finding.SURE else UNKNOWN
            inspection.confidence[finding] += 1
            return None
        if policy.on_low is OnLow.ABSTAIN:
            self.sure = ABSTAINED
            inspection.confidence[ABSTAINED] += 1
            return OnLow.ABSTAIN
        if policy.on_low is OnLow.FALLBACK and hands_on and self._call.falls_back():
            inspection.confidence["fallback"] += 1
            return OnLow.FALLBACK
        self.sure = LOW
        inspection.confidence["flagged" if policy.on_low is OnLow.FLAG else "no_fallback"] += 1
        return None

    @property
    def outcome(self) -> Outcome:
        """What became of a request that was answered."""
        return Outcome.ABSTAINED if self.sure == ABSTAINED else Outcome.SUCCEEDED

    # ---- what others wait for
    @property
    def keeps(self) -> bool:
        """The answer is wanted by the cache."""
        return self._errand is not None

    def succeeded(self, read: Callable[[], Answer]) -> None:
        """Keeps a success, as far as it can be read; `read` raises `Malformed`."""
        errand, cache = self._errand, self._cache
        if errand is None or cache is None:
            return
        try:
            answer = read()
        except Malformed:
            self.failed()
            return
        self._errand = None
        if cache.landed(errand, answer):
            self._call.mismatched()

    def failed(self) -> None:
        """Keeps nothing: it failed, or another revision will answer."""
        errand, self._errand = self._errand, None
        if errand is not None and self._cache is not None:
            self._cache.failed(errand)

    def kept_instead(self) -> tuple[Answer, InferRequest] | None:
        """Returns the answer that was to be checked, and what is asked: the check failed, as a hit could not have."""
        kept, self._kept = self._kept, None
        if kept is None or self._request is None:
            return None
        self.failed()
        self.how, self.sure = HIT, ""
        return kept, self._request

    def over(self, *, cancelled: bool) -> None:
        """The request has ended; `cancelled` by its client."""
        self._kept = None
        inquiry, self._inquiry = self._inquiry, None
        if inquiry is not None:
            inquiry.cancel()
        errand, self._errand = self._errand, None
        key, self._key = self._key, None
        cache = self._cache
        if cache is None:
            return
        if key is not None:
            cache.leave(key, self)
        if errand is not None:
            (cache.abandoned if cancelled else cache.failed)(errand)

    def _note(self, subject: Subject, problems: tuple[Problem, ...]) -> None:
        for problem in problems:
            self._inspection.invalid[subject, problem.kind] += 1
