"""The CRD's schema as a flat list of fields, for reference pages and for the linter."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_REVISION = re.compile(r"Makes a new revision: (yes|no)\.?")


@dataclass(frozen=True, slots=True)
class SchemaField:
    """One field of the API.

    Attributes:
        path: From the object's root, with `[]` for items of lists and `{}` for values of maps.
        schema: Its node of the structural schema.
        required: It must be given when its parent is.
        makes_revision: What it, or else the nearest field around it that says, says about revisions; None when none
            does.
        leaf: Nothing below it has a name.
    """

    path: str
    schema: dict[str, Any]
    required: bool
    makes_revision: bool | None
    leaf: bool

    @property
    def summary(self) -> str:
        """The description without what it says about revisions."""
        return _REVISION.sub("", self.schema.get("description", "")).strip()


def fields_of(schema: dict[str, Any]) -> Iterator[SchemaField]:
    """Yields every named field and, below lists and maps, every item."""
    yield from _below(schema, "", None)


def _below(node: dict[str, Any], path: str, inherited: bool | None) -> Iterator[SchemaField]:  # noqa: FBT001
    for name, child in node.get("properties", {}).items():
        required = name in node.get("required", ())
        yield from _field(child, f"{path}.{name}".lstrip("."), inherited, required=required)
    if "items" in node:
        yield from _field(node["items"], f"{path}[]", inherited, required=True)
    values = node.get("additionalProperties")
    if isinstance(values, dict):
        yield from _field(values, f"{path}{{}}", inherited, required=True)


def _field(
    node: dict[str, Any],
    path: str,
    inherited: bool | None,  # noqa: FBT001 - what was said further up
    *,
    required: bool,
) -> Iterator[SchemaField]:
    said = _REVISION.search(node.get("description", ""))
    makes_revision = inherited if said is None else said[1] == "yes"
    children = list(_below(node, path, makes_revision))
    leaf = all(child.path in (f"{path}[]", f"{path}{{}}") for child in children)
    yield SchemaField(path, node, required, makes_revision, leaf)
    yield from children


def type_of(node: dict[str, Any]) -> str:
    """Returns the type of a node in words of the Kubernetes API reference."""
    if node.get("x-kubernetes-int-or-string"):
        return "quantity"
    if node.get("x-kubernetes-preserve-unknown-fields"):
        return "any JSON object"
    match node["type"]:
        case "array":
            return f"list of {type_of(node['items'])}"
        case "object" if isinstance(node.get("additionalProperties"), dict):
            return f"map of {type_of(node['additionalProperties'])}"
        case kind:
            return str(node.get("format") or kind)


def bounds_of(node: dict[str, Any]) -> str:
    """Returns what limits the values of a node, as one phrase."""
    parts = []
    if "enum" in node:
        parts.append("one of " + ", ".join(f"`{value}`" for value in node["enum"]))
    if node.get("minLength") == 1 or node.get("minItems") == 1:
        parts.append("not empty")
    parts += [phrase.format(node[key]) for key, phrase in _PHRASES.items() if key in node]
    if "x-kubernetes-list-map-keys" in node:
        parts.append("one entry per " + ", ".join(f"`{key}`" for key in node["x-kubernetes-list-map-keys"]))
    return "; ".join(parts)


_PHRASES = {
    "minimum": "at least {}",
    "maximum": "at most {}",
    "maxLength": "at most {} characters",
    "maxItems": "at most {} entries",
    "maxProperties": "at most {} entries",
    "pattern": "matches `{}`",
}
