"""What the controller tells gateways, and when the Service may lead to them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType

from plimsoll.api.routing import WHOLE, RoutedRevision, Routing, Traffic
from plimsoll.core.world import Observed, Service


def newest_epoch(observed: Observed) -> int:
    """Returns the newest epoch that the stable Service remembers or a gateway follows, 0 where there is none.

    The Service's is never below one that was published, because it is written first.
    """
    service, gateways = observed.services.get(observed.object.metadata.name), observed.gateways
    return max(service.epoch if service else 0, gateways.newest if gateways else 0)


def next_routing(
    before: Routing | None,
    known: int,
    serving: str | None,
    candidate: str | None,
    draining: Mapping[str, Sequence[str]] = MappingProxyType({}),
    cacheable: Collection[str] | None = None,
    shadow: int | None = None,
) -> Routing:
    """Returns the routing to publish: the present one where nothing changes, else one with a higher epoch.

    Args:
        before: As status has it, None where it was never written or was lost.
        known: As `newest_epoch` says.
        serving: The revision that users reach, None before there is one.
        candidate: The revision that may get requests beside it, None without one.
        draining: Pods that get no new request, by revision and in ascending order.
        cacheable: Revisions whose answers may be kept; None where nothing asks for a cache.
        shadow: Share of the requests of which the candidate gets a copy, in parts per thousand; None for none.
    """
    weights = {candidate: 0, serving: WHOLE}
    revisions = [
        RoutedRevision(
            name=name,
            weight_permille=weights[name],
            draining=list(draining.get(name, ())) or None,
            cacheable=None if cacheable is None else name in cacheable,
            shadow_permille=shadow if serving and name != serving else None,
        )
        for name in dict.fromkeys((serving, candidate))
        if name
    ]
    if before and before.revisions == revisions and before.epoch >= known:
        return before
    return Routing(epoch=max(before.epoch if before else 0, known) + 1, revisions=revisions)


def leads_to_gateway(observed: Observed, service: Service | None, routing: Routing | None) -> bool:
    """Tells whether the stable Service selects the gateway.

    Where gateways are guarded it does from the beginning: requests that no guard has seen are not served meanwhile.
    Else it moves there when all ready gateways follow what is published, and from then on stays: gateways that are down
    for a moment are no reason to take every request past the split and the limits. It moves back when the spec says
    Direct or the chart makes no gateways, and nothing keeps users away from the model pods.

    Args:
        observed: The ModelDeployment, and its gateways.
        service: As it is, None before it exists.
        routing: What this plan publishes.
    """
    gateways = observed.gateways
    there = service is not None and service.gateway
    if gateways is None or observed.object.spec.traffic is Traffic.DIRECT:
        return there and observed.shielded
    if there or (service is None and gateways.guarded):
        return True
    status = observed.object.status
    published = status is not None and routing is not None and status.routing == routing
    return published and gateways.ready > 0 and acknowledged(observed, routing)


def acknowledged(observed: Observed, routing: Routing | None) -> bool:
    """Tells whether all ready gateways follow `routing`; true where there is no gateway or nothing to follow."""
    gateways = observed.gateways
    return gateways is None or routing is None or gateways.ready == 0 or gateways.acknowledged >= routing.epoch
