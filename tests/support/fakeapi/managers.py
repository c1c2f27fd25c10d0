"""What an apply or an update does to an object and to everybody's share of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.support.fakeapi.ownership import (
    FieldConflict,
    Json,
    Path,
    flatten,
    from_fields,
    merge,
    to_fields,
    without,
)
from tests.support.fakeapi.schema import Node


@dataclass(frozen=True, slots=True)
class Manager:
    """Whose share: one entry of `managedFields`."""

    name: str
    operation: str
    api_version: str
    subresource: str = ""


Shares = dict[Manager, set[Path]]


def shares_of(obj: Json) -> Shares:
    """The shares recorded in an object."""
    return {
        Manager(e["manager"], e["operation"], e["apiVersion"], e.get("subresource", "")): from_fields(e["fieldsV1"])
        for e in obj["metadata"].get("managedFields") or []
    }


def apply(
    live: Json, config: Json, who: Manager, node: Node, *, force: bool
) -> tuple[Json, Shares, list[FieldConflict]]:
    """The object after the apply, the shares after it, and the conflicts that forbid it."""
    shares = shares_of(live)
    before = flatten(live, node)
    wanted = set(flatten(config, node))
    merged = merge(live, _content(config), node)
    changed = _changed(before, flatten(merged, node))
    conflicts = [
        FieldConflict(other.name, path)
        for other, share in shares.items()
        if other.name != who.name or other.operation != "Apply"
        for path in sorted(share & changed)
        if other != who
    ]
    if conflicts and not force:
        return live, shares, conflicts
    dropped = shares.get(who, set()) - wanted
    others: Shares = {other: share - changed for other, share in shares.items() if other != who}
    kept = wanted.union(*others.values())
    for path in sorted(dropped, key=len):  # an item before its fields: without its key it could not be found
        if not any(other[: len(path)] == path for other in kept):
            merged = without(merged, node, path)
    return merged, {**others, who: wanted}, []


def update(old: Json, new: Json, who: Manager, node: Node) -> Shares:
    """The shares after `who` replaced `old` by `new`: what changed is now theirs."""
    before, after = flatten(old, node), flatten(new, node)
    changed, gone = _changed(before, after), set(before) - set(after)
    shares = {other: share - gone - (changed if other != who else set()) for other, share in shares_of(old).items()}
    mine = (shares.get(who, set()) - gone) | changed
    if mine:
        shares[who] = mine
    return shares


def record(obj: Json, shares: Shares, before: Shares, times: dict[Manager, str], now: str) -> None:
    """Writes the shares into the object; an unchanged share keeps its time."""
    obj["metadata"]["managedFields"] = [
        {
            "manager": who.name,
            "operation": who.operation,
            "apiVersion": who.api_version,
            "time": times.get(who, now) if before.get(who) == share else now,
            "fieldsType": "FieldsV1",
            "fieldsV1": to_fields(share),
            **({"subresource": who.subresource} if who.subresource else {}),
        }
        for who, share in shares.items()
        if share
    ]


def times_of(obj: Json) -> dict[Manager, str]:
    """When each share last changed."""
    return {
        Manager(e["manager"], e["operation"], e["apiVersion"], e.get("subresource", "")): e["time"]
        for e in obj["metadata"].get("managedFields") or []
    }


def _content(config: Json) -> Json:
    metadata = {k: v for k, v in config["metadata"].items() if k not in {"managedFields", "uid", "resourceVersion"}}
    return {**config, "metadata": metadata}


def _changed(before: dict[Path, Any], after: dict[Path, Any]) -> set[Path]:
    return {path for path, value in after.items() if path not in before or before[path] != value}
