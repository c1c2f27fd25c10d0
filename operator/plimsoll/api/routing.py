"""How requests are spread: what the spec asks for, and what gateways read in status."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from plimsoll.api.base import ATOMIC_LIST, SET_LIST, ApiModel

WHOLE = 1000
"""Weights are parts per thousand."""

MAX_DRAINING = 1000


class Traffic(StrEnum):
    """Where requests go, whatever a roll-out wants."""

    NORMAL = "Normal"
    STABLE_ONLY = "StableOnly"
    FALLBACK = "Fallback"
    DIRECT = "Direct"
    STOPPED = "Stopped"


class RoutedRevision(ApiModel):
    """A revision that gateways know."""

    name: Annotated[str, Field(min_length=1, max_length=63)]
    """Name of the revision."""
    weight_permille: Annotated[int, Field(ge=0, le=WHOLE)]
    """Its share of the requests, in parts per thousand."""
    draining: Annotated[
        list[Annotated[str, Field(max_length=253)]] | None,
        Field(max_length=MAX_DRAINING, json_schema_extra=dict(SET_LIST)),
    ] = None
    """Pods of it that get no new request, because they are about to go."""
    cacheable: bool | None = None
    """Its answers may be kept: spec.cache is there, and the preflight found the same answers each time."""
    shadow_permille: Annotated[int | None, Field(ge=0, le=WHOLE)] = None
    """Of the candidate: the largest share of the stable revision's requests of which it gets a copy, in parts per
    thousand."""


class Routing(ApiModel):
    """All that gateways need of a status: which revision gets how much."""

    epoch: Annotated[int, Field(ge=1)]
    """Grows with every change of the rest; a gateway ignores what is older than what it has."""
    # Atomic: entries that another writer put there would stay beside those that the controller applies.
    revisions: Annotated[list[RoutedRevision], Field(max_length=16, json_schema_extra=dict(ATOMIC_LIST))]
    """The stable revision first, then the candidate."""
