"""One method per verb, on raw JSON, for any kind.

Errors are those of `errors.py`. Retried below, a bounded number of times: 429 and 503 with a short Retry-After (nothing
was done), and broken connections when repeating is harmless. Everything else is the caller's business.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from types import TracebackType
from typing import Literal, NamedTuple, Self, TypeAlias

import orjson

from plimsoll.kube.clock import SYSTEM_CLOCK, Clock
from plimsoll.kube.connection import Connection
from plimsoll.kube.errors import ServerError, Unreachable, error_from_status
from plimsoll.kube.lines import LineSplitter
from plimsoll.kube.resources import JsonObject, Resource, key_of
from plimsoll.kube.transport import Call, ClientSettings, Transport

__all__ = ["Client", "ClientSettings", "Page", "Propagation", "WatchEvent"]

Propagation: TypeAlias = Literal["Background", "Foreground", "Orphan"]

_METADATA = "application/json;as=PartialObjectMetadata{};g=meta.k8s.io;v=v1"

WATCH_GRACE_S = 30.0
"""How much longer than asked a watch may stay open before we end it ourselves."""


class Page(NamedTuple):
    """One page of a list. `resource_version` is that of the whole list, the same on every page."""

    items: list[JsonObject]
    resource_version: str
    continue_token: str


class WatchEvent(NamedTuple):
    """`type` is ADDED, MODIFIED, DELETED or BOOKMARK; an ERROR is raised as an `ApiError` instead."""

    type: str
    object: JsonObject


class Client:
    """Use as an async context manager, or call `close`. Safe for concurrent use within one event loop."""

    def __init__(
        self, connection: Connection, settings: ClientSettings | None = None, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self._transport = Transport(connection, settings or ClientSettings(), clock)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes every connection."""
        await self._transport.close()

    async def list_pages(
        self,
        resource: Resource,
        *,
        namespace: str | None = None,
        label_selector: str | None = None,
        limit: int = 500,
        metadata_only: bool = False,
    ) -> AsyncGenerator[Page]:
        """All objects in pages of one consistent version. A compacted continue token raises `Gone`: start again.

        With `metadata_only` the server leaves everything else out, which for a large ConfigMap is nearly everything.
        The server leaves `apiVersion` and `kind` out of the items of built-in kinds; here every item carries them, so
        that an object looks the same whichever way it came.
        """
        params = {"limit": str(limit), **_selector(label_selector)}
        token = ""
        while True:
            asked = {**params, **({"continue": token} if token else {})}
            call = Call(
                "GET", resource.collection_path(namespace), asked, accept=_accept("List" if metadata_only else None)
            )
            found = await self._json(call)
            metadata, items = found.get("metadata") or {}, found.get("items") or []
            token = metadata.get("continue") or ""
            for item in items:
                item["apiVersion"], item["kind"] = resource.api_version, resource.kind
            yield Page(items, metadata.get("resourceVersion", ""), token)
            if not token:
                return

    async def watch(
        self,
        resource: Resource,
        *,
        resource_version: str,
        namespace: str | None = None,
        label_selector: str | None = None,
        metadata_only: bool = False,
        timeout_s: float,
    ) -> AsyncGenerator[WatchEvent]:
        """Changes after `resource_version`, bookmarks included, until the server ends the stream after `timeout_s`.

        The stream may also just end, at any time: that is normal, continue from the last version. Close the iterator
        (`contextlib.aclosing`) to free its connection.
        """
        params = {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(round(timeout_s)),
            **_selector(label_selector),
        }
        call = Call("GET", resource.collection_path(namespace), params, accept=_accept("" if metadata_only else None))
        splitter = LineSplitter()
        async with self._transport.open(call, total_s=timeout_s + WATCH_GRACE_S) as response:
            async for chunk in response.content.iter_any():
                for line in _lines(splitter, chunk):
                    yield _event(line)

    async def get(
        self, resource: Resource, namespace: str | None, name: str, *, metadata_only: bool = False
    ) -> JsonObject:
        """One object, or its metadata."""
        accept = _accept("" if metadata_only else None)
        return await self._json(Call("GET", resource.object_path(namespace, name), accept=accept))

    async def create(self, resource: Resource, obj: JsonObject, *, manager: str | None = None) -> JsonObject:
        """Creates the object; `AlreadyExists` if the name is taken. Not repeated once it may have been sent."""
        path = resource.collection_path(key_of(obj)[0])
        return await self._json(Call("POST", path, _manager(manager), orjson.dumps(obj), repeatable=False))

    async def replace(
        self, resource: Resource, obj: JsonObject, *, subresource: str | None = None, manager: str | None = None
    ) -> JsonObject:
        """PUT; with `metadata.resourceVersion` set, a `Conflict` means somebody else was faster.

        After a broken connection the repeat of a PUT that did take effect raises that `Conflict` too.
        """
        path = resource.object_path(*key_of(obj), subresource)
        return await self._json(Call("PUT", path, _manager(manager), orjson.dumps(obj)))

    async def apply(
        self,
        resource: Resource,
        obj: JsonObject,
        *,
        manager: str,
        force: bool,
        subresource: str | None = None,
    ) -> JsonObject:
        """Server-side apply: creates or updates exactly the fields given, as `manager`.

        `obj` needs apiVersion, kind, metadata.name (and namespace) and must not carry managedFields. With
        `metadata.uid` set nothing is created in place of a deleted object: the call fails with `Conflict`.
        With `metadata.resourceVersion` set it fails with `Conflict` when the object has moved on.
        Without `force`, fields of another manager raise `Conflict` (`field_managers`).
        """
        params = {"fieldManager": manager, "force": str(force).lower()}
        path = resource.object_path(*key_of(obj), subresource)
        return await self._json(Call("PATCH", path, params, orjson.dumps(obj), "application/apply-patch+yaml"))

    async def merge_patch(
        self, resource: Resource, namespace: str | None, name: str, patch: JsonObject, *, subresource: str | None = None
    ) -> JsonObject:
        """RFC 7386: `None` removes a field, lists are replaced whole."""
        path = resource.object_path(namespace, name, subresource)
        return await self._json(
            Call("PATCH", path, body=orjson.dumps(patch), content_type="application/merge-patch+json")
        )

    async def delete(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        *,
        uid: str | None = None,
        resource_version: str | None = None,
        propagation: Propagation = "Background",
    ) -> JsonObject:
        """Deletes if the preconditions hold (`Conflict` otherwise). Returns a Status, or the object still finishing."""
        given = {"uid": uid, "resourceVersion": resource_version}
        preconditions = {name: value for name, value in given.items() if value}
        body: JsonObject = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": propagation}
        if preconditions:
            body["preconditions"] = preconditions
        return await self._json(Call("DELETE", resource.object_path(namespace, name), body=orjson.dumps(body)))

    async def _json(self, call: Call) -> JsonObject:
        body = await self._transport.send(call)
        try:
            obj: JsonObject = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise ServerError(200, "NotJson", f"{call.method} {call.path} was not answered with JSON") from error
        return obj


def _selector(label_selector: str | None) -> dict[str, str]:
    return {"labelSelector": label_selector} if label_selector else {}


def _accept(form: str | None) -> str:
    """Returns what to accept: whole objects, or the metadata of one ("") or of a "List"."""
    return "application/json" if form is None else _METADATA.format(form)


def _manager(manager: str | None) -> dict[str, str]:
    return {"fieldManager": manager} if manager else {}


def _lines(splitter: LineSplitter, chunk: bytes) -> list[bytes]:
    try:
        return splitter.feed(chunk)
    except ValueError as error:
        raise Unreachable(str(error), sent=True) from error


def _event(line: bytes) -> WatchEvent:
    try:
        raw = orjson.loads(line)
        kind, obj = raw["type"], raw["object"]
        if kind != "ERROR":
            _ = obj["metadata"]["resourceVersion"]
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise Unreachable("The watch sent a line that is no event", sent=True) from error
    if kind == "ERROR":
        raise error_from_status(obj)
    return WatchEvent(kind, obj)
