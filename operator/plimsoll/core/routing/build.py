"""From what the API server says about a ModelDeployment to the route that a gateway follows.

Two steps, because they answer different events. `follow` decides what is held: a newer `status.routing` replaces an
older one, never the other way round. `route` decides what that means now, with these endpoints and this much trust.
What is held outlives both the API server and the controller; a gateway may always move traffic towards stable by
itself, and away from it only where `route` says so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from plimsoll.api.requests_validation import InputChecks
from plimsoll.api.routing import WHOLE, RoutedRevision, Routing, Traffic
from plimsoll.core.cache.policy import CachePolicy
from plimsoll.core.confidence.policy import ConfidencePolicy
from plimsoll.core.routing.ladder import NO_LADDER, Ladder
from plimsoll.core.routing.limits import RequestLimits
from plimsoll.core.routing.table import NO_SAY, Endpoint, ModelRoute, RevisionRoute
from plimsoll.core.validation.rules import Rules

_ROUTED = 2
"""Revisions that can get requests: stable and candidate."""


@dataclass(frozen=True, slots=True)
class Declared:
    """What the API server says about one ModelDeployment.

    Attributes:
        uid: Of the object.
        traffic: `spec.traffic`; None when this gateway does not know the value.
        routing: `status.routing`; None when there is none, or none that can be read.
        problem: Why something of it cannot be followed, as a sentence; empty when all can.
        limits: What the spec wants to be taken; the defaults stand for what cannot be read.
        cache: `spec.cache`; None where there is none, or none that can be read.
        checks: `spec.requests`; None where there is none.
        rules: What it makes of the interface in `status.preflight`; None where that has none, or none that can be read.
        ladder: What becomes of requests that the model should not, or cannot, answer.
        confidence: `spec.requests.confidence`; None where there is none, or none that can be read.
        stable_rules: As `rules`, of the interface in `status.stableInterface`: of a revision that was examined before.
    """

    uid: str
    traffic: Traffic | None = Traffic.NORMAL
    routing: Routing | None = None
    problem: str = ""
    limits: RequestLimits = NO_SAY
    cache: CachePolicy | None = None
    checks: InputChecks | None = None
    rules: Rules | None = None
    ladder: Ladder = NO_LADDER
    confidence: ConfidencePolicy | None = None
    stable_rules: Rules | None = None


@dataclass(frozen=True, slots=True)
class Share:
    """A revision as `status.routing` names it."""

    revision: str
    weight_permille: int
    draining: frozenset[str] = frozenset()
    cacheable: bool = False
    shadow_permille: int = 0


@dataclass(frozen=True, slots=True)
class Held:
    """What a gateway holds of one ModelDeployment until something newer replaces it.

    Attributes:
        uid: Of the ModelDeployment.
        epoch: Of the routing that is followed; 0 before there is one.
        traffic: Last value of `spec.traffic` that could be read.
        stable, candidate: As the routing names them.
        limits: As the spec states them.
        cache: Last `spec.cache`. One that cannot be read is none: nothing is kept by mistake.
        rules: Of the revision that was examined last, of the stable one, and of routed ones that were before.
        ladder, confidence: As the spec states them.
    """

    uid: str
    epoch: int = 0
    traffic: Traffic = Traffic.NORMAL
    stable: Share | None = None
    candidate: Share | None = None
    limits: RequestLimits = NO_SAY
    cache: CachePolicy | None = None
    rules: tuple[Rules, ...] = ()
    ladder: Ladder = NO_LADDER
    confidence: ConfidencePolicy | None = None

    @property
    def revisions(self) -> tuple[str, ...]:
        """Names of its revisions."""
        return tuple(share.revision for share in (self.stable, self.candidate) if share)


def problem_of(routing: Routing) -> str:
    """Returns why a routing that has the right types cannot be followed, as a sentence; empty when it can."""
    names = [revision.name for revision in routing.revisions]
    if len(set(names)) < len(names):
        return "status.routing names a revision twice."
    total = sum(revision.weight_permille for revision in routing.revisions)
    if total > WHOLE:
        return f"The weights in status.routing add up to {total} parts per thousand."
    beyond = [revision.name for revision in routing.revisions[_ROUTED:] if revision.weight_permille]
    if beyond:
        return f"status.routing gives requests to a third revision, {beyond[0]}."
    return ""


def follow(held: Held | None, declared: Declared) -> Held:
    """Returns what to hold from now on.

    The fence is (uid, epoch). Of the same object an older epoch never replaces what is held: it comes from a restored
    status or a stale watch. Of the same epoch the latest counts, so that all gateways end up with the same one. Another
    object of the same name has nothing to do with the old one and replaces it at once, whatever its epoch.
    """
    if held is None or held.uid != declared.uid:
        held = Held(declared.uid)
    held = replace(
        held,
        traffic=declared.traffic or held.traffic,
        limits=declared.limits,
        cache=declared.cache,
        ladder=declared.ladder,
        confidence=declared.confidence,
    )
    routing = declared.routing
    if routing is not None and routing.epoch >= held.epoch:
        shares = [_share(revision) for revision in routing.revisions[:_ROUTED]]
        stable, candidate = (*shares, None, None)[:_ROUTED]
        held = replace(held, epoch=routing.epoch, stable=stable, candidate=candidate)
    return replace(held, rules=_rules(held, declared))


def _rules(held: Held, declared: Declared) -> tuple[Rules, ...]:
    known = {rules.revision: rules.under(declared.checks) for rules in held.rules if rules.revision in held.revisions}
    for rules in (declared.stable_rules, declared.rules):
        if rules is not None:
            known[rules.revision] = rules
    return tuple(known.values())


def why_ignored(held: Held, declared: Declared) -> str:
    """Returns why what the API server says is not what is followed, as a sentence; empty when it is."""
    if declared.problem:
        return declared.problem
    if declared.routing is None:
        return f"The status has no routing; epoch {held.epoch} is followed on." if held.epoch else ""
    if declared.routing.epoch < held.epoch:
        return f"The status has epoch {declared.routing.epoch}, which is older than epoch {held.epoch} followed here."
    return ""


def route(model: str, held: Held, endpoints: Callable[[str], tuple[Endpoint, ...]], *, trusted: bool) -> ModelRoute:
    """Returns the route that what is held means now.

    The candidate gets its weight only where the spec lets it, a live controller watches over it, and it has a pod to
    answer. If it gets any while stable has no pod left, it gets everything, for as long as that lasts. The weights of
    the route add up to the whole. Copies of requests go to it under the same conditions while it has no weight: pods
    that users wait for have none to spare.

    Args:
        model: Public model name.
        held: What is followed.
        endpoints: Returns the usable pods of a revision, by name in ascending order.
        trusted: A live controller has shaken hands with this process.
    """
    stable, candidate = _endpoints(held.stable, endpoints), _endpoints(held.candidate, endpoints)
    weight = shadow = 0
    if held.candidate and candidate and trusted and held.traffic is Traffic.NORMAL:
        weight = held.candidate.weight_permille
        shadow = 0 if weight else held.candidate.shadow_permille
    if weight and not stable:
        weight = WHOLE
    return ModelRoute(
        model,
        held.uid,
        held.epoch,
        held.traffic,
        stable=_revision(held, held.stable, WHOLE - weight, stable),
        candidate=_revision(held, held.candidate, weight, candidate, shadow),
        limits=held.limits,
        cache=held.cache,
        ladder=held.ladder,
        confidence=held.confidence,
    )


def _revision(
    held: Held, share: Share | None, weight: int, endpoints: tuple[Endpoint, ...], shadow: int = 0
) -> RevisionRoute | None:
    if share is None:
        return None
    rules = next((rules for rules in held.rules if rules.revision == share.revision), None)
    return RevisionRoute(share.revision, weight, endpoints, share.draining, share.cacheable, rules, shadow)


def _share(revision: RoutedRevision) -> Share:
    draining = frozenset(revision.draining or ())
    cacheable, shadow = bool(revision.cacheable), revision.shadow_permille or 0
    return Share(revision.name, revision.weight_permille, draining, cacheable, shadow)


def _endpoints(share: Share | None, endpoints: Callable[[str], tuple[Endpoint, ...]]) -> tuple[Endpoint, ...]:
    if share is None:
        return ()
    found = endpoints(share.revision)
    return tuple(one for one in found if one.pod not in share.draining) if share.draining else found
