"""A Job controller, and what runs in a preflight's pod, in miniature: reports are made up, but fetched as real ones."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.contract.controller.whole_controller import TEAM, World
from tests.support.fakeapi.storage import timestamp
from tests.support.preflight_reports import good

from plimsoll.api.preflight_report import Outcome, PreflightReport
from plimsoll.core.preflight.verdict import EXIT_CODES, termination_message
from plimsoll.core.tokens import public_key
from plimsoll.kube.resources import JOBS, PODS, SECRETS, JsonObject
from plimsoll.preflight.report_desk import ReportDesk

KEY_SECRET = ("default", "plimsoll-report-key")
EVICTED = "The node was low on resource: memory."


@dataclass(frozen=True, slots=True)
class Preflight:
    """How one preflight goes.

    Attributes:
        outcome, message: What it finds.
        told: What its pod says that it found, from the report that it made.
        handed_out: Whether the pod hands its report out, rather than end with last words alone.
        ends: Whether the pod then ends; as a rule the controller deletes it sooner.
        evicted: The kubelet ends it before it has anything to say.
        of_another: Its pod obeys another controller.
    """

    outcome: Outcome = Outcome.PASSED
    message: str = "The revision may serve: 8 phases passed, 1 warned."
    told: Callable[[PreflightReport], bytes] = lambda report: report.model_dump_json(by_alias=True).encode()
    handed_out: bool = True
    ends: bool = False
    evicted: bool = False
    of_another: bool = False

    def report(self, request: JsonObject) -> PreflightReport:
        about = {name: request[name] for name in ("model", "revision", "key")}
        return good().model_copy(update={**about, "outcome": self.outcome, "message": self.message})


PASSES = Preflight()
REJECTS = Preflight(Outcome.REJECTED, "37 of 100 golden answers differ from what is expected.")


@dataclass
class Preflights:
    """Runs beside a fake cluster: each Job gets a pod, in which a preflight goes as planned.

    Attributes:
        world: Where Jobs come from.
        plan: How the next preflights go, first to last; those after them pass.
        go_on: Preflights come to no end while it is cleared.
        begun: Requests of all Jobs so far.
    """

    world: World
    plan: list[Preflight] = field(default_factory=list)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    begun: list[JsonObject] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.go_on.set()

    async def run(self) -> None:
        """Follows Jobs until cancelled. One at a time: their pods share an address and a port."""
        while True:
            for job in self.world.api.cluster.all(JOBS, TEAM):
                await self._live(job, self.plan.pop(0) if self.plan else PASSES)
            await asyncio.sleep(0.001)

    async def _live(self, job: JsonObject, preflight: Preflight) -> None:
        environment = {entry["name"]: entry.get("value", "") for entry in _container(job)["env"]}
        request = json.loads(environment["PLIMSOLL_PREFLIGHT_REQUEST"])
        self.begun.append(request)
        pod = self._pod(job)
        key = public_key(bytes(32)) if preflight.of_another else environment["PLIMSOLL_REPORT_KEY"]
        now = self.world.clock().utc_now
        desk = ReportDesk(key, pod["metadata"]["uid"], lambda: now().timestamp())
        async with desk.listening(self.world.report_port):
            self._becomes(job, _running(ready=False))
            await self._until(job, self.go_on.is_set)
            if preflight.evicted:
                self._becomes(job, {"phase": "Failed", "reason": "Evicted", "message": EVICTED})
                self._ended(job, passed=False)
            else:
                await self._finish(job, preflight, preflight.report(request), desk)
            await self._until(job, lambda: False)

    async def _finish(self, job: JsonObject, preflight: Preflight, report: PreflightReport, desk: ReportDesk) -> None:
        if preflight.handed_out:
            desk.offer(preflight.told(report))
            self._becomes(job, _running(ready=True))
        if preflight.ends:
            patience = self.world.time.now + 20
            await self._until(job, lambda: self.world.time.now > patience)
            last_words = termination_message(PreflightReport.model_validate_json(preflight.told(report)))
            self._becomes(job, _ended(EXIT_CODES[preflight.outcome], last_words.decode()))
            self._ended(job, passed=preflight.outcome is Outcome.PASSED)

    async def _until(self, job: JsonObject, met: Callable[[], bool]) -> None:
        while self._is_there(job) and not met():  # noqa: ASYNC110 - what is waited for is in the cluster
            await asyncio.sleep(0.001)

    def _is_there(self, job: JsonObject) -> bool:
        found = self.world.api.cluster.find(JOBS, TEAM, job["metadata"]["name"])
        return found is not None and found["metadata"]["uid"] == job["metadata"]["uid"]

    def _pod(self, job: JsonObject) -> JsonObject:
        metadata, template = job["metadata"], job["spec"]["template"]
        owner = {"apiVersion": "batch/v1", "kind": "Job", "name": metadata["name"], "uid": metadata["uid"]}
        pod = {
            "metadata": {
                "name": _pod_name(job),
                "namespace": TEAM,
                "labels": template["metadata"]["labels"],
                "ownerReferences": [{**owner, "controller": True}],
            },
            "spec": template["spec"],
            "status": {"phase": "Pending"},
        }
        return self.world.api.cluster.add(PODS, pod)

    def _becomes(self, job: JsonObject, status: JsonObject) -> None:
        if self._is_there(job):
            self.world.api.cluster.change(
                PODS, TEAM, _pod_name(job), lambda pod: pod.update(status=status), subresource="status"
            )

    def _ended(self, job: JsonObject, *, passed: bool) -> None:
        if self._is_there(job):
            end = {"type": "Complete" if passed else "Failed", "status": "True", "lastTransitionTime": timestamp()}
            self.world.api.cluster.change(
                JOBS,
                TEAM,
                job["metadata"]["name"],
                lambda obj: obj.update(status={"conditions": [end]}),
                subresource="status",
            )


@asynccontextmanager
async def preflights(world: World, *plan: Preflight) -> AsyncIterator[Preflights]:
    """Runs preflights in a fake cluster, with the Secret that the chart makes."""
    world.api.cluster.add(SECRETS, {"metadata": {"namespace": KEY_SECRET[0], "name": KEY_SECRET[1]}})
    made = Preflights(world, list(plan))
    running = asyncio.create_task(made.run())
    try:
        yield made
    finally:
        running.cancel()
        await asyncio.wait([running])
    if not running.cancelled():
        running.result()


def _container(job: JsonObject) -> JsonObject:
    (container,) = job["spec"]["template"]["spec"]["containers"]
    found: JsonObject = container
    return found


def _pod_name(job: JsonObject) -> str:
    return f"{job['metadata']['name']}-{job['metadata']['uid'][:5]}"


def _running(*, ready: bool) -> JsonObject:
    state = {"running": {"startedAt": timestamp()}}
    return {
        "phase": "Running",
        "podIP": "127.0.0.1",
        "conditions": [
            {"type": "PodScheduled", "status": "True", "lastTransitionTime": timestamp()},
            {"type": "Ready", "status": str(ready), "lastTransitionTime": timestamp()},
        ],
        "containerStatuses": [{"name": "preflight", "ready": ready, "restartCount": 0, "state": state}],
    }


def _ended(code: int, message: str) -> JsonObject:
    ended: dict[str, Any] = {"exitCode": code, "message": message, "finishedAt": timestamp()}
    state = {"terminated": ended}
    return {
        "phase": "Failed" if code else "Succeeded",
        "containerStatuses": [{"name": "preflight", "ready": False, "restartCount": 0, "state": state}],
    }
