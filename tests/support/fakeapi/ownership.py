"""Server-side apply: who owns which field, as Kubernetes records it in `managedFields`.

A field is a path of FieldsV1 elements: `f:name`, `k:{"name":"x"}` for an item of a keyed list, `v:"x"` for a member of
a set. A set of paths is one manager's share.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import orjson
from tests.support.fakeapi.schema import ANYTHING, Node

Json: TypeAlias = dict[str, Any]
Path: TypeAlias = tuple[str, ...]

ITEM = object()
"""The value of the path that stands for the existence of a list item."""

_SYSTEM_METADATA = frozenset(
    {
        "name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp",
        "deletionGracePeriodSeconds", "selfLink", "managedFields", "generateName",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class FieldConflict:
    """A field that the apply would change and another manager owns."""

    manager: str
    path: Path

    @property
    def field(self) -> str:
        """As Kubernetes prints it, for example `.spec.replicas`."""
        return "".join(f".{part[2:]}" if part.startswith("f:") else f"[{part[2:]}]" for part in self.path)


def element_of(item: Any, node: Node) -> str:
    """The path element of a list item."""
    if node.is_set:
        return f"v:{orjson.dumps(item).decode()}"
    key = {name: item.get(name, node.key_defaults.get(name)) for name in node.keys}
    return f"k:{orjson.dumps(key, option=orjson.OPT_SORT_KEYS).decode()}"


def flatten(obj: Json, node: Node) -> dict[Path, Any]:
    """Every owned place of an object with its value; what the server itself keeps is left out."""
    out: dict[Path, Any] = {}
    for name, value in obj.items():
        if name in {"apiVersion", "kind"}:
            continue
        if name == "metadata":
            value = {key: part for key, part in value.items() if key not in _SYSTEM_METADATA}  # noqa: PLW2901
            if not value:
                continue
        _flatten(value, node.child(name), (f"f:{name}",), out)
    return out


def _flatten(value: Any, node: Node, path: Path, out: dict[Path, Any]) -> None:
    match value:
        case dict() if value and not node.atomic:
            for name, child in value.items():
                _flatten(child, node.child(name), (*path, f"f:{name}"), out)
        case list() if value and (node.keys or node.is_set):
            for item in value:
                here = (*path, element_of(item, node))
                out[here] = ITEM
                if isinstance(item, dict):
                    _flatten(item, node.item or ANYTHING, here, out)
        case None:
            pass
        case _:
            out[path] = value


def merge(live: Any, applied: Any, node: Node) -> Any:
    """`applied` laid over `live`."""
    if isinstance(live, dict) and isinstance(applied, dict) and not node.atomic:
        merged = dict(live)
        for name, value in applied.items():
            merged[name] = merge(live[name], value, node.child(name)) if name in live else value
        return merged
    if isinstance(live, list) and isinstance(applied, list) and (node.keys or node.is_set):
        wanted = {element_of(item, node): item for item in applied}
        kept = [
            merge(item, wanted.pop(element_of(item, node)), node.item or ANYTHING)
            if element_of(item, node) in wanted
            else item
            for item in live
        ]
        return [*kept, *wanted.values()]
    return applied


def without(value: Any, node: Node, path: Path) -> Any:
    """`value` without that place; a map or list left empty goes too (`None`)."""
    first, rest = path[0], path[1:]
    if isinstance(value, dict):
        name = first[2:]
        if name not in value:
            return value
        child = without(value[name], node.child(name), rest) if rest else None
        others = {key: part for key, part in value.items() if key != name}
        if child is not None:
            others[name] = child
        return others or None
    if isinstance(value, list):
        items = []
        for item in value:
            if element_of(item, node) != first:
                items.append(item)
            elif rest and (left := without(item, node.item or ANYTHING, rest)) is not None:
                items.append(left)
        return items or None
    return value


def to_fields(paths: set[Path]) -> Json:
    """FieldsV1 of a set of paths."""
    root: Json = {}
    for path in sorted(paths):
        here = root
        for part in path:
            here = here.setdefault(part, {})
        here["."] = {}
    return _without_lone_dots(root)


def _without_lone_dots(fields: Json) -> Json:
    if set(fields) == {"."}:
        return {}
    return {name: _without_lone_dots(child) if name != "." else {} for name, child in fields.items()}


def from_fields(fields: Json, path: Path = ()) -> set[Path]:
    """The paths of a FieldsV1."""
    if not fields:
        return {path} if path else set()
    paths = set()
    for name, child in fields.items():
        paths |= {path} if name == "." else from_fields(child, (*path, name))
    return paths
