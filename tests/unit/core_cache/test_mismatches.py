"""What people are told of kept answers that a model contradicts."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from tests.support.builders import NOW, children_of, digits, observed, revision_of

from plimsoll.core.actions import Severity
from plimsoll.core.plan import plan
from plimsoll.core.world import Gateways

CACHED = digits("a", preflight={}, cache={})
REVISION = revision_of(CACHED, 1)


@pytest.mark.parametrize(
    ("mismatches", "begins"),
    [
        ({}, []),
        ({"digits-1": 1}, ["1 kept answer differs from what revision digits-1 answers now"]),
        (
            {"digits-2": 1, "digits-1": 4},
            ["4 kept answers differ from what revision digits-1", "1 kept answer differs"],
        ),
    ],
)
def test_each_revision_has_its_event(mismatches: Mapping[str, int], begins: list[str]) -> None:
    world = observed(CACHED, *children_of(CACHED, REVISION), REVISION, gateways=Gateways(mismatches=mismatches))
    told = [one for one in plan(world, NOW).announcements if one.reason == "CacheMismatch"]
    assert [one.message.startswith(begin) for one, begin in zip(told, begins, strict=True)] == [True] * len(begins)
    assert all(one.severity is Severity.WARNING and "remove spec.cache" in one.message for one in told)
