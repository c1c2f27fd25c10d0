"""From the command line, and the manifest it names, to a request for a preflight."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import ValidationError

from plimsoll.api.base import ApiModel, broken_rules
from plimsoll.api.preflight import AccuracyCheck, LatencyObjective, Objective, Preflight
from plimsoll.api.preflight_report import InputSource, ServedTensor
from plimsoll.api.v1alpha1 import ModelDeploymentSpec, Tensor
from plimsoll.cli.manifests import read_manifests
from plimsoll.cli.validate import looks_like_ours, read_text
from plimsoll.core.triton.golden import GOLDEN_FILE
from plimsoll.errors import Invalid
from plimsoll.preflight.request import DataFile, Examiner, Request

DATASET_FILE: Final = "dataset.json"
_PARTS: Final = ("preflight", "objective")
_Model = TypeVar("_Model", bound=ApiModel)


@dataclass(frozen=True, slots=True)
class Stated:
    """What a manifest says: name, spec, and the parts of it that a preflight asks for."""

    name: str | None
    spec: ModelDeploymentSpec | None
    preflight: Preflight
    objective: Objective | None


def stated(options: argparse.Namespace) -> Stated:
    """Returns what the manifest and the flags say; flags win.

    Raises:
        Invalid: A part of it cannot be used.
    """
    name, spec, preflight, objective = _manifest(options.spec) if options.spec else (None, None, Preflight(), None)
    _require_files(preflight, options)
    if options.budget:
        preflight = _checked(Preflight, {**_wire(preflight), "budget": options.budget}, "--budget")
    if options.objective:
        headroom = {"headroom": objective.headroom} if objective else {}
        promises = [_promise(text) for text in options.objective]
        objective = _checked(Objective, {"latency": promises, **headroom}, "--objective")
    return Stated(name, spec, preflight, objective)


def _manifest(file: str) -> tuple[str | None, ModelDeploymentSpec, Preflight, Objective | None]:
    ours = [manifest.data for manifest in read_manifests(read_text(file)) if looks_like_ours(manifest)]
    if len(ours) != 1:
        raise Invalid("NoManifest", f"{file} holds {len(ours)} ModelDeployments; give a file with one.")
    data = ours[0].get("spec")
    written: dict[str, Any] = data if isinstance(data, dict) else {}
    spec = _checked(ModelDeploymentSpec, {k: v for k, v in written.items() if k not in _PARTS}, "spec")
    preflight = _checked(Preflight, written.get("preflight") or {}, "spec.preflight")
    objective = _checked(Objective, written["objective"], "spec.objective") if written.get("objective") else None
    metadata = ours[0].get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    return name if isinstance(name, str) else None, spec, preflight, objective


def _checked(model: type[_Model], value: Any, where: str) -> _Model:
    try:
        found = model.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        path = ".".join(str(part) for part in (where, *first["loc"]))
        raise Invalid("SpecInvalid", f"{path} cannot be used: {first['msg']}.") from error
    for at, rule in broken_rules(found):
        raise Invalid("SpecInvalid", f"{'.'.join(map(str, (where, *at)))} cannot be used: {rule.message}.")
    return found


def _wire(model: ApiModel) -> dict[str, Any]:
    return model.model_dump(mode="json", by_alias=True, exclude_none=True)


def _promise(text: str) -> dict[str, Any]:
    percentile, separator, longest = text.partition("=")
    if not separator or not percentile.lower().startswith("p"):
        raise Invalid("SpecInvalid", f"--objective {text} cannot be used: write it like p99=200ms.")
    return _wire(_checked(LatencyObjective, {"percentile": percentile[1:], "max": longest}, f"--objective {text}"))


def _require_files(preflight: Preflight, options: argparse.Namespace) -> None:
    """What the manifest finds in the cluster must be given here: another file in its place would prove nothing."""
    accuracy = preflight.accuracy or AccuracyCheck()
    of_accuracy = "spec.preflight.accuracy"
    needed = (
        ("spec.preflight.golden", preflight.golden, options.golden, "--golden FILE"),
        (f"{of_accuracy}.dataset", accuracy.dataset, options.dataset, "--dataset FILE"),
        (f"{of_accuracy}.reference", accuracy.reference, options.reference, "--reference HOST:PORT"),
    )
    for field, named, given, flag in needed:
        if named and not given:
            there = f"{field} names '{named.name}' in the cluster"
            raise Invalid("FileMissing", f"{there}; give its equal here with {flag}.")


def request_for(
    options: argparse.Namespace, found: Stated, model: str, address: str, process_id: int | None
) -> Request:
    """Returns the request.

    Args:
        options: The command line.
        found: What is asked for.
        model: Name of the model on the server.
        address: gRPC address of the server.
        process_id: Of the server, where it is ours.

    Raises:
        Invalid: An address cannot be used.
    """
    label = f"the model at {options.reference}"
    given = {
        "model": model,
        "target": address,
        "reference": {"address": options.reference, "model": model, "label": label} if options.reference else None,
        "examiner": Examiner(process_id=process_id) if process_id is not None else None,
    }
    folder = Path(options.local)
    spec = found.spec
    return _checked(
        Request,
        {
            **given,
            "preflight": found.preflight,
            "objective": found.objective,
            "golden": _files(options.golden, folder / GOLDEN_FILE),
            "dataset": _files(options.dataset, folder / DATASET_FILE),
            "inputs": _tensors(spec.model.inputs) if spec else None,
            "outputs": _tensors(spec.model.outputs) if spec else None,
        },
        "The command line",
    )


def _tensors(declared: list[Tensor] | None) -> list[ServedTensor] | None:
    if declared is None:
        return None
    return [ServedTensor(name=one.name, data_type=one.data_type, dims=one.dims) for one in declared]


def _files(given: str | None, own: Path) -> tuple[DataFile, ...]:
    if given:
        return (DataFile(source=InputSource.FILE, location=given),)
    return (DataFile(source=InputSource.ARTEFACT, location=str(own), optional=True),)
