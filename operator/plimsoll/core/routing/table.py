"""What a gateway knows: for each public model name its revisions, their shares and their endpoints.

Immutable: a change makes new values, and equal parts are shared, so "what changed" is a comparison by identity first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from plimsoll.api.routing import Traffic
from plimsoll.core.cache.policy import CachePolicy
from plimsoll.core.confidence.policy import ConfidencePolicy
from plimsoll.core.routing.ladder import NO_LADDER, Ladder
from plimsoll.core.routing.limits import RequestLimits
from plimsoll.core.validation.rules import Rules

NO_SAY = RequestLimits()
"""The limits of a model whose spec states none."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A model pod that takes requests.

    Attributes:
        pod: Its name.
        ip: Where it listens: HTTP on `names.HTTP_PORT`, gRPC on `names.GRPC_PORT`.
    """

    pod: str
    ip: str


@dataclass(frozen=True, slots=True)
class RevisionRoute:
    """One revision of a model.

    Attributes:
        name: Of the revision.
        weight_permille: Share of the requests that a gateway gives it, in parts per thousand.
        endpoints: Pods that are ready, do not end and do not drain, by name in ascending order.
        draining: Names of pods that get no new request because they are about to go.
        cacheable: Its answers may be kept.
        rules: What its requests and answers have to be; None where its interface is not known.
        shadow_permille: Share of the stable revision's requests of which it gets a copy, in parts per thousand.
    """

    name: str
    weight_permille: int
    endpoints: tuple[Endpoint, ...] = ()
    draining: frozenset[str] = frozenset()
    cacheable: bool = False
    rules: Rules | None = None
    shadow_permille: int = 0


@dataclass(frozen=True, slots=True)
class ModelRoute:
    """One ModelDeployment.

    Attributes:
        model: Public model name: the name of the ModelDeployment.
        uid: Of the ModelDeployment; with `epoch` the fence against older routing.
        epoch: Of `status.routing`.
        traffic: What the spec asks for, whatever the weights say.
        stable: The revision that serves; None before the first promotion.
        candidate: The revision that is being rolled out; None without one.
        limits: What is taken for it.
        cache: How answers of revisions that are cacheable are kept; None where none are.
        ladder: What becomes of requests that it should not, or cannot, answer.
        confidence: What becomes of answers that it is not sure of; None where nothing does.
    """

    model: str
    uid: str
    epoch: int
    traffic: Traffic = Traffic.NORMAL
    stable: RevisionRoute | None = None
    candidate: RevisionRoute | None = None
    limits: RequestLimits = NO_SAY
    cache: CachePolicy | None = None
    ladder: Ladder = NO_LADDER
    confidence: ConfidencePolicy | None = None


@dataclass(frozen=True, slots=True)
class RouteTable:
    """All models of the gateway's namespace, by public name."""

    models: Mapping[str, ModelRoute] = field(default_factory=dict)
