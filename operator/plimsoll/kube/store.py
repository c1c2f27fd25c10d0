"""What we know about one kind: the newest version of every object, projected, found by key and by owner.

Written by a reflector and by the responses of our own writes, so one rule decides what enters: only a newer
resourceVersion. A deletion leaves a tombstone, otherwise the late response of a write would bring the object back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Generic, NamedTuple, TypeVar

from plimsoll.kube.resources import JsonObject, Key, key_of, version_number

T = TypeVar("T")

MAX_TOMBSTONES = 10_000
"""Deletions remembered: they matter for the seconds a response is late, and 10,000 cost about 1 MB."""


class Change(NamedTuple):
    """An object appeared, changed in what its projection shows, or went away.

    `owner` is what the index function says; when an object changes hands both owners are told.
    """

    namespace: str
    name: str
    owner: Key | None


def owner_by_label(label: str) -> Callable[[JsonObject], Key | None]:
    """An index function: the owner has the object's namespace and the label's value as its name."""

    def owner(obj: JsonObject) -> Key | None:
        metadata = obj["metadata"]
        name = (metadata.get("labels") or {}).get(label)
        return (metadata.get("namespace", ""), name) if name else None

    return owner


def itself(obj: JsonObject) -> Key | None:
    """An index function for the primary kind: every object is its own owner."""
    return key_of(obj)


class _Entry(Generic[T]):
    """One object as kept."""

    __slots__ = ("owner", "uid", "value", "version")

    def __init__(self, version: int, uid: str, owner: Key | None, value: T) -> None:
        self.version = version
        self.uid = uid
        self.owner = owner
        self.value = value


class Store(Generic[T]):
    """Objects of one kind.

    Args:
        project: Makes the kept value from the decoded object, once per version. It should be small, comparable, and
            leave out what changes without meaning (resourceVersion, managedFields): subscribers are told only when
            the projection differs.
        index: The owner to be planned when the object changes, or `None` if nobody is.
    """

    def __init__(self, project: Callable[[JsonObject], T], index: Callable[[JsonObject], Key | None]) -> None:
        self._project = project
        self._index = index
        self._entries: dict[Key, _Entry[T]] = {}
        # Tuples, not sets: an owner has about four children, and 20,000 small sets would cost 4 MB.
        self._owned: dict[Key, tuple[Key, ...]] = {}
        self._tombstones: dict[Key, int] = {}
        self._listed_at = 0
        self._subscribers: list[Callable[[Change], None]] = []

    # ---- reading ----
    def get(self, key: Key) -> T | None:
        """The object, or `None`."""
        entry = self._entries.get(key)
        return entry.value if entry else None

    def owned_by(self, owner: Key) -> list[T]:
        """Objects whose index is `owner`, in the order of their keys."""
        return [self._entries[key].value for key in sorted(self._owned.get(owner, ()))]

    def keys(self) -> Iterable[Key]:
        """All keys, a view: do not await while iterating."""
        return self._entries.keys()

    def owners(self) -> Iterable[Key]:
        """Everything that owns something, a view: do not await while iterating."""
        return self._owned.keys()

    def version_of(self, key: Key) -> int:
        """Newest resourceVersion known for the key, its deletion included; 0 if it was never seen."""
        entry = self._entries.get(key)
        return entry.version if entry else self._tombstones.get(key, 0)

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[T]:
        return (entry.value for entry in self._entries.values())

    # ---- writing ----
    def put_if_newer(self, obj: JsonObject) -> bool:
        """Keeps the object unless the same or a newer version (or its deletion) is known. True if it was kept.

        An object without a readable resourceVersion is kept: better shown twice than never.
        """
        key = key_of(obj)
        metadata = obj["metadata"]
        version = version_number(metadata.get("resourceVersion"))
        old = self._entries.get(key)
        if version and version <= (old.version if old else self._tombstones.get(key, 0)):
            return False
        new = _Entry(version, metadata.get("uid", ""), self._index(obj), self._project(obj))
        self._tombstones.pop(key, None)
        self._entries[key] = new
        if old is None or old.owner != new.owner:
            self._move(key, old.owner if old else None, new.owner)
        if old is None or old.uid != new.uid or old.owner != new.owner or old.value != new.value:
            self._tell(key, old.owner if old else None, new.owner)
        return True

    def delete(self, key: Key, resource_version: str) -> bool:
        """Records a deletion at that version. True if an object went away."""
        return self._delete(key, version_number(resource_version))

    def begin_replace(self, resource_version: str) -> None:
        """Starts a re-list that describes this version.

        A list older than the last one means the cluster was restored from a backup: versions known so far belong to a
        history that did not happen, so from here on everything listed counts as newer.
        """
        version = version_number(resource_version)
        if version < self._listed_at:
            self._tombstones.clear()
            for entry in self._entries.values():
                entry.version = 0
        self._listed_at = version

    def finish_replace(self, seen: set[Key], resource_version: str) -> int:
        """Ends a re-list: whatever is not newer than the list and not in it is deleted. Returns how many were."""
        version = version_number(resource_version)
        missing = [key for key, entry in self._entries.items() if key not in seen and entry.version <= version]
        for key in missing:
            self._delete(key, version)
        return len(missing)

    def _delete(self, key: Key, version: int) -> bool:
        entry = self._entries.get(key)
        if version and entry and version < entry.version:
            return False
        self._bury(key, version)
        if entry is None:
            return False
        del self._entries[key]
        self._move(key, entry.owner, None)
        self._tell(key, entry.owner, None)
        return True

    def _bury(self, key: Key, version: int) -> None:
        version = max(version, self._tombstones.pop(key, 0))
        self._tombstones[key] = version
        if len(self._tombstones) > MAX_TOMBSTONES:
            del self._tombstones[next(iter(self._tombstones))]

    def _move(self, key: Key, old: Key | None, new: Key | None) -> None:
        if old is not None:
            rest = tuple(other for other in self._owned[old] if other != key)
            if rest:
                self._owned[old] = rest
            else:
                del self._owned[old]
        if new is not None:
            self._owned[new] = (*self._owned.get(new, ()), key)

    # ---- being told ----
    def subscribe(self, callback: Callable[[Change], None]) -> None:
        """Calls back on every real change. The callback must not block and must not raise."""
        self._subscribers.append(callback)

    def _tell(self, key: Key, old: Key | None, new: Key | None) -> None:
        owners = (new,) if old is None or old == new else (old,) if new is None else (old, new)
        for owner in owners:
            change = Change(*key, owner)
            for callback in self._subscribers:
                callback(change)
