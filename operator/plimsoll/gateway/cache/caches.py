"""The caches of all models, and a request's question to one: under which key, and whether it is still evidence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from plimsoll.core.cache.comparison import difference
from plimsoll.core.cache.key import cache_key, question_of
from plimsoll.core.inference.request import InferRequest
from plimsoll.core.routing.table import ModelRoute, RevisionRoute
from plimsoll.gateway.cache.model_cache import ModelCache
from plimsoll.gateway.cache.store import Answer, Remote, Store


@dataclass(frozen=True, slots=True)
class Question:
    """What a request asks of the revision that was tossed for it.

    Attributes:
        key: Under which its answer is kept.
        exempt: An arm held the answer when the request came, so it is no evidence about either: of two equal revisions
            the one with the warmer cache would look better.
        others: Keys of the other arms.
    """

    key: bytes
    exempt: bool
    others: tuple[bytes, ...] = ()


class Caches:
    """One cache for each ModelDeployment that asks for one.

    Args:
        make_store: Makes a store of so many bytes.
        toss: Returns a random number from 0 to 1, another one each time.
        mismatch: Called with the model's name when a re-check got another answer than was kept.
        remote_of: Returns the part of a ModelDeployment in the store that gateways share, by its uid; None where there
            is no such store.
    """

    __slots__ = ("_by_uid", "_make_store", "_mismatch", "_remote_of", "_toss")

    def __init__(
        self,
        make_store: Callable[[int], Store],
        toss: Callable[[], float],
        mismatch: Callable[[str], None],
        remote_of: Callable[[str], Remote] | None = None,
    ) -> None:
        self._make_store = make_store
        self._toss = toss
        self._mismatch = mismatch
        self._remote_of = remote_of
        self._by_uid: dict[str, ModelCache] = {}

    def of(self, route: ModelRoute) -> ModelCache | None:
        """Returns the cache of a model, which follows its policy; None where it has none.

        Another bound makes an empty cache. One that is taken out of the spec is empty when it comes back.
        """
        policy = route.cache
        cache = self._by_uid.get(route.uid)
        if policy is None:
            if cache is not None:
                self.forget(route.uid)
            return None
        if cache is None or cache.policy.max_bytes != policy.max_bytes:
            store = self._make_store(policy.max_bytes)
            remote = self._remote_of(route.uid) if self._remote_of is not None else None
            cache = ModelCache(policy, store, self._toss, _same, lambda _key: self._mismatch(route.model), remote)
            self._by_uid[route.uid] = cache
        cache.policy = policy
        return cache

    def forget(self, uid: str) -> None:
        """Drops the cache of a ModelDeployment that has gone. Requests that wait in it get their answers all the same.

        Their errands hold on to it.
        """
        self._by_uid.pop(uid, None)


def question(cache: ModelCache, route: ModelRoute, revision: RevisionRoute, request: InferRequest) -> Question | None:
    """Returns what a request asks of the revision that was tossed for it; None where its answers must not be kept.

    Args:
        cache: The model's.
        route: The model's.
        revision: That was tossed: before this, for what the cache holds must not decide who is asked.
        request: What is asked.
    """
    if not revision.cacheable:
        return None
    asked = question_of(request, cache.policy.parameters)
    key = cache_key(revision.name, asked)
    arms = {arm.name for arm in (route.stable, route.candidate) if arm is not None and arm.cacheable}
    others = tuple(cache_key(arm, asked) for arm in arms - {revision.name})
    return Question(key, any(map(cache.holds, (key, *others))), others)


def _same(kept: Answer, fresh: Answer) -> bool:
    return not difference(kept.value, fresh.value)
