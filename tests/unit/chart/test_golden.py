"""The default rendering, byte for byte, and every object against the published schemas of Kubernetes."""

from collections.abc import Callable
from typing import Any

import pytest
import yaml
from tests.unit.chart.rendering import manifests

# The definition is generated and compared with its own source in test_crd.py.
ELSEWHERE = {"CustomResourceDefinition"}
EVERYTHING_ON: dict[str, Any] = {
    "image": {"digest": "sha256:" + "b" * 64},
    "imagePullSecrets": [{"name": "pull"}],
    "priorityClassName": "system-cluster-critical",
    "nodeSelector": {"pool": "system"},
    "tolerations": [{"key": "system", "operator": "Exists", "effect": "NoSchedule"}],
    "affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
    "podLabels": {"team": "ml"},
    "podAnnotations": {"note": "x"},
    "commonLabels": {"cost": "platform"},
    "serviceAccount": {"annotations": {"note": "x"}},
    "gateway": {"imagePullSecrets": [{"name": "pull"}], "metricsNamespaces": ["monitoring"]},
}
EVERYTHING_OFF: dict[str, Any] = {
    "gateway": {"enabled": False},
    "replicaCount": 0,
    "rbac": {"create": False, "aggregate": False},
    "crds": {"install": False, "keep": False},
    "serviceAccount": {"create": False, "name": "other"},
    "resources": None,
    "podSecurityContext": None,
    "securityContext": None,
}


def test_the_default_rendering_is_golden(golden: Callable[[str, str], None]) -> None:
    rendered = yaml.safe_dump_all(sorted((m for m in manifests() if m["kind"] not in ELSEWHERE), key=place), width=120)
    golden("chart/default.yaml", rendered)


@pytest.mark.parametrize(
    "values", [{}, EVERYTHING_ON, EVERYTHING_OFF], ids=["default", "everything on", "everything off"]
)
@pytest.mark.parametrize("version", ["1.33", "1.36"])
def test_every_object_is_valid_on_the_oldest_and_the_newest_kubernetes(version: str, values: dict[str, Any]) -> None:
    kubernetes_validate = pytest.importorskip(
        "kubernetes_validate", reason="the schemas are a development dependency: kubernetes-validate"
    )
    for manifest in manifests(values):
        kubernetes_validate.validate(manifest, version, strict=True)


@pytest.mark.parametrize(
    "values", [{}, EVERYTHING_ON, EVERYTHING_OFF], ids=["default", "everything on", "everything off"]
)
def test_no_object_has_a_null_or_an_empty_map_where_one_was_left_out(values: dict[str, Any]) -> None:
    # Helm 4 sends nulls as they are, Helm 3 strips them: the chart must not depend on either.
    assert [path for m in manifests(values) for path in nulls(m, f"{m['kind']}/{m['metadata']['name']}")] == []


def nulls(node: Any, path: str) -> list[str]:
    if isinstance(node, dict):
        return [found for key, value in node.items() for found in nulls(value, f"{path}.{key}")]
    if isinstance(node, list):
        return [found for index, value in enumerate(node) for found in nulls(value, f"{path}[{index}]")]
    return [path] if node is None else []


def place(manifest: dict[str, Any]) -> tuple[str, str]:
    return manifest["kind"], manifest["metadata"]["name"]
