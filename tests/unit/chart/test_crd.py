"""The CustomResourceDefinition in the chart: the canonical one, kept on uninstall, adopted on reinstall."""

from typing import Any

import yaml
from tests.unit.chart.rendering import ROOT, manifests, one

KEEP = "helm.sh/resource-policy"
CANONICAL = ROOT / "crds" / "plimsoll.dev_modeldeployments.yaml"


def test_the_chart_carries_the_canonical_definition() -> None:
    canonical = yaml.safe_load(CANONICAL.read_text(encoding="utf-8"))
    rendered = one("CustomResourceDefinition")
    assert rendered["spec"] == canonical["spec"]
    assert rendered["metadata"]["name"] == canonical["metadata"]["name"]
    assert canonical["metadata"].get("annotations", {}).items() <= annotations({}).items()


def test_by_default_helm_uninstall_keeps_the_definition_and_with_it_every_model() -> None:
    assert annotations({})[KEEP] == "keep"


def test_keep_can_be_given_up() -> None:
    assert KEEP not in annotations({"crds": {"keep": False}})


def test_the_definition_can_be_left_to_somebody_else() -> None:
    assert not [m for m in manifests({"crds": {"install": False}}) if m["kind"] == "CustomResourceDefinition"]


def annotations(values: dict[str, Any]) -> dict[str, str]:
    found: dict[str, str] = one("CustomResourceDefinition", values)["metadata"].get("annotations") or {}
    return found
