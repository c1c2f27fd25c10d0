"""Wires the parts into one process that dies as a whole: Kubernetes restarts it, and a warm restart writes nothing."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import kopf

from plimsoll.api.base import parse_duration
from plimsoll.config import ControllerConfig, ElectionSettings, parse_config
from plimsoll.controller.apply import Applier
from plimsoll.controller.fleet_observer import FLEETS, FleetObserver, FleetStores, fleet_key
from plimsoll.controller.fleets import Fleets, fleet_belonging
from plimsoll.controller.gateway_stream import StreamSettings
from plimsoll.controller.gateway_views import GatewayViews, GatewayWakeups, Loads, follow_pods
from plimsoll.controller.gateways import Collector
from plimsoll.controller.handlers import build_registry, connection_info
from plimsoll.controller.kopf_settings import configure
from plimsoll.controller.loop import Reconciler
from plimsoll.controller.mismatches import Mismatches
from plimsoll.controller.namespace_models import NamespaceModels
from plimsoll.controller.observe import METADATA_ONLY, OURS, Stores
from plimsoll.controller.observer import Observer
from plimsoll.controller.report_key import ReportKey, load_report_key
from plimsoll.controller.reports import Reports
from plimsoll.controller.writer import Writer
from plimsoll.core.names import ADMIN_PORT
from plimsoll.kube.client import Client
from plimsoll.kube.clock import SYSTEM_CLOCK, Clock
from plimsoll.kube.connection import Connection, connect
from plimsoll.kube.elector import Elector, LeaseSettings
from plimsoll.kube.events import EventRecorder, EventSettings
from plimsoll.kube.reflector import Reflector, Scope
from plimsoll.kube.resources import MODELDEPLOYMENTS
from plimsoll.kube.store import Change
from plimsoll.kube.transport import ClientSettings
from plimsoll.kube.workqueue import WorkQueue
from plimsoll.kube.writes import OwnWrites
from plimsoll.monitoring.health import Heartbeat, serve_health
from plimsoll.monitoring.logs import configure_logging
from plimsoll.monitoring.metrics import CACHE_AGE_SECONDS, CACHE_RELISTS, EVENTS_DROPPED, LEADING, QUEUE_DEPTH

_log = logging.getLogger(__name__)

_LONGEST_RETRY_S = 60.0
"""A failing key is looked at at least this often: what cures it (a foreign object deleted) may send no event."""

_FLEET_WORKERS = 2
"""Namespaces are few, and one that is refused by a slow webhook must not hold up the others."""


class LeadershipLost(Exception):  # noqa: N818 - an end, not an error
    """Another process may lead by now; this one must not write any more."""


def run_controller(config_path: str) -> int:
    """Runs the controller until a signal, and returns the exit code."""
    config = parse_config(Path(config_path).read_text(encoding="utf-8"))
    configure_logging(config.log_level.value)
    _spare_the_collector()
    code = 0
    try:
        asyncio.run(Controller(config).run())
    except* LeadershipLost as group:
        _log.error("lease.lost", extra={"error": str(group.exceptions[0])})
        code = 1
    return code


def _spare_the_collector() -> None:
    """Caches of 30,000 objects are garbage to nobody: looking through them took 40 % of a warm start."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


class Controller:
    """One controller process; every pause and every deadline of ours is on `clock`."""

    def __init__(self, config: ControllerConfig, clock: Clock = SYSTEM_CLOCK) -> None:
        self._config = config
        self._clock = clock
        self._stores = Stores()
        self._fleet_stores = FleetStores()
        self._queue = WorkQueue(clock, max_delay_s=_LONGEST_RETRY_S)
        self._fleet_queue = WorkQueue(clock, max_delay_s=_LONGEST_RETRY_S)
        self._models: NamespaceModels | None = None
        self._stop = asyncio.Event()
        self._heartbeat = Heartbeat()
        self._reflectors: dict[str, Reflector] = {}

    async def run(self) -> None:
        """Runs until SIGTERM or SIGINT, or until any part dies."""
        self._heed_signals()
        connection = await connect()
        async with self._clients(connection) as (client, lease_client):
            events = EventRecorder(client, EventSettings(instance=_identity()), self._clock)
            self._reflectors = self._watch(client) | self._watch_fleets(client)
            runner = await serve_health(
                self._config.port, self._heartbeat.alive, self._unready, lambda: self._refresh(events)
            )
            try:
                await self._run_parts(connection, client, lease_client, events)
            finally:
                await runner.cleanup()

    @asynccontextmanager
    async def _clients(self, connection: Connection) -> AsyncIterator[tuple[Client, Client]]:
        """The Lease has a client of its own: renewals must not queue behind thousands of writes."""
        async with (
            Client(connection, ClientSettings(), self._clock) as client,
            Client(connection, ClientSettings(timeout_s=5, retries=0), self._clock) as lease_client,
        ):
            yield client, lease_client

    async def _run_parts(
        self, connection: Connection, client: Client, lease_client: Client, events: EventRecorder
    ) -> None:
        lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        elector = Elector(
            lease_client,
            lease_settings(self._config.lease, _namespace()),
            identity=_identity(),
            on_lost=lambda why: None if lost.done() else lost.set_result(why),
            clock=self._clock,
        )
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._heartbeat.run(), name="heartbeat"),
                group.create_task(events.run(), name="events"),
                group.create_task(elector.run(), name="lease"),
                group.create_task(_die_when(lost), name="lease-watch"),
                group.create_task(self._kopf(connection), name="kopf"),
                *(group.create_task(one.run(), name=f"watch-{what}") for what, one in self._reflectors.items()),
            ]
            workers = group.create_task(self._lead(client, events, elector), name="workers")
            await self._stop.wait()
            _log.info("controller.stopping")
            self._queue.close()
            self._fleet_queue.close()
            await _ended(workers)
            await elector.release()
            for task in tasks:
                task.cancel()

    def _watch(self, client: Client) -> dict[str, Reflector]:
        for store in self._stores.by_resource().values():
            store.subscribe(self._changed)
        return {
            resource.kind: Reflector(
                client,
                resource,
                store,
                Scope(
                    label_selector=None if resource == MODELDEPLOYMENTS else OURS,
                    metadata_only=resource in METADATA_ONLY,
                ),
                clock=self._clock,
            )
            for resource, store in self._stores.by_resource().items()
        }

    def _watch_fleets(self, client: Client) -> dict[str, Reflector]:
        """Follows gateways where they are switched off too: those that are there have to go."""
        self._fleet_stores.deployments.subscribe(lambda change: self._fleet_changed(change.namespace))
        self._stores.services.subscribe(self._service_changed)
        if self._config.gateway.enabled:
            self._models = NamespaceModels(self._stores.model_deployments, self._fleet_changed)
        return {
            f"Gateway{resource.kind}": Reflector(
                client, resource, store, Scope(label_selector=FLEETS), clock=self._clock
            )
            for resource, store in self._fleet_stores.by_resource().items()
        }

    def _fleet_changed(self, namespace: str) -> None:
        self._fleet_queue.add(fleet_key(namespace))

    def _service_changed(self, change: Change) -> None:
        """A Service that moves to or from the gateways: they may be needed, or not be needed any more."""
        if self._fleet_stores.deployments.get(fleet_key(change.namespace)):
            self._fleet_changed(change.namespace)

    def _changed(self, change: Change) -> None:
        if change.owner:
            self._queue.add(change.owner)

    async def _kopf(self, connection: Connection) -> None:
        """Kopf watches the primary kind as one more trigger; its death is the process's death.

        Signals are taken back from it, and it is cancelled last: at a signal it would wait 5 s for every task of this
        process and then cancel them, workers in mid-write among them.
        """
        others = asyncio.all_tasks()
        tasks = await kopf.spawn_tasks(
            registry=build_registry(self._queue.add, lambda: connection_info(connection)),
            settings=configure(kopf.OperatorSettings()),
            identity=cast("Any", _identity()),  # else kopf looks up the user, who has no name in a container
            standalone=True,
            clusterwide=True,
        )
        self._heed_signals()
        await kopf.run_tasks(tasks, ignored=others)
        self._stop.set()

    def _heed_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)

    async def _lead(self, client: Client, events: EventRecorder, elector: Elector) -> None:
        """Caches fill on a standby too; work starts with leadership."""
        synced = (reflector.synced.wait() for reflector in self._reflectors.values())
        await asyncio.gather(*synced, elector.wait_until_leading())
        LEADING.set(1)
        _log.info("lease.acquired", extra={"model_deployments": len(self._stores.model_deployments)})
        key = await load_report_key(client, (_namespace(), self._config.report_key_secret), self._clock)
        writes = OwnWrites(self._stores.by_resource(), self._clock)
        defaults = replace(self._config.resolved_defaults(), report_key=key.public)
        wakeups = GatewayWakeups(self._stores, self._queue, Mismatches(self._clock.monotonic))
        collector = Collector(key, self._clock, StreamSettings(ADMIN_PORT), wakeups)
        async with self._reports(key) as reports, collector:
            follow_pods(self._fleet_stores, collector)
            fleets = self._fleets(client, key, collector)
            fleets.subscribe(wakeups.namespace_changed)
            views = GatewayViews(collector, fleets, wakeups, enabled=self._config.gateway.enabled)
            reconciler = Reconciler(
                Observer(self._stores, defaults, client, views.add),
                Applier(client, self._stores, writes),
                writes,
                reports,
                events,
                self._queue,
                self._clock.utc_now,
            )
            await self._work(reconciler, fleets)

    def _fleets(self, client: Client, key: ReportKey, collector: Collector) -> Fleets:
        settings = self._config.fleet_settings(_namespace(), key.public)
        writes = OwnWrites(self._fleet_stores.by_resource(), self._clock)
        return Fleets(
            FleetObserver(
                self._stores,
                self._fleet_stores,
                self._models,
                settings,
                client,
                Loads(collector, self._clock.utc_now).of,
            ),
            Writer(client, self._fleet_stores.by_resource(), writes, fleet_belonging()),
            writes,
            self._fleet_queue,
            self._clock.utc_now,
        )

    async def _work(self, reconciler: Reconciler, fleets: Fleets) -> None:
        """Works until the queues close; an idle worker that ends takes none with it that is in mid-turn."""
        async with asyncio.TaskGroup() as group:
            resync = group.create_task(self._resync(fleets))
            async with asyncio.TaskGroup() as workers:
                for _ in range(_FLEET_WORKERS):
                    workers.create_task(fleets.work())
                for _ in range(self._config.workers):
                    workers.create_task(reconciler.work())
            resync.cancel()

    def _reports(self, key: ReportKey) -> Reports:
        return Reports(key, self._clock)

    async def _resync(self, fleets: Fleets) -> None:
        """Looks at everything once a period, evenly spread: whatever trigger was lost costs at most that long."""
        period_s = parse_duration(self._config.resync_period).total_seconds()
        while True:
            for key in list(self._stores.model_deployments.keys()):
                self._queue.add_after(key, self._clock.between(0, period_s))
            fleets.look_at_all(lambda key: self._fleet_queue.add_after(key, self._clock.between(0, period_s)))
            await self._clock.sleep(period_s)

    def _unready(self) -> str:
        """A standby is ready: its caches are filled."""
        unsynced = [what for what, reflector in self._reflectors.items() if not reflector.synced.is_set()]
        return f"waiting for {', '.join(unsynced)}" if unsynced else ""

    def _refresh(self, events: EventRecorder) -> None:
        QUEUE_DEPTH.set(self._queue.depth)
        EVENTS_DROPPED.set(events.dropped)
        for what, reflector in self._reflectors.items():
            CACHE_AGE_SECONDS.labels(kind=what).set(reflector.age_s)
            CACHE_RELISTS.labels(kind=what).set(reflector.relists)


def lease_settings(settings: ElectionSettings, namespace: str) -> LeaseSettings:
    """Returns the Lease as the elector wants it."""
    return LeaseSettings(
        namespace=namespace,
        name=settings.name,
        duration_s=parse_duration(settings.duration).total_seconds(),
        renew_deadline_s=parse_duration(settings.renew_deadline).total_seconds(),
        retry_period_s=parse_duration(settings.retry_period).total_seconds(),
    )


def _namespace() -> str:
    return os.environ.get("POD_NAMESPACE", "default")


def _identity() -> str:
    return f"{os.environ.get('POD_NAME', 'plimsoll')}_{uuid.uuid4().hex[:8]}"


async def _die_when(lost: asyncio.Future[str]) -> None:
    raise LeadershipLost(await lost)


async def _ended(task: asyncio.Task[None], patience_s: float = 10.0) -> None:
    """Waits for work in flight; what does not end in time is cut, and resumed by whoever leads next."""
    await asyncio.wait([task], timeout=patience_s)
    task.cancel()
