"""`plimsoll validate FILE...`: refuses offline what the API server would refuse, with the line and the way out."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from plimsoll.api.base import API_VERSION, CHECK_RULES, KIND
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
    """Returns what is wrong with a ModelDeployment; status is left out, as `kubectl apply` ignores it."""
    problems = [*manifest.problems, *_header(manifest.data), *_metadata(manifest.data.get("metadata"))]
    body = {key: value for key, value in manifest.data.items() if key not in ("metadata", "status")}
    problems += [problem for problem in check(body, _schema()) if problem.path != "metadata"]
    return problems or list(_broken_rules(manifest.data))


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


def _broken_rules(data: dict[str, Any]) -> Iterator[Problem]:
    """The rules that the API server evaluates in CEL, in their Python form."""
    try:
        ModelDeployment.model_validate({**data, "status": None}, context=CHECK_RULES)
    except ValidationError as error:
        for found in error.errors():
            yield Problem(_path_of(found["loc"]), found["msg"])


def _path_of(location: tuple[int | str, ...]) -> str:
    path = ""
    for part in location:
        path = f"{path}[{part}]" if isinstance(part, int) else joined(path, part)
    return path
