"""A ready-made Triton repository: finding its models and turning one of them into the public one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from plimsoll.core.triton.formats import REPOSITORY_CONFIG
from plimsoll.core.triton.overrides import merge
from plimsoll.core.triton.pbtxt import write_config
from plimsoll.core.triton.pbtxt_reader import known_fields, parse, rename, to_config
from plimsoll.core.triton.tensors import ModelInterface, Tensor, protocol_type
from plimsoll.errors import Invalid

_NO_NAME: Final = ""  # of a model whose folder is the artefact itself


@dataclass(frozen=True, slots=True)
class RepositoryModel:
    """One model folder: its name, its path in the artefact ("" for the artefact itself) and its version numbers."""

    name: str
    path: str
    versions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class RepositoryPlan:
    """The models of a repository; `entry` becomes the public one."""

    entry: RepositoryModel
    inner: tuple[RepositoryModel, ...]


def plan_repository(paths: Iterable[str], entry: str | None, public_name: str) -> RepositoryPlan:
    """Choose the entry model.

    Args:
        paths: Relative paths of the artefact's files.
        entry: `spec.model.entry`.
        public_name: `metadata.name`.

    Raises:
        Invalid: `EntryMissing`, `EntryUnknown`, `NameTaken` or `UnknownFormat`.
    """
    models = _models(sorted(paths))
    if not models:
        raise Invalid("UnknownFormat", "spec.model.format is TritonRepository, but the artefact holds no model folder.")
    names = ", ".join(model.name for model in models if model.name) or "one without a name"
    if entry is None and len(models) > 1:
        raise Invalid(
            "EntryMissing", f"The repository holds several models: name the public one in spec.model.entry ({names})."
        )
    chosen = next((model for model in models if entry in (None, model.name) or model.name == _NO_NAME), None)
    if chosen is None:
        raise Invalid("EntryUnknown", f"spec.model.entry is '{entry}', but the repository holds: {names}.")
    inner = tuple(model for model in models if model is not chosen)
    if any(model.name == public_name for model in inner):
        raise Invalid(
            "NameTaken",
            f"The repository has an inner model named '{public_name}', which is the public name of the entry "
            f"'{chosen.name}'. Rename the ModelDeployment or the inner model.",
        )
    return RepositoryPlan(chosen, inner)


def entry_config(text: str, name: str, overrides: Mapping[str, Any]) -> str:
    """Give the entry its public name; rewrite the rest only where overrides ask for it.

    Args:
        text: The entry's own `config.pbtxt`.
        name: The public name.
        overrides: As `overrides.normalize` returns them.

    Raises:
        Invalid: `CorruptModel` or `InvalidConfig`.
    """
    message = parse(text)
    if any(field.name == "version_policy" for field in message.fields):
        raise Invalid(
            "InvalidConfig",
            "The entry's config.pbtxt sets version_policy, but one revision serves exactly one version: remove it and "
            "publish again.",
        )
    if not overrides:
        return rename(text, name)
    return write_config({**merge(to_config(message), overrides), "name": name})


def read_config(text: str) -> dict[str, Any]:
    """Read what this version of the schema knows of a configuration."""
    return known_fields(parse(text))


def configured_interface(config: Mapping[str, Any]) -> ModelInterface | None:
    """Return what a configuration says clients must send; None when it leaves that to Triton."""
    inputs = tuple(_tensor(entry) for entry in config.get("input", []) if not entry.get("optional"))
    outputs = tuple(_tensor(entry) for entry in config.get("output", []))
    known = tuple(tensor for tensor in inputs if tensor is not None)
    if not inputs or len(known) != len(inputs):
        return None
    return ModelInterface(
        known, tuple(tensor for tensor in outputs if tensor is not None), max(config.get("max_batch_size", 0), 0)
    )


def is_complete(text: str) -> bool:
    """Tell whether a configuration says all that Triton would otherwise find out by loading the model once more."""
    config = read_config(text)
    return bool(config.get("input")) and bool(config.get("output")) and bool({"backend", "platform"} & config.keys())


def can_be_probed(config: Mapping[str, Any]) -> bool:
    """Tell whether one plain request is a fair question: not for sequences and streams."""
    decoupled = config.get("model_transaction_policy", {}).get("decoupled", False)
    return not decoupled and "sequence_batching" not in config


def _tensor(entry: Mapping[str, Any]) -> Tensor | None:
    data_type = protocol_type(str(entry.get("data_type", "")))
    dims = entry.get("dims", [])
    if data_type is None or not dims or not entry.get("name"):
        return None
    return Tensor(entry["name"], data_type, tuple(dims))


def _models(paths: list[str]) -> list[RepositoryModel]:
    """Find the folders that hold a configuration or version folders; the shallowest ones are the repository's."""
    versions: dict[str, set[int]] = {}
    for path in paths:
        *folders, name = path.split("/")
        if name == REPOSITORY_CONFIG:
            versions.setdefault("/".join(folders), set())
        for depth, folder in enumerate(folders):
            if folder.isascii() and folder.isdigit():
                versions.setdefault("/".join(folders[:depth]), set()).add(int(folder))
                break
    if not versions:
        return []
    depth = min(_depth(path) for path in versions)
    return [
        RepositoryModel(path.rsplit("/", 1)[-1], path, tuple(sorted(numbers)))
        for path, numbers in sorted(versions.items())
        if _depth(path) == depth
    ]


def _depth(path: str) -> int:
    return len(path.split("/")) if path else 0
