"""Building blocks of the API: the base model, rules, and the scalar types that the CRD generator understands.

One class per object of the API. The docstring under a field is its `kubectl explain` text; `rules` are CEL rules with a
twin in Python, so that `plimsoll validate` refuses offline what the API server refuses. A table test holds both to the
same answers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from plimsoll.api.vocabulary import DIGEST_PATTERN

GROUP = "plimsoll.dev"
VERSION = "v1alpha1"
KIND = "ModelDeployment"
API_VERSION = f"{GROUP}/{VERSION}"


DURATION_PATTERN = r"^([0-9]+(h|m|s|ms))+$"
QUANTITY_PATTERN = r"^[0-9]+(\.[0-9]{1,3})?(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$"


@dataclass(frozen=True, slots=True)
class Rule:
    """One validation rule in two languages.

    Attributes:
        cel: Expression over `self`, as the API server evaluates it.
        message: Names the field and the way out.
        holds: The same rule over the parsed model, for offline validation.
        path: Field the error is attached to, relative to the object (`.uri`), empty for the object itself.
    """

    cel: str
    message: str
    holds: Callable[[Any], bool]
    path: str = ""


class ApiModel(BaseModel):
    """An object of the API: camelCase on the wire, immutable in memory, unknown fields ignored when read back.

    Unknown fields are ignored because an older operator must be able to read what a newer CRD admitted; `kubectl apply
    --validate=strict` and `plimsoll validate` refuse them where a person writes them.
    """

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        frozen=True,
        use_attribute_docstrings=True,
        extra="ignore",
    )

    rules: ClassVar[tuple[Rule, ...]] = ()


Location = tuple[str | int, ...]
"""Where a value stands in an object: names of fields and indices of lists, from the root."""


def broken_rules(value: object, at: Location = ()) -> Iterator[tuple[Location, Rule]]:
    """Yields every rule that does not hold in `value`, which is at `at`, or below it, and the field it is about.

    Not part of parsing: the controller reads what the API server has admitted, by the rules of that day.
    """
    if isinstance(value, ApiModel):
        for rule in value.rules:
            if not rule.holds(value):
                yield (*at, *rule.path.split(".")[1:]), rule
        for name, field in type(value).model_fields.items():
            yield from broken_rules(getattr(value, name), (*at, field.alias or name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from broken_rules(item, (*at, index))


def to_wire(model: BaseModel) -> dict[str, Any]:
    """Returns the JSON form of `model`, leaving out what was not set."""
    return model.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_defaults=True)


def _number_to_text(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Quantity = Annotated[
    str,
    Field(
        pattern=QUANTITY_PATTERN,
        max_length=32,
        # A number passes the pattern unseen, and a negative one could not be read back.
        json_schema_extra={"x-kubernetes-int-or-string": True, "minimum": 0},
    ),
    BeforeValidator(_number_to_text),  # last: in front of Field it would hide the pattern from the schema
]
"""A Kubernetes quantity such as `500m`, `4Gi` or `1`."""

Duration = Annotated[str, Field(pattern=DURATION_PATTERN, max_length=16)]
"""A Go-style duration such as `30s`, `1m30s` or `2h`."""

Digest = Annotated[str, Field(pattern=DIGEST_PATTERN, max_length=71)]

ObjectName = Annotated[
    str,
    Field(min_length=1, max_length=253, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"),
]
"""Name of a Kubernetes object (RFC 1123 subdomain)."""

LabelKey = Annotated[str, Field(min_length=1, max_length=317)]
LabelValue = Annotated[str, Field(max_length=63, pattern=r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$")]

_DURATION_UNITS = {"h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}


def parse_duration(text: str) -> timedelta:
    """Returns the length of a Go-style duration of the form admitted by `DURATION_PATTERN`."""
    parts = re.findall(r"([0-9]+)(ms|h|m|s)", text)
    return timedelta(milliseconds=sum(int(number) * _DURATION_UNITS[unit] for number, unit in parts))


def list_map(*keys: str) -> dict[str, Any]:
    """Schema extras of a list that merges by `keys` under server-side apply."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(keys)}


ATOMIC_LIST: Mapping[str, Any] = {"x-kubernetes-list-type": "atomic"}
SET_LIST: Mapping[str, Any] = {"x-kubernetes-list-type": "set"}


def map_of(max_properties: int, **extra: Any) -> dict[str, Any]:
    """Schema extras of a string map bounded to `max_properties` entries."""
    return {"maxProperties": max_properties, **extra}
