"""From the pydantic models to the CustomResourceDefinition, deterministically.

Structural schema as Kubernetes wants it: references inlined, "X or null" is an optional X, any other union refused,
exclusive bounds refused (they mean something else in OpenAPI 3.0), null defaults dropped, rules attached to their
object.
"""

from __future__ import annotations

from typing import Any, get_args

from pydantic import BaseModel

from plimsoll.api.base import GROUP, KIND, VERSION, ApiModel
from plimsoll.api.revisions import say_revisions
from plimsoll.api.v1alpha1 import ModelDeployment

PLURAL = "modeldeployments"
SHORT_NAME = "mdep"
CATEGORY = "plimsoll"

_CLASS = "x-class"
"""Name of the API class of a node. Its title does not tell: the field `requests` has that of the class `Requests`."""

_DROPPED = {"title", "additionalProperties", _CLASS}
_REFUSED = {"exclusiveMinimum", "exclusiveMaximum", "prefixItems", "oneOf", "allOf", "patternProperties"}

_PRINTER_COLUMNS = (
    ("Ready", "string", '.status.conditions[?(@.type=="Ready")].status', 0, "The newest spec is promoted"),
    ("Serving", "string", '.status.conditions[?(@.type=="Serving")].status', 0, "Users get answers"),
    ("Phase", "string", ".status.phase", 0, "One word, derived from the conditions"),
    ("Stable", "string", ".status.stable", 0, "Revision that serves users"),
    ("Candidate", "string", ".status.candidate", 0, "Revision that is being prepared"),
    ("Replicas", "integer", ".status.readyReplicas", 0, "Model servers that are ready"),
    ("URL", "string", ".status.urls.http", 0, "Where the model answers"),
    ("Age", "date", ".metadata.creationTimestamp", 0, "Time since creation"),
    ("Reason", "string", '.status.conditions[?(@.type=="Ready")].reason', 1, "Why it is ready or not"),
    ("Decision", "string", ".status.decision", 1, "What was last decided"),
)


def structural_schema(model: type[BaseModel]) -> dict[str, Any]:
    """Returns the structural OpenAPI v3 schema of `model`.

    Raises:
        ValueError: a type that Kubernetes cannot express.
    """
    root = model.model_json_schema(by_alias=True, mode="validation")
    root[_CLASS] = model.__name__
    return _Transform(root.pop("$defs", {}), _rules_by_name(model)).of(root, "$")


def _rules_by_name(model: type[BaseModel]) -> dict[str, type[ApiModel]]:
    """Returns every API class reachable from `model`, by its name."""
    found: dict[str, type[ApiModel]] = {}
    pending: list[Any] = [model]
    while pending:
        annotation = pending.pop()
        if isinstance(annotation, type) and issubclass(annotation, ApiModel):
            if annotation.__name__ not in found:
                found[annotation.__name__] = annotation
                pending.extend(field.annotation for field in annotation.model_fields.values())
        else:
            pending.extend(get_args(annotation))
    return found


class _Transform:
    def __init__(self, definitions: dict[str, Any], classes: dict[str, type[ApiModel]]) -> None:
        self._definitions = definitions
        self._classes = classes

    def of(self, node: dict[str, Any], path: str) -> dict[str, Any]:
        """Returns the structural form of one schema node."""
        node = self._without_null(self._inlined(node), path)
        refused = _REFUSED & node.keys()
        if refused:
            raise ValueError(f"{path}: {sorted(refused)} cannot be expressed in a structural schema")
        validations = [*self._validations(node), *node.pop("x-kubernetes-validations", [])]
        result = {key: value for key, value in node.items() if key not in _DROPPED}
        if result.get("default", ...) is None:
            del result["default"]
        self._children(node, result, path)
        if result.get("x-kubernetes-int-or-string"):
            result.pop("type", None)
        if "const" in result:
            result["enum"] = [result.pop("const")]
        if "description" in result:
            result["description"] = " ".join(result["description"].split())
        if validations:
            result["x-kubernetes-validations"] = validations
        return result

    def _inlined(self, node: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in node:
            name = node["$ref"].rsplit("/", 1)[1]
            siblings = {key: value for key, value in node.items() if key != "$ref"}
            node = {**self._definitions[name], _CLASS: name, **siblings}
        return dict(node)

    def _without_null(self, node: dict[str, Any], path: str) -> dict[str, Any]:
        if "anyOf" not in node:
            return node
        alternatives = [choice for choice in node.pop("anyOf") if choice.get("type") != "null"]
        if len(alternatives) != 1:
            raise ValueError(f"{path}: a union of {len(alternatives)} types cannot be expressed in a structural schema")
        return self._inlined({**self._inlined(alternatives[0]), **node})

    def _validations(self, node: dict[str, Any]) -> list[dict[str, str]]:
        owner = self._classes.get(node.get(_CLASS, ""))
        if owner is None:
            return []
        return [
            {"rule": rule.cel, "message": rule.message, **({"fieldPath": rule.path} if rule.path else {})}
            for rule in owner.rules
        ]

    def _children(self, node: dict[str, Any], result: dict[str, Any], path: str) -> None:
        if "properties" in node:
            result["properties"] = {
                name: self.of(child, f"{path}.{name}") for name, child in node["properties"].items()
            }
        if "items" in node:
            result["items"] = self.of(node["items"], f"{path}[]")
        values = node.get("additionalProperties")
        if isinstance(values, dict):
            result["additionalProperties"] = self.of(values, f"{path}{{}}")
            result.pop("propertyNames", None)
        if result.get("x-kubernetes-preserve-unknown-fields"):
            result.pop("additionalProperties", None)


def custom_resource_definition() -> dict[str, Any]:
    """Returns the CustomResourceDefinition of ModelDeployment."""
    schema = structural_schema(ModelDeployment)
    say_revisions(schema["properties"]["spec"], "spec")
    schema["properties"]["metadata"] = {"type": "object"}
    schema["properties"] = {
        "apiVersion": {"type": "string", "description": "Version of the API, plimsoll.dev/v1alpha1."},
        "kind": {"type": "string", "description": "ModelDeployment."},
        **schema["properties"],
    }
    schema["required"] = ["metadata", "spec"]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": KIND,
                "listKind": f"{KIND}List",
                "plural": PLURAL,
                "singular": KIND.lower(),
                "shortNames": [SHORT_NAME],
                "categories": [CATEGORY],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": schema},
                    "subresources": {
                        "status": {},
                        "scale": {
                            "specReplicasPath": ".spec.replicas",
                            "statusReplicasPath": ".status.replicas",
                            "labelSelectorPath": ".status.selector",
                        },
                    },
                    "additionalPrinterColumns": [_column(*column) for column in _PRINTER_COLUMNS],
                }
            ],
        },
    }


def _column(name: str, kind: str, path: str, priority: int, description: str) -> dict[str, Any]:
    column: dict[str, Any] = {"name": name, "type": kind, "jsonPath": path, "description": description}
    return {**column, "priority": priority} if priority else column
