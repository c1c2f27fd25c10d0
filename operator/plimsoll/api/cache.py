"""`spec.cache`: keeping answers in the gateway.

Every field's docstring is its `kubectl explain` text, as in v1alpha1.py.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from plimsoll.api.base import SET_LIST, ApiModel, Duration, Quantity, Rule, parse_duration
from plimsoll.api.preflight import Percent

MAX_PARAMETERS = 16
LONGEST = parse_duration("24h")


class Cache(ApiModel):
    """How answers are kept. A revision's are kept only after its preflight found the same answers each time."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="duration(self.ttl) > duration('0s') && duration(self.ttl) <= duration('24h')",
            message="cache.ttl: more than 0s and at most 24h; to keep nothing, remove cache",
            holds=lambda cache: bool(parse_duration(cache.ttl)) and parse_duration(cache.ttl) <= LONGEST,
            path=".ttl",
        ),
    )

    ttl: Duration = "5m"
    """How long an answer is kept, at most 24h. Default 5m. Makes a new revision: no."""
    max_bytes: Quantity = "64Mi"
    """Memory for answers in each gateway; what is asked for most stays. Default 64Mi. Makes a new revision: no."""
    parameters: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=256)]] | None,
        Field(max_length=MAX_PARAMETERS, json_schema_extra=dict(SET_LIST)),
    ] = None
    """Parameters of requests that answers depend on, by name; others are taken to change nothing. Makes a new revision:
    no."""
    recheck: Percent = "1%"
    """Share of the answers from the cache that is computed all the same and compared; a difference is counted and
    told. Default 1%. Makes a new revision: no."""
