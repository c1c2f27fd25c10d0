"""The model pod: `plimsoll fetch` as init container, the examiner as sidecar, then Triton.

Meets the *restricted* Pod Security Standard.
Every number here was measured against Triton 2.51 and Kubernetes 1.36; see operator/docs/adr/.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from plimsoll.api.base import to_wire
from plimsoll.api.quantity import whole
from plimsoll.api.v1alpha1 import ModelDeployment, ModelFormat
from plimsoll.core.environment import literal, literal_json
from plimsoll.core.names import (
    COMPONENT_LABEL,
    EXAMINER_PORT,
    GRPC_PORT,
    HTTP_PORT,
    METRICS_PORT,
    pod_selector,
    revision_labels,
)
from plimsoll.core.render.security import CONTAINER_SECURITY, POD_SECURITY, beside_triton
from plimsoll.core.snapshot import GPU_RESOURCE, STORAGE_RESOURCE, Snapshot
from plimsoll.core.world import Revision

PRE_STOP_SECONDS = 5
"""Endpoints leave kube-proxy within this; 3 s was enough for 0 of 11,807 new connections lost."""
EXIT_TIMEOUT_SECONDS = 30
"""Longest request that is finished at shutdown."""
GRACE_SECONDS = PRE_STOP_SECONDS + EXIT_TIMEOUT_SECONDS + 5
"""preStop consumes grace; less than this ends in SIGKILL."""

EXAMINER_SINCE = 2
"""Render version; pods of older revisions would be restarted by a new container."""

_SHARED_MEMORY = "256Mi"
"""Python backends need 1 MiB and more per model instance; the container default of 64 MiB is too small for several."""
_SCRATCH = "1Gi"
_FETCH_CPU = "20m"
_FETCH_MEMORY_REQUEST = "64Mi"
_FETCH_MEMORY_LIMIT = "512Mi"
_SCRATCH_MOUNT = {"name": "tmp", "mountPath": "/tmp"}  # noqa: S108 - a volume of the pod
_PROBE_PYTHON = ["python3", "-I", "-S"]
_POD_UID = {"name": "POD_UID", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.uid"}}}
_STARTUP_ATTEMPTS = 3600
"""Start-up attempts, 2 s apart: loading tens of gigabytes is not a failure; lack of progress is judged elsewhere."""


def render_pod_template(owner: ModelDeployment, revision: Revision) -> dict[str, Any]:
    """Returns the pod template of `revision`."""
    options = to_wire(owner.spec.runtime.pod) if owner.spec.runtime and owner.spec.runtime.pod else {}
    name = owner.metadata.name
    # With that label a model pod would be one of the gateways, to their Services, budget and policies.
    given = {key: value for key, value in options.get("labels", {}).items() if key != COMPONENT_LABEL}
    metadata: dict[str, Any] = {"labels": {**given, **revision_labels(name, revision.name)}}
    if options.get("annotations"):
        metadata["annotations"] = options["annotations"]
    return {"metadata": metadata, "spec": {**_pod_spec(owner, revision), **_scheduling(owner, revision, options)}}


def _pod_spec(owner: ModelDeployment, revision: Revision) -> dict[str, Any]:
    examined = has_examiner(revision.snapshot)
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        **({"shareProcessNamespace": True} if examined else {}),
        "securityContext": dict(POD_SECURITY),
        "initContainers": [
            _fetch_container(owner, revision),
            *([_examiner_container(revision.snapshot)] if examined else []),
        ],
        "containers": [_triton_container(owner, revision)],
        "volumes": _volumes(owner, revision),
    }


def _fetch_container(owner: ModelDeployment, revision: Revision) -> dict[str, Any]:
    snapshot = revision.snapshot
    return {
        "name": "fetch",
        "image": snapshot.fetch_image,
        "imagePullPolicy": "IfNotPresent",
        "args": ["fetch"],
        "env": [{"name": "PLIMSOLL_FETCH_REQUEST", "value": literal_json(fetch_request(owner, revision))}],
        "resources": _fetch_resources(snapshot),
        "securityContext": dict(CONTAINER_SECURITY),
        "terminationMessagePolicy": "File",
        "volumeMounts": [_mount("models", "/models"), _SCRATCH_MOUNT, *_source_mounts(owner, revision)],
    }


def _fetch_resources(snapshot: Snapshot) -> dict[str, dict[str, str]]:
    """Returns the memory that fetching takes and, of the rest, what Triton has.

    Init containers run before, so a pod counts the larger of the two: this costs nothing, and a namespace whose quota
    or LimitRange wants a limit for CPU or storage is satisfied by runtime.resources.
    """
    requests, limits = _beside_memory(snapshot.requests), _beside_memory(snapshot.limits)
    least = {} if "cpu" in limits else {"cpu": _FETCH_CPU}  # without a request, the limit is the request
    return {
        "requests": {**least, **requests, "memory": _FETCH_MEMORY_REQUEST},
        "limits": {**limits, "memory": _FETCH_MEMORY_LIMIT},
    }


def _beside_memory(resources: Mapping[str, str]) -> dict[str, str]:
    return {name: resources[name] for name in ("cpu", STORAGE_RESOURCE) if name in resources}


def has_examiner(snapshot: Snapshot) -> bool:
    """Tells whether the pods of a revision show a preflight their processes and the artefact's files."""
    return snapshot.render_version >= EXAMINER_SINCE


def _examiner_container(snapshot: Snapshot) -> dict[str, Any]:
    """A native sidecar: it starts before Triton, ends after it, and never keeps the pod from being ready."""
    return {
        "name": "examiner",
        "image": snapshot.fetch_image,
        "imagePullPolicy": "IfNotPresent",
        "restartPolicy": "Always",
        "args": ["examine"],
        "env": [_POD_UID],
        "ports": [{"name": "examiner", "containerPort": EXAMINER_PORT, "protocol": "TCP"}],
        "resources": beside_triton(
            snapshot.limits,
            requests={"cpu": "5m", "memory": "24Mi"},
            most={"cpu": "100m", "memory": "64Mi", STORAGE_RESOURCE: "16Mi"},
        ),
        "securityContext": dict(CONTAINER_SECURITY),
        "volumeMounts": [{**_mount("models", "/models"), "readOnly": True}],
    }


def fetch_request(owner: ModelDeployment, revision: Revision) -> dict[str, Any]:
    """Returns what `plimsoll fetch` is asked to do (the JSON read by fetch/request.py)."""
    snapshot = revision.snapshot
    limit = snapshot.limits.get(STORAGE_RESOURCE)
    return {
        **snapshot.model,
        "name": owner.metadata.name,
        "version": revision.number,
        "accelerator": snapshot.accelerator.value,
        "gpus": whole(snapshot.limits.get(GPU_RESOURCE, "0")),
        "storageLimitBytes": whole(limit) if limit else None,
        "renderVersion": snapshot.render_version,
    }


def _triton_container(owner: ModelDeployment, revision: Revision) -> dict[str, Any]:
    snapshot = revision.snapshot
    name = owner.metadata.name
    claims = [{"name": claim["name"]} for claim in snapshot.pod.get("resourceClaims", [])]
    resources: dict[str, Any] = {"requests": dict(snapshot.requests), "limits": dict(snapshot.limits)}
    return {
        "name": "triton",
        "image": snapshot.triton_image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["tritonserver"],
        "args": triton_arguments(complete_config=snapshot.model.get("format") != ModelFormat.TRITON_REPOSITORY),
        "env": _environment(snapshot.pod.get("env", [])),
        "ports": [
            {"name": "http", "containerPort": HTTP_PORT, "protocol": "TCP"},
            {"name": "grpc", "containerPort": GRPC_PORT, "protocol": "TCP"},
            {"name": "metrics", "containerPort": METRICS_PORT, "protocol": "TCP"},
        ],
        "resources": {**resources, **({"claims": claims} if claims else {})},
        "securityContext": dict(CONTAINER_SECURITY),
        "lifecycle": {"preStop": {"sleep": {"seconds": PRE_STOP_SECONDS}}},
        **_probes(name),
        "volumeMounts": [
            {**_mount("models", "/models"), "readOnly": True},
            _SCRATCH_MOUNT,
            _mount("shm", "/dev/shm"),  # noqa: S108 - a volume
        ],
    }


def _environment(given: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Returns the environment: the user may switch telemetry on, but not choose the word that locks administration."""
    by_name: dict[str, dict[str, Any]] = {
        "POD_UID": _POD_UID,
        "ORT_DISABLE_TELEMETRY": {"name": "ORT_DISABLE_TELEMETRY", "value": "1"},
    }
    by_name |= {
        variable["name"]: {"name": variable["name"], "value": literal(variable.get("value", ""))}
        for variable in given
        if variable["name"] != "POD_UID"
    }
    return list(by_name.values())


def triton_arguments(*, complete_config: bool) -> list[str]:
    """Returns Triton's command line.

    Control mode `none` loads everything at start and refuses load and unload for good; what remains of the
    administrative interface (shared memory, tracing, logging) is locked by the pod's uid, which nobody outside the
    pod's own API object knows.
    """
    return [
        "--model-repository=/models/repository",
        "--model-control-mode=none",
        *(["--disable-auto-complete-config"] if complete_config else []),
        "--strict-readiness=true",
        f"--http-port={HTTP_PORT}",
        f"--grpc-port={GRPC_PORT}",
        f"--metrics-port={METRICS_PORT}",
        f"--exit-timeout-secs={EXIT_TIMEOUT_SECONDS}",
        "--http-restricted-api=model-repository,shared-memory,trace,logging:plimsoll-admin=$(POD_UID)",
        "--grpc-restricted-protocol=model-repository,shared-memory,trace,logging:plimsoll-admin=$(POD_UID)",
    ]


def _probes(name: str) -> dict[str, Any]:
    ready = {"httpGet": {"path": f"/v2/models/{name}/ready", "port": "http"}}
    return {
        "startupProbe": {
            "exec": {"command": [*_PROBE_PYTHON, "/models/probe/warmup.py"]},
            "periodSeconds": 2,
            "timeoutSeconds": 60,
            "failureThreshold": _STARTUP_ATTEMPTS,
        },
        "readinessProbe": {**ready, "periodSeconds": 2, "timeoutSeconds": 2, "failureThreshold": 2},
        "livenessProbe": {
            "exec": {"command": [*_PROBE_PYTHON, "/models/probe/liveness.py"]},
            "periodSeconds": 15,
            "timeoutSeconds": 10,
            "failureThreshold": 3,
        },
    }


def _mount(name: str, path: str) -> dict[str, Any]:
    return {"name": name, "mountPath": path}


def _source_mounts(owner: ModelDeployment, revision: Revision) -> list[dict[str, Any]]:
    credentials = owner.spec.model.credentials
    mounts = []
    if credentials and credentials.secret_ref:
        mounts.append({**_mount("credentials", "/credentials"), "readOnly": True})
    if credentials and credentials.ca_config_map_ref:
        mounts.append({**_mount("ca", "/ca"), "readOnly": True})
    if _claim_of(revision.snapshot.model):
        mounts.append({**_mount("source", "/source"), "readOnly": True})
    return mounts


def _claim_of(model: Mapping[str, Any]) -> str | None:
    scheme, _, rest = str(model["uri"]).partition("://")
    return rest.partition("/")[0] if scheme == "pvc" else None


def _volumes(owner: ModelDeployment, revision: Revision) -> list[dict[str, Any]]:
    limit = revision.snapshot.limits.get(STORAGE_RESOURCE)
    credentials = owner.spec.model.credentials
    claim = _claim_of(revision.snapshot.model)
    volumes: list[dict[str, Any]] = [
        {"name": "models", "emptyDir": {"sizeLimit": limit} if limit else {}},
        {"name": "tmp", "emptyDir": {"sizeLimit": _SCRATCH}},
        {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": _SHARED_MEMORY}},
    ]
    if credentials and credentials.secret_ref:
        volumes.append({"name": "credentials", "secret": {"secretName": credentials.secret_ref.name}})
    if credentials and credentials.ca_config_map_ref:
        volumes.append({"name": "ca", "configMap": {"name": credentials.ca_config_map_ref.name}})
    if claim:
        volumes.append({"name": "source", "persistentVolumeClaim": {"claimName": claim, "readOnly": True}})
    return volumes


_SCHEDULING_FIELDS = ("nodeSelector", "tolerations", "affinity", "priorityClassName", "imagePullSecrets")
_SNAPSHOT_FIELDS = ("runtimeClassName", "resourceClaims")


def _scheduling(owner: ModelDeployment, revision: Revision, options: Mapping[str, Any]) -> dict[str, Any]:
    fields = {key: options[key] for key in _SCHEDULING_FIELDS if key in options}
    fields |= {key: revision.snapshot.pod[key] for key in _SNAPSHOT_FIELDS if key in revision.snapshot.pod}
    selector = {"matchLabels": pod_selector(owner.metadata.name, revision.name)}
    spread = [
        {
            "topologyKey": constraint.topology_key,
            "maxSkew": constraint.max_skew,
            "whenUnsatisfiable": constraint.when_unsatisfiable.value,
            "labelSelector": selector,
        }
        for constraint in _spread_of(owner)
    ]
    return {**fields, **({"topologySpreadConstraints": spread} if spread else {})}


def _spread_of(owner: ModelDeployment) -> list[Any]:
    pod = owner.spec.runtime.pod if owner.spec.runtime else None
    return (pod.topology_spread_constraints if pod else None) or []
