"""ModelDeployments by the thousand."""

from __future__ import annotations

import hashlib
from typing import Any, TypeAlias

from tests.support.fakeapi.cluster import Cluster

from plimsoll.kube.resources import MODELDEPLOYMENTS

Json: TypeAlias = dict[str, Any]

PER_NAMESPACE = 100


def model_deployment(namespace: str, name: str, *, version: int = 1) -> Json:
    """A ModelDeployment as a user writes it, without a preflight; another `version` is another model, and so another
    revision.
    """
    digest = hashlib.sha256(f"{namespace}/{name}/{version}".encode()).hexdigest()
    return {
        "apiVersion": MODELDEPLOYMENTS.api_version,
        "kind": MODELDEPLOYMENTS.kind,
        "metadata": {"namespace": namespace, "name": name, "labels": {"app.kubernetes.io/part-of": namespace}},
        "spec": {
            "model": {
                "uri": f"oci://registry.example.com/models/{name}@sha256:{digest}",
                "format": "Onnx",
                "inputs": [{"name": "x", "dataType": "FP32", "dims": [64]}],
                "outputs": [{"name": "y", "dataType": "FP32", "dims": [10]}],
            },
            "replicas": 1,
            "preflight": {"mode": "Skip"},
        },
    }


def load(cluster: Cluster, count: int, *, per_namespace: int = PER_NAMESPACE) -> None:
    """Creates that many, spread over namespaces `team-00`, `team-01`, ... as `model-0000`, ..."""
    for number in range(count):
        namespace = f"team-{number // per_namespace:02}"
        cluster.add(MODELDEPLOYMENTS, model_deployment(namespace, f"model-{number:04}"), manager="kubectl")
