"""The EndpointSlice controller in miniature: every Service with a selector gets slices of the pods it selects.

As in Kubernetes 1.36: a slice has the labels of its Service, `serving` is the pod's Ready condition, `ready` is true
besides for every pod of a Service that publishes addresses which are not ready, and pods that have ended are left out.
Slices are filled in the order of names, which the real one does not promise.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, TypeAlias

from tests.support.fakeapi.cluster import Cluster, Target

from plimsoll.kube.resources import ENDPOINTSLICES, PODS, SERVICES

Json: TypeAlias = dict[str, Any]

MANAGER = "endpointslice-controller.k8s.io"


class EndpointSlices:
    """Runs beside a fake API server, as a task of the test.

    Args:
        cluster: Where Services and pods come from.
        per_slice: Endpoints in one slice; 100 in a real cluster.
    """

    def __init__(self, cluster: Cluster, *, per_slice: int = 100) -> None:
        self._cluster = cluster
        self._per_slice = per_slice
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Follows Services and pods until cancelled."""
        shelves = [self._cluster.storage.shelf(resource) for resource in (SERVICES, PODS)]
        for shelf in shelves:
            shelf.listeners.add(self._changed)
        try:
            while True:
                self._changed.clear()
                for service in self._cluster.all(SERVICES):
                    self._sync(service)
                await self._changed.wait()
        finally:
            for shelf in shelves:
                shelf.listeners.discard(self._changed)

    def _sync(self, service: Json) -> None:
        selector = service["spec"].get("selector")
        if not selector:
            return
        metadata, spec = service["metadata"], service["spec"]
        pods = [pod for pod in self._cluster.all(PODS, metadata["namespace"]) if _selects(selector, pod)]
        publishes = bool(spec.get("publishNotReadyAddresses"))
        endpoints = [_endpoint(pod, publishes=publishes) for pod in pods if _has_endpoint(pod)]
        wanted = {slice_["metadata"]["name"]: slice_ for slice_ in self._slices(service, endpoints)}
        have = self._cluster.storage.dependents(metadata["uid"], ENDPOINTSLICES)
        for key in have:
            if key[1] not in wanted and self._cluster.storage.get(ENDPOINTSLICES, key):
                self._cluster.drop(ENDPOINTSLICES, *key)
        for slice_ in wanted.values():
            self._write(slice_)

    def _slices(self, service: Json, endpoints: list[Json]) -> Iterator[Json]:
        metadata, spec = service["metadata"], service["spec"]
        headless = {"service.kubernetes.io/headless": ""} if spec.get("clusterIP") == "None" else {}
        reserved = {
            "kubernetes.io/service-name": metadata["name"],
            "endpointslice.kubernetes.io/managed-by": MANAGER,
            **headless,
        }
        owner = {"apiVersion": "v1", "kind": "Service", "name": metadata["name"], "uid": metadata["uid"]}
        for number in range(max(1, -(-len(endpoints) // self._per_slice))):
            yield {
                "metadata": {
                    "namespace": metadata["namespace"],
                    "name": f"{metadata['name']}-{number}",
                    "labels": {**(metadata.get("labels") or {}), **reserved},
                    "ownerReferences": [{**owner, "controller": True}],
                },
                "addressType": "IPv4",
                "endpoints": endpoints[number * self._per_slice : (number + 1) * self._per_slice],
                "ports": [{"name": port.get("name", ""), "port": port["port"]} for port in spec.get("ports") or ()],
            }

    def _write(self, wanted: Json) -> None:
        metadata = wanted["metadata"]
        key = (metadata["namespace"], metadata["name"])
        old = self._cluster.storage.get(ENDPOINTSLICES, key)
        target = Target(self._cluster.kind(ENDPOINTSLICES), *key, manager=MANAGER)
        if old is None:
            self._cluster.create(target, wanted)
        else:
            self._cluster.update(target, {**old, **wanted, "metadata": {**old["metadata"], **metadata}})


def _selects(selector: dict[str, str], pod: Json) -> bool:
    return selector.items() <= (pod["metadata"].get("labels") or {}).items()


def _has_endpoint(pod: Json) -> bool:
    status = pod.get("status") or {}
    return bool(status.get("podIP")) and status.get("phase") not in {"Succeeded", "Failed"}


def _endpoint(pod: Json, *, publishes: bool) -> Json:
    metadata, status = pod["metadata"], pod["status"]
    conditions = {condition["type"]: condition["status"] for condition in status.get("conditions") or ()}
    serving, terminating = conditions.get("Ready") == "True", "deletionTimestamp" in metadata
    return {
        "addresses": [status["podIP"]],
        "conditions": {
            "ready": publishes or (serving and not terminating),
            "serving": serving,
            "terminating": terminating,
        },
        "targetRef": {
            "kind": "Pod",
            "namespace": metadata["namespace"],
            "name": metadata["name"],
            "uid": metadata["uid"],
        },
    }
