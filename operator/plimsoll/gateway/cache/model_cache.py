"""The cache of one model: look-ups, what may be stored, and the re-checks that would show that it is wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from plimsoll.core.cache.policy import CachePolicy
from plimsoll.gateway.cache.flights import Flights, Waiter
from plimsoll.gateway.cache.store import Answer, Found, Inquiry, Remote, Store


@dataclass(slots=True)
class Counts:
    """What became of look-ups since the process started.

    Attributes:
        hits: Answered from this gateway's memory.
        remote: Answered from the store that gateways share.
        shared: Answered by a request that was under way.
        misses: Sent to the model.
        rechecked: Of the hits, those that were sent to the model all the same.
        mismatched: Of these, those that got another answer.
        unchecked: Of these, those that got none to compare: the model failed.
        served_bytes: Outputs that the model did not have to compute.
        saved_s: What the model would have taken for them, in seconds.
    """

    hits: int = 0
    remote: int = 0
    shared: int = 0
    misses: int = 0
    rechecked: int = 0
    mismatched: int = 0
    unchecked: int = 0
    served_bytes: int = 0
    saved_s: float = 0.0


@dataclass(slots=True)
class Errand:
    """A request that is sent to the model for the cache. It ends by exactly one of `landed`, `failed`, `abandoned`.

    Attributes:
        key: Where its answer goes.
        kept: The answer that it is a check of, None where there was none.
    """

    key: bytes
    kept: Answer | None = None


class ModelCache:
    """The cache of one model; its revisions share it, for their keys differ.

    Args:
        policy: As the spec says.
        store: Keeps the answers.
        toss: Returns a random number from 0 to 1, another one each time.
        same: Tells whether two answers to one question are equal, as far as the model promises that.
        mismatch: Called with the key when they are not.
        remote: Keeps them for other gateways, too; None where there is no such store.
    """

    __slots__ = ("_flights", "_mismatch", "_remote", "_same", "_store", "_toss", "counts", "policy")

    def __init__(
        self,
        policy: CachePolicy,
        store: Store,
        toss: Callable[[], float],
        same: Callable[[Answer, Answer], bool],
        mismatch: Callable[[bytes], None],
        remote: Remote | None = None,
    ) -> None:
        self.policy = policy
        self.counts = Counts()
        self._store = store
        self._flights = Flights()
        self._toss = toss
        self._same = same
        self._mismatch = mismatch
        self._remote = remote

    def holds(self, key: bytes) -> bool:
        """Tells whether an answer is kept. A request of which either arm holds one is no evidence about the arms."""
        return self._store.get(key) is not None

    @property
    def longest_wait_s(self) -> float:
        """How long a request may wait for the store that gateways share, in seconds; 0 where there is none."""
        return self._remote.longest_wait_s if self._remote is not None else 0.0

    @property
    def held_bytes(self) -> int:
        """Memory that answers take, in bytes."""
        return self._store.size

    def look_up(self, key: bytes, waiter: Waiter) -> Answer | Errand | None:
        """Returns the answer that is kept, or an errand to get one; None where the request waits for another one's."""
        kept = self._store.get(key)
        if kept is not None:
            self.counts.hits += 1
            return self._hit(key, kept)
        if self._flights.join(key, waiter):
            return None
        if self._remote is None:
            self.counts.misses += 1
        return Errand(key)

    def inquire(
        self, errand: Errand, others: Sequence[bytes], wait_s: float, told: Callable[[Answer | Errand, bool], None]
    ) -> Inquiry | None:
        """Asks the store that gateways share, before an errand is run. Returns None where it is to be run at once.

        Args:
            errand: As `look_up` returned it, for an answer that is not kept here.
            others: Keys of the other arms.
            wait_s: Nobody waits longer, in seconds.
            told: Called with what is to be done now, as `look_up` returns it, and whether an arm held an answer.
        """
        if self._remote is None:
            return None

        def learnt(found: Found | None) -> None:
            answer = found.answer if found is not None else None
            if found is None or answer is None:
                self.counts.misses += 1
                told(errand, found is not None and found.held)
                return
            self.counts.remote += 1
            self._store.put(errand.key, answer, min(found.ttl_s, self.policy.ttl_s))
            self._flights.landed(errand.key, answer)
            told(self._hit(errand.key, answer), True)

        inquiry = Inquiry(learnt)
        if self._remote.ask(errand.key, others, wait_s, inquiry):
            return inquiry
        self.counts.misses += 1
        return None

    def _hit(self, key: bytes, kept: Answer) -> Answer | Errand:
        """Returns a kept answer, or an errand to check it."""
        if self._toss() < self.policy.recheck:
            self.counts.rechecked += 1
            return Errand(key, kept)
        return self._used(kept)

    def landed(self, errand: Errand, answer: Answer) -> bool:
        """Keeps a successful answer and gives it to all that wait for it. Returns whether another one was kept."""
        kept = errand.kept
        differs = kept is not None and not self._same(kept, answer)
        if differs:
            self.counts.mismatched += 1
            self._mismatch(errand.key)
        self._store.put(errand.key, answer, self.policy.ttl_s)
        if self._remote is not None:
            self._remote.put(errand.key, answer, self.policy.ttl_s)
        if kept is None:
            self._flights.landed(errand.key, answer)
        return differs

    def failed(self, errand: Errand) -> None:
        """Keeps nothing; a failure that was stored would be repeated for as long as the answer lives."""
        if errand.kept is None:
            self._flights.failed(errand.key)
        else:
            self.counts.unchecked += 1

    def abandoned(self, errand: Errand) -> None:
        """Lets the next request that waits do the errand."""
        if errand.kept is None:
            self._flights.abandoned(errand.key)

    def shared(self, answer: Answer) -> Answer:
        """Counts an answer that a request got by waiting, and returns it."""
        self.counts.shared += 1
        return self._used(answer)

    def leave(self, key: bytes, waiter: Waiter) -> None:
        """Forgets a request that waits."""
        self._flights.leave(key, waiter)

    def _used(self, answer: Answer) -> Answer:
        self.counts.served_bytes += answer.data_bytes
        self.counts.saved_s += answer.took_s
        return answer
