"""The CRD's schema as a flat list of fields, for reference pages and for the linter."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from plimsoll.api.revisions import MakesRevision, said_by, without_sentence


@dataclass(frozen=True, slots=True)
class SchemaField:
    """One field of the API.

    Attributes:
        path: From the object's root, with `[]` for items of lists and `{}` for values of maps.
        schema: Its node of the structural schema.
        required: It must be given when its parent is.
    """

    path: str
    schema: dict[str, Any]
    required: bool

    @property
    def makes_revision(self) -> MakesRevision | None:
        """What the description says about revisions; None when it does not."""
        return said_by(self.schema.get("description", ""))

    @property
    def summary(self) -> str:
        """The description without what it says about revisions."""
        return without_sentence(self.schema.get("description", ""))


def fields_of(schema: dict[str, Any], path: str = "") -> Iterator[SchemaField]:
    """Yields every named field below `schema`, which is at `path`, and, below lists and maps, every item."""
    for name, child in schema.get("properties", {}).items():
        yield from _field(child, f"{path}.{name}".lstrip("."), required=name in schema.get("required", ()))
    if "items" in schema:
        yield from _field(schema["items"], f"{path}[]", required=True)
    values = schema.get("additionalProperties")
    if isinstance(values, dict):
        yield from _field(values, f"{path}{{}}", required=True)


def _field(node: dict[str, Any], path: str, *, required: bool) -> Iterator[SchemaField]:
    yield SchemaField(path, node, required)
    yield from fields_of(node, path)


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
