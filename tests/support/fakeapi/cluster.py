"""The verbs, without HTTP: what a request does to the stored objects, or why it is refused."""

from __future__ import annotations

import copy
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

import orjson
from tests.support.fakeapi import answers, managers
from tests.support.fakeapi.answers import Refusal
from tests.support.fakeapi.counters import Counters
from tests.support.fakeapi.kinds import BUILT_IN, Kind, model_deployments
from tests.support.fakeapi.managers import Manager, Shares
from tests.support.fakeapi.patches import PatchFailed, json_patch, merge_patch
from tests.support.fakeapi.storage import Storage, timestamp

from plimsoll.kube.resources import Key, Resource

Json: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Target:
    """What a request addresses, and as whom. Only what came over HTTP is counted."""

    kind: Kind
    namespace: str
    name: str = ""
    subresource: str = ""
    manager: str = "unknown"
    dry_run: bool = False
    counted: bool = False

    @property
    def key(self) -> Key:
        return self.namespace, self.name

    @property
    def resource(self) -> Resource:
        return self.kind.resource

    def who(self, operation: str) -> Manager:
        return Manager(self.manager, operation, self.resource.api_version, self.subresource)


class Cluster:
    """All objects of one fake cluster.

    Attributes:
        kinds: Kinds served, by (group, version, plural); ours and the built-in ones are always among them.
        terminating: Namespaces in which nothing can be created.
    """

    def __init__(self, kinds: Iterable[Kind] = (), *, max_history: int = 50_000) -> None:
        self.storage = Storage(max_history=max_history)
        self.counters = Counters()
        self.terminating: set[str] = set()
        self.kinds = {_address(kind.resource): kind for kind in (*BUILT_IN, model_deployments(), *kinds)}

    # ---- for tests: the same, as somebody else ----
    def add(self, resource: Resource, obj: Json, *, manager: str = "somebody") -> Json:
        """Creates an object."""
        target = Target(self.kind(resource), obj["metadata"].get("namespace", ""), manager=manager)
        return self.create(target, copy.deepcopy(obj))

    def find(self, resource: Resource, namespace: str, name: str) -> Json | None:
        """A copy of the object, or `None`."""
        return self.storage.get(resource, (namespace, name))

    def all(self, resource: Resource, namespace: str | None = None) -> list[Json]:
        """Copies of all objects, by key."""
        found = [self.storage.get(resource, key) for key, _ in self.storage.select(resource, namespace)]
        return [obj for obj in found if obj is not None]

    def change(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        edit: Callable[[Json], Any],
        *,
        subresource: str = "",
        manager: str = "somebody",
    ) -> Json:
        """Edits an object in place, as an update by `manager`."""
        target = Target(self.kind(resource), namespace, name, subresource, manager)
        obj = self.get(target)
        edit(obj)
        return self.update(target, obj)

    def drop(self, resource: Resource, namespace: str, name: str) -> None:
        """Deletes an object."""
        self.delete(Target(self.kind(resource), namespace, name), {})

    def kind(self, resource: Resource) -> Kind:
        """The kind served as that resource."""
        return self.kinds[_address(resource)]

    # ---- verbs ----
    def get(self, target: Target) -> Json:
        """The object, or its scale."""
        obj = self.storage.get(target.resource, target.key)
        if obj is None:
            raise answers.not_found(target.resource, target.name)
        return _scale_of(obj) if target.subresource == "scale" else obj

    def create(self, target: Target, obj: Json) -> Json:
        """POST."""
        kind, metadata = target.kind, obj.setdefault("metadata", {})
        if not metadata.get("name") and metadata.get("generateName"):
            metadata["name"] = metadata["generateName"] + uuid.uuid4().hex[:5]
        _check_identity(target, obj, name=metadata.get("name", ""))
        if metadata.get("resourceVersion"):
            raise answers.bad_request("resourceVersion should not be set on objects to be created")
        key = (target.namespace, metadata["name"])
        if self.storage.get(kind.resource, key):
            raise answers.already_exists(kind.resource, metadata["name"])
        if kind.status and kind.resource.kind not in {"Pod", "Namespace"}:
            obj.pop("status", None)
        obj["apiVersion"], obj["kind"] = kind.resource.api_version, kind.resource.kind
        shares = managers.update({"metadata": {}}, obj, target.who("Update"), kind.node)
        return self._store(target, None, obj, shares)

    def update(self, target: Target, obj: Json) -> Json:
        """PUT, of the object or of a subresource."""
        old = self._current(target, obj.get("metadata") or {})
        if target.subresource == "scale":
            new = _with_replicas(old, obj)
            return _scale_of(self._replace(target, old, new))
        _check_identity(target, obj, name=target.name)
        if not target.kind.unconditional and not obj["metadata"].get("resourceVersion"):
            raise answers.invalid(
                target.resource, target.name, "metadata.resourceVersion", "must be specified for an update"
            )
        return self._replace(target, old, obj)

    def patch(self, target: Target, content_type: str, body: Any) -> Json:
        """A merge patch or a JSON patch. Strategic merge is not offered: our code must not use it."""
        old = self.get(target)
        if content_type == "application/merge-patch+json":
            new = merge_patch(old, body)
        elif content_type == "application/json-patch+json":
            try:
                new = json_patch(old, body)
            except PatchFailed as error:
                raise Refusal(422, "Invalid", f"the server rejected our request due to an error: {error}") from error
        else:
            raise Refusal(415, "UnsupportedMediaType", f"the body has an unknown format {content_type}")
        if target.subresource == "scale":
            return self.update(target, new)
        self._current(target, new["metadata"])
        return self._replace(target, old, new)

    def apply(self, target: Target, config: Json, *, force: bool) -> Json:
        """Server-side apply."""
        metadata = config.get("metadata") or {}
        _check_identity(target, config, name=target.name)
        if metadata.get("managedFields"):
            raise answers.bad_request("metadata.managedFields must be nil")
        old = self.storage.get(target.resource, target.key)
        if old is None:
            self._may_not_exist(target, metadata)
        else:
            self._current(target, metadata)
        live = old or {
            "metadata": {"name": target.name, **({"namespace": target.namespace} if target.namespace else {})}
        }
        config = _only(config, target)
        merged, shares, conflicts = managers.apply(live, config, target.who("Apply"), target.kind.node, force=force)
        if conflicts:
            raise answers.field_conflicts(conflicts)
        head = {"apiVersion": target.resource.api_version, "kind": target.resource.kind}
        return self._store(target, old, {**head, **merged}, shares)

    def delete(self, target: Target, options: Json) -> Json:
        """DELETE; owned objects go at once, as in the background of a real cluster."""
        obj = self.get(target)
        metadata = obj["metadata"]
        for what, wanted in (options.get("preconditions") or {}).items():
            if wanted and metadata[what] != wanted:
                raise answers.precondition(target.resource, target.name, what.upper(), wanted, metadata[what])
        if target.dry_run:
            return obj
        self._count(target, "delete", changed=True)
        if metadata.get("finalizers"):
            if "deletionTimestamp" not in metadata:
                metadata["deletionTimestamp"] = timestamp()
                self.storage.put(target.resource, obj)
            return obj
        self.storage.remove(target.resource, target.key)
        self.collect()
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Success",
            "details": {"name": target.name, "kind": target.resource.plural, "uid": metadata["uid"]},
        }

    def collect(self) -> None:
        """Garbage collection: objects all of whose owners are gone."""
        while orphans := self.storage.orphans():
            for resource, key in orphans:
                if self.storage.get(resource, key):
                    self.storage.remove(resource, key)

    # ---- how an object is stored ----
    def _current(self, target: Target, given: Json) -> Json:
        old = self.storage.get(target.resource, target.key)
        if old is None:
            raise answers.not_found(target.resource, target.name)
        if given.get("uid") and given["uid"] != old["metadata"]["uid"]:
            raise answers.precondition(target.resource, target.name, "UID", given["uid"], old["metadata"]["uid"])
        if given.get("resourceVersion") and given["resourceVersion"] != old["metadata"]["resourceVersion"]:
            raise answers.stale(target.resource, target.name)
        return old

    def _may_not_exist(self, target: Target, given: Json) -> None:
        if target.subresource:
            raise answers.not_found(target.resource, target.name)
        if given.get("uid"):
            raise answers.precondition(target.resource, target.name, "UID", given["uid"], "")
        if given.get("resourceVersion"):
            raise answers.stale(target.resource, target.name)

    def _replace(self, target: Target, old: Json, new: Json) -> Json:
        new = _limited_to(target, old, new)
        shares = managers.update(old, new, target.who("Update"), target.kind.node)
        return self._store(target, old, new, shares)

    def _store(self, target: Target, old: Json | None, new: Json, shares: Shares) -> Json:
        kind = target.kind
        if old is None and target.namespace in self.terminating:
            raise answers.terminating(target.resource, new["metadata"]["name"], target.namespace)
        new = orjson.loads(orjson.dumps(new))  # parts of it may be shared with `old`
        if target.subresource != "status":
            kind.default(new)
        _check_immutable(kind, old, new)
        _keep_system_metadata(kind, old, new)
        before = managers.shares_of(old) if old else {}
        managers.record(new, shares, before, managers.times_of(old) if old else {}, timestamp())
        new = {"apiVersion": kind.resource.api_version, "kind": kind.resource.kind, **_without_head(new)}
        changed = new != old
        self._count(target, "write", changed=changed)
        if target.dry_run or not changed:
            return new
        metadata = new["metadata"]
        if "deletionTimestamp" in metadata and not metadata.get("finalizers"):
            self.storage.put(kind.resource, new)
            self.storage.remove(kind.resource, target.key)
        else:
            new = self.storage.put(kind.resource, new)
        if old is None and metadata.get("ownerReferences"):
            self.collect()
        return new

    def _count(self, target: Target, what: str, *, changed: bool) -> None:
        if not target.counted:
            return
        suffix = f"/{target.subresource}" if target.subresource else ""
        counter = self.counters.changes if changed and not target.dry_run else self.counters.noops
        counter[f"{what} {target.resource.kind}{suffix}"] += 1


def _address(resource: Resource) -> tuple[str, str, str]:
    return resource.group, resource.version, resource.plural


def _without_head(obj: Json) -> Json:
    return {name: value for name, value in obj.items() if name not in {"apiVersion", "kind"}}


def _check_identity(target: Target, obj: Json, *, name: str) -> None:
    metadata = obj.get("metadata") or {}
    if not name:
        raise answers.invalid(target.resource, "", "metadata.name", "Required value: name or generateName is required")
    if metadata.get("name") != name:
        raise answers.bad_request(f"the name of the object ({metadata.get('name')}) does not match the URL ({name})")
    if target.resource.namespaced and metadata.setdefault("namespace", target.namespace) != target.namespace:
        raise answers.bad_request(
            "the namespace of the provided object does not match the namespace sent on the request"
        )
    wanted = (target.resource.api_version, target.resource.kind)
    found = (obj.get("apiVersion") or wanted[0], obj.get("kind") or wanted[1])
    if found != wanted:
        raise answers.bad_request(f"the object provided is {found}, the endpoint serves {wanted}")


def _limited_to(target: Target, old: Json, new: Json) -> Json:
    """The part of an update that its endpoint takes: status alone, or everything but status."""
    if target.subresource == "status":
        return {**_without(old, "status"), **({"status": new["status"]} if "status" in new else {})}
    if target.kind.status and target.subresource != "scale":
        return {**_without(new, "status"), **({"status": old["status"]} if "status" in old else {})}
    return new


def _only(config: Json, target: Target) -> Json:
    if target.subresource == "status":
        return {"metadata": {}, **({"status": config["status"]} if "status" in config else {})}
    return _without(config, "status") if target.kind.status else config


def _without(obj: Json, name: str) -> Json:
    return {key: value for key, value in obj.items() if key != name}


def _check_immutable(kind: Kind, old: Json | None, new: Json) -> None:
    for path in kind.immutable if old else ():
        was: Any = old
        is_now: Any = new
        for part in path:
            was, is_now = (was or {}).get(part), (is_now or {}).get(part)
        if was != is_now:
            raise answers.invalid(kind.resource, new["metadata"]["name"], ".".join(path), "field is immutable")


def _keep_system_metadata(kind: Kind, old: Json | None, new: Json) -> None:
    metadata = new["metadata"]
    if old is None:
        for name in ("uid", "resourceVersion", "creationTimestamp", "deletionTimestamp"):
            metadata.pop(name, None)
        if kind.generation:
            metadata["generation"] = 1
        return
    was = old["metadata"]
    for name in ("uid", "resourceVersion", "creationTimestamp", "deletionTimestamp", "generation"):
        metadata.pop(name, None)
        if name in was:
            metadata[name] = was[name]
    for part in ("labels", "annotations", "finalizers", "ownerReferences"):
        if not metadata.get(part):
            metadata.pop(part, None)
    if kind.generation and _intent(old) != _intent(new):
        metadata["generation"] = was.get("generation", 1) + 1


def _intent(obj: Json) -> Json:
    return {name: value for name, value in obj.items() if name not in {"metadata", "status", "apiVersion", "kind"}}


def _scale_of(obj: Json) -> Json:
    status = obj.get("status") or {}
    metadata = {key: obj["metadata"].get(key) for key in ("name", "namespace", "uid", "resourceVersion")}
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": metadata,
        "spec": {"replicas": obj.get("spec", {}).get("replicas", 0)},
        "status": {"replicas": status.get("replicas", 0), "selector": status.get("selector", "")},
    }


def _with_replicas(old: Json, scale: Json) -> Json:
    new = copy.deepcopy(old)
    new.setdefault("spec", {})["replicas"] = scale.get("spec", {}).get("replicas", 0)
    return new
