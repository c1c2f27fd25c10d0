"""Which models are looked into, and how much is held for that."""

from __future__ import annotations

from dataclasses import replace

from tests.support.looked import Looked, rules

from plimsoll.api.confidence import Confidence
from plimsoll.core.cache.policy import CachePolicy
from plimsoll.core.confidence.policy import confidence_policy_of
from plimsoll.core.routing.table import ModelRoute, RevisionRoute
from plimsoll.gateway.inspection import Budget

PLAIN = ModelRoute("digits", "uid", 1, stable=RevisionRoute("r1", 1000))
POLICY = CachePolicy(60.0, 1 << 20)


def test_a_model_of_which_nothing_is_known_and_nothing_kept_is_not_looked_into() -> None:
    looked = Looked()
    assert looked.inspections.of(PLAIN) is None
    assert looked.inspections.of(replace(PLAIN, cache=POLICY)) is None, "no revision may be kept"
    assert list(looked.inspections) == []


def test_rules_alone_and_a_cache_alone_are_reasons() -> None:
    assert Looked().inspections.of(replace(PLAIN, stable=RevisionRoute("r1", 1000, rules=rules())))
    kept = replace(PLAIN, cache=POLICY, candidate=RevisionRoute("r2", 0, cacheable=True))
    assert Looked().inspections.of(kept)


def test_a_threshold_for_the_confidence_is_a_reason_to_look_at_every_revision_and_to_read_no_request() -> None:
    policy = confidence_policy_of(Confidence(output="p", threshold="0.8"))
    inspection = Looked().inspections.of(replace(PLAIN, confidence=policy))
    assert inspection
    assert inspection.looks_at(RevisionRoute("r2", 0))
    assert not inspection.reads_requests(RevisionRoute("r2", 0))


def test_requests_are_read_only_where_that_decides_something() -> None:
    checked, strict = RevisionRoute("r1", 1000, rules=rules()), RevisionRoute("r1", 1000, rules=rules(onInvalid="Flag"))
    inspection = Looked().inspections.of(replace(PLAIN, stable=checked))
    assert inspection
    assert (inspection.reads_requests(checked), inspection.reads_requests(strict)) == (False, True)
    assert inspection.reads_requests(RevisionRoute("r2", 0, cacheable=True)) is False, "there is no cache"


def test_a_model_stays_the_same_one_while_its_route_changes_and_is_forgotten_with_its_reasons() -> None:
    looked = Looked()
    first = looked.inspections.of(replace(PLAIN, stable=RevisionRoute("r1", 1000, rules=rules())))
    again = looked.inspections.of(replace(PLAIN, epoch=2, stable=RevisionRoute("r1", 1000, rules=rules())))
    assert first is again
    assert again
    assert again.route.epoch == 2
    assert looked.inspections.of(PLAIN) is None
    assert looked.inspections.figures() == []


def test_the_budget_is_never_passed() -> None:
    budget = Budget(10)
    assert (budget.take(6), budget.take(5), budget.take(4), budget.held) == (True, False, True, 10)
    budget.give(6)
    assert (budget.take(6), budget.held) == (True, 10)
