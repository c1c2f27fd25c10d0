"""Leader election over a Lease: the shell around `lease.decide`.

The one promise: `on_lost` is called at the latest `renew_deadline_s` after the last successful renewal was *sent*, even
if the API server never answers. Since that is shorter than the lease, we have stopped before anybody else may start.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from plimsoll.kube.client import Client
from plimsoll.kube.clock import SYSTEM_CLOCK, Clock
from plimsoll.kube.errors import AlreadyExists, ApiError, Conflict, NotFound
from plimsoll.kube.lease import Acquire, Lease, Lost, Renew, Wait, decide, lease_of, render_lease, render_release
from plimsoll.kube.resources import LEASES

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LeaseSettings:
    """Seconds, as in client-go: retry_period < renew_deadline < duration."""

    namespace: str
    name: str
    duration_s: float = 15.0
    renew_deadline_s: float = 10.0
    retry_period_s: float = 2.0


class Elector:
    """Campaigns, renews, and says when it is over.

    Give it a client of its own (`ClientSettings(timeout_s=5, retries=0)`): renewals must not queue behind the rate
    limit of 5,000 other writes.

    Args:
        client: See above.
        settings: The lease.
        identity: Unique to this process, for example `<pod name>_<random>`.
        on_lost: Called once, with a sentence, when leadership ends without `release`. The process must end: workers may
            be in the middle of a write.

    Attributes:
        leading: Set while we lead.
        transitions: Changes of holder recorded in the lease when we last read or wrote it.
    """

    def __init__(
        self,
        client: Client,
        settings: LeaseSettings,
        *,
        identity: str,
        on_lost: Callable[[str], None],
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.leading = asyncio.Event()
        self.transitions = 0
        self._client = client
        self._settings = settings
        self._me = identity
        self._on_lost = on_lost
        self._clock = clock
        self._ended = asyncio.Event()
        self._lease: Lease | None = None
        self._observed_at = 0.0
        self._renewed_at = 0.0
        self._must_read = True

    async def run(self) -> None:
        """Campaigns and renews until cancelled, lost or released."""
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._campaign()), group.create_task(self._watchdog())]
                await self._ended.wait()
                for task in tasks:
                    task.cancel()
        finally:
            self.leading.clear()

    async def wait_until_leading(self) -> None:
        """Returns once we lead."""
        await self.leading.wait()

    async def release(self) -> None:
        """Stops leading and gives the lease away, best effort, so that the next leader need not wait.

        For shutdown, after the workers have stopped: from here on another process may write.
        """
        led = self.leading.is_set()
        self.leading.clear()
        self._ended.set()
        if not led:
            return
        for _ in range(2):  # a renewal in flight may have taken effect between our read and our write
            try:
                await self._give_away()
            except Conflict:
                continue
            except ApiError as error:
                _log.warning("lease.release_failed", extra={"error": str(error)})
            return

    async def _campaign(self) -> None:
        settings = self._settings
        while True:
            try:
                await self._attempt()
            except (Conflict, AlreadyExists):
                self._must_read = True  # somebody was faster: look who
            except ApiError as error:
                self._must_read = True  # our write may have taken effect
                _log.warning("lease.attempt_failed", extra={"leading": self.leading.is_set(), "error": str(error)})
            # Jitter only shortens: two standbys must not step in time, and a leader must not come late.
            await self._clock.sleep(self._clock.between(settings.retry_period_s * 0.8, settings.retry_period_s))

    async def _attempt(self) -> None:
        if self._must_read:
            self._observe(await self._read())
        decision = decide(
            self._lease,
            self._me,
            leading=self.leading.is_set(),
            observed_at=self._observed_at,
            now=self._clock.monotonic(),
        )
        match decision:
            case Acquire() | Renew():
                await self._take()
            case Lost(holder):
                self._lose(f"The lease {self._settings.name} is held by {holder}.")
            case Wait():
                self._must_read = True

    async def _take(self) -> None:
        settings = self._settings
        sent_at = self._clock.monotonic()
        wanted = render_lease(
            settings.namespace,
            settings.name,
            self._me,
            previous=self._lease,
            duration_s=settings.duration_s,
            now=self._clock.utc_now(),
        )
        write = self._client.create if self._lease is None else self._client.replace
        self._observe(lease_of(await write(LEASES, wanted)))
        self._must_read = False
        self._renewed_at = sent_at
        # An answer that took longer than the deadline came too late: the watchdog has spoken, or is about to.
        if self._clock.monotonic() - sent_at < settings.renew_deadline_s and not self._ended.is_set():
            self._lead()

    def _lead(self) -> None:
        if not self.leading.is_set():
            _log.info("lease.acquired", extra={"identity": self._me, "transitions": self.transitions})
            self.leading.set()

    async def _watchdog(self) -> None:
        deadline_s = self._settings.renew_deadline_s
        while True:
            await self.leading.wait()
            left_s = self._renewed_at + deadline_s - self._clock.monotonic()
            if left_s <= 0:
                self._lose(f"The lease {self._settings.name} could not be renewed for {deadline_s:g} s.")
                return
            await self._clock.sleep(left_s)

    def _lose(self, message: str) -> None:
        self.leading.clear()
        if self._ended.is_set():
            return
        self._ended.set()
        _log.error("lease.lost", extra={"identity": self._me, "error": message})
        self._on_lost(message)

    async def _read(self) -> Lease | None:
        try:
            return lease_of(await self._client.get(LEASES, self._settings.namespace, self._settings.name))
        except NotFound:
            return None

    def _observe(self, lease: Lease | None) -> None:
        # Timed after the answer: late is safe, early would take a living lease over.
        if lease is None or self._lease is None or lease.resource_version != self._lease.resource_version:
            self._observed_at = self._clock.monotonic()
        self._lease = lease
        self.transitions = lease.transitions if lease else 0

    async def _give_away(self) -> None:
        settings = self._settings
        lease = await self._read()
        if lease is None or lease.holder != self._me:
            return
        now = self._clock.utc_now()
        released = render_release(settings.namespace, settings.name, previous=lease, now=now)
        await self._client.replace(LEASES, released)
        _log.info("lease.released", extra={"identity": self._me})
