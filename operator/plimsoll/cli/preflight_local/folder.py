"""From a folder of the user's to a repository that Triton serves, as `plimsoll fetch` lays it out in a pod.

The user's files are never changed: large ones are hard-linked where the file system allows, all others copied.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import Any, Final

from plimsoll.api.v1alpha1 import ModelDeploymentSpec
from plimsoll.api.vocabulary import Accelerator
from plimsoll.core.triton.golden import GOLDEN_FILE
from plimsoll.fetch.layout import REPOSITORY, lay_out
from plimsoll.fetch.limits import MAX_SMALL_FILE_BYTES
from plimsoll.fetch.request import FetchRequest
from plimsoll.fetch.workspace import Workspace

_LONGEST_NAME: Final = 40
_NO_DIGEST: Final = "sha256:" + "0" * 64


def served_name(text: str) -> str:
    """Returns a name that a ModelDeployment could have, from any text: `My Model.v2` becomes `my-model-v2`."""
    name = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:_LONGEST_NAME].rstrip("-")
    return name if name[:1].isalpha() else f"model-{name}"[:_LONGEST_NAME].rstrip("-")


def repository_of(folder: Path, work: Path, name: str, entry: str | None, spec: ModelDeploymentSpec | None) -> Path:
    """Lays a folder out below `work` and returns the repository.

    Args:
        folder: The user's.
        work: An empty folder of ours.
        name: Under which the model is served.
        entry: Model of a repository that holds several.
        spec: What a manifest says about the model.

    Raises:
        Invalid: What the model or the manifest is wrong about, as in the cluster.
    """
    workspace = Workspace(work / "workspace")
    workspace.prepare()
    for path in sorted(folder.rglob("*")):
        # The golden file is judged by the preflight itself, which reports what is wrong with it.
        if path.is_file() and path.name != GOLDEN_FILE:
            _bring(path, workspace.tree / path.relative_to(folder))
    lay_out(_request(name, entry, spec), workspace)
    return workspace.staging / REPOSITORY


def _bring(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.stat().st_size > MAX_SMALL_FILE_BYTES:
        try:
            os.link(source.resolve(), target)
        except OSError:
            pass
        else:
            return
    # Small ones are copied always: a configuration is rewritten, and a link would reach the user's own.
    shutil.copyfile(source, target)


def _request(name: str, entry: str | None, spec: ModelDeploymentSpec | None) -> FetchRequest:
    stated: dict[str, Any] = {}
    if spec:
        model = spec.model.model_dump(mode="json", exclude_none=True)
        stated = {key: model[key] for key in ("format", "inputs", "outputs", "entry", "config") if key in model}
        if spec.runtime and spec.runtime.accelerator is Accelerator.NVIDIA:
            stated |= {"accelerator": Accelerator.NVIDIA, "gpus": 1}
    if entry:
        stated["entry"] = entry
    return FetchRequest.model_validate({"name": name, "version": 1, "uri": "local", "digest": _NO_DIGEST, **stated})
