"""What a revision is: a snapshot of everything that can change an answer, taken once.

Two digests with two purposes. The *intent* digest covers what the user wrote (defaults left out), so that upgrading the
operator or changing the chart's default image never asks for a new revision. The *snapshot* digest covers what was
resolved at the time, and names the revision.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from plimsoll.api.base import to_wire
from plimsoll.api.quantity import parse_quantity
from plimsoll.api.v1alpha1 import Accelerator, Model, ModelDeploymentSpec, Runtime
from plimsoll.core.environment import literal_json
from plimsoll.core.hashing import digest_of
from plimsoll.core.names import revision_name
from plimsoll.errors import Invalid

RENDER_VERSION = 2
"""2: with the examiner. Raised when rendering changes what a pod computes or holds; older snapshots keep being rendered
as they were."""

GPU_RESOURCE = "nvidia.com/gpu"
STORAGE_RESOURCE = "ephemeral-storage"

MAX_REQUEST_KIB = 100
"""Size of the model's part of the fetch request, as written. Linux starts no process with a variable above 128 KiB."""

_NVIDIA_DEVICES = ("nvidia.com/gpu", "nvidia.com/mig-")
"""How the names of NVIDIA's device plugin begin: whole GPUs, shared ones (`nvidia.com/gpu.shared`) and slices."""
_OUTSIDE_MODEL = ("credentials",)
_POD_INSIDE = ("runtimeClassName", "env", "resourceClaims")


@dataclass(frozen=True, slots=True)
class Defaults:
    """What the chart decides for manifests that do not say.

    Attributes:
        accelerator: Used when `runtime.accelerator` is absent.
        triton_image: Used when `runtime.image` is absent.
        fetch_image: The operator's own image, which runs `plimsoll fetch`.
        requests: Resource requests, per resource name.
        limits: Resource limits, per resource name.
        progress_deadline: How long a revision may make no progress before it is called stalled.
        history_limit: Revisions kept beyond those in use.
        report_key: Public key of the controller in base64url, by which a preflight Job knows who may fetch its report
            (`core/tokens.py`).
    """

    accelerator: Accelerator
    triton_image: str
    fetch_image: str
    requests: Mapping[str, str]
    limits: Mapping[str, str]
    progress_deadline: timedelta = timedelta(minutes=10)
    history_limit: int = 10
    report_key: str = ""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that can change a revision's answers, as JSON values."""

    render_version: int
    model: Mapping[str, Any]
    accelerator: Accelerator
    triton_image: str
    fetch_image: str
    requests: Mapping[str, str]
    limits: Mapping[str, str]
    pod: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Returns the form that is digested and kept in the ControllerRevision."""
        return {
            "renderVersion": self.render_version,
            "model": dict(self.model),
            "runtime": {
                "accelerator": self.accelerator.value,
                "image": self.triton_image,
                "fetchImage": self.fetch_image,
                "requests": dict(self.requests),
                "limits": dict(self.limits),
                "pod": dict(self.pod),
            },
        }

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Snapshot:
        """Reads what `to_json` wrote.

        Raises:
            AttributeError, KeyError, ValueError, TypeError: `data` was not written by `to_json`.
        """
        runtime, model = data["runtime"], data["model"]
        return Snapshot(
            render_version=int(data["renderVersion"]),
            model={**model, "uri": _text(model["uri"]), "digest": _text(model["digest"])},
            accelerator=Accelerator(runtime["accelerator"]),
            triton_image=_text(runtime["image"]),
            fetch_image=_text(runtime["fetchImage"]),
            requests=_quantities(runtime["requests"]),
            limits=_quantities(runtime["limits"]),
            pod={**runtime["pod"]},
        )

    def name_for(self, model: str) -> str:
        """Returns the name of this snapshot's revision of ModelDeployment `model`."""
        return revision_name(model, digest_of(self.to_json()))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not text")
    return value


def _quantities(value: Mapping[str, Any]) -> dict[str, str]:
    if any(parse_quantity(_text(quantity)) is None for quantity in value.values()):
        raise ValueError(f"{value!r} holds something that is no quantity")
    return dict(value)


def normalised_model(model: Model) -> dict[str, Any]:
    """Returns the model with its digest in one place, so that both spellings of it are the same revision.

    Raises:
        Invalid: no digest (an object admitted without the CRD's rules), or two that differ.
    """
    wire = {key: value for key, value in to_wire(model).items() if key not in _OUTSIDE_MODEL}
    uri, separator, suffix = model.uri.rpartition("@sha256:")
    stated = f"sha256:{suffix}" if separator else model.digest
    if stated is None:
        raise Invalid(
            "DigestRequired",
            "spec.model.digest is missing; `plimsoll resolve URI` prints it, so that the same manifest always "
            "serves the same bytes",
        )
    if model.digest not in (None, stated):
        raise Invalid(
            "DigestRequired", "spec.model.digest differs from the digest in spec.model.uri; remove one of them"
        )
    if not wire.get("config"):
        wire.pop("config", None)
    return {**wire, "uri": uri if separator else model.uri, "digest": stated}


def _pod_inside(runtime: Runtime) -> dict[str, Any]:
    pod = to_wire(runtime.pod) if runtime.pod else {}
    return {key: pod[key] for key in _POD_INSIDE if pod.get(key)}


def _resources_intent(runtime: Runtime) -> dict[str, Any] | None:
    wire = to_wire(runtime.resources) if runtime.resources else {}
    return {key: quantities for key, quantities in wire.items() if quantities} or None


def intent_digest(spec: ModelDeploymentSpec) -> str:
    """Returns the digest of what the user wrote that makes a revision; absent, empty and default are the same."""
    runtime = spec.runtime or Runtime()
    return digest_of(
        {
            "model": normalised_model(spec.model),
            "image": runtime.image,
            "accelerator": runtime.accelerator.value if runtime.accelerator else None,
            "resources": _resources_intent(runtime),
            "pod": _pod_inside(runtime),
        }
    )


def _resolved(
    given: Mapping[str, str] | None, defaults: Mapping[str, str], other: Mapping[str, str] | None
) -> dict[str, str]:
    """Returns what is given over the defaults.

    A resource that the user sized on the other side takes no default here: a default request of 2Gi beside a given
    limit of 1500Mi would be refused. Kubernetes then uses the limit as the request, and sets no limit where only a
    request is given.
    """
    unsized = {name: value for name, value in defaults.items() if name not in (other or {})}
    return {**unsized, **(given or {})}


def _states_devices(runtime: Runtime) -> bool:
    """Tells whether the user names the devices: by claim, or by a resource of which there is more than none."""
    if runtime.pod and runtime.pod.resource_claims:
        return True
    given = runtime.resources
    stated = {**((given and given.requests) or {}), **((given and given.limits) or {})}
    return any(name.startswith(_NVIDIA_DEVICES) and parse_quantity(count) for name, count in stated.items())


def _bounded(model: dict[str, Any]) -> dict[str, Any]:
    size_kib = math.ceil(len(literal_json(model).encode()) / 1024)
    if size_kib > MAX_REQUEST_KIB:
        raise Invalid(
            "ConfigTooLarge",
            f"spec.model.config makes the request to fetch the model {size_kib} KiB large; at most "
            f"{MAX_REQUEST_KIB} KiB fit. Put config.pbtxt into the model's folder and set spec.model.format to "
            "TritonRepository",
        )
    return model


def take_snapshot(spec: ModelDeploymentSpec, defaults: Defaults) -> Snapshot:
    """Resolves the spec with today's defaults.

    Raises:
        Invalid: the spec names no digest, or its configuration is too large.
    """
    runtime = spec.runtime or Runtime()
    devices = _states_devices(runtime)
    accelerator = runtime.accelerator or (Accelerator.NVIDIA if devices else defaults.accelerator)
    given = runtime.resources
    limits = _resolved(given.limits if given else None, defaults.limits, given.requests if given else None)
    requests = _resolved(given.requests if given else None, defaults.requests, given.limits if given else None)
    if accelerator is Accelerator.NVIDIA:
        # Kubernetes takes a request for a device only beside an equal limit.
        limits = {**{name: count for name, count in requests.items() if name.startswith(_NVIDIA_DEVICES)}, **limits}
        if not devices:
            limits.setdefault(GPU_RESOURCE, "1")
    return Snapshot(
        render_version=RENDER_VERSION,
        model=_bounded(normalised_model(spec.model)),
        accelerator=accelerator,
        triton_image=runtime.image or defaults.triton_image,
        fetch_image=defaults.fetch_image,
        requests=requests,
        limits=limits,
        pod=_pod_inside(runtime),
    )
