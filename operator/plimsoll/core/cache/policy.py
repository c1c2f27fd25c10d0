"""`spec.cache` as the gateway follows it."""

from __future__ import annotations

from dataclasses import dataclass

from plimsoll.api.base import parse_duration
from plimsoll.api.cache import Cache
from plimsoll.api.quantity import whole


@dataclass(frozen=True, slots=True)
class CachePolicy:
    """How answers of one model are kept.

    Attributes:
        ttl_s: How long, in seconds.
        max_bytes: How many in each gateway.
        parameters: Names of the parameters that answers depend on, ascending.
        recheck: Share of the hits that is computed all the same, from 0 to 1.
    """

    ttl_s: float
    max_bytes: int
    parameters: tuple[str, ...] = ()
    recheck: float = 0.0


def policy_of(cache: Cache | None) -> CachePolicy | None:
    """Returns the policy that a spec asks for; None where it asks for none.

    Raises:
        ValueError: The API server spells a quantity in a way that is not known here.
    """
    if cache is None:
        return None
    return CachePolicy(
        ttl_s=parse_duration(cache.ttl).total_seconds(),
        max_bytes=whole(cache.max_bytes),
        parameters=tuple(sorted(cache.parameters or ())),
        recheck=float(cache.recheck.removesuffix("%")) / 100,
    )
