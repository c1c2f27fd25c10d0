"""Which kinds exist: enough of discovery for kopf and kubectl's `get`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

from tests.support.fakeapi.kinds import Kind

Json: TypeAlias = dict[str, Any]

_VERBS = ["create", "delete", "get", "list", "patch", "update", "watch"]


def answer(path: str, kinds: Iterable[Kind]) -> Json | None:  # noqa: PLR0911 - a table
    """The discovery document at that path, if it is one."""
    parts = tuple(part for part in path.split("/") if part)
    match parts:
        case ("version",):
            return {"major": "1", "minor": "36", "gitVersion": "v1.36.0-fake"}
        case ("livez" | "readyz" | "healthz",):
            return {"status": "ok"}
        case ("api",):
            return {"kind": "APIVersions", "versions": ["v1"]}
        case ("apis",):
            groups = sorted({(k.resource.group, k.resource.version) for k in kinds if k.resource.group})
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(*group) for group in groups]}
        case ("api", version):
            return _resources(version, [k for k in kinds if not k.resource.group and k.resource.version == version])
        case ("apis", group, version):
            found = [k for k in kinds if (k.resource.group, k.resource.version) == (group, version)]
            return _resources(f"{group}/{version}", found) if found else None
        case _:
            return None


def _group(name: str, version: str) -> Json:
    served = {"groupVersion": f"{name}/{version}", "version": version}
    return {"name": name, "versions": [served], "preferredVersion": served}


def _resources(group_version: str, kinds: Iterable[Kind]) -> Json:
    rows: list[Json] = []
    for kind in kinds:
        resource = kind.resource
        common = {"singularName": resource.kind.lower(), "namespaced": resource.namespaced, "kind": resource.kind}
        rows.append({"name": resource.plural, "verbs": _VERBS, **common})
        rows += [
            {"name": f"{resource.plural}/{name}", "verbs": ["get", "patch", "update"], **common}
            for name, served in (("status", kind.status), ("scale", kind.scale))
            if served
        ]
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": rows}
