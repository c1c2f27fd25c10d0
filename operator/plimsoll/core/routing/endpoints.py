"""From the EndpointSlices of a revision's Service to the pods that take requests.

The headless Service of a revision publishes pods that are not ready, so `conditions.ready` of its slices is true for
every pod. What tells is `serving` (the pod's own Ready condition) and `terminating`:
https://kubernetes.io/docs/concepts/services-networking/endpoint-slices/#conditions.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from plimsoll.core.routing.table import Endpoint


@dataclass(frozen=True, slots=True)
class Slice:
    """One EndpointSlice.

    Attributes:
        ipv6: Family of its addresses.
        usable: Pods that are ready and do not end.
        ending: Names of pods that end.
    """

    ipv6: bool = False
    usable: tuple[Endpoint, ...] = ()
    ending: tuple[str, ...] = ()


def is_ready(*, ready: bool | None, serving: bool | None) -> bool:
    """Tells whether the pod of an endpoint is ready, by its conditions; None is a condition that is not given.

    An unknown `serving` is as `ready`, and an unknown `ready` is true, as the API says.
    """
    return (ready if serving is None else serving) is not False


def merge(slices: Iterable[Slice]) -> tuple[Endpoint, ...]:
    """Returns the usable pods of all slices of one Service, each once, by name in ascending order.

    While endpoints move between slices a pod may be in two: one that ends in either of them ends. Of a pod with two
    addresses the IPv4 one is taken, whatever the order of the slices.
    """
    found: dict[str, Endpoint] = {}
    ending: set[str] = set()
    for part in sorted(slices, key=lambda part: not part.ipv6):
        found.update((endpoint.pod, endpoint) for endpoint in part.usable)
        ending.update(part.ending)
    return tuple(found[pod] for pod in sorted(found.keys() - ending))
