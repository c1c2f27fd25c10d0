"""Models whose answers are judged by their confidence, for tests of both protocols."""

from __future__ import annotations

from typing import NamedTuple

from plimsoll.api.confidence import Confidence, OnLow
from plimsoll.core.cache.policy import CachePolicy
from plimsoll.core.confidence.policy import ConfidencePolicy, confidence_policy_of
from plimsoll.core.routing.ladder import Ladder
from plimsoll.core.routing.table import ModelRoute, RevisionRoute, RouteTable

KEPT = CachePolicy(ttl_s=60.0, max_bytes=1 << 20, recheck=0.5)


class On(NamedTuple):
    """What `judged` routes: the spec of `digits`, and who answers in its place."""

    low: OnLow
    fallback: RevisionRoute | None = None
    cache: CachePolicy | None = None


def judging(low: OnLow, threshold: str = "0.8", output: str = "y") -> ConfidencePolicy:
    made = confidence_policy_of(Confidence(output=output, threshold=threshold, on_low=low))
    assert made
    return made


def judged(on: On, stable: RevisionRoute, candidate: RevisionRoute | None = None, epoch: int = 2) -> RouteTable:
    """Routes `digits`, whose output `y` says 0.8 or more where it is sure, and its fallback `small`, if any."""
    ladder = Ladder("small" if on.fallback else None)
    digits = ModelRoute(
        "digits",
        "d",
        epoch,
        stable=stable,
        candidate=candidate,
        cache=on.cache,
        ladder=ladder,
        confidence=judging(on.low),
    )
    models = {"digits": digits}
    if on.fallback:
        models["small"] = ModelRoute("small", "s", epoch, stable=on.fallback, ladder=Ladder("digits"))
    return RouteTable(models)
