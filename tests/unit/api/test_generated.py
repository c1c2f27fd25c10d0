"""The generators: canonical CRD, the chart's copy, and the pages."""

from pathlib import Path

import pytest
import yaml

from plimsoll.api.crd import custom_resource_definition
from plimsoll_dev.generate.__main__ import main, outdated_files
from plimsoll_dev.generate.chart_crd import chart_crd, escaped
from plimsoll_dev.generate.outputs import ROOT, generated_files
from plimsoll_dev.generate.rbac_page import rbac_page
from plimsoll_dev.generate.schema_fields import bounds_of, type_of
from plimsoll_dev.generate.yaml_text import yaml_text

FILES = generated_files(ROOT)


def test_what_is_generated_is_what_is_committed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check"]) == 0, capsys.readouterr().out


def test_generating_twice_gives_the_same() -> None:
    assert generated_files(ROOT) == FILES


def test_the_canonical_definition_is_the_one_that_the_code_declares() -> None:
    assert yaml.safe_load(FILES["crds/plimsoll.dev_modeldeployments.yaml"]) == custom_resource_definition()


def test_yaml_has_no_aliases_and_keeps_the_order() -> None:
    shared = {"b": 1, "a": [1]}
    assert yaml_text({"x": shared, "y": shared}) == "x:\n  b: 1\n  a:\n  - 1\ny:\n  b: 1\n  a:\n  - 1\n"


def test_braces_survive_helm() -> None:
    assert escaped("a {{ b }} c") == 'a {{ "{{" }} b }} c'
    assert '{{ "{{" }}' in chart_crd(
        {"apiVersion": "v1", "kind": "K", "metadata": {"name": "n"}, "spec": {"x": "{{"}}, "f"
    )


def test_what_is_missing_or_differs_is_out_of_date(tmp_path: Path) -> None:
    (tmp_path / "same").write_text("1")
    (tmp_path / "changed").write_text("1")
    assert outdated_files(tmp_path, {"same": "1", "changed": "2", "missing": "3"}) == ["changed", "missing"]


def test_a_role_becomes_a_table() -> None:
    template = """
{{- /* Why so. */ -}}
{{- if .Values.rbac.create }}
{{- $name := include "x" . }}
kind: Role
metadata:
  name: {{ $name }}-lease
  labels:
    {{- include "labels" . | nindent 4 }}
rules:
  - apiGroups: [""]
    resources: [pods]
    resourceNames: [{{ .Values.lease.name }}]
    verbs: [get]
{{- end }}
"""
    page = rbac_page({"roles.yaml": template})
    assert "## Role `RELEASE-lease`" in page
    assert "| core | `pods` | `get` | `LEASE-NAME` |" in page
    assert page.endswith("Why so.\n")


def test_words_for_types_and_bounds() -> None:
    names = {"type": "array", "items": {"type": "string"}, "maxItems": 3, "minItems": 1}
    assert type_of(names) == "list of string"
    assert (
        type_of({"type": "object", "additionalProperties": {"x-kubernetes-int-or-string": True}}) == "map of quantity"
    )
    assert bounds_of(names) == "not empty; at most 3 entries"
    assert bounds_of({"enum": ["A", "B"]}) == "one of `A`, `B`"
