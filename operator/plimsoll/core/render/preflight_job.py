"""The preflight Job: the operator's image without API credentials, beside nothing, on the CPU.

Its end is read from its pod, so nothing here deletes a pod before its last words are read: the deadline is the pod's
own, since that of a Job takes the pod with it.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Final

from plimsoll.api.base import parse_duration, to_wire
from plimsoll.api.preflight import ConfigMapKey, Preflight
from plimsoll.api.preflight_report import InputSource, Outcome
from plimsoll.api.v1alpha1 import ModelDeployment
from plimsoll.core.environment import literal, literal_json
from plimsoll.core.hashing import canonical_json
from plimsoll.core.names import (
    ATTEMPT_ANNOTATION,
    EXAMINED_ANNOTATION,
    EXAMINER_PORT,
    GRPC_PORT,
    KEY_ANNOTATION,
    REPORT_PORT,
    preflight_labels,
    preflight_name,
    url_host,
)
from plimsoll.core.preflight.verdict import EXIT_CODES
from plimsoll.core.render.manifest import Manifest, child_manifest
from plimsoll.core.render.pod import has_examiner
from plimsoll.core.render.security import CONTAINER_SECURITY, POD_SECURITY, beside_triton
from plimsoll.core.snapshot import STORAGE_RESOURCE, Defaults
from plimsoll.core.world import Examined, Revision

AROUND_BUDGET_SECONDS: Final = 1200
"""On top of the budget: pulling the image, waiting for the model or for its server to come back, and three minutes in
which the report is fetched."""
_KEPT_SECONDS = 3600
"""The controller deletes a Job as soon as its end is recorded; this is for the day on which there is no controller."""
_GRACE_SECONDS = 10
_MODEL_READY_SECONDS = 60.0
_SCRATCH = "64Mi"
_GOLDEN_FOLDER = "/golden"
_DATASET_FOLDER = "/dataset"


@dataclass(frozen=True, slots=True)
class Examinee:
    """Who is examined, why, and what there is to compare with.

    Attributes:
        revision: The candidate.
        key: Verdict key.
        attempt: How many Jobs are made for this key, with this one.
        examined: The model pod.
        ip: Its address.
        stable: The revision that serves, None when none answers.
    """

    revision: Revision
    key: str
    attempt: int
    examined: Examined
    ip: str
    stable: Revision | None


def job_seconds(preflight: Preflight) -> int:
    """Returns how long the pod of a Job may run."""
    return int(parse_duration(preflight.budget).total_seconds()) + AROUND_BUDGET_SECONDS


def render_preflight_job(owner: ModelDeployment, examinee: Examinee, defaults: Defaults) -> Manifest:
    """Returns the Job."""
    labels = preflight_labels(owner.metadata.name, examinee.revision.name)
    return child_manifest(
        "batch/v1",
        "Job",
        preflight_name(examinee.revision.name),
        owner.metadata,
        labels,
        annotations={
            KEY_ANNOTATION: examinee.key,
            ATTEMPT_ANNOTATION: str(examinee.attempt),
            EXAMINED_ANNOTATION: canonical_json(dataclasses.asdict(examinee.examined)),
        },
        spec={
            "backoffLimit": 0,
            "podReplacementPolicy": "Failed",
            "podFailurePolicy": {"rules": _failure_rules()},
            "ttlSecondsAfterFinished": _KEPT_SECONDS,
            "template": {
                "metadata": {"labels": {**_user_labels(owner), **labels}},
                "spec": _pod_spec(owner, examinee, defaults),
            },
        },
    )


def _failure_rules() -> list[dict[str, Any]]:
    """A drained node is nobody's fault: the Job goes on in another pod. Whatever else fails has said why."""
    rejected = {"containerName": "preflight", "operator": "In", "values": [EXIT_CODES[Outcome.REJECTED]]}
    return [
        {"action": "FailJob", "onExitCodes": rejected},
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
    ]


def _user_labels(owner: ModelDeployment) -> dict[str, str]:
    """Policies that want labels on every pod are satisfied by runtime.pod.labels.

    None of ours is among them: with a revision's label this pod would be one of those that a Service selects.
    """
    pod = owner.spec.runtime.pod if owner.spec.runtime else None
    return {key: value for key, value in ((pod and pod.labels) or {}).items() if "plimsoll.dev/" not in key}


def _pod_spec(owner: ModelDeployment, examinee: Examinee, defaults: Defaults) -> dict[str, Any]:
    preflight = owner.spec.preflight or Preflight()
    pod = to_wire(owner.spec.runtime.pod) if owner.spec.runtime and owner.spec.runtime.pod else {}
    secrets = {key: pod[key] for key in ("imagePullSecrets",) if key in pod}
    return {
        **secrets,
        "restartPolicy": "Never",
        "activeDeadlineSeconds": job_seconds(preflight),
        "terminationGracePeriodSeconds": _GRACE_SECONDS,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": dict(POD_SECURITY),
        "containers": [_container(owner, examinee, defaults)],
        "volumes": [
            {"name": "tmp", "emptyDir": {"sizeLimit": _SCRATCH}},
            *(
                {"name": folder.strip("/"), "configMap": _config_map(given)}
                for folder, given in _data(preflight).items()
            ),
        ],
    }


def _container(owner: ModelDeployment, examinee: Examinee, defaults: Defaults) -> dict[str, Any]:
    preflight = owner.spec.preflight or Preflight()
    return {
        "name": "preflight",
        "image": defaults.fetch_image,
        "imagePullPolicy": "IfNotPresent",
        "args": ["preflight-job"],
        "env": [
            {"name": "PLIMSOLL_PREFLIGHT_REQUEST", "value": literal_json(preflight_request(owner, examinee))},
            {"name": "PLIMSOLL_REPORT_KEY", "value": literal(defaults.report_key)},
            {"name": "POD_UID", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.uid"}}},
        ],
        "ports": [{"name": "report", "containerPort": REPORT_PORT, "protocol": "TCP"}],
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": "report"}, "periodSeconds": 2, "timeoutSeconds": 5},
        "resources": beside_triton(
            examinee.revision.snapshot.limits,
            requests={"cpu": "250m", "memory": "256Mi"},
            most={"cpu": "1", "memory": "1Gi", STORAGE_RESOURCE: "128Mi"},
        ),
        "securityContext": dict(CONTAINER_SECURITY),
        "terminationMessagePolicy": "File",
        "volumeMounts": [
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - a volume of the pod
            *({"name": folder.strip("/"), "mountPath": folder, "readOnly": True} for folder in _data(preflight)),
        ],
    }


def preflight_request(owner: ModelDeployment, examinee: Examinee) -> dict[str, Any]:
    """Returns what `plimsoll preflight-job` is asked to do (the JSON read by preflight/request.py)."""
    spec, snapshot = owner.spec, examinee.revision.snapshot
    preflight = spec.preflight or Preflight()
    files = _data(preflight)
    reference = preflight.accuracy.reference if preflight.accuracy else None
    stable = examinee.stable
    namespace = owner.metadata.namespace
    request = {
        "model": owner.metadata.name,
        "revision": examinee.revision.name,
        "key": examinee.key,
        "target": _address(examinee.ip),
        "stable": _peer(owner.metadata.name, namespace, f"stable revision {stable.name}") if stable else None,
        "sameModel": stable is not None and stable.snapshot.model["digest"] == snapshot.model["digest"],
        "reference": _peer(reference.name, namespace, f"ModelDeployment {reference.name}") if reference else None,
        "preflight": to_wire(preflight),
        "objective": to_wire(spec.objective) if spec.objective else None,
        "inputs": snapshot.model.get("inputs"),
        "outputs": snapshot.model.get("outputs"),
        "golden": _sources(files.get(_GOLDEN_FOLDER), _GOLDEN_FOLDER, examinee),
        "dataset": _sources(files.get(_DATASET_FOLDER), _DATASET_FOLDER, examinee),
        "examiner": _examiner(examinee),
        "progressDeadlineS": _MODEL_READY_SECONDS,
    }
    return {key: value for key, value in request.items() if value is not None}


def _data(preflight: Preflight) -> dict[str, ConfigMapKey]:
    """Returns the ConfigMaps that are mounted, by folder."""
    dataset = preflight.accuracy.dataset if preflight.accuracy else None
    given = {_GOLDEN_FOLDER: preflight.golden, _DATASET_FOLDER: dataset}
    return {folder: key for folder, key in given.items() if key}


def _config_map(given: ConfigMapKey) -> dict[str, Any]:
    """Optional, because a pod with a key that is missing would never start: the preflight says what is missing."""
    return {"name": given.name, "optional": True, "items": [{"key": given.key, "path": given.key}]}


def _sources(given: ConfigMapKey | None, folder: str, examinee: Examinee) -> list[dict[str, Any]]:
    """Returns where golden inputs or labelled rows are looked for: what the spec names, else what the artefact has."""
    if given:
        return [{"source": InputSource.CONFIG_MAP.value, "location": f"{folder}/{given.key}"}]
    examiner = _examiner(examinee)
    if examiner is None:
        return []
    return [{"source": InputSource.ARTEFACT.value, "location": f"{examiner['url']}{folder}", "optional": True}]


def _examiner(examinee: Examinee) -> dict[str, str] | None:
    if not has_examiner(examinee.revision.snapshot):
        return None
    return {"url": f"http://{url_host(examinee.ip)}:{EXAMINER_PORT}", "token": examinee.examined.uid}


def _peer(name: str, namespace: str, label: str) -> dict[str, str]:
    """Returns another model, behind the Service that its users know."""
    return {"address": f"{name}.{namespace}.svc:{GRPC_PORT}", "model": name, "label": label}


def _address(ip: str) -> str:
    return f"{url_host(ip)}:{GRPC_PORT}"
