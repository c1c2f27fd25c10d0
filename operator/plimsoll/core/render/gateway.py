"""The Deployment of a namespace's gateways.

Nothing in it depends on the namespace but its name: every fleet has the same pods, so one digest tells which are of an
older template. Meets the *restricted* Pod Security Standard.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from plimsoll.core.environment import literal
from plimsoll.core.fleet.observed import FleetSettings
from plimsoll.core.hashing import canonical_json, digest_of
from plimsoll.core.names import (
    ADMIN_PORT,
    GATEWAY_NAME,
    GRPC_PORT,
    HTTP_PORT,
    RETIRED_AT_ANNOTATION,
    TEMPLATE_ANNOTATION,
    gateway_labels,
    gateway_selector,
)
from plimsoll.core.render.gateway_cache import cache_config, cache_mounts, cache_volumes
from plimsoll.core.render.gateway_guards import guard_config, guard_mounts, guard_volumes
from plimsoll.core.render.manifest import Manifest, digested
from plimsoll.core.render.security import CONTAINER_SECURITY, POD_SECURITY

PRE_STOP_SECONDS: Final = 5
"""As of a model pod: endpoints leave kube-proxy within this, so nothing new arrives when the drain begins."""
DRAIN_SECONDS: Final = 60
"""What a gateway has after SIGTERM to finish what is in flight; longer than the 30 s of a model pod and one retry."""
GRACE_SECONDS: Final = PRE_STOP_SECONDS + DRAIN_SECONDS + 5
"""preStop consumes grace; less than this ends in SIGKILL."""

CONFIG_FILE: Final = "config.yaml"
_CONFIG_FOLDER = "/etc/plimsoll"
_PROGRESS_SECONDS = 600
_SCRATCH = "64Mi"
_NODE = "kubernetes.io/hostname"
_CONFIG_ANNOTATION = "plimsoll.dev/config"
_FROM_POD = {
    "POD_NAME": "metadata.name",
    "POD_UID": "metadata.uid",
    "POD_NAMESPACE": "metadata.namespace",
    "POD_IP": "status.podIP",
}


def render_gateway_deployment(
    namespace: str, settings: FleetSettings, *, first_replicas: int | None = None
) -> Manifest:
    """Returns the Deployment.

    It has no owner: no ModelDeployment's end may take everybody's gateways.

    Args:
        namespace: Where.
        settings: What the chart says.
        first_replicas: Replicas at creation. Left out afterwards: replicas have a field manager of their own.
    """
    template = gateway_template(settings)
    manifest = digested(
        {
            **_head(namespace),
            "metadata": {
                **_head(namespace)["metadata"],
                "labels": gateway_labels(),
                "annotations": {TEMPLATE_ANNOTATION: digest_of(template)},
            },
            "spec": {
                "revisionHistoryLimit": 1,
                "progressDeadlineSeconds": _PROGRESS_SECONDS,
                "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
                "selector": {"matchLabels": gateway_selector()},
                "template": template,
            },
        }
    )
    if first_replicas is not None:
        manifest["spec"]["replicas"] = first_replicas
    return manifest


def render_gateway_replicas(namespace: str, replicas: int) -> Manifest:
    """Returns the part of the Deployment that the scale manager owns: its replicas and nothing else."""
    return {**_head(namespace), "spec": {"replicas": replicas}}


def render_gateway_mark(namespace: str, since: datetime | None) -> Manifest:
    """Returns the part of the Deployment that the mark manager owns: since when nobody needs it, if that is so."""
    head = _head(namespace)
    annotations = {RETIRED_AT_ANNOTATION: since.isoformat()} if since else {}
    return {**head, "metadata": {**head["metadata"], "annotations": annotations}}


def gateway_config(settings: FleetSettings) -> str:
    """Returns the file that `plimsoll gateway --config` reads."""
    settings_of_all = {"drainDelay": "0s", "logLevel": settings.log_level}
    # Left out where it says nothing: another file would restart gateways.
    log = {"accessLog": settings.access_log} if settings.access_log else {}
    return (
        canonical_json({**settings_of_all, **log, **guard_config(settings.guarding), **cache_config(settings.cache)})
        + "\n"
    )


def gateway_template(settings: FleetSettings) -> Manifest:
    """Returns the pod template; the digest of the configuration is in it, because a gateway reads it once."""
    return {
        "metadata": {
            "labels": gateway_labels(),
            "annotations": {_CONFIG_ANNOTATION: digest_of(gateway_config(settings))},
        },
        "spec": {
            "serviceAccountName": GATEWAY_NAME,
            "automountServiceAccountToken": True,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": GRACE_SECONDS,
            "securityContext": dict(POD_SECURITY),
            **_pull_secrets(settings),
            **_spread(),
            "containers": [_container(settings)],
            "volumes": [
                {"name": "config", "configMap": {"name": GATEWAY_NAME}},
                {"name": "tmp", "emptyDir": {"sizeLimit": _SCRATCH}},
                *guard_volumes(settings.guarding),
                *cache_volumes(settings.cache),
            ],
        },
    }


def _head(namespace: str) -> Manifest:
    metadata = {"name": GATEWAY_NAME, "namespace": namespace}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata}


def _pull_secrets(settings: FleetSettings) -> dict[str, Any]:
    names = [{"name": name} for name in settings.image_pull_secrets]
    return {"imagePullSecrets": names} if names else {}


def _spread() -> dict[str, Any]:
    """On different nodes where possible, and on one where there is only one.

    The spread counts pods of the same template, so that old ones do not push new ones aside; the affinity looks at all.
    """
    selector = {"matchLabels": gateway_selector()}
    apart = {"weight": 100, "podAffinityTerm": {"topologyKey": _NODE, "labelSelector": selector}}
    return {
        "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [apart]}},
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": _NODE,
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": selector,
                "matchLabelKeys": ["pod-template-hash"],
            }
        ],
    }


def _container(settings: FleetSettings) -> dict[str, Any]:
    return {
        "name": "gateway",
        "image": settings.image,
        "imagePullPolicy": "IfNotPresent",
        "args": ["gateway", "--config", f"{_CONFIG_FOLDER}/{CONFIG_FILE}"],
        "env": [
            *(
                {"name": name, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}}
                for name, path in _FROM_POD.items()
            ),
            {"name": "PLIMSOLL_CONTROLLER_KEY", "value": literal(settings.controller_key)},
        ],
        "ports": [
            {"name": "http", "containerPort": HTTP_PORT, "protocol": "TCP"},
            {"name": "grpc", "containerPort": GRPC_PORT, "protocol": "TCP"},
            {"name": "admin", "containerPort": ADMIN_PORT, "protocol": "TCP"},
        ],
        # Five minutes: on a starved node a start takes more than one, and to begin again would take as long.
        "startupProbe": _probe("/livez", period=1, failures=300),
        "readinessProbe": _probe("/readyz", period=2, failures=2),
        # A minute: a restart loses what is in flight, so a few slow answers must not cause one.
        "livenessProbe": _probe("/livez", period=10, failures=6),
        "lifecycle": {"preStop": {"sleep": {"seconds": PRE_STOP_SECONDS}}},
        "resources": {"requests": dict(settings.requests), "limits": dict(settings.limits)},
        "securityContext": dict(CONTAINER_SECURITY),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            {"name": "config", "mountPath": _CONFIG_FOLDER, "readOnly": True},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - a volume of the pod
            *guard_mounts(settings.guarding),
            *cache_mounts(settings.cache),
        ],
    }


def _probe(path: str, *, period: int, failures: int) -> dict[str, Any]:
    return {
        "httpGet": {"path": path, "port": "admin"},
        "periodSeconds": period,
        "timeoutSeconds": 5,
        "failureThreshold": failures,
    }
