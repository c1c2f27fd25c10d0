"""What a ModelDeployment's plan is told of its namespace's gateways, and who is looked at again when that changes."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from plimsoll.controller.fleet_observer import FleetStores
from plimsoll.controller.gateways import Collector
from plimsoll.controller.mismatches import Mismatches
from plimsoll.controller.observe import Stores
from plimsoll.core.fleet.observed import Guarding
from plimsoll.core.fleet.replicas import Load, LoadHistory
from plimsoll.core.fleet.state import FleetPhase, FleetState
from plimsoll.core.world import Failure, FailureKind, Gateways, Observed
from plimsoll.kube.resources import Key
from plimsoll.kube.workqueue import WorkQueue


class GatewayWakeups:
    """Looks again at the ModelDeployments that something concerns.

    Args:
        stores: Caches: which ModelDeployments there are.
        queue: Of their keys.
        mismatches: Of kept answers, until they are told.
    """

    def __init__(self, stores: Stores, queue: WorkQueue, mismatches: Mismatches) -> None:
        self._stores = stores
        self._queue = queue
        self.mismatches = mismatches
        self._keys: dict[str, Key] = {}

    def know(self, uid: str, key: Key) -> None:
        """Remembers whose uid this is: acknowledgements name nothing else."""
        self._keys[uid] = key

    def acknowledged(self, _namespace: str, model_uid: str) -> None:
        """Looks at one ModelDeployment."""
        key = self._keys.get(model_uid)
        if key is None:
            return
        if self._stores.model_deployments.get(key) is None:
            del self._keys[model_uid]
            self.mismatches.forget(model_uid)
        else:
            self._queue.add(key)

    def mismatched(self, model_uid: str, revision: str, count: int) -> None:
        """Looks at one ModelDeployment, as often as there is an Event about this."""
        if model_uid in self._keys:
            self.mismatches.add(model_uid, revision, count)
            if self.mismatches.due(model_uid):
                self.acknowledged("", model_uid)

    def namespace_changed(self, namespace: str) -> None:
        """Looks at all ModelDeployments of a namespace."""
        for key in list(self._stores.model_deployments.keys()):
            if key[0] == namespace:
                self._queue.add(key)


class Fleets(Protocol):
    """Who knows what fleets are at."""

    def state_of(self, namespace: str) -> FleetState | None:
        """Returns the state, None where it is not known yet."""


class GatewayViews:
    """Adds what is known of gateways to what was observed.

    Args:
        collector: Knows what each gateway follows.
        fleets: Knows what fleets are at.
        wakeups: Learns uids.
        enabled: The chart makes gateways.
        guarding: How they guard themselves.
    """

    def __init__(
        self,
        collector: Collector,
        fleets: Fleets,
        wakeups: GatewayWakeups,
        *,
        enabled: bool,
        guarding: Guarding = Guarding(),  # noqa: B008 - immutable
    ) -> None:
        self._collector = collector
        self._fleets = fleets
        self._wakeups = wakeups
        self._enabled = enabled
        self._guarding = guarding

    def add(self, observed: Observed) -> Observed:
        """Returns the same with its gateways."""
        metadata = observed.object.metadata
        self._wakeups.know(metadata.uid, (metadata.namespace, metadata.name))
        state = self._fleets.state_of(metadata.namespace)
        return dataclasses.replace(
            observed,
            gateways=self._gateways(metadata.namespace, metadata.uid, state) if self._enabled else None,
            shielded=state is None or state.shields(metadata.name),
        )

    def _gateways(self, namespace: str, uid: str, state: FleetState | None) -> Gateways:
        known = self._collector.gateways(namespace).values()
        ready = [gateway for gateway in known if gateway.pod.ready]
        newest = max((gateway.acks.get(uid, 0) for gateway in known), default=0)
        lagging = set(self._collector.lagging(namespace, uid, 1))
        follow = [0 if gateway.pod.name in lagging else gateway.acks[uid] for gateway in ready]
        return Gateways(
            len(ready),
            min(follow, default=0),
            newest,
            self._trouble(namespace, state),
            self._collector.in_flight(namespace, uid),
            self._wakeups.mismatches.take(uid),
            {gateway.pod.name: gateway.trips[uid] for gateway in known if uid in gateway.trips},
            guarded=self._guarding.wanted,
            tls=bool(self._guarding.tls_secret),
        )

    def _trouble(self, namespace: str, state: FleetState | None) -> Failure | None:
        if state and state.phase is FleetPhase.REFUSED and state.trouble:
            message = f"The namespace gets no gateway: {state.trouble.message}"
            return Failure(state.trouble.kind, reason="GatewayUnavailable", message=message)
        unheard = self._collector.unavailable(namespace)
        if unheard is None:
            return None
        return Failure(FailureKind.OUTAGE, reason="EvidenceUnavailable", message=unheard.message)


class Loads:
    """CPU that the gateways of each namespace use, from what they tell.

    Args:
        collector: Hears them.
        utc_now: Wall time.
    """

    def __init__(self, collector: Collector, utc_now: Callable[[], datetime]) -> None:
        self._collector = collector
        self._utc_now = utc_now
        self._histories: dict[str, LoadHistory] = {}

    def of(self, namespace: str) -> Load | None:
        """Takes a sample and returns what is known; None where no gateway is heard."""
        ready = [gateway for gateway in self._collector.gateways(namespace).values() if gateway.pod.ready]
        cores = {gateway.pod.name: gateway.cpu_rate for gateway in ready if gateway.cpu_rate is not None}
        if not cores:
            self._histories.pop(namespace, None)
            return None
        now = self._utc_now()
        history = self._histories.get(namespace, LoadHistory()).add(now, cores, len(ready))
        self._histories[namespace] = history
        return history.load(now)


def follow_pods(stores: FleetStores, collector: Collector) -> None:
    """Has the collector follow the gateways that the cache holds, at once and after each burst of changes."""
    loop = asyncio.get_running_loop()
    due = False

    def follow() -> None:
        nonlocal due
        due = False
        collector.follow([pod for key in list(stores.pods.keys()) if (pod := stores.pods.get(key))])

    def changed(_change: object) -> None:
        nonlocal due
        if not due:
            due = True
            loop.call_soon(follow)

    stores.pods.subscribe(changed)
    follow()
