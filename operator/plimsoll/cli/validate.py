"""`plimsoll validate FILE...`: refuses offline what the API server would refuse, with the line and the way out."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from plimsoll.api.base import API_VERSION, KIND, Location, broken_rules
from plimsoll.api.crd import custom_resource_definition
from plimsoll.api.v1alpha1 import ModelDeployment
from plimsoll.cli.exit_codes import ExitCode
from plimsoll.cli.manifests import Manifest, read_manifests
from plimsoll.cli.problems import Problem, joined
from plimsoll.cli.structural import check, unknown_field
from plimsoll.errors import Invalid

STANDARD_INPUT = "-"

_METADATA = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"type": "string"},
        "namespace": {"type": "string"},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "annotations": {"type": "object", "additionalProperties": {"type": "string"}},
    },
}
_WRITTEN_BY_SERVER = {
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "finalizers",
    "generateName",
    "generation",
    "managedFields",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
}
"""The rest of Kubernetes' ObjectMeta; nothing here depends on it."""


def run_validate(files: Sequence[str]) -> ExitCode:
    """Checks files, prints what is wrong, and returns the worst outcome."""
    return max((_validate_file(file) for file in files), default=ExitCode.OK)


def read_text(file: str) -> str:
    """Returns the content of a file, or of standard input for `-`.

    Raises:
        OSError, UnicodeDecodeError: it cannot be read.
    """
    return sys.stdin.read() if file == STANDARD_INPUT else Path(file).read_text(encoding="utf-8")


def _validate_file(file: str) -> ExitCode:
    try:
        manifests = read_manifests(read_text(file))
    except (OSError, UnicodeDecodeError) as error:
        print(f"{file}: cannot be read: {error}", file=sys.stderr)
        return ExitCode.UNUSABLE
    except Invalid as error:
        print(f"{file}: {error.message}", file=sys.stderr)
        return ExitCode.UNUSABLE
    ours = [manifest for manifest in manifests if looks_like_ours(manifest)]
    if not ours:
        print(f"{file}: holds no {KIND}")
        return ExitCode.REFUSED
    return max([_report(file, manifest) for manifest in ours])


def looks_like_ours(manifest: Manifest) -> bool:
    """Tells whether an object is meant to be a ModelDeployment, misspelt or not."""
    group = str(manifest.data.get("apiVersion", "")).partition("/")[0]
    return manifest.kind.lower() == KIND.lower() or group == API_VERSION.partition("/")[0]


def _report(file: str, manifest: Manifest) -> ExitCode:
    problems = problems_of(manifest)
    who = f"{KIND} {_name_of(manifest.data)}"
    for problem in problems:
        print(f"{file}:{manifest.line_of(problem.path)}: {who}: {problem}")
    if not problems:
        print(f"{file}: {who} is valid")
    return ExitCode.REFUSED if problems else ExitCode.OK


def _name_of(data: dict[str, Any]) -> str:
    metadata = data.get("metadata")
    return str(metadata.get("name", "without a name")) if isinstance(metadata, dict) else "without a name"


def problems_of(manifest: Manifest) -> list[Problem]:
    """Returns all that is wrong with a ModelDeployment; status is left out, as `kubectl apply` ignores it.

    Rules across fields are told too where the object can be read in spite of its other problems.
    """
    problems = [*manifest.problems, *_header(manifest.data), *_metadata(manifest.data.get("metadata"))]
    body = {key: value for key, value in manifest.data.items() if key not in ("metadata", "status")}
    problems += [problem for problem in check(body, _schema()) if problem.path != "metadata"]
    try:
        deployment = ModelDeployment.model_validate(_without_empty({**manifest.data, "status": None}, _schema()))
    except ValidationError as error:
        return problems or [Problem(_path_of(found["loc"]), found["msg"]) for found in error.errors()]
    return [*problems, *(Problem(_path_of(at), rule.message) for at, rule in broken_rules(deployment))]


@cache
def _schema() -> dict[str, Any]:
    schema: dict[str, Any] = custom_resource_definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


def _header(data: dict[str, Any]) -> Iterator[Problem]:
    for key, expected in (("apiVersion", API_VERSION), ("kind", KIND)):
        if data.get(key) != expected:
            yield Problem(key, f"must be {expected}")


def _metadata(metadata: object) -> Iterator[Problem]:
    if not isinstance(metadata, dict):
        yield Problem("metadata", "is required, with a name")
        return
    known = {key: value for key, value in metadata.items() if key in _METADATA["properties"]}
    yield from check(known, _METADATA, "metadata")
    for name in metadata.keys() - known.keys() - _WRITTEN_BY_SERVER:
        yield unknown_field(f"metadata.{name}", name, [*_METADATA["properties"], *_WRITTEN_BY_SERVER])


def _without_empty(value: Any, schema: Mapping[str, Any]) -> Any:
    """Returns `value` without the empty fields that the API server replaces by their default."""
    match value:
        case dict():
            below = schema.get("properties", {})
            return {
                name: _without_empty(child, below.get(name, {}))
                for name, child in value.items()
                if child is not None or "default" not in below.get(name, {})
            }
        case list():
            return [_without_empty(item, schema.get("items", {})) for item in value]
        case _:
            return value


def _path_of(location: Location) -> str:
    path = ""
    for part in location:
        path = f"{path}[{part}]" if isinstance(part, int) else joined(path, part)
    return path
