"""What a fleet consists of beside its Deployment, to which all of it belongs: it goes with it, by collection."""

from __future__ import annotations

from typing import Any

from plimsoll.core.fleet.observed import FleetSettings
from plimsoll.core.names import GATEWAY_NAME, gateway_labels, gateway_selector
from plimsoll.core.render.gateway import CONFIG_FILE, gateway_config
from plimsoll.core.render.gateway_policy import render_gateway_policy
from plimsoll.core.render.manifest import Manifest, digested, owner_reference

_RBAC = "rbac.authorization.k8s.io"


def render_companions(namespace: str, settings: FleetSettings, deployment_uid: str) -> list[Manifest]:
    """Returns them in the order in which they are made: what a pod needs to start comes first."""
    account = {"kind": "ServiceAccount", "name": GATEWAY_NAME, "namespace": namespace}
    contents: list[tuple[str, str, dict[str, Any]]] = [
        # The token is mounted by the gateway's pods alone, which ask for it themselves.
        ("v1", "ServiceAccount", {"automountServiceAccountToken": False}),
        (
            f"{_RBAC}/v1",
            "RoleBinding",
            {"roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": settings.role}, "subjects": [account]},
        ),
        ("v1", "ConfigMap", {"data": {CONFIG_FILE: gateway_config(settings)}}),
        (
            "policy/v1",
            "PodDisruptionBudget",
            {
                "spec": {
                    "minAvailable": 1,
                    "selector": {"matchLabels": gateway_selector()},
                    # A gateway that is not ready serves nobody, and must not block the drain of its node.
                    "unhealthyPodEvictionPolicy": "AlwaysAllow",
                }
            },
        ),
        ("networking.k8s.io/v1", "NetworkPolicy", {"spec": render_gateway_policy(settings)}),
    ]
    return [
        companion(version, kind, GATEWAY_NAME, namespace, deployment_uid, **more) for version, kind, more in contents
    ]


def companion(api_version: str, kind: str, name: str, namespace: str, deployment_uid: str, **content: Any) -> Manifest:
    """Returns an object of a fleet, which belongs to the Deployment with that uid."""
    metadata = {
        "name": name,
        "namespace": namespace,
        "labels": gateway_labels(),
        "annotations": {},
        "ownerReferences": [owner_reference("apps/v1", "Deployment", GATEWAY_NAME, deployment_uid)],
    }
    return digested({"apiVersion": api_version, "kind": kind, "metadata": metadata, **content})
