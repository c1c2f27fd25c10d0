"""What is plugged into the gateway's process: the protocols, the counters and what else the admin port answers."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Protocol

from aiohttp import web

from plimsoll.core.records.outcome import Outcome
from plimsoll.gateway.config import GatewayConfig
from plimsoll.gateway.inspection import Inspections
from plimsoll.gateway.routes import Routes
from plimsoll.gateway.targets import Recorder, Switches, Targets


class Listener(Protocol):
    """Takes the requests of one protocol."""

    async def start(self) -> None:
        """Begins to accept connections.

        Raises:
            OSError: It cannot listen, for example because the port is taken.
        """

    async def drain(self, deadline_s: float) -> None:
        """Stops accepting, lets what is in flight end, closes every connection, and returns when all are closed.

        Args:
            deadline_s: What has not ended after this many seconds is cut.
        """


class Unrecorded:
    """Counts nothing."""

    queued = 0
    cache_hits = 0
    cache_mismatches = 0

    def arrived(self) -> None:
        """Forgets it."""

    def ended(self, outcome: Outcome, latency_s: float, pod: str, *, exempt: bool = False) -> None:
        """Forgets it."""

    def rescued(self) -> None:
        """Forgets it."""


def _unrecorded(_model: str, _revision: str) -> Recorder:
    return Unrecorded()


def _no_listeners(_targets: Targets, _config: GatewayConfig) -> Sequence[Listener]:
    return ()


async def _no_work() -> None:
    """Ends at once."""


def _nothing() -> None:
    """Does nothing."""


async def _prepared() -> None:
    """Has nothing to wait for."""


def _nothing_waits() -> str:
    return ""


def _no_paths(_boot: str, _routes: Routes) -> Sequence[web.AbstractRouteDef]:
    return ()


@dataclass(frozen=True, slots=True)
class Parts:
    """Makers of the parts; without any, a gateway follows routes and serves nobody.

    Attributes:
        listeners: Makes the servers that take requests, from what they send to and the settings.
        recorder_of: Returns the counters of a revision, from the names of its model and its own.
        inspections: Say what is looked at of requests and answers; nothing is where they are None.
        switches: Kill switches; there are none where they are None.
        admin: Makes more paths of the admin port, from the boot id and the routes that are followed; called once, and
            before `work`.
        work: Runs until it is cancelled; its death is the process's death.
        close: Ends what would hold the admin port open.
        prepared: Returns when listeners may start; they are not asked for before.
        unready: Says what `prepared` waits for; empty where it does not.
    """

    listeners: Callable[[Targets, GatewayConfig], Sequence[Listener]] = _no_listeners
    recorder_of: Callable[[str, str], Recorder] = _unrecorded
    inspections: Inspections | None = None
    switches: Switches | None = None
    admin: Callable[[str, Routes], Sequence[web.AbstractRouteDef]] = _no_paths
    work: Callable[[], Coroutine[None, None, None]] = _no_work
    close: Callable[[], None] = _nothing
    prepared: Callable[[], Coroutine[None, None, None]] = _prepared
    unready: Callable[[], str] = _nothing_waits
