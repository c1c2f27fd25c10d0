"""Renders the chart with the real Helm, and says what Helm refused. No cluster, no network."""

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from plimsoll_dev.cluster.helm import helm_program
from plimsoll_dev.cluster.progress import Progress

ROOT = Path(__file__).parents[3]
CHART = ROOT / "helm" / "plimsoll"
TRITON = "registry.example/tritonserver@sha256:" + "a" * 64
ENOUGH: Mapping[str, Any] = {"triton": {"image": TRITON}}
NAMESPACE = "plimsoll-system"

Manifest = dict[str, Any]


def manifests(values: Mapping[str, Any] | None = None, release: str = "plimsoll") -> list[Manifest]:
    """The objects that `helm install` would create with the smallest accepted values and `values` over them."""
    return _parsed(json.dumps({**ENOUGH, **(values or {})}), release)


@cache
def _parsed(values: str, release: str) -> list[Manifest]:
    done = _template(values, release)
    assert done.returncode == 0, done.stderr
    # The C loader: the definition is 2,000 lines, which take the other one half a second.
    return [document for document in yaml.load_all(done.stdout, yaml.CSafeLoader) if document]


def one(kind: str, values: Mapping[str, Any] | None = None, name: str | None = None) -> Manifest:
    """The only object of that kind, or the one of that name."""
    found = [m for m in manifests(values) if m["kind"] == kind and name in (None, m["metadata"]["name"])]
    assert len(found) == 1, [m["metadata"]["name"] for m in found]
    return found[0]


def refusal(values: Mapping[str, Any]) -> str:
    """What Helm says when it refuses exactly these values."""
    done = _template(json.dumps(values), "plimsoll")
    assert done.returncode != 0, f"accepted: {values}"
    return done.stderr


def lint() -> subprocess.CompletedProcess[str]:
    """The outcome of `helm lint --strict`."""
    return _helm(["lint", "--strict", str(CHART), "--set", f"triton.image={TRITON}"])


@cache
def _template(values: str, release: str) -> subprocess.CompletedProcess[str]:
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        file.write(values)
        file.flush()
        # The chart's own lower bound: Helm 3 would otherwise assume the Kubernetes it was built with.
        arguments = ["template", release, str(CHART), "--namespace", NAMESPACE, "--kube-version", "1.33.0"]
        return _helm([*arguments, "--values", file.name])


def _helm(arguments: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run([_program(), *arguments], capture_output=True, text=True, check=False)


@cache
def _program() -> str:
    return helm_program(os.environ, Progress())
