"""The Deployment of one revision: pods from the snapshot, scheduling and labels from the live spec."""

from __future__ import annotations

from datetime import datetime

from plimsoll.api.v1alpha1 import ModelDeployment
from plimsoll.core.names import (
    NUMBER_ANNOTATION,
    RETIRED_AT_ANNOTATION,
    SERVED_ANNOTATION,
    pod_selector,
    revision_labels,
)
from plimsoll.core.render.manifest import Manifest, child_manifest
from plimsoll.core.render.pod import render_pod_template
from plimsoll.core.world import Revision

_NEVER_SECONDS = 2_147_483_647
"""The Deployment's own progress deadline counts size as failure; ours counts lack of progress (core/diagnosis.py)."""


def render_deployment(
    owner: ModelDeployment,
    revision: Revision,
    *,
    retired_at: datetime | None = None,
    served: bool = False,
    first_replicas: int | None = None,
) -> Manifest:
    """Returns the Deployment of `revision`.

    Args:
        owner: The ModelDeployment.
        revision: What the pods are.
        retired_at: Since when it gets no traffic; None while it may.
        served: It has been stable and was retired, now or before.
        first_replicas: Replicas at creation. Left out afterwards: replicas have a field manager of their own.
    """
    annotations = {
        NUMBER_ANNOTATION: str(revision.number),
        **({RETIRED_AT_ANNOTATION: retired_at.isoformat()} if retired_at else {}),
        **({SERVED_ANNOTATION: "true"} if served else {}),
    }
    spec = {
        "revisionHistoryLimit": 1,
        "progressDeadlineSeconds": _NEVER_SECONDS,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        "selector": {"matchLabels": pod_selector(owner.metadata.name, revision.name)},
        "template": render_pod_template(owner, revision),
    }
    labels = revision_labels(owner.metadata.name, revision.name)
    manifest = child_manifest(
        "apps/v1", "Deployment", revision.name, owner.metadata, labels, annotations=annotations, spec=spec
    )
    if first_replicas is not None:
        manifest["spec"]["replicas"] = first_replicas
    return manifest


def render_replicas(owner: ModelDeployment, revision: str, replicas: int) -> Manifest:
    """Returns the part of a Deployment that the scale manager owns: its replicas and nothing else."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": revision, "namespace": owner.metadata.namespace},
        "spec": {"replicas": replicas},
    }
