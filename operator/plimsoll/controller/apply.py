"""Apply: performs a plan's actions in order, each idempotent, and says in the operator's own words why one failed."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any, TypeAlias

from plimsoll.api.base import API_VERSION, KIND
from plimsoll.controller.observe import Stores
from plimsoll.controller.projection import project_revision
from plimsoll.core.actions import Apply, ChildKind, Create, Delete, Scale, WriteStatus
from plimsoll.core.names import FIELD_MANAGER, SCALE_MANAGER, STATUS_MANAGER
from plimsoll.core.ownership import name_conflict
from plimsoll.core.world import Observed
from plimsoll.errors import Invalid, NotYet
from plimsoll.kube.client import Client
from plimsoll.kube.errors import Conflict, Forbidden, NotFound, ServerError, Unprocessable
from plimsoll.kube.resources import (
    CONFIGMAPS,
    CONTROLLERREVISIONS,
    DEPLOYMENTS,
    JOBS,
    MODELDEPLOYMENTS,
    PODS,
    SERVICES,
    JsonObject,
    Key,
    Resource,
    key_of,
)
from plimsoll.kube.writes import OwnWrites
from plimsoll.monitoring.metrics import WRITES

_log = logging.getLogger(__name__)

Write: TypeAlias = Create | Apply | Scale | Delete | WriteStatus
"""The actions that are requests to the API server."""

_RESOURCES = {
    ChildKind.CONTROLLER_REVISION: CONTROLLERREVISIONS,
    ChildKind.DEPLOYMENT: DEPLOYMENTS,
    ChildKind.SERVICE: SERVICES,
    ChildKind.JOB: JOBS,
    ChildKind.CONFIG_MAP: CONFIGMAPS,
    ChildKind.POD: PODS,
}


class Applier:
    """Writes for one controller.

    Args:
        client: The API server.
        stores: Caches; what a write returned enters them at once.
        writes: Remembers what the caches have yet to see.
    """

    def __init__(self, client: Client, stores: Stores, writes: OwnWrites) -> None:
        self._client = client
        self._stores = stores.by_resource()
        self._writes = writes

    async def apply(self, observed: Observed, actions: Iterable[Write]) -> int:
        """Performs the actions in order and returns how many there were.

        Raises:
            Invalid: the user must act (a name is taken, a manifest is refused).
            NotYet: it may pass by itself (a quota).
            NamespaceTerminating: nothing can and need be done.
            ApiError: an outage, or a race that the next attempt settles.
        """
        metadata = observed.object.metadata
        owner = (metadata.namespace, metadata.name)
        count = 0
        for action in actions:
            try:
                await self._perform(observed, owner, action)
            except Forbidden as error:
                raise _forbidden(error) from error
            except Unprocessable as error:
                raise Invalid("ManifestRefused", f"The API server refuses a manifest: {error.message}") from error
            except ServerError as error:
                if not isinstance(action, Create):
                    raise
                # Some refusals come as 500, for example a Service range that is full: told, and tried again.
                raise NotYet("ApiServerError", f"The API server fails to create an object: {error.message}") from error
            count += 1
            _log.info(
                "action.performed",
                extra={"namespace": owner[0], "model": owner[1], "action": type(action).__name__, "why": action.why},
            )
        return count

    async def _perform(self, observed: Observed, owner: Key, action: Write) -> None:
        match action:
            case Create():
                await self._create(owner, _RESOURCES[action.kind], action)
            case Apply():
                await self._write(owner, _RESOURCES[action.kind], action.manifest, FIELD_MANAGER)
            case Scale():
                await self._write(owner, DEPLOYMENTS, action.manifest, SCALE_MANAGER)
            case Delete():
                await self._delete(owner, _RESOURCES[action.kind], action)
            case WriteStatus():
                await self._write_status(observed, owner, action)

    async def _create(self, owner: Key, resource: Resource, action: Create) -> None:
        """Server-side apply would quietly merge into an existing object, so the name is looked up first.

        Without force, so that an object made by somebody else in between is a conflict rather than a take-over. With
        force where the object is ours already: somebody took the labels away by which it is watched.
        """
        namespace, name = key_of(action.manifest)
        try:
            existing = await self._client.get(resource, namespace, name)
        except NotFound:
            await self._write(owner, resource, action.manifest, FIELD_MANAGER, force=False)
            return
        if _owner_uid(existing) != _owner_uid(action.manifest):
            raise Invalid("NameConflict", name_conflict(resource.kind, name))
        if resource is CONTROLLERREVISIONS and project_revision(existing) is None:
            raise Invalid("RevisionDamaged", _damaged(name))
        if _has_labels_of(action.manifest, existing):
            self._seen(owner, resource, existing)  # the caches are late
        else:
            await self._write(owner, resource, _keeping_replicas(action.manifest, existing), FIELD_MANAGER)

    async def _write(
        self, owner: Key, resource: Resource, manifest: JsonObject, manager: str, *, force: bool = True
    ) -> None:
        written = await self._client.apply(resource, manifest, manager=manager, force=force)
        WRITES.labels(kind=resource.kind, verb="apply").inc()
        self._seen(owner, resource, written)

    def _seen(self, owner: Key, resource: Resource, obj: JsonObject) -> None:
        self._stores[resource].put_if_newer(obj)
        self._writes.wrote(owner, resource, key_of(obj), obj["metadata"]["resourceVersion"])

    async def _delete(self, owner: Key, resource: Resource, action: Delete) -> None:
        key = (owner[0], action.name)
        last_version = str(self._stores[resource].version_of(key))
        try:
            await self._client.delete(resource, owner[0], action.name, uid=action.uid)
        except (NotFound, Conflict):
            return  # gone, or another object by now: the caches will tell
        WRITES.labels(kind=resource.kind, verb="delete").inc()
        self._writes.deleted(owner, resource, key, last_version)

    async def _write_status(self, observed: Observed, owner: Key, action: WriteStatus) -> None:
        """Writes status as of the version that was planned from: a spec edited meanwhile is planned first."""
        metadata = observed.object.metadata
        body: dict[str, Any] = {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": {
                "name": metadata.name,
                "namespace": metadata.namespace,
                "uid": metadata.uid,
                "resourceVersion": metadata.resource_version,
            },
            "status": action.status.model_dump(mode="json", by_alias=True, exclude_none=True),
        }
        written = await self._client.apply(
            MODELDEPLOYMENTS, body, manager=STATUS_MANAGER, force=True, subresource="status"
        )
        WRITES.labels(kind=KIND, verb="status").inc()
        self._seen(owner, MODELDEPLOYMENTS, written)


class NamespaceTerminating(Exception):  # noqa: N818 - an end, not an error
    """The namespace is being deleted, and with it everything of ours."""


def _owner_uid(obj: JsonObject) -> str:
    owners = obj["metadata"].get("ownerReferences") or []
    return next((owner["uid"] for owner in owners if owner.get("controller")), "")


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
