"""Follows the ModelDeployments and EndpointSlices of one namespace, for as long as the process lives.

The API server may be away for as long as it likes: what is held stays, and is served by.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from plimsoll.core.names import MANAGED_BY, MANAGED_BY_LABEL, REVISION_LABEL
from plimsoll.gateway.route_book import RouteBook
from plimsoll.gateway.targets import Targets
from plimsoll.kube.client import Client
from plimsoll.kube.clock import SYSTEM_CLOCK, Clock
from plimsoll.kube.reflector import Reflector, ReflectorSettings, Scope
from plimsoll.kube.resources import ENDPOINTSLICES, MODELDEPLOYMENTS

_log = logging.getLogger(__name__)

PAUSE_S: Final = 0.02
"""Shortest time between two updates: a burst of changes is one update."""
WORK_SHARE: Final = 0.1
"""Longest part of the time that updates take: with 50,000 endpoints in motion requests still come first."""

SLICES_OF_REVISIONS: Final = f"{MANAGED_BY_LABEL}={MANAGED_BY},{REVISION_LABEL}"
"""Kubernetes gives an EndpointSlice the labels of its Service, so that others' slices are not even sent."""

HASTY: Final = ReflectorSettings(page_size=20, backoff_max_s=5.0)
"""A gateway is back within seconds when the API server is: a change of routes should not wait for longer. And a page is
read between two requests: one of 100 slices is 2.5 MB and takes 80 ms, one of 20 takes 10."""


class Routes:
    """Keeps targets equal to what the namespace says.

    Attributes:
        book: What is followed, and why something is not.
        synced: Set when everything was listed and the targets follow it; never cleared.
        reflectors: What watches.
    """

    def __init__(self, client: Client, namespace: str, targets: Targets, clock: Clock = SYSTEM_CLOCK) -> None:
        self.synced = asyncio.Event()
        self._clock = clock
        self._stale = asyncio.Event()
        self._on_update: list[Callable[[], None]] = []
        self.book = RouteBook(namespace, targets, self._stale.set)
        self.reflectors = (
            Reflector(
                client, MODELDEPLOYMENTS, self.book.models, Scope(namespace=namespace), settings=HASTY, clock=clock
            ),
            Reflector(
                client,
                ENDPOINTSLICES,
                self.book.slices,
                Scope(namespace=namespace, label_selector=SLICES_OF_REVISIONS),
                settings=HASTY,
                clock=clock,
            ),
        )

    def subscribe(self, callback: Callable[[], None]) -> None:
        """Calls back after every update, when `book.acknowledged` may have changed. It must not block nor raise."""
        self._on_update.append(callback)

    def unsynced(self) -> list[str]:
        """Returns the kinds that were not listed yet."""
        return [reflector.resource.plural for reflector in self.reflectors if not reflector.synced.is_set()]

    async def run(self) -> None:
        """Runs until cancelled."""
        async with asyncio.TaskGroup() as group:
            for reflector in self.reflectors:
                group.create_task(reflector.run(), name=f"watch-{reflector.resource.plural}")
            group.create_task(self._keep_up(), name="routes")

    async def _keep_up(self) -> None:
        # Half a list must not be followed: a model whose endpoints were not listed yet would have none.
        await asyncio.gather(*(reflector.synced.wait() for reflector in self.reflectors))
        while True:
            self._stale.clear()
            began = self._clock.monotonic()
            self.book.update()
            for callback in self._on_update:
                callback()
            if not self.synced.is_set():
                self.synced.set()
                _log.info("routes.synced", extra={"models": len(self.book.held)})
            took = self._clock.monotonic() - began
            await self._clock.sleep(max(PAUSE_S, took / WORK_SHARE - took))
            await self._stale.wait()
