"""Objects as bytes, one history of changes per kind, one counter of versions for all."""

from __future__ import annotations

import asyncio
import bisect
import time
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypeAlias

import orjson

from plimsoll.kube.resources import Key, Resource

Json: TypeAlias = dict[str, Any]
Labels: TypeAlias = dict[str, str]


class Stored(NamedTuple):
    """One object at one version. `raw` is its JSON."""

    version: int
    uid: str
    labels: Labels
    raw: bytes


class Change(NamedTuple):
    """One step of a kind's history. `new` is the last state for a deletion; `old_labels` is absent for a creation."""

    version: int
    deleted: bool
    old_labels: Labels | None
    new: Stored
    at: float


@dataclass
class Shelf:
    """One kind."""

    objects: dict[Key, Stored] = field(default_factory=dict)
    history: list[Change] = field(default_factory=list)
    compacted: int = 0
    listeners: set[asyncio.Event] = field(default_factory=set)

    def since(self, version: int) -> list[Change]:
        """Changes after that version."""
        return self.history[bisect.bisect_right(self.history, version, key=lambda change: change.version) :]


class Storage:
    """What etcd and the watch cache are to a real API server.

    Attributes:
        version: The newest version given out.
        max_history: Changes kept per kind; older ones are compacted, and watches from before get 410.
    """

    def __init__(self, *, max_history: int = 50_000) -> None:
        self.version = 1000
        self.max_history = max_history
        self._shelves: dict[Resource, Shelf] = {}
        self._dependents: dict[str, set[tuple[Resource, Key]]] = {}
        self._uids: dict[str, tuple[Resource, Key]] = {}

    def shelf(self, resource: Resource) -> Shelf:
        """The kind's objects and history."""
        return self._shelves.setdefault(resource, Shelf())

    def get(self, resource: Resource, key: Key) -> Json | None:
        """A fresh copy of the object."""
        stored = self.shelf(resource).objects.get(key)
        return orjson.loads(stored.raw) if stored else None

    def select(self, resource: Resource, namespace: str | None) -> Iterator[tuple[Key, Stored]]:
        """Objects in the order of their keys."""
        objects = self.shelf(resource).objects
        return ((key, objects[key]) for key in sorted(objects) if not namespace or key[0] == namespace)

    def put(self, resource: Resource, obj: Json) -> Json:
        """Stores the object under a new version and returns it."""
        metadata = obj["metadata"]
        key = (metadata.get("namespace", ""), metadata["name"])
        shelf = self.shelf(resource)
        old = shelf.objects.get(key)
        self.version += 1
        if old is None:
            metadata["uid"] = str(uuid.uuid4())
            metadata["creationTimestamp"] = timestamp()
        metadata["resourceVersion"] = str(self.version)
        stored = Stored(self.version, metadata["uid"], dict(metadata.get("labels") or {}), orjson.dumps(obj))
        shelf.objects[key] = stored
        self._uids[stored.uid] = (resource, key)
        self._link(resource, key, metadata)
        self._note(shelf, Change(self.version, False, old.labels if old else None, stored, time.monotonic()))
        return obj

    def remove(self, resource: Resource, key: Key) -> Json:
        """Deletes the object and returns its last state, at the version of the deletion."""
        shelf = self.shelf(resource)
        old = shelf.objects.pop(key)
        self.version += 1
        obj: Json = orjson.loads(old.raw)
        obj["metadata"]["resourceVersion"] = str(self.version)
        last = Stored(self.version, old.uid, old.labels, orjson.dumps(obj))
        self._uids.pop(old.uid, None)
        self._note(shelf, Change(self.version, True, old.labels, last, time.monotonic()))
        return obj

    def dependents(self, uid: str, resource: Resource) -> list[Key]:
        """Objects of a kind that name this owner, gone ones perhaps included."""
        return sorted(key for kind, key in self._dependents.get(uid, ()) if kind == resource)

    def orphans(self) -> list[tuple[Resource, Key]]:
        """Objects all of whose owners are gone."""
        found = []
        for uid in [uid for uid in self._dependents if uid not in self._uids]:
            for resource, key in self._dependents.pop(uid):
                obj = self.get(resource, key)
                owners = obj["metadata"].get("ownerReferences") or [] if obj else []
                if owners and not any(owner["uid"] in self._uids for owner in owners):
                    found.append((resource, key))
        return found

    def compact(self, resources: Iterable[Resource] | None = None) -> None:
        """Forgets the history, so that every watch from before now gets 410."""
        for resource in resources or list(self._shelves):
            shelf = self.shelf(resource)
            shelf.history.clear()
            shelf.compacted = self.version

    def _link(self, resource: Resource, key: Key, metadata: Json) -> None:
        for owner in metadata.get("ownerReferences") or ():
            self._dependents.setdefault(owner["uid"], set()).add((resource, key))

    def _note(self, shelf: Shelf, change: Change) -> None:
        shelf.history.append(change)
        if len(shelf.history) > 2 * self.max_history:
            shelf.compacted = shelf.history[-self.max_history - 1].version
            del shelf.history[: -self.max_history]
        for listener in shelf.listeners:
            listener.set()


def timestamp() -> str:
    """Now, as Kubernetes writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
