"""From the API server's JSON to the values of core/fleet/observed.py."""

from __future__ import annotations

import dataclasses
from typing import Any

import orjson

from plimsoll.api.routing import Traffic
from plimsoll.controller.gateway_state import GatewayPod
from plimsoll.controller.projection import condition, identity, project_deployment
from plimsoll.core.actions import ChildKind
from plimsoll.core.fleet.observed import Companion, FleetDeployment, ModelHere
from plimsoll.core.names import TEMPLATE_ANNOTATION, gateway_labels
from plimsoll.core.packing import pack
from plimsoll.kube.resources import JsonObject

_KEPT_METADATA = ("name", "namespace", "labels", "annotations", "ownerReferences")


def project_gateway_pod(obj: JsonObject) -> GatewayPod:
    """Returns a gateway's pod."""
    metadata, status = obj["metadata"], obj.get("status") or {}
    ready = condition(status, "Ready").get("status") == "True" and "deletionTimestamp" not in metadata
    return GatewayPod(
        namespace=metadata.get("namespace", ""),
        name=metadata["name"],
        uid=metadata["uid"],
        ip=status.get("podIP", ""),
        ready=ready,
    )


def project_fleet_deployment(obj: JsonObject) -> FleetDeployment:
    """Returns the Deployment of a namespace's gateways."""
    base = project_deployment(obj)
    status = obj.get("status") or {}
    return FleetDeployment(
        **{field.name: getattr(base, field.name) for field in dataclasses.fields(base)},
        template=(obj["metadata"].get("annotations") or {}).get(TEMPLATE_ANNOTATION, ""),
        outdated=max(0, status.get("replicas", 0) - status.get("updatedReplicas", 0)),
    )


def project_companion(obj: JsonObject) -> Companion:
    """Returns an object under a name that a fleet uses, whoever made it."""
    metadata = obj["metadata"]
    applied = {key: value for key, value in obj.items() if key not in {"metadata", "status"}}
    return Companion(
        **identity(obj),
        packed=pack({**applied, "metadata": {key: metadata.get(key) for key in _KEPT_METADATA}}),
        kind=ChildKind(obj["kind"]),
        ours=is_fleets(obj),
    )


def is_fleets(obj: JsonObject) -> bool:
    """Tells whether an object says that it is a part of a fleet."""
    return gateway_labels().items() <= (obj["metadata"].get("labels") or {}).items()


def project_model_here(stored: bytes) -> ModelHere | None:
    """Returns what a fleet wants to know of a ModelDeployment as it is cached; None when it is being deleted.

    An object that does not fit the API (stored under another CRD) is there all the same: it counts as one that does
    nothing.
    """
    obj: dict[str, Any] = orjson.loads(stored)
    if "deletionTimestamp" in obj["metadata"]:
        return None
    spec, status = _mapping(obj.get("spec")), _mapping(obj.get("status"))
    revisions = _mapping(status.get("routing")).get("revisions")
    candidates = revisions[1:] if isinstance(revisions, list) else []
    return ModelHere(
        name=obj["metadata"]["name"],
        rolling_out=any(bool(_mapping(candidate).get("weightPermille")) for candidate in candidates),
        direct=spec.get("traffic") == Traffic.DIRECT,
    )


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
