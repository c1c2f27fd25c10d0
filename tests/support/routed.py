"""ModelDeployments and EndpointSlices as gateways see them, on the wire."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from plimsoll.core.names import revision_labels

Json = dict[str, Any]

TEAM = "vision"


def routing(epoch: int, /, draining: Mapping[str, list[str]] | None = None, **weights: int) -> Json:
    """`status.routing` with the revisions in that order; underscores in their names stand for hyphens."""
    revisions: list[Json] = []
    for word, weight in weights.items():
        name = word.replace("_", "-")
        gone = (draining or {}).get(name)
        revisions.append({"name": name, "weightPermille": weight, **({"draining": gone} if gone else {})})
    return {"epoch": epoch, "revisions": revisions}


def model(name: str = "digits", *, uid: str = "uid-1", version: int = 0, **parts: Any) -> Json:
    """A ModelDeployment: `routing` is a field of status, all other parts are fields of spec."""
    spec = {name: part for name, part in parts.items() if name != "routing"}
    status = {"routing": parts["routing"]} if "routing" in parts else {}
    return {
        "metadata": {"namespace": TEAM, "name": name, "uid": uid, "resourceVersion": str(version)},
        "spec": spec,
        "status": status,
    }


def endpoint(pod: str, ip: str = "10.0.0.1", **conditions: bool) -> Json:
    """An endpoint as the EndpointSlice controller writes it for a Service that publishes pods that are not ready."""
    return {
        "addresses": [ip],
        "conditions": {"ready": True, "serving": True, "terminating": False, **conditions},
        "targetRef": {"kind": "Pod", "namespace": TEAM, "name": pod, "uid": f"uid-of-{pod}"},
    }


def endpoint_slice(
    revision: str, endpoints: Iterable[Json], *, number: int = 1, version: int = 0, family: str = "IPv4"
) -> Json:
    """An EndpointSlice of a revision's Service, with that Service's labels."""
    return {
        "metadata": {
            "namespace": TEAM,
            "name": f"{revision}-{number}",
            "labels": {
                **revision_labels(revision.rpartition("-")[0], revision),
                "kubernetes.io/service-name": revision,
                "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
                "service.kubernetes.io/headless": "",
            },
            "resourceVersion": str(version),
        },
        "addressType": family,
        "endpoints": list(endpoints),
        "ports": [{"name": "http", "port": 8000, "protocol": "TCP"}],
    }
