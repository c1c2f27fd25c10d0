"""What the operator adds to the start of a model: apply-to-Ready over apply-to-Available of the same pod by hand.

On a real cluster. Both sides run the same pod template, copied from a live ModelDeployment, so what differs is the
operator alone. They take turns, because a machine has good and bad minutes, and times come from watches that were open
before the apply.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.scale.saying import say

from plimsoll.kube.client import Client
from plimsoll.kube.connection import connect
from plimsoll.kube.resources import DEPLOYMENTS, MODELDEPLOYMENTS, PODS, SERVICES, JsonObject, Resource, key_of
from plimsoll_dev.cluster.progress import Progress
from plimsoll_dev.models.catalogue import DIGITS
from plimsoll_dev.testbed.harness import Harness
from plimsoll_dev.testbed.model import manifest

NAMESPACE = "plimsoll-bench"
ROUNDS = 5
_PATTERN = "pattern"
_LABEL = "plimsoll-bench/name"
_PATIENCE_S = 300.0


@dataclass(frozen=True, slots=True)
class Starts:
    """Seconds from apply to ready, one entry per round."""

    operator: Sequence[float]
    by_hand: Sequence[float]

    def figures(self) -> dict[str, float]:
        """Returns the ratio of the medians, and the lowest and highest time of each side."""
        return {
            "ready_ratio": round(statistics.median(self.operator) / statistics.median(self.by_hand), 3),
            "ready_s_median": round(statistics.median(self.operator), 2),
            "ready_s_min": round(min(self.operator), 2),
            "ready_s_max": round(max(self.operator), 2),
            "by_hand_s_median": round(statistics.median(self.by_hand), 2),
            "by_hand_s_min": round(min(self.by_hand), 2),
            "by_hand_s_max": round(max(self.by_hand), 2),
        }


def measure_ready_ratio() -> Starts:
    """Makes or reuses the cluster of `make demo`, and measures in a namespace of its own that is removed again."""
    bed = Harness.prepare(Progress())
    bed.installation.install()
    bed.create_namespace(NAMESPACE)
    try:
        registry = bed.registry(NAMESPACE)
        registry.install()
        uri = registry.push([DIGITS])[DIGITS.folder]
        return asyncio.run(_measure(bed.kubectl.kubeconfig, bed.kubectl.context, uri))
    finally:
        bed.kubectl.run("delete", "namespace", NAMESPACE, "--wait=false")


async def _measure(kubeconfig: Path, context: str, uri: str) -> Starts:
    operator: list[float] = []
    by_hand: list[float] = []
    async with Client(await connect({"KUBECONFIG": str(kubeconfig), "CONTEXT": context})) as client:
        pattern = manifest(_PATTERN, NAMESPACE, uri)
        await _time_to(client, [pattern], is_ready)
        template = await _template(client)
        await _remove(client, MODELDEPLOYMENTS, _PATTERN)
        for number in range(ROUNDS):
            operator.append(await _time_to(client, [pattern], is_ready))
            await _remove(client, MODELDEPLOYMENTS, _PATTERN)
            name = f"by-hand-{number}"
            by_hand.append(await _time_to(client, written_by_hand(name, template), is_available))
            await client.delete(SERVICES, NAMESPACE, name)
            await _remove(client, DEPLOYMENTS, name)
            say(f"round {number + 1} of {ROUNDS}: {operator[-1]:.2f} s with Plimsoll, {by_hand[-1]:.2f} s by hand")
    return Starts(operator, by_hand)


def written_by_hand(name: str, template: Mapping[str, Any]) -> list[JsonObject]:
    """Returns a Deployment and a Service around a pod template, as somebody without Plimsoll would write them."""
    labels = {_LABEL: name}
    metadata = {"name": name, "namespace": NAMESPACE}
    pod = {**template, "metadata": {"labels": labels}}
    return [
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": metadata,
            "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": pod},
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata,
            "spec": {"selector": labels, "ports": [{"name": "http", "port": 8000}, {"name": "grpc", "port": 8001}]},
        },
    ]


def is_ready(obj: JsonObject) -> bool:
    """Tells whether the newest spec of a ModelDeployment serves."""
    return _condition(obj, "Ready") and obj["status"]["observedGeneration"] == obj["metadata"]["generation"]


def is_available(obj: JsonObject) -> bool:
    """Tells whether a Deployment has its pods."""
    return _condition(obj, "Available")


def _condition(obj: JsonObject, kind: str) -> bool:
    conditions = obj.get("status", {}).get("conditions") or []
    return any(entry["type"] == kind and entry["status"] == "True" for entry in conditions)


_RESOURCES = {resource.kind: resource for resource in (MODELDEPLOYMENTS, DEPLOYMENTS, SERVICES)}


async def _time_to(client: Client, objects: Sequence[JsonObject], done: Callable[[JsonObject], bool]) -> float:
    """Applies the objects and returns the seconds until the first of them is done."""
    resource, key = _RESOURCES[objects[0]["kind"]], key_of(objects[0])
    version = await _version(client, resource)
    watching = asyncio.create_task(_seen(client, resource, version, lambda obj: key_of(obj) == key and done(obj)))
    started = time.perf_counter()
    for obj in objects:
        await client.apply(_RESOURCES[obj["kind"]], obj, manager="bench", force=True)
    async with asyncio.timeout(_PATIENCE_S):
        return await watching - started


async def _seen(client: Client, resource: Resource, version: str, done: Callable[[JsonObject], bool]) -> float:
    """Returns when (`time.perf_counter`) a watch showed an object that is done."""
    stream = client.watch(resource, resource_version=version, namespace=NAMESPACE, timeout_s=_PATIENCE_S)
    async with aclosing(stream):
        async for event in stream:
            if event.type != "BOOKMARK" and done(event.object):
                return time.perf_counter()
    raise TimeoutError(f"no {resource.kind} was ready within {_PATIENCE_S:.0f} s")


async def _version(client: Client, resource: Resource) -> str:
    async with aclosing(client.list_pages(resource, namespace=NAMESPACE)) as pages:
        return (await anext(pages)).resource_version


async def _template(client: Client) -> Mapping[str, Any]:
    async with aclosing(client.list_pages(DEPLOYMENTS, namespace=NAMESPACE)) as pages:
        found = [d for d in (await anext(pages)).items if d["metadata"]["name"].startswith(f"{_PATTERN}-")]
    template: Mapping[str, Any] = found[0]["spec"]["template"]
    return template


async def _remove(client: Client, resource: Resource, name: str) -> None:
    """Deletes an object and waits for its pods to be gone: the next start must not share the machine with them."""
    pods = await _model_pods(client)
    version = await _version(client, PODS)
    await client.delete(resource, NAMESPACE, name)
    async with aclosing(
        client.watch(PODS, resource_version=version, namespace=NAMESPACE, timeout_s=_PATIENCE_S)
    ) as gone:
        while pods:
            event = await anext(gone)
            if event.type == "DELETED":
                pods.discard(event.object["metadata"]["name"])


async def _model_pods(client: Client) -> set[str]:
    async with aclosing(client.list_pages(PODS, namespace=NAMESPACE)) as pages:
        pods = (await anext(pages)).items
    return {pod["metadata"]["name"] for pod in pods if any(c["name"] == "triton" for c in pod["spec"]["containers"])}
