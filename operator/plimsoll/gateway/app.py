"""Wires the parts of a gateway into one process, and takes it through its life: filling, serving, draining.

A signal, or the death of any part, begins an orderly end: the gateway says that it is not ready, takes requests until
everybody has heard of that, lets those in flight end, and exits. A second signal ends it at once.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import signal
import uuid
from pathlib import Path
from typing import Final

import uvloop

from plimsoll.errors import Invalid
from plimsoll.gateway.admin import RoutesPage
from plimsoll.gateway.allocator import keep_freed_memory
from plimsoll.gateway.assembly import Assembly
from plimsoll.gateway.config import GatewayConfig, Self, parse_gateway_config, read_self
from plimsoll.gateway.hot_path import form
from plimsoll.gateway.parts import Listener, Parts
from plimsoll.gateway.routes import Routes
from plimsoll.gateway.targets import Targets
from plimsoll.kube.client import Client
from plimsoll.kube.clock import SYSTEM_CLOCK, Clock
from plimsoll.kube.connection import connect
from plimsoll.kube.transport import ClientSettings
from plimsoll.monitoring.health import Heartbeat, serve_health
from plimsoll.monitoring.logs import configure_logging
from plimsoll.monitoring.metrics import (
    CACHE_AGE_SECONDS,
    CACHE_RELISTS,
    GATEWAY_BUILD,
    GATEWAY_MODELS,
    GATEWAY_STATUSES_IGNORED,
    GATEWAY_TRUSTED,
)
from plimsoll.version import VERSION

_log = logging.getLogger(__name__)

DIED: Final = 1
CUT: Final = 128 + signal.SIGTERM
"""Exit code of a second signal, as a shell would give it for the first one."""

_CUT_GRACE_S: Final = 1.0
"""How much longer than its deadline a listener may take to close what it cuts."""
_KEY_BYTES: Final = 16


def run_gateway(config_path: str, parts: Parts | None = None) -> int:
    """Runs a gateway until a signal, and returns the exit code: 0 after a signal, 1 when a part of it died.

    Raises:
        Invalid: The configuration cannot be used.
        OSError: The file cannot be read, or a port is taken.
    """
    config = parse_gateway_config(Path(config_path).read_text(encoding="utf-8"))
    configure_logging(config.log_level.value)
    keep_freed_memory()
    me = read_self(os.environ)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(Gateway(config, me, parts or Assembly(me, config).parts()).run())


class Gateway:
    """One gateway process.

    Attributes:
        boot: Identity of this process; another one after every start.
        targets: What requests are sent to.
    """

    def __init__(
        self, config: GatewayConfig, me: Self, parts: Parts | None = None, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self.boot = uuid.uuid4().hex
        self._config = config
        self._me = me
        self._parts = parts or Parts()
        self._clock = clock
        self.targets = Targets(
            self._parts.recorder_of,
            lambda: secrets.token_bytes(_KEY_BYTES),
            inspections=self._parts.inspections,
            switches=self._parts.switches,
        )
        self._heartbeat = Heartbeat()
        self._stop = asyncio.Event()
        self._starting = asyncio.Lock()
        self._serving: list[Listener] = []
        self._ready = False
        self._draining = False

    async def run(self) -> int:
        """Runs until a signal or until a part dies, drains, and returns the exit code.

        Raises:
            Invalid: It could not start: no cluster is configured.
            OSError: It could not start: the admin port is taken.
        """
        self._heed_signals()
        work = asyncio.create_task(self._work(), name="work")
        stop = asyncio.create_task(self._stop.wait(), name="stop")
        await asyncio.wait({work, stop}, return_when=asyncio.FIRST_COMPLETED)
        died = work.exception() if work.done() else None
        if isinstance(died, Invalid | OSError):
            stop.cancel()
            raise died
        if died:
            _log.error("gateway.died", exc_info=died)
        await self._drain()
        for task in (work, stop):
            task.cancel()
        await asyncio.gather(work, stop, return_exceptions=True)
        _log.info("gateway.ended")
        return DIED if died else 0

    def stop(self) -> None:
        """Begins the orderly end, as a first signal does."""
        self._stop.set()

    async def _work(self) -> None:
        """Everything but the end; it goes on while the gateway drains, so that routes are followed to the last."""
        GATEWAY_BUILD.labels(VERSION, form()).set(1)
        connection = await connect(clock=self._clock)
        async with Client(connection, ClientSettings(user_agent="plimsoll-gateway"), self._clock) as client:
            routes = Routes(client, self._me.namespace, self.targets, self._clock)
            page = RoutesPage(self.boot, self.targets, routes.book)
            runner = await serve_health(
                self._config.admin_port,
                self._heartbeat.alive,
                lambda: self._unready(routes),
                lambda: _refresh(routes),
                [*page.paths(), *self._parts.admin(self.boot, routes)],
            )
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._heartbeat.run(), name="heartbeat")
                    group.create_task(routes.run(), name="routes")
                    group.create_task(self._serve(routes), name="listeners")
                    group.create_task(self._parts.work(), name="records")
            finally:
                self._parts.close()
                await runner.cleanup()

    async def _serve(self, routes: Routes) -> None:
        """Takes requests once it is known where they go: until then every model would be unknown."""
        await routes.synced.wait()
        await self._parts.prepared()
        async with self._starting:
            if self._draining:
                return
            for listener in self._parts.listeners(self.targets, self._config):
                await listener.start()
                self._serving.append(listener)
            self._ready = True
        _log.info("gateway.serving", extra={"boot": self.boot, "models": len(self.targets.models)})

    async def _drain(self) -> None:
        self._draining = True
        async with self._starting:
            serving = list(self._serving)
        if not serving:
            return
        delay_s, deadline_s = self._config.drain_delay_s, self._config.drain_deadline_s
        _log.info("gateway.draining", extra={"delay_s": delay_s, "deadline_s": deadline_s})
        await self._clock.sleep(delay_s)
        ends = [asyncio.create_task(listener.drain(deadline_s)) for listener in serving]
        done, late = await asyncio.wait(ends, timeout=deadline_s + _CUT_GRACE_S)
        for end in done:
            if error := end.exception():
                _log.error("gateway.drain_failed", exc_info=error)
        for end in late:
            _log.error("gateway.drain_late")
            end.cancel()

    def _unready(self, routes: Routes) -> str:
        if self._draining:
            return "draining"
        unsynced = routes.unsynced()
        if unsynced:
            return f"waiting for {', '.join(unsynced)}"
        return "" if self._ready else self._parts.unready() or "waiting for listeners"

    def _heed_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled)

    def _signalled(self) -> None:
        if self._stop.is_set():
            # Not by default action: the first process of a container is spared that.
            os._exit(CUT)
        self.stop()


def _refresh(routes: Routes) -> None:
    GATEWAY_MODELS.set(len(routes.book.held))
    GATEWAY_STATUSES_IGNORED.set(len(routes.book.ignored))
    GATEWAY_TRUSTED.set(routes.book.trusted)
    for reflector in routes.reflectors:
        CACHE_AGE_SECONDS.labels(kind=reflector.resource.kind).set(reflector.age_s)
        CACHE_RELISTS.labels(kind=reflector.resource.kind).set(reflector.relists)
