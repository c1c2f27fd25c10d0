"""Observe: from the caches to the values that a decision may look at. No request is made here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from plimsoll.api.v1alpha1 import ModelDeployment
from plimsoll.controller.preflight_projection import (
    KeptJobPod,
    is_job_pod,
    project_job,
    project_job_pod,
    project_verdict,
    verdict_of,
    with_newest_pod,
)
from plimsoll.controller.projection import (
    project_deployment,
    project_model_deployment,
    project_pod,
    project_revision,
    project_service,
)
from plimsoll.core.names import MANAGED_BY, MANAGED_BY_LABEL, MODEL_LABEL
from plimsoll.core.snapshot import Defaults
from plimsoll.core.world import Deployment, Failure, Observed, Pod, PreflightJob, Revision, Service
from plimsoll.kube.resources import (
    CONFIGMAPS,
    CONTROLLERREVISIONS,
    DEPLOYMENTS,
    JOBS,
    MODELDEPLOYMENTS,
    PODS,
    SERVICES,
    JsonObject,
    Key,
    Resource,
)
from plimsoll.kube.store import Store, itself, owner_by_label

OURS = f"{MANAGED_BY_LABEL}={MANAGED_BY},{MODEL_LABEL}"
"""Label selector of the children: only these are listed, watched and kept."""


METADATA_ONLY = frozenset({CONFIGMAPS})
"""Of these the metadata is listed and watched: what is read of a verdict stands in an annotation, and the report beside
it is 30 KB that nobody here looks at."""


def _owned(project: Callable[[dict[str, Any]], Any]) -> Store[Any]:
    return Store(project, owner_by_label(MODEL_LABEL))


def _project_any_pod(obj: JsonObject) -> Pod | KeptJobPod:
    return project_job_pod(obj) if is_job_pod(obj) else project_pod(obj)


@dataclass(frozen=True, slots=True)
class Stores:
    """One cache per kind."""

    model_deployments: Store[bytes] = field(default_factory=lambda: Store(project_model_deployment, itself))
    revisions: Store[Revision | None] = field(default_factory=lambda: _owned(project_revision))
    deployments: Store[Deployment] = field(default_factory=lambda: _owned(project_deployment))
    services: Store[Service] = field(default_factory=lambda: _owned(project_service))
    pods: Store[Pod | KeptJobPod] = field(default_factory=lambda: _owned(_project_any_pod))
    jobs: Store[PreflightJob] = field(default_factory=lambda: _owned(project_job))
    verdicts: Store[bytes] = field(default_factory=lambda: _owned(project_verdict))

    def by_resource(self) -> Mapping[Resource, Store[Any]]:
        """Returns the caches by the kind they hold."""
        return {
            MODELDEPLOYMENTS: self.model_deployments,
            CONTROLLERREVISIONS: self.revisions,
            DEPLOYMENTS: self.deployments,
            SERVICES: self.services,
            PODS: self.pods,
            JOBS: self.jobs,
            CONFIGMAPS: self.verdicts,
        }


def observe(stores: Stores, key: Key, defaults: Defaults, failure: Failure | None) -> Observed | None:
    """Returns everything known about one ModelDeployment, None when it does not exist.

    Raises:
        pydantic.ValidationError: the object does not fit the API (stored under another CRD).
    """
    stored = stores.model_deployments.get(key)
    if stored is None:
        return None
    data = orjson.loads(stored)
    data["metadata"]["resourceVersion"] = str(stores.model_deployments.version_of(key))
    pods = stores.pods.owned_by(key)
    job_pods = [pod for pod in pods if isinstance(pod, KeptJobPod)]
    verdicts = map(verdict_of, stores.verdicts.owned_by(key))
    return Observed(
        object=ModelDeployment.model_validate(data),
        defaults=defaults,
        revisions={child.name: child for child in stores.revisions.owned_by(key) if child},
        deployments={child.name: child for child in stores.deployments.owned_by(key)},
        services={child.name: child for child in stores.services.owned_by(key)},
        pods={pod.name: pod for pod in pods if isinstance(pod, Pod)},
        jobs={job.name: with_newest_pod(job, job_pods) for job in stores.jobs.owned_by(key)},
        verdicts={verdict.name: verdict for verdict in verdicts},
        failure=failure,
    )
