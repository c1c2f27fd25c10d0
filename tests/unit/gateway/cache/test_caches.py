"""Which cache a model has, what a request asks of it, and when it is evidence in a roll-out."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.kept_answers import Kept, answer

from plimsoll.api.vocabulary import DataType
from plimsoll.core.cache.policy import CachePolicy
from plimsoll.core.inference.request import InferRequest, Tensor
from plimsoll.core.routing.table import ModelRoute, RevisionRoute
from plimsoll.gateway.cache.caches import Caches, Question, question
from plimsoll.gateway.cache.model_cache import Errand, ModelCache
from plimsoll.gateway.cache.store import Answer

STABLE, CANDIDATE = RevisionRoute("r1", 950, cacheable=True), RevisionRoute("r2", 50, cacheable=True)
ROUTE = ModelRoute("digits", "uid-1", 1, stable=STABLE, candidate=CANDIDATE, cache=CachePolicy(60, 1000, ("seed",)))
ASKED = InferRequest("1", (Tensor("x", DataType.UINT8, (1,), b"\1"),), parameters={"seed": 1, "priority": 1})


class Nobody:
    """A request that does not wait."""

    def answered(self, answer: Answer) -> None:
        raise AssertionError(answer)

    def lead(self) -> None:
        raise AssertionError

    def go_alone(self) -> None:
        raise AssertionError


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def caches(told: list[str]) -> Caches:
    return Caches(Kept, lambda: 0.0, told.append)


@pytest.fixture
def cache(caches: Caches) -> ModelCache:
    found = caches.of(ROUTE)
    assert found is not None
    return found


def asked(cache: ModelCache, revision: RevisionRoute = STABLE, request: InferRequest = ASKED) -> Question:
    found = question(cache, ROUTE, revision, request)
    assert found is not None
    return found


def fill(cache: ModelCache, revision: RevisionRoute) -> None:
    cache.landed(Errand(asked(cache, revision).key), answer())


# ---- whose cache ----
def test_a_model_without_a_policy_has_none(caches: Caches) -> None:
    assert caches.of(replace(ROUTE, cache=None)) is None


def test_a_model_has_one_cache_that_follows_its_policy(caches: Caches, cache: ModelCache) -> None:
    longer = CachePolicy(120, 1000, ("seed", "top_k"))
    assert caches.of(replace(ROUTE, epoch=2, cache=longer)) is cache
    assert cache.policy == longer


@pytest.mark.parametrize("other", [replace(ROUTE, uid="uid-2"), replace(ROUTE, cache=CachePolicy(60, 2000))])
def test_another_object_and_another_bound_are_another_cache(
    caches: Caches, cache: ModelCache, other: ModelRoute
) -> None:
    assert caches.of(other) is not cache


def test_a_cache_that_was_taken_out_comes_back_empty(caches: Caches, cache: ModelCache) -> None:
    fill(cache, STABLE)
    caches.of(replace(ROUTE, cache=None))
    again = caches.of(ROUTE)
    assert again is not None
    assert not again.holds(asked(cache).key)


# ---- what is asked ----
def test_each_revision_has_its_own_answers(cache: ModelCache) -> None:
    assert asked(cache, STABLE).key != asked(cache, CANDIDATE).key


def test_only_declared_parameters_count(cache: ModelCache) -> None:
    assert asked(cache, request=replace(ASKED, parameters={"seed": 1})).key == asked(cache).key
    assert asked(cache, request=replace(ASKED, parameters={"seed": 2})).key != asked(cache).key


def test_a_revision_that_must_not_be_cached_is_asked_nothing(cache: ModelCache) -> None:
    assert question(cache, ROUTE, replace(STABLE, cacheable=False), ASKED) is None


# ---- evidence ----
@pytest.mark.parametrize(
    ("held", "exempt"),
    [([], False), ([STABLE], True), ([CANDIDATE], True), ([STABLE, CANDIDATE], True)],
)
@pytest.mark.parametrize("tossed", [STABLE, CANDIDATE], ids=lambda arm: arm.name)
def test_a_request_that_either_arm_holds_is_no_evidence_whichever_is_asked(
    cache: ModelCache,
    tossed: RevisionRoute,
    held: list[RevisionRoute],
    exempt: bool,  # noqa: FBT001 - a column
) -> None:
    for revision in held:
        fill(cache, revision)
    assert asked(cache, tossed).exempt is exempt


# ---- a hot cache and a new revision ----
def test_a_new_revision_never_gives_an_old_ones_answer_and_going_back_finds_it(cache: ModelCache) -> None:
    cache.policy = replace(cache.policy, recheck=0.0)
    fill(cache, STABLE)
    assert isinstance(cache.look_up(asked(cache, CANDIDATE).key, Nobody()), Errand)
    assert cache.look_up(asked(cache, STABLE).key, Nobody()) == answer()


def test_a_mismatch_is_told_by_the_name_of_the_model(caches: Caches, told: list[str]) -> None:
    always = caches.of(replace(ROUTE, cache=CachePolicy(60, 1000, recheck=1.0)))
    assert always is not None
    fill(always, STABLE)
    errand = always.look_up(asked(always).key, Nobody())
    assert isinstance(errand, Errand)
    always.landed(errand, answer(2))
    assert told == ["digits"]
