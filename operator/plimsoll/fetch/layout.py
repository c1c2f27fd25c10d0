"""From the artefact's files to what Triton serves: the repository and the probe files beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from plimsoll.api.vocabulary import ModelFormat
from plimsoll.core.triton.config import ModelFacts, instance_count, model_config
from plimsoll.core.triton.formats import PICKLE_MESSAGE, RENDERING, REPOSITORY_CONFIG, detect_format
from plimsoll.core.triton.golden import COMPANIONS, GOLDEN_FILE, GoldenCase, first_case
from plimsoll.core.triton.interface import header_interface, stated_interface
from plimsoll.core.triton.overrides import normalize
from plimsoll.core.triton.pbtxt import write_config
from plimsoll.core.triton.probe import ProbePlan, Warmup, no_probe, probe_plan
from plimsoll.core.triton.repository import (
    RepositoryModel,
    can_be_probed,
    configured_interface,
    entry_config,
    is_complete,
    plan_repository,
    read_config,
)
from plimsoll.core.triton.tensors import ModelInterface
from plimsoll.errors import Invalid
from plimsoll.fetch.limits import MAX_SMALL_FILE_BYTES
from plimsoll.fetch.onnx_header import read_onnx
from plimsoll.fetch.pickles import is_pickle
from plimsoll.fetch.report import log
from plimsoll.fetch.request import FetchRequest
from plimsoll.fetch.workspace import Workspace

REPOSITORY: Final = "repository"
PROBE: Final = "probe"
ARTEFACT: Final = "artefact"
"""Where the examiner finds what came with the model (preflight/examiner.py)."""
_SCRIPTS: Final = ("liveness.py", "warmup.py")  # one program under two names; it looks at its own name


@dataclass(frozen=True, slots=True)
class LaidOut:
    """What was made."""

    format: ModelFormat
    warmup: Warmup


def lay_out(request: FetchRequest, workspace: Workspace) -> LaidOut:
    """Move the files of `workspace.tree` into `workspace.staging` as Triton wants them.

    Raises:
        Invalid: Everything the model or the request can be wrong about.
    """
    files = [
        path.relative_to(workspace.tree).as_posix() for path in sorted(workspace.tree.rglob("*")) if path.is_file()
    ]
    detected = detect_format([name for name in files if name not in COMPANIONS], request.format)
    log("format_detected", format=detected.format, path=detected.path)
    if detected.format is ModelFormat.TRITON_REPOSITORY:
        plan = _repository(request, workspace, files)
    else:
        plan = _model(request, workspace, detected.format, workspace.tree / detected.path)
    _write_probe(plan, workspace.staging / PROBE)
    return LaidOut(detected.format, plan.source)


def _model(request: FetchRequest, workspace: Workspace, model_format: ModelFormat, model: Path) -> ProbePlan:
    if is_pickle(model):
        raise Invalid("PickleRefused", PICKLE_MESSAGE.format(name=model.name))
    overrides = normalize(request.config)
    interface = _interface(request, model_format, model, overrides.get("max_batch_size"))
    config = model_config(ModelFacts(request.name, model_format, interface, request.accelerator), overrides)
    golden = _golden([workspace.tree, model.parent], configured_interface(config))
    _keep_companions([workspace.tree, model.parent], workspace.staging / ARTEFACT)
    folder = workspace.staging / REPOSITORY / request.name
    _move_model(model, model_format, folder / str(request.version))
    (folder / REPOSITORY_CONFIG).write_text(write_config(config))
    return _plan(request, config, golden)


def _interface(
    request: FetchRequest, model_format: ModelFormat, model: Path, max_batch_size: int | None
) -> ModelInterface:
    inputs, outputs = request.input_tensors(), request.output_tensors()
    if model_format is not ModelFormat.ONNX:
        return stated_interface(inputs, outputs, max_batch_size)
    found = read_onnx(model)
    for name in sorted(found.external_files):
        beside = (model.parent / name).resolve()
        if not beside.is_relative_to(model.parent.resolve()) or not beside.is_file():
            raise Invalid(
                "CorruptModel", f"The ONNX file keeps weights in '{name}', which the artefact does not hold beside it."
            )
    log("onnx_header", opset=found.opset, inputs=len(found.header.inputs), outputs=len(found.header.outputs))
    return header_interface(found.header, inputs, outputs, max_batch_size)


def _plan(request: FetchRequest, config: Mapping[str, Any], golden: GoldenCase | None) -> ProbePlan:
    own = bool(config.get("model_warmup"))
    if not can_be_probed(config):
        return no_probe(request.name, own_warmup=own)
    instances = instance_count(config, request.gpus)
    return probe_plan(request.name, configured_interface(config), golden, instances, own_warmup=own)


def _move_model(model: Path, model_format: ModelFormat, target: Path) -> None:
    """Move a model and the files beside it into a version folder, under the name Triton looks for."""
    folder, file_name = model.parent, RENDERING[model_format].file_name
    if model_format is ModelFormat.SAVED_MODEL:
        target, file_name = target / file_name, model.name
    target.mkdir(parents=True)
    if model_format is ModelFormat.OPENVINO:
        weights = model.with_suffix(".bin")
        if not weights.is_file():
            raise Invalid("CorruptModel", f"The OpenVINO model '{model.name}' lacks its weights '{weights.name}'.")
        weights.rename(target / "model.bin")
    model.rename(target / file_name)
    for path in sorted(folder.iterdir()):
        if path.name not in COMPANIONS:
            path.rename(target / path.name)


def _repository(request: FetchRequest, workspace: Workspace, files: list[str]) -> ProbePlan:
    plan = plan_repository(files, request.entry, request.name)
    overrides = normalize(request.config)
    if request.format is None:
        _require_complete(workspace.tree, [plan.entry, *plan.inner])
    repository = workspace.staging / REPOSITORY
    repository.mkdir()
    source = workspace.tree / plan.entry.path
    text = _small_text(source / REPOSITORY_CONFIG) if (source / REPOSITORY_CONFIG).exists() else ""
    rendered = entry_config(text, request.name, overrides)
    config = read_config(rendered)
    golden = _golden([workspace.tree, source], configured_interface(config))
    _keep_companions([workspace.tree, source], workspace.staging / ARTEFACT)
    for inner in plan.inner:
        _move_folder(workspace.tree / inner.path, repository / inner.name)
        if not inner.versions:
            (repository / inner.name / "1").mkdir()
    _move_folder(source, repository / request.name)
    _keep_one_version(repository / request.name, plan.entry, request.version)
    if rendered:
        (repository / request.name / REPOSITORY_CONFIG).write_text(rendered)
    return _plan(request, config, golden)


def _require_complete(tree: Path, models: list[RepositoryModel]) -> None:
    """Refuse what the server would: only for a stated TritonRepository is it told to complete configurations itself."""
    for model in models:
        path = tree / model.path / REPOSITORY_CONFIG
        if not path.exists() or not is_complete(_small_text(path)):
            raise Invalid(
                "UnknownFormat",
                f"The artefact is a Triton repository, and the configuration of its model '{model.name}' leaves "
                f"backend, inputs or outputs to the server: set spec.model.format to TritonRepository.",
            )


def _move_folder(source: Path, target: Path) -> None:
    target.mkdir()
    for path in sorted(source.iterdir()):
        if path.name not in COMPANIONS:
            path.rename(target / path.name)


def _keep_one_version(folder: Path, model: RepositoryModel, version: int) -> None:
    """Serve the newest version under the revision's number; an ensemble has no files and needs the empty folder."""
    numbered = sorted((path for path in folder.iterdir() if path.name.isascii() and path.name.isdigit()), key=_number)
    aside = folder / ".version"
    if model.versions and numbered:
        numbered.pop().rename(aside)
    else:
        aside.mkdir()
    for older in numbered:
        older.rename(folder.parent.parent / f"dropped-{older.name}")
    aside.rename(folder / str(version))


def _number(path: Path) -> int:
    return int(path.name)


def _golden(folders: list[Path], interface: ModelInterface | None) -> GoldenCase | None:
    path = next((folder / GOLDEN_FILE for folder in folders if (folder / GOLDEN_FILE).is_file()), None)
    if path is None or interface is None:
        return None
    try:
        document = json.loads(_small_text(path))
    except (ValueError, RecursionError) as error:
        raise Invalid("GoldenMismatch", f"{GOLDEN_FILE} is not JSON. Correct the file and publish again.") from error
    return first_case(document, interface)


def _keep_companions(folders: list[Path], kept: Path) -> None:
    """Move what is about the model to where a preflight finds it; of two files of a name the outer one counts."""
    kept.mkdir()
    for name in COMPANIONS:
        path = next((folder / name for folder in folders if (folder / name).is_file()), None)
        if path is not None:
            path.rename(kept / name)


def _small_text(path: Path) -> str:
    if path.stat().st_size > MAX_SMALL_FILE_BYTES:
        raise Invalid("CorruptModel", f"'{path.name}' is larger than {MAX_SMALL_FILE_BYTES} bytes.")
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise Invalid("CorruptModel", f"'{path.name}' is not UTF-8 text.") from error


def _write_probe(plan: ProbePlan, folder: Path) -> None:
    folder.mkdir()
    program = Path(__file__).with_name("probe_script.py").read_text("utf-8")
    for name in _SCRIPTS:
        (folder / name).write_text(program)
    (folder / "request.json").write_text(json.dumps(plan.description()))
    (folder / "request.bin").write_bytes(plan.values())
