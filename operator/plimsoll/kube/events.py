"""Kubernetes Events: what `kubectl describe` shows about an object. Best effort, never in the way.

core/v1, with `count` and `firstTimestamp`/`lastTimestamp`: that is what `kubectl describe` and `kubectl get events`
aggregate on every supported version. One (object uid, reason, message) is one Event object with a growing count.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, TypeAlias

from plimsoll.kube.client import Client
from plimsoll.kube.clock import SYSTEM_CLOCK, Clock
from plimsoll.kube.errors import AlreadyExists, ApiError, NotFound
from plimsoll.kube.resources import EVENTS, JsonObject, Key, Resource

_log = logging.getLogger(__name__)

MAX_MESSAGE = 1024
"""Kubernetes refuses longer ones."""

EventType: TypeAlias = Literal["Normal", "Warning"]


@dataclass(frozen=True, slots=True)
class Regarding:
    """The object an Event is about."""

    resource: Resource
    key: Key
    uid: str


@dataclass(frozen=True, slots=True)
class EventSettings:
    """Bounds.

    Attributes:
        component: Who reports, shown in the FROM column.
        instance: Which process reports (the pod's name).
        per_object_burst: Distinct Events one object may cause at once.
        per_object_refill_s: Seconds after which it may cause one more.
        repeat_s: Shortest time between two writes of the same Event; repeats in between only raise its count.
        max_remembered: Events kept for counting; the oldest are forgotten.
        max_pending: Events waiting to be written; more are dropped and counted.
    """

    component: str = "plimsoll"
    instance: str = ""
    per_object_burst: int = 25
    per_object_refill_s: float = 60.0
    repeat_s: float = 30.0
    max_remembered: int = 4096
    max_pending: int = 1024


@dataclass(slots=True)
class _Series:
    """One Event as it will look; `written` is whether we know it to exist, `due` when it may be written next."""

    regarding: Regarding
    kind: EventType
    reason: str
    message: str
    name: str
    first: datetime
    last: datetime
    count: int = 0
    written: bool = False
    due: float = 0.0


@dataclass(slots=True)
class _Budget:
    tokens: float
    at: float


class EventRecorder:
    """Records Events; `run` writes them.

    Attributes:
        dropped: Events given up because of a bound or an error.
        written: Events created or raised in count.
    """

    def __init__(self, client: Client, settings: EventSettings | None = None, clock: Clock = SYSTEM_CLOCK) -> None:
        self.dropped = 0
        self.written = 0
        self._client = client
        self._settings = settings or EventSettings()
        self._clock = clock
        self._series: OrderedDict[str, _Series] = OrderedDict()
        self._budgets: OrderedDict[str, _Budget] = OrderedDict()
        self._pending: OrderedDict[str, _Series] = OrderedDict()
        self._recorded = asyncio.Event()

    def record(self, regarding: Regarding, kind: EventType, reason: str, message: str) -> None:
        """Notes an Event. Returns at once and never raises; the message is cut at 1,024 characters."""
        message = _shortened(message)
        name = _name_of(regarding, kind, reason, message)
        now = self._clock.utc_now()
        series = self._series.get(name)
        if series is None:
            if not self._afford(regarding.uid):
                self.dropped += 1
                return
            series = self._series[name] = _Series(regarding, kind, reason, message, name, first=now, last=now)
            _trim(self._series, self._settings.max_remembered)
        self._series.move_to_end(name)
        series.count += 1
        series.last = now
        if name not in self._pending and len(self._pending) >= self._settings.max_pending:
            self.dropped += 1
            return
        self._pending[name] = series
        self._recorded.set()

    async def run(self) -> None:
        """Writes what was recorded, until cancelled. Nothing the API server does ends it."""
        while True:
            await self._recorded.wait()
            self._recorded.clear()
            while self._pending:
                await self.flush()
                if self._pending:
                    await self._clock.sleep(1.0)  # what is left waits for its `repeat_s`

    async def flush(self) -> None:
        """Writes every pending Event whose time has come, once; failures are counted and dropped."""
        now = self._clock.monotonic()
        for series in [series for series in self._pending.values() if series.due <= now]:
            self._pending.pop(series.name, None)
            series.due = now + self._settings.repeat_s
            try:
                await self._write(series)
                self.written += 1
            except ApiError as error:
                self.dropped += 1
                _log.info("event.dropped", extra={"reason": series.reason, "error": str(error)})

    async def _write(self, series: _Series) -> None:
        if series.written:
            try:
                await self._raise_count(series, series.count)
            except NotFound:
                series.written, series.count = False, 1  # expired: the API server keeps Events for an hour
            else:
                return
        try:
            await self._client.create(EVENTS, self._render(series))
        except AlreadyExists:
            series.count += await self._count_before_us(series)
            await self._raise_count(series, series.count)
        series.written = True

    async def _count_before_us(self, series: _Series) -> int:
        existing = await self._client.get(EVENTS, series.regarding.key[0], series.name)
        return int(existing.get("count") or 1)

    async def _raise_count(self, series: _Series, count: int) -> None:
        patch = {"count": count, "lastTimestamp": _timestamp(series.last)}
        await self._client.merge_patch(EVENTS, series.regarding.key[0], series.name, patch)

    def _render(self, series: _Series) -> JsonObject:
        regarding, settings = series.regarding, self._settings
        namespace, name = regarding.key
        return {
            "apiVersion": EVENTS.api_version,
            "kind": EVENTS.kind,
            "metadata": {"namespace": namespace, "name": series.name},
            "involvedObject": {
                "apiVersion": regarding.resource.api_version,
                "kind": regarding.resource.kind,
                "namespace": namespace,
                "name": name,
                "uid": regarding.uid,
            },
            "type": series.kind,
            "reason": series.reason,
            "message": series.message,
            "count": series.count,
            "firstTimestamp": _timestamp(series.first),
            "lastTimestamp": _timestamp(series.last),
            "source": {"component": settings.component},
            "reportingComponent": settings.component,
            "reportingInstance": settings.instance,
        }

    def _afford(self, uid: str) -> bool:
        now, settings = self._clock.monotonic(), self._settings
        budget = self._budgets.setdefault(uid, _Budget(settings.per_object_burst, now))
        self._budgets.move_to_end(uid)
        _trim(self._budgets, settings.max_remembered)
        refill = (now - budget.at) / settings.per_object_refill_s
        budget.tokens, budget.at = min(settings.per_object_burst, budget.tokens + refill), now
        if budget.tokens < 1:
            return False
        budget.tokens -= 1
        return True


def _trim(remembered: OrderedDict[str, _Series] | OrderedDict[str, _Budget], limit: int) -> None:
    while len(remembered) > limit:
        remembered.popitem(last=False)


def _shortened(message: str) -> str:
    return message if len(message) <= MAX_MESSAGE else message[: MAX_MESSAGE - 1] + "…"


def _name_of(regarding: Regarding, kind: EventType, reason: str, message: str) -> str:
    # The same after a restart, so that the count goes on instead of a second Event appearing.
    digest = hashlib.sha256(f"{regarding.uid}\0{kind}\0{reason}\0{message}".encode()).hexdigest()[:16]
    return f"{regarding.key[1]}.{digest}"


def _timestamp(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
