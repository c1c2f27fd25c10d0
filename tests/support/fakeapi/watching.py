"""Watch streams: replay, bookmarks, 410, and the ways in which real streams end."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import orjson
from aiohttp import web
from tests.support.fakeapi import answers
from tests.support.fakeapi.forms import Form, whole
from tests.support.fakeapi.selectors import Matches
from tests.support.fakeapi.storage import Change, Storage

from plimsoll.kube.resources import Resource

Json: TypeAlias = dict[str, Any]

BATCH = 500
"""Events written at once."""


@dataclass(eq=False)
class Stream:
    """One open watch."""

    resource: Resource
    namespace: str
    matches: Matches
    position: int
    bookmarks: bool
    ends_at: float
    form: Form = whole
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    cut: bool = False
    error: Json | None = None
    bookmarked_at: float = field(default_factory=time.monotonic)


class Watches:
    """All open watches, and how they behave.

    Attributes:
        bookmark_s: Seconds between bookmarks; a real server takes about 60.
        delay_s: Events are delivered this much later.
        held: Kinds whose streams are silent until released, bookmarks included.
        open: Streams now open.
    """

    def __init__(self, storage: Storage) -> None:
        self.bookmark_s = 60.0
        self.delay_s = 0.0
        self.held: set[Resource] = set()
        self.open: set[Stream] = set()
        self._storage = storage

    def hold(self, resource: Resource) -> None:
        """Silences the watches of a kind."""
        self.held.add(resource)

    def release(self, resource: Resource) -> None:
        """Lets them speak again."""
        self.held.discard(resource)
        self._wake(resource)

    def cut(self, resource: Resource | None = None) -> None:
        """Breaks the connections of open watches."""
        for stream in self._of(resource):
            stream.cut = True
        self._wake(resource)

    def fail(self, status: int, reason: str = "InternalError", resource: Resource | None = None) -> None:
        """Sends an ERROR event on open watches and ends them."""
        for stream in self._of(resource):
            stream.error = answers.Refusal(status, reason, "injected").status
        self._wake(resource)

    async def serve(self, stream: Stream, response: web.StreamResponse, request: web.Request) -> None:
        """Writes events until the stream ends."""
        shelf = self._storage.shelf(stream.resource)
        shelf.listeners.add(stream.wake)
        self.open.add(stream)
        try:
            await self._serve(stream, response)
        finally:
            shelf.listeners.discard(stream.wake)
            self.open.discard(stream)
        if stream.cut and request.transport:
            request.transport.abort()

    async def _serve(self, stream: Stream, response: web.StreamResponse) -> None:
        while not stream.cut:
            stream.wake.clear()
            if stream.error:
                await response.write(_line("ERROR", orjson.dumps(stream.error)))
                return
            if stream.resource not in self.held:
                if stream.position < self._storage.shelf(stream.resource).compacted:
                    status = answers.expired(f"too old resource version: {stream.position}").status
                    await response.write(_line("ERROR", orjson.dumps(status)))
                    return
                if await self._deliver(stream, response):
                    continue
                await self._bookmark(stream, response)
            if time.monotonic() >= stream.ends_at:
                return
            await _wait(stream.wake, self._pause_s(stream))

    async def _deliver(self, stream: Stream, response: web.StreamResponse) -> bool:
        due = time.monotonic() - self.delay_s
        changes = [c for c in self._storage.shelf(stream.resource).since(stream.position)[:BATCH] if c.at <= due]
        if not changes:
            return False
        lines = [line for change in changes if (line := _event(stream, change))]
        stream.position = changes[-1].version
        if lines:
            await response.write(b"".join(lines))
        return True

    async def _bookmark(self, stream: Stream, response: web.StreamResponse) -> None:
        now = time.monotonic()
        if not stream.bookmarks or (now - stream.bookmarked_at < self.bookmark_s and now < stream.ends_at):
            return
        stream.bookmarked_at = now
        if not self._storage.shelf(stream.resource).since(stream.position):
            stream.position = self._storage.version
        obj = {
            "kind": stream.resource.kind,
            "apiVersion": stream.resource.api_version,
            "metadata": {"resourceVersion": str(stream.position), "creationTimestamp": None},
        }
        await response.write(_line("BOOKMARK", orjson.dumps(obj)))

    def _pause_s(self, stream: Stream) -> float:
        now = time.monotonic()
        pause = min(stream.ends_at - now, stream.bookmarked_at + self.bookmark_s - now)
        waiting = self._storage.shelf(stream.resource).since(stream.position)
        if waiting and stream.resource not in self.held:
            pause = min(pause, waiting[0].at + self.delay_s - now)
        return max(0.005, pause)

    def _of(self, resource: Resource | None) -> list[Stream]:
        return [stream for stream in self.open if resource in {None, stream.resource}]

    def _wake(self, resource: Resource | None) -> None:
        for stream in self._of(resource):
            stream.wake.set()


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass


def _event(stream: Stream, change: Change) -> bytes | None:
    """The event as this stream sees it: leaving its selection is a deletion, entering it an addition."""
    if stream.namespace and orjson.loads(change.new.raw)["metadata"]["namespace"] != stream.namespace:
        return None
    was = change.old_labels is not None and stream.matches(change.old_labels)
    is_now = not change.deleted and stream.matches(change.new.labels)
    if not was and not is_now:
        return None
    return _line("MODIFIED" if was and is_now else "ADDED" if is_now else "DELETED", stream.form(change.new.raw))


def _line(kind: str, raw: bytes) -> bytes:
    return b'{"type":"%s","object":%s}\n' % (kind.encode(), raw)
