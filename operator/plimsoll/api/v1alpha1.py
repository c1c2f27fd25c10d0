"""`ModelDeployment` v1alpha1: what users write and what they read back.

The first class to read is `ModelDeploymentSpec`. Every field's docstring is its `kubectl explain` text and ends by
saying whether a change makes a new revision; one that does not say is as the field around it (`api/revisions.py`).
Additive only: a field is never renamed, retyped or removed within this version.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, Any, ClassVar

from pydantic import Field

from plimsoll.api.base import (
    ATOMIC_LIST,
    ApiModel,
    Digest,
    Duration,
    ObjectName,
    Rule,
    list_map,
    parse_duration,
)
from plimsoll.api.cache import Cache
from plimsoll.api.degradation import FALLBACK_IS_ANOTHER, FALLBACK_NEEDED, Fallback, KillSwitch
from plimsoll.api.pod import PodOptions
from plimsoll.api.preflight import Objective, Preflight
from plimsoll.api.preflight_status import Interface, PreflightStatus
from plimsoll.api.requests import Overload, Requests
from plimsoll.api.resources import Resources as Resources  # noqa: PLC0414 - part of the API, found here too
from plimsoll.api.rollout import Rollout
from plimsoll.api.routing import Routing, Traffic
from plimsoll.api.vocabulary import Accelerator as Accelerator  # noqa: PLC0414 - part of the API, found here too
from plimsoll.api.vocabulary import DataType
from plimsoll.api.vocabulary import ModelFormat as ModelFormat  # noqa: PLC0414 - as above

MAX_NAME_LENGTH = 40
"""Children add a suffix of 11 characters, and Service names end at 63."""

NAME_PATTERN = "^[a-z]([-a-z0-9]*[a-z0-9])?$"

DRAIN_LIMIT = parse_duration("1h")


class Tensor(ApiModel):
    """One input or output of the model."""

    name: Annotated[str, Field(min_length=1, max_length=256)]
    """Name of the tensor. Makes a new revision: yes."""
    data_type: DataType
    """Element type. Makes a new revision: yes."""
    dims: Annotated[
        list[Annotated[int, Field(ge=-1, le=2_147_483_647)]],
        Field(max_length=16, json_schema_extra=dict(ATOMIC_LIST)),
    ]
    """Shape of one item, without the batch dimension; -1 is a dimension of variable size. Makes a new revision: yes."""


_Tensors = Annotated[list[Tensor] | None, Field(min_length=1, max_length=64, json_schema_extra=list_map("name"))]


class NamedReference(ApiModel):
    """An object in the same namespace."""

    name: ObjectName
    """Name of the object."""


class Credentials(ApiModel):
    """How the source of the model is reached. Seen by the fetch container only, never by the model server."""

    secret_ref: NamedReference | None = None
    """Secret of type kubernetes.io/dockerconfigjson, which is keyed by host, or with the keys `username` and `password`
    (or `token`, a bearer token) and `host`: the hosts it is for, HOST or HOST:PORT, one per line. A host that the
    Secret does not name is never shown it, and a service account's token is refused. Makes a new revision: no."""
    ca_config_map_ref: NamedReference | None = None
    """ConfigMap whose *.crt or *.pem keys hold the certificates of a private authority. Makes a new revision: no."""


_DIGEST_AT_END = "@sha256:[0-9a-f]{64}$"


def _uri_digest(uri: str) -> str | None:
    _, separator, digest = uri.rpartition("@sha256:")
    return f"sha256:{digest}" if separator else None


class Model(ApiModel):
    """Where the model comes from and what it is."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="self.uri.matches('^(oci|https|pvc)://[^/]+/.+')",
            message="model.uri: must start with oci://, https:// or pvc:// and name a host (or claim) and a path, "
            "for example oci://registry.example.com/models/digits@sha256:...",
            holds=lambda model: any(
                model.uri.startswith(f"{scheme}://") and all(model.uri.split("://", 1)[1].partition("/")[::2])
                for scheme in ("oci", "https", "pvc")
            ),
            path=".uri",
        ),
        Rule(
            cel="!self.uri.matches('^[a-z]+://[^/]*@')",
            message="model.uri: must not hold a user name or password; put them into a Secret and name it in "
            "model.credentials.secretRef",
            holds=lambda model: "@" not in model.uri.split("://", 1)[-1].partition("/")[0],
            path=".uri",
        ),
        Rule(
            cel=f"has(self.digest) || self.uri.matches('{_DIGEST_AT_END}')",
            message="model.digest: a digest is required, here or at the end of uri (@sha256:...), so that the same "
            "manifest always serves the same bytes; `plimsoll resolve URI` prints it",
            holds=lambda model: model.digest is not None or re.search(_DIGEST_AT_END, model.uri) is not None,
        ),
        Rule(
            cel="!has(self.digest) || !self.uri.contains('@sha256:') || self.uri.endsWith('@' + self.digest)",
            message="model.digest: differs from the digest in uri; remove one of the two",
            holds=lambda model: model.digest is None or _uri_digest(model.uri) in (None, model.digest),
        ),
        Rule(
            cel="has(self.inputs) == has(self.outputs)",
            message="model.inputs: state inputs and outputs together, or neither",
            holds=lambda model: (model.inputs is None) == (model.outputs is None),
        ),
        Rule(
            cel="!has(self.entry) || (has(self.format) && self.format == 'TritonRepository')",
            message="model.entry: names the public model of a Triton repository; set model.format to TritonRepository "
            "or remove entry",
            holds=lambda model: model.entry is None or model.format == ModelFormat.TRITON_REPOSITORY,
        ),
    )

    uri: Annotated[str, Field(min_length=1, max_length=1024)]
    """Where the model is: oci://REGISTRY/REPOSITORY@sha256:..., https://HOST/PATH or pvc://CLAIM/PATH. Without user
    name and password. Makes a new revision: yes."""
    digest: Digest | None = None
    """SHA-256 of the source, where uri does not end with it: of the manifest (oci), of the file (https, pvc) or of the
    folder's listing (pvc). `plimsoll resolve URI` prints it. Makes a new revision: yes."""
    format: ModelFormat | None = None
    """File format. Recognised from the file names when absent. Pickle and joblib are refused: they run code when
    loaded; export to ONNX instead. Makes a new revision: yes."""
    inputs: _Tensors = None
    """Inputs, needed where the file carries no shapes (TorchScript, TensorRT, OpenVINO, Python, SavedModel); checked
    against the file where it does (Onnx). Makes a new revision: yes."""
    outputs: _Tensors = None
    """Outputs, as inputs. Makes a new revision: yes."""
    entry: Annotated[str | None, Field(min_length=1, max_length=253, pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")] = None
    """Model of a Triton repository that is served under the public name; needed when the repository holds several.
    Makes a new revision: yes."""
    config: Annotated[
        dict[str, Any] | None, Field(json_schema_extra={"x-kubernetes-preserve-unknown-fields": True})
    ] = None
    """Overrides of Triton's model configuration (fields of ModelConfig, for example dynamicBatching or instanceGroup);
    they win over what is rendered. Makes a new revision: yes."""
    credentials: Credentials | None = None
    """How the source is reached. Makes a new revision: no."""


NVIDIA_DOMAIN = "nvidia.com/"
"""How the name of every device of NVIDIA begins: whole GPUs, shared ones, slices (`nvidia.com/mig-1g.5gb`)."""


def _asks_for_nvidia(resources: Resources | None) -> bool:
    return resources is not None and any(
        name.startswith(NVIDIA_DOMAIN) for name in [*(resources.requests or ()), *(resources.limits or ())]
    )


def _cel_no_nvidia(field: str) -> str:
    return f"(!has({field}) || !{field}.exists(k, k.startsWith('{NVIDIA_DOMAIN}')))"


class Runtime(ApiModel):
    """How the model server runs."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="!has(self.accelerator) || self.accelerator != 'None' || !has(self.resources) || "
            f"({_cel_no_nvidia('self.resources.requests')} && {_cel_no_nvidia('self.resources.limits')})",
            message=f"runtime.resources: a resource of {NVIDIA_DOMAIN} contradicts runtime.accelerator None; remove "
            "one of the two",
            holds=lambda runtime: runtime.accelerator != Accelerator.NONE or not _asks_for_nvidia(runtime.resources),
            path=".resources",
        ),
        Rule(
            cel="duration(self.drain) <= duration('1h')",
            message="runtime.drain: at most 1h",
            holds=lambda runtime: parse_duration(runtime.drain) <= DRAIN_LIMIT,
            path=".drain",
        ),
    )

    image: Annotated[
        str | None, Field(min_length=1, max_length=512, pattern=r"^[a-z0-9][A-Za-z0-9._:/-]*@sha256:[0-9a-f]{64}$")
    ] = None
    """Triton image, by digest (name@sha256:...). The chart's triton.image when absent; the one used is kept in the
    revision, so a new default restarts nothing. Makes a new revision: yes."""
    accelerator: Accelerator | None = None
    """Nvidia requests nvidia.com/gpu: 1 unless resources say another number or slices (nvidia.com/mig-...), or
    pod.resourceClaims are given; None runs on the CPU. When absent: Nvidia where resources or claims name such devices,
    else the chart's defaults.accelerator. Makes a new revision: yes."""
    resources: Resources | None = None
    """Compute resources of the Triton container. The chart's defaults.resources for what is absent. Makes a new
    revision: yes."""
    pod: PodOptions | None = None
    """Further options of the pods, an allow-list."""
    drain: Duration = "30s"
    """How long the old revision keeps running after traffic has moved to the new one, for requests on old connections.
    Default 30s, at most 1h. Makes a new revision: no."""


class ModelDeploymentSpec(ApiModel):
    """What is wanted."""

    rules: ClassVar[tuple[Rule, ...]] = (FALLBACK_NEEDED,)

    model: Model
    """The model that is served."""
    replicas: Annotated[int, Field(ge=0, le=1000)] = 1
    """Number of model servers; set by `kubectl scale` too. Let a HorizontalPodAutoscaler target the ModelDeployment:
    one that targets a Deployment below it overrules this number. Default 1. Makes a new revision: no."""
    runtime: Runtime | None = None
    """How the model server runs."""
    objective: Objective | None = None
    """What users are promised; the preflight measures against it. Makes a new revision: no."""
    preflight: Preflight | None = None
    """What a new revision has to show before it serves. Without it: the defaults of its fields. Makes a new revision:
    no."""
    cache: Cache | None = None
    """Keeping answers. Without it none is kept: a model with a state or with chance in it must not be cached by
    surprise. Makes a new revision: no."""
    traffic: Traffic = Traffic.NORMAL
    """Where requests go, whatever else is going on. Normal; StableOnly: all to the revision that serves, and no new one
    is promoted; Fallback: predictions are made by the model in spec.fallback; Direct: past the gateway, straight to the
    pods of the revision that serves (to break glass with); Stopped: nowhere, every request is refused. Default Normal.
    Makes a new revision: no."""
    requests: Requests | None = None
    """What gateways take of clients. Makes a new revision: no."""
    rollout: Rollout | None = None
    """How a new revision takes over from the one that serves. Makes a new revision: no."""
    overload: Overload | None = None
    """What gateways do with requests while every pod has as many as it may. Makes a new revision: no."""
    fallback: Fallback | None = None
    """The model that answers where traffic, overload or killSwitch says Fallback. Makes a new revision: no."""
    kill_switch: KillSwitch | None = None
    """Takes the model away from its users when it fails too often. Without it nothing does. Makes a new revision:
    no."""


class Phase(StrEnum):
    """One word for people, derived from the conditions; programs read the conditions."""

    PREPARING = "Preparing"
    VERIFYING = "Verifying"
    REJECTED = "Rejected"
    FINALIZING = "Finalizing"
    STABLE = "Stable"
    SCALING = "Scaling"
    STALLED = "Stalled"
    SCALED_TO_ZERO = "ScaledToZero"
    STOPPED = "Stopped"


class ConditionType(StrEnum):
    """The four conditions, always present."""

    SERVING = "Serving"
    READY = "Ready"
    RECONCILING = "Reconciling"
    STALLED = "Stalled"


class ConditionStatus(StrEnum):
    """A condition holds or does not."""

    TRUE = "True"
    FALSE = "False"


class Condition(ApiModel):
    """One observation about the object."""

    type: Annotated[str, Field(min_length=1, max_length=63)]
    """Serving (users get answers), Ready (the newest spec is promoted), Reconciling (work goes on) or Stalled (you must
    act)."""
    status: ConditionStatus
    """True or False."""
    reason: Annotated[str, Field(min_length=1, max_length=128)]
    """One CamelCase word for programs."""
    message: Annotated[str, Field(max_length=1024)] = ""
    """One sentence for people, with the number and the next step."""
    last_transition_time: Annotated[str, Field(max_length=32, json_schema_extra={"format": "date-time"})]
    """When status last changed."""
    observed_generation: Annotated[int, Field(ge=0)] = 0
    """The metadata.generation that this speaks about."""


class Urls(ApiModel):
    """Where the model answers; they never change."""

    http: Annotated[str, Field(max_length=512)]
    """Open Inference Protocol over HTTP."""
    grpc: Annotated[str, Field(max_length=512)]
    """Open Inference Protocol over gRPC."""


_RevisionName = Annotated[str | None, Field(max_length=63)]


class ModelDeploymentStatus(ApiModel):
    """What is observed."""

    observed_generation: Annotated[int, Field(ge=0)] = 0
    """The metadata.generation that this status speaks about."""
    phase: Phase | None = None
    """One word for people, derived from the conditions."""
    stable: _RevisionName = None
    """Revision that serves users."""
    candidate: _RevisionName = None
    """Revision that is being prepared."""
    replicas: Annotated[int, Field(ge=0)] = 0
    """Pods of the revision that serves (of the candidate while nothing serves yet)."""
    ready_replicas: Annotated[int, Field(ge=0)] = 0
    """Those of them that are ready."""
    selector: Annotated[str | None, Field(max_length=512)] = None
    """Label selector of those pods, for a HorizontalPodAutoscaler."""
    urls: Urls | None = None
    """Where the model answers."""
    decision: Annotated[str | None, Field(max_length=1024)] = None
    """What was last decided, in one sentence."""
    preflight: PreflightStatus | None = None
    """What the last preflight of the newest revision said."""
    stable_interface: Interface | None = None
    """What the stable revision takes and gives, where preflight speaks of another one."""
    routing: Routing | None = None
    """Which revision gets how much: what gateways follow."""
    conditions: Annotated[list[Condition] | None, Field(max_length=16, json_schema_extra=list_map("type"))] = None
    """Serving, Ready, Reconciling and Stalled; all four are always present."""


def _reference_of(spec: ModelDeploymentSpec) -> str | None:
    accuracy = spec.preflight.accuracy if spec.preflight else None
    return accuracy.reference.name if accuracy and accuracy.reference else None


class ModelDeployment(ApiModel):
    """A model, served by Triton under one name."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel=f"self.metadata.name.size() <= {MAX_NAME_LENGTH}",
            message=f"metadata.name: at most {MAX_NAME_LENGTH} characters, because revisions add a suffix; choose a "
            "shorter name",
            holds=lambda deployment: len(deployment.metadata.name) <= MAX_NAME_LENGTH,
        ),
        Rule(
            cel=f"self.metadata.name.matches('{NAME_PATTERN}')",
            message="metadata.name: must start with a letter and hold only lower-case letters, digits and dashes, "
            "because it is also the name of the Service",
            holds=lambda deployment: re.search(NAME_PATTERN, deployment.metadata.name) is not None,
        ),
        Rule(
            cel="!has(self.spec.preflight) || !has(self.spec.preflight.accuracy) || "
            "!has(self.spec.preflight.accuracy.reference) || "
            "self.spec.preflight.accuracy.reference.name != self.metadata.name",
            message="spec.preflight.accuracy.reference: is this ModelDeployment itself; remove it to compare with the "
            "stable revision",
            holds=lambda deployment: _reference_of(deployment.spec) != deployment.metadata.name,
            path=".spec.preflight.accuracy.reference",
        ),
        FALLBACK_IS_ANOTHER,
    )

    metadata: Metadata
    spec: ModelDeploymentSpec
    """What is wanted."""
    status: ModelDeploymentStatus | None = None
    """What is observed."""


class Metadata(ApiModel):
    """The part of an object's metadata that decisions read."""

    name: str
    namespace: str = "default"
    uid: str = ""
    generation: int = 1
    resource_version: str = ""
    deletion_timestamp: str | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None


ModelDeployment.model_rebuild()
