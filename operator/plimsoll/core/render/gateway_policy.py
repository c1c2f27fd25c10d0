"""Who may connect to gateways, and who past them to model pods.

Both say nothing about what these pods connect to. The kubelet's probes come from the node, which no policy keeps away.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from plimsoll.core.fleet.observed import FleetSettings
from plimsoll.core.names import MODEL_LABEL, PREFLIGHT_LABEL, REVISION_LABEL, gateway_selector

_NAMESPACE_NAME = "kubernetes.io/metadata.name"


def render_gateway_policy(settings: FleetSettings) -> dict[str, Any]:
    """Returns the spec of the policy on gateways: requests from anywhere, the admin port from inside the cluster.

    Behind the admin port are metrics for whoever runs Prometheus, wherever that is, so by default every pod may ask.
    What the controller alone may have, the record stream, wants a token that it signed.
    """
    return {
        "podSelector": {"matchLabels": gateway_selector()},
        "policyTypes": ["Ingress"],
        "ingress": [
            {"ports": _ports("http", "grpc")},
            {"from": _readers(settings, settings.controller_namespace), "ports": _ports("admin")},
        ],
    }


def render_models_policy(settings: FleetSettings, open_to_all: Iterable[str]) -> dict[str, Any]:
    """Returns the spec of the policy on model pods: requests from gateways and preflights, metrics for Prometheus.

    A preflight also asks the sidecar. The controller asks a model pod nothing.

    Args:
        settings: What the chart says.
        open_to_all: ModelDeployments whose pods are left out.
    """
    names = sorted(open_to_all)
    left_out = [{"key": MODEL_LABEL, "operator": "NotIn", "values": names}] if names else []
    preflights = {"podSelector": {"matchExpressions": [{"key": PREFLIGHT_LABEL, "operator": "Exists"}]}}
    return {
        "podSelector": {"matchExpressions": [{"key": REVISION_LABEL, "operator": "Exists"}, *left_out]},
        "policyTypes": ["Ingress"],
        "ingress": [
            {"from": [{"podSelector": {"matchLabels": gateway_selector()}}], "ports": _ports("http", "grpc")},
            {"from": [preflights], "ports": _ports("http", "grpc", "examiner", "metrics")},
            {"from": _readers(settings), "ports": _ports("metrics")},
        ],
    }


def open_models(policy: Mapping[str, Any]) -> frozenset[str]:
    """Returns whom a policy on model pods leaves out."""
    selector = (policy.get("spec") or {}).get("podSelector") or {}
    return frozenset(
        name
        for expression in selector.get("matchExpressions") or ()
        if (expression.get("key"), expression.get("operator")) == (MODEL_LABEL, "NotIn")
        for name in expression.get("values") or ()
    )


def _ports(*names: str) -> list[dict[str, Any]]:
    return [{"port": name, "protocol": "TCP"} for name in names]


def _readers(settings: FleetSettings, *more: str) -> list[dict[str, Any]]:
    """Returns from where metrics may be read."""
    if not settings.metrics_namespaces:
        return [{"namespaceSelector": {}}]
    names = sorted({*settings.metrics_namespaces, *more})
    return [{"namespaceSelector": {"matchExpressions": [{"key": _NAMESPACE_NAME, "operator": "In", "values": names}]}}]
