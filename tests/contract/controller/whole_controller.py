"""The whole controller in the test's own loop, against a fake API server that keeps a journal of what it was asked.

Everything is real but kopf, which would end every task that a test starts after it (test_processes.py runs it), and
time, which passes only as fast as the event loop turns: a machine that stalls for a second delays a test and fails
none.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from prometheus_client import Counter
from tests.support.controller_process import OPERATOR_IMAGE, TRITON_IMAGE, free_port
from tests.support.fakeapi import FakeApi, Workloads
from tests.support.fakeapi.__main__ import write_kubeconfig
from tests.support.fakeapi.clocks import ManualClock
from tests.support.fakeapi.counters import WRITES
from tests.support.fakeapi.faults import Asked, Fault, Faults
from tests.support.fakeapi.load import model_deployment
from typing_extensions import override

from plimsoll.config import ControllerConfig
from plimsoll.controller.app import Controller, LeadershipLost
from plimsoll.controller.fleets import Fleets
from plimsoll.controller.gateways import Collector
from plimsoll.controller.report_key import ReportKey
from plimsoll.controller.reports import Reports
from plimsoll.core.fleet.state import FleetState
from plimsoll.core.names import MODEL_LABEL
from plimsoll.kube.client import Client
from plimsoll.kube.clock import Clock
from plimsoll.kube.connection import Connection
from plimsoll.kube.resources import (
    CONTROLLERREVISIONS,
    DEPLOYMENTS,
    EVENTS,
    LEASES,
    MODELDEPLOYMENTS,
    SERVICES,
    JsonObject,
    Resource,
)
from plimsoll.monitoring.metrics import RECONCILES

TEAM = "vision"
NAME = "digits"
LEASE = ("default", "plimsoll-controller")
CRASHING: JsonObject = {
    "phase": "Pending",
    "conditions": [{"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}],
    "initContainerStatuses": [
        {
            "name": "fetch",
            "ready": False,
            "restartCount": 3,
            "state": {"waiting": {"reason": "CrashLoopBackOff"}},
            "lastState": {
                "terminated": {
                    "exitCode": 2,
                    "message": '{"kind":"Invalid","reason":"DigestMismatch","message":"The digest differs."}',
                    "finishedAt": "2026-01-01T00:00:00Z",
                }
            },
        }
    ],
}
"""A pod whose fetch container has failed and never will succeed."""

_STEP_S = 0.05
_APART = ("Lease", "Event")
_LIMIT_S = 20.0
"""Real seconds; only bounds a failing test."""


class Journal(Faults):
    """Every write about ModelDeployments and their children, in order, refused ones included, and what goes wrong."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[str] = []

    @override
    async def before(self, asked: Asked) -> Fault | None:
        if is_write(asked):
            what = asked.kind + (f"/{asked.subresource}" if asked.subresource else "")
            self.writes.append(f"{asked.verb} {what} {asked.name}")
        return await super().before(asked)

    def deaf_after(self, count: int) -> Fault:
        """The write of that number takes effect unheard and none after it does: the writer has died in between."""
        first = len(self.writes)
        last = self.cut(after=True, where=lambda asked: is_write(asked) and len(self.writes) - first == count)
        self.cut(times=None, where=lambda asked: is_write(asked) and len(self.writes) - first > count)
        return last


def is_write(asked: Asked) -> bool:
    """Tells writes about ModelDeployments and their children from those about Leases and Events."""
    return asked.verb in WRITES and asked.kind not in _APART


class WithoutKopf(Controller):
    """Kopf is one more trigger, and each key has two; pods share one address, and so their port is a free one."""

    def __init__(self, config: ControllerConfig, clock: Clock, report_port: int) -> None:
        super().__init__(config, clock)
        self._fetches_from = clock, report_port
        self.fleets: Fleets | None = None

    @override
    async def _kopf(self, connection: Connection) -> None:
        await asyncio.Event().wait()

    @override
    def _fleets(self, client: Client, key: ReportKey, collector: Collector) -> Fleets:
        self.fleets = super()._fleets(client, key, collector)
        return self.fleets

    @override
    def _reports(self, key: ReportKey) -> Reports:
        return Reports(key, *self._fetches_from)


@dataclass
class Running:
    """One controller; ending it cancels it: it dies without a word, as a killed process does."""

    task: asyncio.Task[None]
    port: int
    controller: WithoutKopf

    def fleet(self, namespace: str = TEAM) -> FleetState:
        """What it says of a namespace's gateways; what it has yet to look at counts as absent."""
        fleets = self.controller.fleets
        return (fleets.state_of(namespace) if fleets else None) or FleetState()

    async def die(self) -> None:
        self.task.cancel()
        await asyncio.wait([self.task])

    def lost_leadership(self) -> bool:
        """Whether it ended as `run_controller` turns into exit code 1."""
        error = self.task.exception() if self.task.done() and not self.task.cancelled() else None
        return isinstance(error, BaseExceptionGroup) and error.subgroup(LeadershipLost) is not None


@dataclass
class World:
    """A fake cluster, its workloads, virtual time and the controllers in it."""

    api: FakeApi
    journal: Journal
    kubeconfig: Path
    workloads: Workloads
    time: ManualClock = field(default_factory=lambda: ManualClock(chance=0.5))
    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    stuck: dict[str, JsonObject] = field(default_factory=dict)
    """By model, or empty for gateways: the status in which its pods stay; others become ready."""
    report_port: int = field(default_factory=free_port)
    """Where the pods of preflights hand their reports out."""

    def clock(self) -> Clock:
        """Virtual time, which starts with the real one: the fake writes real times into its objects."""
        return replace(self.time.clock, utc_now=lambda: self.began + timedelta(seconds=self.time.now))

    @asynccontextmanager
    async def controller(self, **settings: Any) -> AsyncIterator[Running]:
        """Runs a controller; settings are those of its configuration file."""
        port = free_port()
        config = ControllerConfig.model_validate(
            {
                "defaults": {"accelerator": "None", "tritonImage": TRITON_IMAGE},
                "fetchImage": OPERATOR_IMAGE,
                "port": port,
                **settings,
            }
        )
        controller = WithoutKopf(config, self.clock(), self.report_port)
        running = Running(asyncio.create_task(controller.run()), port, controller)
        try:
            yield running
        finally:
            await running.die()

    # ---- what users and others do ----
    def apply(self, version: int = 1, *, name: str = NAME, **spec: Any) -> None:
        """A user applies a ModelDeployment; another `version` is another model."""
        wanted = model_deployment(TEAM, name, version=version)
        wanted["spec"] |= {"runtime": {"drain": "2s"}, **spec}
        if self.api.cluster.find(MODELDEPLOYMENTS, TEAM, name) is None:
            self.api.cluster.add(MODELDEPLOYMENTS, wanted, manager="kubectl")
        else:
            self.edit(lambda obj: obj.update(spec=wanted["spec"]), name=name)

    def edit(self, edit: Callable[[JsonObject], Any], *, name: str = NAME, subresource: str = "") -> None:
        self.api.cluster.change(MODELDEPLOYMENTS, TEAM, name, edit, subresource=subresource, manager="kubectl")

    def delete(self, resource: Resource, name: str = NAME) -> None:
        self.api.cluster.drop(resource, TEAM, name)

    # ---- what is there ----
    def find(self, resource: Resource = MODELDEPLOYMENTS, name: str = NAME) -> JsonObject:
        found = self.api.cluster.find(resource, TEAM, name)
        assert found is not None, f"there is no {resource.kind} {name}"
        return found

    def names(self, resource: Resource) -> list[str]:
        return [obj["metadata"]["name"] for obj in self.api.cluster.all(resource, TEAM)]

    def status(self, name: str = NAME) -> JsonObject:
        status: JsonObject = self.find(name=name).get("status") or {}
        return status

    def condition(self, kind: str, name: str = NAME) -> JsonObject:
        conditions: list[JsonObject] = self.status(name).get("conditions") or []
        return next((condition for condition in conditions if condition["type"] == kind), {})

    def stable(self, name: str = NAME) -> str:
        return str(self.status(name).get("stable", ""))

    def told(self) -> list[str]:
        """Reasons of all Events."""
        return sorted(event["reason"] for event in self.api.cluster.all(EVENTS))

    def ready(self, name: str = NAME) -> bool:
        """Whether the newest spec serves, and what served before is gone."""
        metadata, status = self.find(name=name)["metadata"], self.status(name)
        return (
            status.get("observedGeneration") == metadata["generation"]
            and self.condition("Ready", name).get("status") == "True"
            and status.get("phase") == "Stable"
        )

    def leader(self) -> str:
        lease = self.api.cluster.find(LEASES, *LEASE)
        return str(lease["spec"]["holderIdentity"]) if lease else ""

    # ---- time ----
    async def until(self, met: Callable[[], object]) -> None:
        """Lets time pass until something is true."""
        async with asyncio.timeout(_LIMIT_S):
            while not met():
                await self.step()

    async def becomes_ready(self, name: str = NAME) -> None:
        await self.until(lambda: self.ready(name))

    async def passes(self, seconds: float, *, step_s: float = _STEP_S) -> None:
        """Lets that much time pass; in longer steps where no answers are waited for."""
        end = self.time.now + seconds
        while self.time.now < end:
            await self.step(step_s)

    async def quiet(self, seconds: float = 2.0) -> None:
        """Lets time pass until for that long nothing was written and nobody had a turn."""
        seen, since = self._busy(), self.time.now
        async with asyncio.timeout(_LIMIT_S):
            while self.time.now - since < seconds:
                await self.step()
                if seen != self._busy():
                    seen, since = self._busy(), self.time.now

    async def step(self, seconds: float = _STEP_S) -> None:
        """A moment of virtual time, and as much real time as requests under way need to get on."""
        await asyncio.sleep(0.001)
        await self.time.advance(seconds)

    def _busy(self) -> tuple[int, float]:
        return len(self.journal.writes), turns()


def turns(outcome: str | None = None, counter: Counter = RECONCILES) -> float:
    """Turns taken by all controllers of this process so far, about ModelDeployments unless said otherwise."""
    samples = (sample for metric in counter.collect() for sample in metric.samples)
    counted = (sample for sample in samples if sample.name.endswith("_total"))
    return sum(sample.value for sample in counted if outcome in {None, sample.labels["outcome"]})


@asynccontextmanager
async def world(folder: Path) -> AsyncIterator[World]:
    """A fake cluster with workloads, and nothing in it."""
    api = FakeApi()
    api.faults = journal = Journal()
    async with api:
        kubeconfig = folder / "kubeconfig"
        write_kubeconfig(kubeconfig, api.url)
        stuck: dict[str, JsonObject] = {}
        workloads = Workloads(api.cluster, stuck=lambda obj: stuck.get(model_of(obj)))
        made = World(api, journal, kubeconfig, workloads, stuck=stuck)
        running = asyncio.create_task(workloads.run())
        try:
            yield made
        finally:
            running.cancel()
            await asyncio.wait([running])


def model_of(obj: JsonObject) -> str:
    """The ModelDeployment that a child says it belongs to; empty for a stranger's."""
    return str(obj["metadata"]["labels"].get(MODEL_LABEL, ""))


def children(world: World) -> dict[str, list[str]]:
    """Names of all children, by kind."""
    return {resource.kind: world.names(resource) for resource in (CONTROLLERREVISIONS, DEPLOYMENTS, SERVICES)}


def uids(world: World, resources: Iterable[Resource] = (CONTROLLERREVISIONS, DEPLOYMENTS, SERVICES)) -> set[str]:
    """Identities of all children: equal before and after means that none was made anew."""
    return {obj["metadata"]["uid"] for resource in resources for obj in world.api.cluster.all(resource, TEAM)}


@asynccontextmanager
async def a_served_model(world: World) -> AsyncIterator[str]:
    """Runs a controller that has made a ModelDeployment ready; gives its revision, with an empty journal."""
    world.apply()
    async with world.controller(resyncPeriod="3s"):
        await world.becomes_ready()
        await world.quiet(seconds=0.5)
        world.journal.writes.clear()
        yield world.stable()
