"""Whose answers may be kept: only a revision's that was shown to give the same answer each time."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.builders import children_of, digits, observed, revision_of, verdict_of

from plimsoll.api.preflight_report import Outcome, PhaseName, PhaseStatus
from plimsoll.core.cache.permission import cache_refusal, cacheable
from plimsoll.core.world import Verdict

CACHED = digits("a", preflight={}, cache={})
REVISION = revision_of(CACHED, 1)


def said(
    load: PhaseStatus | None = PhaseStatus.PASSED, determinism: PhaseStatus | None = PhaseStatus.PASSED, **fields: Any
) -> Verdict:
    found = {PhaseName.LOAD: load, PhaseName.DETERMINISM: determinism}
    phases = tuple((name, status) for name, status in found.items() if status)
    return verdict_of(REVISION, "key", phases=phases, **fields)


@pytest.mark.parametrize(
    ("verdict", "because"),
    [
        pytest.param(said(), "", id="passed"),
        pytest.param(said(load=PhaseStatus.WARNED), "", id="with a warning about something else"),
        pytest.param(said(outcome=Outcome.REJECTED), "", id="rejected for something else, under whenNoStable Serve"),
        pytest.param(None, "no preflight", id="no preflight, or none that was kept"),
        pytest.param(said(deleting=True), "no preflight", id="its verdict is being deleted"),
        pytest.param(
            said(load=PhaseStatus.FAILED, reason="UnsupportedKind"), "UnsupportedKind", id="decoupled, sequence"
        ),
        pytest.param(said(load=None), "could not examine it", id="the preflight broke off"),
        pytest.param(said(determinism=PhaseStatus.FAILED), "different answers", id="a random model"),
        pytest.param(said(determinism=PhaseStatus.WARNED), "different answers", id="a random model, in mode Warn"),
        pytest.param(said(determinism=PhaseStatus.SKIPPED), "preflight.budget", id="no time for the check"),
        pytest.param(said(determinism=None), "preflight.budget", id="not reported"),
    ],
)
def test_refused_with_the_reason(verdict: Verdict | None, because: str) -> None:
    world = observed(CACHED, *children_of(CACHED, REVISION), REVISION, *([verdict] if verdict else []))
    refusal = cache_refusal(world, REVISION.name)
    assert because in refusal
    assert bool(refusal) is bool(because)
    assert not refusal.endswith(".")
    assert cacheable(world) == (frozenset() if because else {REVISION.name})


def test_where_no_cache_is_asked_for_nothing_is_refused_and_nothing_kept() -> None:
    plain = digits("a", preflight={})
    world = observed(plain, *children_of(plain, REVISION), REVISION)
    assert (cache_refusal(world, REVISION.name), cacheable(world)) == ("", None)


def test_what_was_said_of_another_revision_does_not_count() -> None:
    other = revision_of(digits("b", preflight={}, cache={}), 2)
    world = observed(CACHED, REVISION, other, said())
    assert cacheable(world) == {REVISION.name}
