"""The admission table, answered offline; tests/cluster asks real API servers the same questions."""

from collections.abc import Iterator
from typing import Any, get_args, get_origin

import pytest
from tests.support.rule_table import DEFAULTING, ROWS, Defaulting, Row, everything

from plimsoll.api.base import ApiModel
from plimsoll.api.crd import custom_resource_definition
from plimsoll.api.v1alpha1 import ModelDeployment
from plimsoll.cli.manifests import Manifest
from plimsoll.cli.validate import problems_of

SCHEMA = custom_resource_definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


def cel_rules(node: Any = SCHEMA) -> Iterator[dict[str, str]]:
    """Every CEL rule of the CRD, wherever it stands."""
    if isinstance(node, dict):
        yield from node.get("x-kubernetes-validations", ())
        for child in node.values():
            yield from cel_rules(child)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_the_offline_check_answers_as_the_table_says(row: Row) -> None:
    problems = [str(problem) for problem in problems_of(Manifest(row.manifest))]
    if row.refusal is None:
        assert problems == []
    else:
        assert any(row.refusal in problem for problem in problems), problems


@pytest.mark.parametrize("row", DEFAULTING, ids=lambda row: row.name)
def test_the_offline_check_admits_what_the_api_server_completes(row: Defaulting) -> None:
    assert problems_of(Manifest(row.manifest)) == []


def defaulted(value: Any, schema: dict[str, Any]) -> Any:
    """What an API server makes of a value: defaults where nothing is said; nulls that may not be are nothing."""
    if isinstance(value, list):
        return [defaulted(item, schema["items"]) for item in value]
    properties = schema.get("properties")
    if not isinstance(value, dict) or properties is None:
        return value
    said = {key: item for key, item in value.items() if item is not None}
    filled = {key: node["default"] for key, node in properties.items() if "default" in node and key not in said}
    return {key: defaulted(item, properties[key]) for key, item in (said | filled).items()}


@pytest.mark.parametrize("row", DEFAULTING, ids=lambda row: row.name)
def test_the_schema_fills_in_what_the_table_says(row: Defaulting) -> None:
    assert defaulted(row.manifest["spec"], SCHEMA["properties"]["spec"]) == row.defaulted


@pytest.mark.parametrize("rule", list(cel_rules()), ids=lambda rule: rule["message"][:40])
def test_every_cel_rule_has_a_row_it_admits_and_a_row_it_refuses(rule: dict[str, str]) -> None:
    about = [row for row in ROWS if row.rule and rule["message"].startswith(row.rule)]
    assert {row.refusal is None for row in about} == {True, False}


def test_names_of_rows_are_unique() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS)


def test_every_rule_names_its_field_and_says_more() -> None:
    for rule in cel_rules():
        field, separator, way_out = rule["message"].partition(": ")
        assert separator, rule
        assert field.rpartition(".")[2] in {
            "name",
            "uri",
            "digest",
            "inputs",
            "entry",
            "resources",
            "requests",
            "drain",
        } | {
            "labels",
            "annotations",
            "env",
            "resourceClaims",
        } | {
            "maxBody",
            "maxWait",
            "percentile",
            "max",
            "headroom",
            "budget",
            "requestsPerSecond",
            "enforce",
            "maxLoss",
            "reference",
            "tolerance",
            "errorRate",
            "ttl",
            "shadow",
            "keepWarm",
            "fallback",
            "window",
            "threshold",
        }
        assert way_out


@pytest.mark.parametrize("row", DEFAULTING, ids=lambda row: row.name)
def test_absent_fields_are_read_as_the_api_server_fills_them_in(row: Defaulting) -> None:
    given = {key: value for key, value in row.manifest["spec"].items() if value is not None}
    read = ModelDeployment.model_validate({**row.manifest, "spec": given}).spec
    assert read == ModelDeployment.model_validate({**row.manifest, "spec": row.defaulted}).spec


def test_the_largest_row_uses_every_field_of_spec() -> None:
    unused = set(declared_paths(ModelDeployment.model_fields["spec"].annotation)) - set(
        used_paths(everything()["spec"])
    )
    assert unused == {"runtime.pod.resourceClaims[].resourceClaimTemplateName"}


def declared_paths(annotation: Any, path: str = "") -> Iterator[str]:
    if isinstance(annotation, type) and issubclass(annotation, ApiModel):
        for field in annotation.model_fields.values():
            child = f"{path}.{field.alias}".lstrip(".")
            yield child
            yield from declared_paths(field.annotation, child)
    else:
        suffix = "[]" if get_origin(annotation) is list else ""
        for argument in get_args(annotation):
            yield from declared_paths(argument, path + suffix)


def used_paths(value: Any, path: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for key, child in value.items():
            yield f"{path}.{key}".lstrip(".")
            yield from used_paths(child, f"{path}.{key}".lstrip("."))
    elif isinstance(value, list):
        for item in value:
            yield from used_paths(item, f"{path}[]")
