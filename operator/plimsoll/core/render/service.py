"""Services: the stable one that users know, and a headless one per revision for those who look at single pods."""

from __future__ import annotations

from typing import Any

from plimsoll.api.routing import Routing
from plimsoll.api.v1alpha1 import Metadata
from plimsoll.core.hashing import canonical_json
from plimsoll.core.names import (
    GRPC_PORT,
    HTTP_PORT,
    METRICS_PORT,
    ROUTING_ANNOTATION,
    gateway_selector,
    model_labels,
    pod_selector,
    revision_labels,
)
from plimsoll.core.render.manifest import Manifest, child_manifest


def _port(name: str, number: int, protocol: str) -> dict[str, Any]:
    return {"name": name, "port": number, "targetPort": name, "protocol": "TCP", "appProtocol": protocol}


_HTTP = _port("http", HTTP_PORT, "http")
_GRPC = _port("grpc", GRPC_PORT, "kubernetes.io/h2c")
_METRICS = _port("metrics", METRICS_PORT, "http")


def render_stable_service(
    owner: Metadata, revision: str, *, routing: Routing | None = None, gateway: bool = False
) -> Manifest:
    """Returns the Service whose name, ports and URLs never change.

    Args:
        owner: The ModelDeployment.
        revision: Whose pods it selects, unless the gateway.
        routing: What gateways follow, mirrored in an annotation.
        gateway: Select the gateway.
    """
    mirrored = {"epoch": routing.epoch, "revision": revision} if routing else None
    return child_manifest(
        "v1",
        "Service",
        owner.name,
        owner,
        model_labels(owner.name),
        annotations={ROUTING_ANNOTATION: canonical_json(mirrored)} if mirrored else {},
        spec={
            "type": "ClusterIP",
            "selector": gateway_selector() if gateway else pod_selector(owner.name, revision),
            "ports": [_HTTP, _GRPC],
        },
    )


def render_revision_service(owner: Metadata, revision: str) -> Manifest:
    """Returns the headless Service of one revision.

    It lists pods that are not ready too: a candidate is examined before it serves.
    """
    return child_manifest(
        "v1",
        "Service",
        revision,
        owner,
        revision_labels(owner.name, revision),
        spec={
            "type": "ClusterIP",
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": pod_selector(owner.name, revision),
            "ports": [_HTTP, _GRPC, _METRICS],
        },
    )
