"""What every container and pod of ours has in common: it meets the *restricted* Pod Security Standard."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from plimsoll.core.snapshot import STORAGE_RESOURCE

_USER_ID = 10001

POD_SECURITY: Final[Mapping[str, Any]] = {
    "runAsNonRoot": True,
    "runAsUser": _USER_ID,
    "runAsGroup": _USER_ID,
    "fsGroup": _USER_ID,
    "seccompProfile": {"type": "RuntimeDefault"},
}
CONTAINER_SECURITY: Final[Mapping[str, Any]] = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


def beside_triton(
    limits: Mapping[str, str], *, requests: Mapping[str, str], most: Mapping[str, str]
) -> dict[str, dict[str, str]]:
    """Returns the resources of a small container of ours.

    A limit for CPU or storage is stated only where Triton has one: a namespace whose quota or LimitRange wants it
    stated has it in runtime.resources too, and elsewhere a limit for CPU would only slow it down.

    Args:
        limits: Of Triton.
        requests: What it needs.
        most: Its limits, of memory, CPU and storage.
    """
    stated = {name: most[name] for name in ("cpu", STORAGE_RESOURCE) if name in limits}
    return {"requests": dict(requests), "limits": {**stated, "memory": most["memory"]}}
