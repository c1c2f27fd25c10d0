"""A linter for the CRD: what the API server needs to bound the cost of rules, and what people need to use the API.

An exception stands in the table beside its reason; an exception that is not needed any more fails too.
"""

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from plimsoll.api.crd import custom_resource_definition
from plimsoll_dev.generate.schema_fields import SchemaField, fields_of

DEFINITION = custom_resource_definition()
VERSION = DEFINITION["spec"]["versions"][0]
FIELDS = {field.path: field for field in fields_of(VERSION["schema"]["openAPIV3Schema"])}

EXCEPTIONS = {
    (
        "status.conditions[].status",
        "enum value that YAML 1.1 reads as a boolean",
    ): "True and False are Kubernetes' convention, and the operator writes them",
    ("apiVersion", "unbounded string"): "written by Kubernetes, the same for every kind",
    ("kind", "unbounded string"): "written by Kubernetes, the same for every kind",
    ("metadata", "undescribed"): "declared and checked by Kubernetes, which lets a CRD restrict it by CEL only",
    ("spec.model.config", "open object"): "Triton's ModelConfig has 200 fields and grows; `plimsoll fetch` checks it",
}


def findings(field: SchemaField) -> Iterator[str]:
    node = field.schema
    if "type" not in node and not node.get("x-kubernetes-int-or-string"):
        yield "untyped"
    if node.get("type") == "number":
        yield "floating-point number"
    if node.get("type") == "string" and not node.keys() & {"maxLength", "enum"}:
        yield "unbounded string"
    if node.get("x-kubernetes-int-or-string") and not {"maxLength", "minimum", "pattern"} <= node.keys():
        yield "unbounded quantity"
    yield from container_findings(node)
    for word in {"anyOf", "oneOf", "allOf", "not", "nullable", "exclusiveMinimum", "exclusiveMaximum"} & node.keys():
        yield f"{word} cannot be used"
    if any(isinstance(yaml.safe_load(value), bool) for value in node.get("enum", ())):
        yield "enum value that YAML 1.1 reads as a boolean"
    if not field.path.endswith(("[]", "{}")) and not node.get("description"):
        yield "undescribed"
    if field.path.startswith("spec") and not field.path.endswith(("[]", "{}")) and field.makes_revision is None:
        yield "does not say whether it makes a new revision"


def container_findings(node: dict[str, Any]) -> Iterator[str]:
    if node.get("type") == "array":
        if "maxItems" not in node:
            yield "unbounded list"
        if "x-kubernetes-list-type" not in node:
            yield "list without a merge rule"
        if missing := set(node.get("x-kubernetes-list-map-keys", ())) - set(node["items"].get("required", ())):
            yield f"list keys {missing} are not required"
    if isinstance(node.get("additionalProperties"), dict) and "maxProperties" not in node:
        yield "unbounded map"
    if node.get("x-kubernetes-preserve-unknown-fields"):
        yield "open object"


@pytest.mark.parametrize("path", FIELDS)
def test_every_field_is_sound(path: str) -> None:
    unexcused = [finding for finding in findings(FIELDS[path]) if (path, finding) not in EXCEPTIONS]
    assert unexcused == []


def test_every_exception_is_still_needed() -> None:
    assert {(path, finding) for path, field in FIELDS.items() for finding in findings(field)} == EXCEPTIONS.keys()


def test_descriptions_are_sentences() -> None:
    described = {path: field.summary for path, field in FIELDS.items() if field.summary}
    assert {path: text for path, text in described.items() if not text.endswith(".") or text[0].islower()} == {}


def test_printer_columns_name_fields_that_exist() -> None:
    for column in VERSION["additionalPrinterColumns"]:
        path = column["jsonPath"].lstrip(".").split("[", 1)[0]
        assert path in FIELDS or path == "metadata.creationTimestamp", column


def test_scale_names_fields_that_exist_and_the_one_it_reads_has_a_default() -> None:
    scale = VERSION["subresources"]["scale"]
    assert {path.lstrip(".") for path in scale.values()} <= FIELDS.keys()
    assert FIELDS[scale["specReplicasPath"].lstrip(".")].schema["default"] == 1


def test_the_definition_is_small_enough_for_the_annotation_of_a_client_side_apply() -> None:
    assert len(yaml.safe_dump(DEFINITION)) < 256 * 1024 / 2


@pytest.mark.parametrize(
    ("value", "is_boolean"), [("no", True), ("On", True), ("None", False), ("Nvidia", False), ("Exists", False)]
)
def test_the_check_for_booleans_knows_them(value: str, is_boolean: bool) -> None:  # noqa: FBT001
    assert isinstance(yaml.safe_load(value), bool) is is_boolean
