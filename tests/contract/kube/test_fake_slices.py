"""The fake's EndpointSlices are those that Kubernetes would write, so that gateways can be tested with them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.support.fakeapi import EndpointSlices, FakeApi
from tests.support.fakeapi.clocks import eventually

from plimsoll.kube.resources import ENDPOINTSLICES, PODS, SERVICES

LABELS = {"app": "digits"}


@pytest.fixture
async def cluster(api: FakeApi) -> AsyncIterator[FakeApi]:
    """One whose slices hold two endpoints."""
    task = asyncio.create_task(EndpointSlices(api.cluster, per_slice=2).run())
    yield api
    task.cancel()
    await asyncio.wait([task])


def add_service(api: FakeApi, **spec: Any) -> None:
    api.cluster.add(
        SERVICES,
        {
            "metadata": {"namespace": "ns", "name": "s", "labels": {"a": "b"}},
            "spec": {"selector": LABELS, "ports": [{"name": "http", "port": 8000}], **spec},
        },
    )


def add_pod(api: FakeApi, name: str, *, ready: bool = True, ip: str = "10.0.0.1", **metadata: Any) -> None:
    status = {
        "phase": "Running",
        "podIP": ip,
        "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
    }
    api.cluster.add(
        PODS, {"metadata": {"namespace": "ns", "name": name, "labels": LABELS, **metadata}, "status": status}
    )


def slices(api: FakeApi) -> list[list[tuple[str, bool, bool, bool]]]:
    """Pods with ready, serving and terminating, by slice."""
    return [
        [
            (one["targetRef"]["name"], *(one["conditions"][what] for what in ("ready", "serving", "terminating")))
            for one in slice_["endpoints"]
        ]
        for slice_ in api.cluster.all(ENDPOINTSLICES)
    ]


async def test_a_service_publishes_ready_pods(cluster: FakeApi) -> None:
    add_service(cluster)
    add_pod(cluster, "a")
    add_pod(cluster, "b", ready=False)
    await eventually(lambda: slices(cluster) == [[("a", True, True, False), ("b", False, False, False)]])


async def test_a_service_that_publishes_all_calls_all_ready(cluster: FakeApi) -> None:
    add_service(cluster, publishNotReadyAddresses=True, clusterIP="None")
    add_pod(cluster, "a")
    add_pod(cluster, "b", ready=False)
    add_pod(cluster, "c", finalizers=["example.com/stay"])
    cluster.cluster.drop(PODS, "ns", "c")
    await eventually(
        lambda: slices(cluster) == [[("a", True, True, False), ("b", True, False, False)], [("c", True, True, True)]]
    )
    labels = cluster.cluster.all(ENDPOINTSLICES)[0]["metadata"]["labels"]
    assert labels.items() >= {"a": "b", "kubernetes.io/service-name": "s", "service.kubernetes.io/headless": ""}.items()


async def test_slices_go_with_their_pods_and_their_service(cluster: FakeApi) -> None:
    add_service(cluster)
    for name in "abc":
        add_pod(cluster, name)
    await eventually(lambda: [len(part) for part in slices(cluster)] == [2, 1])
    cluster.cluster.drop(PODS, "ns", "a")
    await eventually(lambda: [len(part) for part in slices(cluster)] == [2])
    cluster.cluster.drop(SERVICES, "ns", "s")
    await eventually(lambda: slices(cluster) == [])


async def test_pods_without_an_address_and_pods_that_ended_are_left_out(cluster: FakeApi) -> None:
    add_service(cluster)
    add_pod(cluster, "a", ip="")
    add_pod(cluster, "b")
    await eventually(lambda: slices(cluster) == [[("b", True, True, False)]])
    cluster.cluster.change(PODS, "ns", "b", lambda pod: pod["status"].update(phase="Failed"), subresource="status")
    await eventually(lambda: slices(cluster) == [[]])
