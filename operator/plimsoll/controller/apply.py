"""Apply: performs the actions of a ModelDeployment's plan in order, each idempotent."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any, TypeAlias

from plimsoll.api.base import API_VERSION, KIND
from plimsoll.controller.observe import Stores
from plimsoll.controller.writer import Belonging, ObjectWrite, Writer, in_our_words
from plimsoll.core.actions import Create, WriteStatus
from plimsoll.core.names import STATUS_MANAGER
from plimsoll.core.ownership import name_conflict
from plimsoll.core.world import Observed
from plimsoll.kube.client import Client
from plimsoll.kube.resources import MODELDEPLOYMENTS, JsonObject, Key
from plimsoll.kube.writes import OwnWrites

_log = logging.getLogger(__name__)

Write: TypeAlias = ObjectWrite | WriteStatus
"""The actions that are requests to the API server."""


class Applier:
    """Writes for one controller.

    Args:
        client: The API server.
        stores: Caches; what a write returned enters them at once.
        writes: Remembers what the caches have yet to see.
    """

    def __init__(self, client: Client, stores: Stores, writes: OwnWrites) -> None:
        self._writer = Writer(client, stores.by_resource(), writes, Belonging(_same_owner, name_conflict))

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
            with in_our_words(creating=isinstance(action, Create)):
                await self._perform(observed, owner, action)
            count += 1
            _log.info(
                "action.performed",
                extra={"namespace": owner[0], "model": owner[1], "action": type(action).__name__, "why": action.why},
            )
        return count

    async def _perform(self, observed: Observed, owner: Key, action: Write) -> None:
        if isinstance(action, WriteStatus):
            await self._write_status(observed, owner, action)
        else:
            await self._writer.perform(owner, action)

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
        await self._writer.apply(owner, MODELDEPLOYMENTS, body, STATUS_MANAGER, subresource="status")


def _owner_uid(obj: JsonObject) -> str:
    owners = obj["metadata"].get("ownerReferences") or []
    return next((owner["uid"] for owner in owners if owner.get("controller")), "")


def _same_owner(existing: JsonObject, manifest: JsonObject) -> bool:
    return _owner_uid(existing) == _owner_uid(manifest)
