"""Compute resources, as in a pod."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from plimsoll.api.base import ApiModel, Quantity, Rule, map_of
from plimsoll.api.quantity import value_of

MAX_RESOURCES = 12
"""Comparing each request with its limit costs 628,000 per entry by the estimate of Kubernetes 1.33, which takes a
quantity to be as long as a request may be; it admits a rule up to 10,000,000."""

_Quantities = Annotated[
    dict[Annotated[str, Field(min_length=1, max_length=253)], Quantity] | None,
    Field(json_schema_extra=map_of(MAX_RESOURCES)),
]


def cel_quantity(value: str) -> str:
    """Returns the CEL expression for a quantity, which may be written as a number."""
    # string(value) would double the estimated cost.
    return f"(type({value}) == int ? quantity('0').add({value}) : quantity({value}))"


def _requests_fit(resources: Resources) -> bool:
    limits = resources.limits or {}
    return all(
        value_of(amount) <= value_of(limits[name])
        for name, amount in (resources.requests or {}).items()
        if name in limits
    )


class Resources(ApiModel):
    """Compute resources of the Triton container, as in a pod."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="!has(self.requests) || !has(self.limits) || self.requests.all(k, !(k in self.limits) || "
            f"{cel_quantity('self.requests[k]')}.compareTo({cel_quantity('self.limits[k]')}) <= 0)",
            message="runtime.resources.requests: more is requested than limits allow of the same resource; lower the "
            "request or raise the limit",
            holds=_requests_fit,
            path=".requests",
        ),
    )

    requests: _Quantities = None
    """Resources that are reserved; of none more than its limit. Makes a new revision: yes."""
    limits: _Quantities = None
    """Resources that cannot be exceeded; ephemeral-storage also bounds the size of the model. Makes a new revision:
    yes."""
