"""A Deployment controller and a kubelet in miniature: Deployments get pods, and pods become ready after a while.

Enough to let the whole operator run against the fake. There are no ReplicaSets, surge or scheduling: a changed template
gets new pods beside the old ones, and the old ones go when the new ones are ready.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable
from typing import Any, TypeAlias

import orjson
from tests.support.fakeapi.cluster import Cluster, Target
from tests.support.fakeapi.storage import timestamp

from plimsoll.kube.resources import DEPLOYMENTS, PODS, Key, Resource

Json: TypeAlias = dict[str, Any]

MANAGER = "kube-controller-manager"


def healthy(_: Json) -> Json | None:
    """The behaviour of a Deployment whose pods become ready."""
    return None


class Workloads:
    """Runs beside a fake API server, as a task of the test.

    Args:
        cluster: Where Deployments come from.
        ready_after_s: From the creation of a pod to its readiness.
        stuck: The pod status in which the pods of a Deployment stay for ever, `None` when they become ready. It may say
            something else later; `nudge` makes it be asked again.
    """

    def __init__(
        self, cluster: Cluster, *, ready_after_s: float = 0.0, stuck: Callable[[Json], Json | None] = healthy
    ) -> None:
        self._cluster = cluster
        self._ready_after_s = ready_after_s
        self._stuck = stuck
        self._due: dict[Key, float] = {}
        self._position = 0
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Follows Deployments until cancelled."""
        shelf = self._cluster.storage.shelf(DEPLOYMENTS)
        shelf.listeners.add(self._changed)
        for key in list(shelf.objects):
            self._roll(key)
        self._position = self._cluster.storage.version
        try:
            while True:
                self._changed.clear()
                await self._step()
                await self._wait()
        finally:
            shelf.listeners.discard(self._changed)

    def nudge(self) -> None:
        """Looks at every Deployment again."""
        for key in self._cluster.storage.shelf(DEPLOYMENTS).objects:
            self._due[key] = time.monotonic()
        self._changed.set()

    async def _step(self) -> None:
        changes = self._cluster.storage.shelf(DEPLOYMENTS).since(self._position)
        self._position = self._cluster.storage.version
        for count, change in enumerate(changes):
            if not change.deleted:
                metadata = orjson.loads(change.new.raw)["metadata"]
                self._roll((metadata["namespace"], metadata["name"]))
            if count % 20 == 0:
                await asyncio.sleep(0)
        now = time.monotonic()
        for count, key in enumerate([key for key, due in self._due.items() if due <= now]):
            del self._due[key]
            self._settle(key)
            if count % 20 == 0:
                await asyncio.sleep(0)

    async def _wait(self) -> None:
        pause = min(self._due.values(), default=time.monotonic() + 3600) - time.monotonic()
        try:
            async with asyncio.timeout(max(0.001, pause)):
                await self._changed.wait()
        except TimeoutError:
            pass

    def _roll(self, key: Key) -> None:
        """A new generation: its pods are created and not yet ready."""
        deployment = self._cluster.storage.get(DEPLOYMENTS, key)
        if deployment is None or _observed(deployment) == deployment["metadata"]["generation"]:
            return
        existing = self._pods(deployment)
        wanted = _wanted_names(deployment)
        for name in wanted:
            if name not in existing:
                self._cluster.create(
                    self._target(PODS, key[0], name), _render_pod(deployment, name, self._stuck(deployment))
                )
        self._write_status(deployment)
        self._due[key] = time.monotonic() + self._ready_after_s

    def _settle(self, key: Key) -> None:
        """The pods of the newest template become ready, all others go."""
        deployment = self._cluster.storage.get(DEPLOYMENTS, key)
        if deployment is None:
            return
        stuck = self._stuck(deployment)
        wanted = set(_wanted_names(deployment))
        for name, pod in self._pods(deployment).items():
            if name in wanted:
                pod["status"] = stuck or _ready_status(pod)
                self._cluster.update(self._target(PODS, key[0], name, "status"), pod)
            elif not stuck:
                self._cluster.delete(self._target(PODS, key[0], name), {})
        self._write_status(deployment)

    def _write_status(self, deployment: Json) -> None:
        pods = self._pods(deployment)
        updated = [pod for name, pod in pods.items() if name in _wanted_names(deployment)]
        ready = sum(_is_ready(pod) for pod in pods.values())
        replicas = deployment["spec"]["replicas"]
        deployment["status"] = {
            "observedGeneration": deployment["metadata"]["generation"],
            "replicas": len(pods),
            "updatedReplicas": len(updated),
            "readyReplicas": ready,
            "availableReplicas": ready,
            "unavailableReplicas": max(0, replicas - ready),
            "conditions": [
                _condition("Available", met=ready >= replicas, reason="MinimumReplicasAvailable"),
                _condition("Progressing", met=True, reason="ReplicaSetUpdated"),
            ],
        }
        metadata = deployment["metadata"]
        self._cluster.update(self._target(DEPLOYMENTS, metadata["namespace"], metadata["name"], "status"), deployment)

    def _pods(self, deployment: Json) -> dict[str, Json]:
        storage = self._cluster.storage
        keys = storage.dependents(deployment["metadata"]["uid"], PODS)
        return {key[1]: pod for key in keys if (pod := storage.get(PODS, key))}

    def _target(self, resource: Resource, namespace: str, name: str, subresource: str = "") -> Target:
        return Target(self._cluster.kind(resource), namespace, name, subresource, MANAGER)


def _observed(deployment: Json) -> int:
    return int((deployment.get("status") or {}).get("observedGeneration", 0))


def _wanted_names(deployment: Json) -> list[str]:
    template = orjson.dumps(deployment["spec"]["template"], option=orjson.OPT_SORT_KEYS)
    digest = hashlib.sha256(template).hexdigest()[:8]
    name = deployment["metadata"]["name"]
    return [f"{name}-{digest}-{number}" for number in range(deployment["spec"]["replicas"])]


def _render_pod(deployment: Json, name: str, stuck: Json | None) -> Json:
    template, owner = deployment["spec"]["template"], deployment["metadata"]
    return {
        "metadata": {
            "name": name,
            "namespace": owner["namespace"],
            "labels": (template.get("metadata") or {}).get("labels") or {},
            "annotations": (template.get("metadata") or {}).get("annotations") or {},
            "ownerReferences": [
                {
                    "apiVersion": DEPLOYMENTS.api_version,
                    "kind": DEPLOYMENTS.kind,
                    "name": owner["name"],
                    "uid": owner["uid"],
                    "controller": True,
                }
            ],
        },
        "spec": template["spec"],
        "status": stuck or {"phase": "Pending", "conditions": [_condition("Ready", met=False)]},
    }


def _ready_status(pod: Json) -> Json:
    now = timestamp()
    started = {"running": {"startedAt": now}}
    completed = {"terminated": {"exitCode": 0, "reason": "Completed", "finishedAt": now}}

    def states(name: str, state: Json) -> list[Json]:
        return [
            {"name": container["name"], "ready": True, "restartCount": 0, "state": state}
            for container in pod["spec"].get(name) or ()
        ]

    return {
        "phase": "Running",
        "podIP": "127.0.0.1",
        "conditions": [_condition("PodScheduled", met=True), _condition("Ready", met=True)],
        "initContainerStatuses": states("initContainers", completed),
        "containerStatuses": states("containers", started),
    }


def _condition(kind: str, *, met: bool, reason: str = "") -> Json:
    named = {"reason": reason} if reason else {}
    return {"type": kind, "status": str(met), "lastTransitionTime": timestamp(), **named}


def _is_ready(pod: Json) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or []
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)
