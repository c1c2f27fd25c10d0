"""Performs actions upon objects: each is one idempotent request, and a refusal is said in the operator's own words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeAlias

from plimsoll.controller.projection import project_revision
from plimsoll.core.actions import Apply, ChildKind, Create, Delete, Mark, MarkPod, Scale
from plimsoll.core.names import FIELD_MANAGER, MARK_MANAGER, SCALE_MANAGER
from plimsoll.errors import Invalid, NotYet
from plimsoll.kube.client import Client
from plimsoll.kube.errors import Conflict, Forbidden, NotFound, ServerError, Unprocessable
from plimsoll.kube.resources import (
    CONFIGMAPS,
    CONTROLLERREVISIONS,
    DEPLOYMENTS,
    JOBS,
    NETWORKPOLICIES,
    PODDISRUPTIONBUDGETS,
    PODS,
    ROLEBINDINGS,
    SERVICEACCOUNTS,
    SERVICES,
    JsonObject,
    Key,
    Resource,
    key_of,
)
from plimsoll.kube.store import Store
from plimsoll.kube.writes import OwnWrites
from plimsoll.monitoring.metrics import WRITES

ObjectWrite: TypeAlias = Create | Apply | Scale | Mark | MarkPod | Delete
"""The actions upon one object that is not a ModelDeployment."""

RESOURCES: Mapping[ChildKind, Resource] = {
    ChildKind.CONTROLLER_REVISION: CONTROLLERREVISIONS,
    ChildKind.DEPLOYMENT: DEPLOYMENTS,
    ChildKind.SERVICE: SERVICES,
    ChildKind.JOB: JOBS,
    ChildKind.CONFIG_MAP: CONFIGMAPS,
    ChildKind.POD: PODS,
    ChildKind.SERVICE_ACCOUNT: SERVICEACCOUNTS,
    ChildKind.ROLE_BINDING: ROLEBINDINGS,
    ChildKind.POD_DISRUPTION_BUDGET: PODDISRUPTIONBUDGETS,
    ChildKind.NETWORK_POLICY: NETWORKPOLICIES,
}


class NamespaceTerminating(Exception):  # noqa: N818 - an end, not an error
    """The namespace is being deleted, and with it everything of ours."""


class Belonging(NamedTuple):
    """How to tell a stranger's object under a name that is needed.

    Attributes:
        ours: Whether an existing object may become what the manifest says: called with both.
        conflict: The message where it may not: called with kind and name.
    """

    ours: Callable[[JsonObject, JsonObject], bool]
    conflict: Callable[[str, str], str]


class Writer:
    """Writes objects for one loop of the controller.

    Args:
        client: The API server.
        stores: Caches; what a write returned enters them at once. Kinds without one are written all the same.
        writes: Remembers what the caches have yet to see.
        belonging: Tells strangers.
    """

    def __init__(
        self, client: Client, stores: Mapping[Resource, Store[Any]], writes: OwnWrites, belonging: Belonging
    ) -> None:
        self._client = client
        self._stores = stores
        self._writes = writes
        self._belonging = belonging

    async def perform(self, owner: Key, action: ObjectWrite) -> JsonObject | None:
        """Performs one action for `owner`; returns the object as it then is, None when it is gone.

        Raises:
            Invalid: a name is taken.
            ApiError: as the API server answers; `in_our_words` turns refusals into outcomes.
        """
        match action:
            case Create():
                return await self._create(owner, RESOURCES[action.kind], action)
            case Apply():
                return await self.apply(owner, RESOURCES[action.kind], action.manifest, FIELD_MANAGER)
            case Scale():
                return await self.apply(owner, DEPLOYMENTS, action.manifest, SCALE_MANAGER)
            case Mark():
                return await self.apply(owner, DEPLOYMENTS, action.manifest, MARK_MANAGER)
            case MarkPod():
                return await self._mark_pod(owner, action)
            case Delete():
                await self._delete(owner, RESOURCES[action.kind], action)
                return None

    async def apply(
        self,
        owner: Key,
        resource: Resource,
        manifest: JsonObject,
        manager: str,
        *,
        force: bool = True,
        subresource: str | None = None,
    ) -> JsonObject:
        """Server-side apply for `owner`; returns the object.

        Raises:
            ApiError: as `Client.apply`.
        """
        written = await self._client.apply(resource, manifest, manager=manager, force=force, subresource=subresource)
        WRITES.labels(kind=resource.kind, verb=subresource or "apply").inc()
        return self._seen(owner, resource, written)

    async def _create(self, owner: Key, resource: Resource, action: Create) -> JsonObject:
        """Server-side apply would quietly merge into an existing object, so the name is looked up first.

        Without force, so that an object made by somebody else in between is a conflict rather than a take-over. With
        force where the object is ours already: somebody took the labels away by which it is watched.
        """
        namespace, name = key_of(action.manifest)
        try:
            existing = await self._client.get(resource, namespace, name)
        except NotFound:
            return await self.apply(owner, resource, action.manifest, FIELD_MANAGER, force=False)
        if not self._belonging.ours(existing, action.manifest):
            raise Invalid("NameConflict", self._belonging.conflict(resource.kind, name))
        if resource is CONTROLLERREVISIONS and project_revision(existing) is None:
            raise Invalid("RevisionDamaged", _damaged(name))
        if _has_labels_of(action.manifest, existing):
            return self._seen(owner, resource, existing)  # the caches are late
        return await self.apply(owner, resource, _keeping_replicas(action.manifest, existing), FIELD_MANAGER)

    async def _mark_pod(self, owner: Key, action: MarkPod) -> JsonObject | None:
        try:
            return await self.apply(owner, PODS, action.manifest, MARK_MANAGER)
        except (NotFound, Conflict):
            return None  # gone, or another pod by now: the caches will tell

    def _seen(self, owner: Key, resource: Resource, obj: JsonObject) -> JsonObject:
        if resource in self._stores:
            self._stores[resource].put_if_newer(obj)
        self._writes.wrote(owner, resource, key_of(obj), obj["metadata"]["resourceVersion"])
        return obj

    async def _delete(self, owner: Key, resource: Resource, action: Delete) -> None:
        key = (owner[0], action.name)
        last_version = str(self._stores[resource].version_of(key)) if resource in self._stores else ""
        try:
            await self._client.delete(resource, owner[0], action.name, uid=action.uid)
        except (NotFound, Conflict):
            return  # gone, or another object by now: the caches will tell
        WRITES.labels(kind=resource.kind, verb="delete").inc()
        self._writes.deleted(owner, resource, key, last_version)


@contextmanager
def in_our_words(*, creating: bool) -> Iterator[None]:
    """Turns what the API server refuses into outcomes; outages and races pass as they are.

    Raises:
        Invalid: the user must act (a manifest is refused).
        NotYet: it may pass by itself (a quota).
        NamespaceTerminating: nothing can and need be done.
    """
    try:
        yield
    except Forbidden as error:
        raise _forbidden(error) from error
    except Unprocessable as error:
        raise Invalid("ManifestRefused", f"The API server refuses a manifest: {error.message}") from error
    except ServerError as error:
        if not creating:
            raise
        # Some refusals come as 500, for example a Service range that is full: told, and tried again.
        raise NotYet("ApiServerError", f"The API server fails to create an object: {error.message}") from error


def _has_labels_of(manifest: JsonObject, existing: JsonObject) -> bool:
    wanted: dict[str, str] = manifest["metadata"]["labels"]
    return wanted.items() <= (existing["metadata"].get("labels") or {}).items()


def _keeping_replicas(manifest: JsonObject, existing: JsonObject) -> JsonObject:
    """Leaves a Deployment's replicas as they are: stating the present value takes them from nobody."""
    if "replicas" not in existing.get("spec", {}):
        return manifest
    return {**manifest, "spec": {**manifest["spec"], "replicas": existing["spec"]["replicas"]}}


def _damaged(name: str) -> str:
    return (
        f"ControllerRevision {name} holds data that this version of the operator cannot read, and data cannot be "
        "changed; delete it, it is made again"
    )


def _forbidden(error: Forbidden) -> Exception:
    if error.namespace_terminating:
        return NamespaceTerminating(error.message)
    if error.quota_exceeded:
        return NotYet("QuotaExceeded", f"{error.message}; raise the ResourceQuota or remove what is not needed")
    return NotYet("Forbidden", f"The API server forbids a write: {error.message}")
