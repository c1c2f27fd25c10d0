"""Which lists merge by key and which values are atomic, for the kinds served: what server-side apply must know.

Unknown objects merge field by field, unknown lists are atomic. For a custom resource the tree is read from its CRD.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Node:
    """How one place in an object merges."""

    fields: Mapping[str, Node] = field(default_factory=dict)
    keys: tuple[str, ...] = ()
    key_defaults: Mapping[str, Any] = field(default_factory=dict)
    item: Node | None = None
    is_set: bool = False
    atomic: bool = False
    any_field: Node | None = None

    def child(self, name: str) -> Node:
        """The node of a field."""
        return self.fields.get(name) or self.any_field or ANYTHING


ANYTHING = Node()
ATOMIC = Node(atomic=True)
SET = Node(is_set=True)


def by(*keys: str, item: Node = ANYTHING, **defaults: Any) -> Node:
    """A list that merges by these keys."""
    return Node(keys=keys, item=item, key_defaults=defaults)


METADATA = Node(fields={"ownerReferences": by("uid"), "finalizers": SET})

_CONTAINER = Node(
    fields={
        "ports": by("containerPort", "protocol", protocol="TCP"),
        "env": by("name"),
        "volumeMounts": by("mountPath"),
        "volumeDevices": by("devicePath"),
        "resources": Node(fields={"claims": by("name")}),
    }
)
_POD_SPEC = Node(
    fields={
        "containers": by("name", item=_CONTAINER),
        "initContainers": by("name", item=_CONTAINER),
        "ephemeralContainers": by("name", item=_CONTAINER),
        "volumes": by("name"),
        "imagePullSecrets": by("name"),
        "hostAliases": by("ip"),
        "resourceClaims": by("name"),
        "schedulingGates": by("name"),
        "topologySpreadConstraints": by("topologyKey", "whenUnsatisfiable"),
        "nodeSelector": ATOMIC,
    }
)
_POD_TEMPLATE = Node(fields={"metadata": METADATA, "spec": _POD_SPEC})
_STATUS = Node(fields={"conditions": by("type")})

WORKLOAD = Node(
    fields={
        "metadata": METADATA,
        "spec": Node(fields={"selector": ATOMIC, "template": _POD_TEMPLATE}),
        "status": _STATUS,
    }
)
"""Deployments and Jobs."""
POD = Node(fields={"metadata": METADATA, "spec": _POD_SPEC, "status": _STATUS})
SERVICE = Node(
    fields={
        "metadata": METADATA,
        "spec": Node(fields={"selector": ATOMIC, "ports": by("port", "protocol", protocol="TCP")}),
        "status": _STATUS,
    }
)
PLAIN = Node(fields={"metadata": METADATA, "status": _STATUS})


def from_openapi(schema: Mapping[str, Any]) -> Node:
    """The tree for a CRD's `openAPIV3Schema`."""
    list_type = schema.get("x-kubernetes-list-type")
    items = schema.get("items") or {}
    extra = schema.get("additionalProperties")
    properties: Mapping[str, Any] = schema.get("properties") or {}
    keys = tuple(schema.get("x-kubernetes-list-map-keys") or ())
    return Node(
        fields={name: from_openapi(child) for name, child in properties.items()},
        keys=keys if list_type == "map" else (),
        key_defaults={
            key: items["properties"][key]["default"]
            for key in keys
            if "default" in (items.get("properties") or {}).get(key, {})
        },
        item=from_openapi(items) if items else None,
        is_set=list_type == "set",
        atomic=schema.get("x-kubernetes-map-type") == "atomic",
        any_field=from_openapi(extra) if isinstance(extra, dict) else None,
    )


def custom_resource(schema: Mapping[str, Any]) -> Node:
    """As `from_openapi`, with the metadata every object has."""
    node = from_openapi(schema)
    return Node(fields={**node.fields, "metadata": METADATA})
