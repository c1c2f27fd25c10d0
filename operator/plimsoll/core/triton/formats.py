"""Model formats: what is supported how far, how a format is recognised by file names, how Triton wants it laid out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from plimsoll.api.vocabulary import ModelFormat
from plimsoll.errors import Invalid


class RefusedFormat(StrEnum):
    """A format that is recognised only to say why it is refused."""

    PICKLE = "Pickle"


class Support(StrEnum):
    """How far a format has been proved."""

    PROVEN = "Proven"  # a real Triton served it in the tests
    RENDERED_ONLY = "RenderedOnly"  # the files are rendered and unit-tested; no server ran it in the tests
    REFUSED = "Refused"


FORMAT_SUPPORT: Final[Mapping[ModelFormat | RefusedFormat, Support]] = MappingProxyType(
    {
        ModelFormat.ONNX: Support.PROVEN,
        ModelFormat.TRITON_REPOSITORY: Support.PROVEN,
        ModelFormat.TORCHSCRIPT: Support.RENDERED_ONLY,
        ModelFormat.SAVED_MODEL: Support.RENDERED_ONLY,
        ModelFormat.TENSORRT: Support.RENDERED_ONLY,
        ModelFormat.OPENVINO: Support.RENDERED_ONLY,
        ModelFormat.PYTHON: Support.RENDERED_ONLY,
        RefusedFormat.PICKLE: Support.REFUSED,
    }
)


@dataclass(frozen=True, slots=True)
class Rendering:
    """How Triton loads a format: the backend or platform it names, and the file name it expects in a version folder."""

    backend: str
    platform: str
    file_name: str


# Triton derives the backend of a TensorRT plan from `platform`; the other formats name their backend.
RENDERING: Final[Mapping[ModelFormat, Rendering]] = MappingProxyType(
    {
        ModelFormat.ONNX: Rendering("onnxruntime", "", "model.onnx"),
        ModelFormat.TORCHSCRIPT: Rendering("pytorch", "", "model.pt"),
        ModelFormat.SAVED_MODEL: Rendering("tensorflow", "tensorflow_savedmodel", "model.savedmodel"),
        ModelFormat.TENSORRT: Rendering("", "tensorrt_plan", "model.plan"),
        ModelFormat.OPENVINO: Rendering("openvino", "", "model.xml"),
        ModelFormat.PYTHON: Rendering("python", "", "model.py"),
    }
)

PICKLE_SUFFIXES: Final = (".pkl", ".pickle", ".joblib")
PICKLE_MESSAGE: Final = (
    "'{name}' is a Python pickle, which is refused: loading it runs whatever code it holds, and it breaks when a "
    "library version changes. Convert it to ONNX (scikit-learn: skl2onnx.to_onnx, PyTorch: torch.onnx.export) and "
    "point spec.model.uri at the .onnx file."
)
REPOSITORY_CONFIG: Final = "config.pbtxt"

_SUFFIXES: Final[Mapping[ModelFormat, tuple[str, ...]]] = MappingProxyType(
    {
        ModelFormat.ONNX: (".onnx",),
        ModelFormat.TENSORRT: (".plan", ".engine"),
        ModelFormat.OPENVINO: (".xml",),
        ModelFormat.TORCHSCRIPT: (".pt", ".pth", ".torchscript"),
    }
)
_EXACT_NAMES: Final[Mapping[ModelFormat, str]] = MappingProxyType(
    {ModelFormat.SAVED_MODEL: "saved_model.pb", ModelFormat.PYTHON: "model.py"}
)


@dataclass(frozen=True, slots=True)
class Detected:
    """The format of an artefact and the relative path of its model file ("" for a repository)."""

    format: ModelFormat
    path: str


def detect_format(paths: Iterable[str], stated: ModelFormat | None = None) -> Detected:
    """Recognise a model by the relative paths of its files.

    Args:
        paths: Relative paths with `/`.
        stated: `spec.model.format`; the only format looked for when given.

    Raises:
        Invalid: `PickleRefused`, `UnknownFormat` or `AmbiguousModel`.
    """
    files = sorted(paths)
    if stated is ModelFormat.TRITON_REPOSITORY or (stated is None and _looks_like_repository(files)):
        return Detected(ModelFormat.TRITON_REPOSITORY, "")
    candidates = [stated] if stated is not None else list(RENDERING)
    for model_format in candidates:
        found = [path for path in files if _matches(path, model_format)]
        if found:
            return Detected(model_format, _only(found, model_format))
    pickles = [path for path in files if path.lower().endswith(PICKLE_SUFFIXES)]
    if pickles:
        raise Invalid("PickleRefused", PICKLE_MESSAGE.format(name=pickles[0]))
    raise Invalid("UnknownFormat", _unknown_format(files, stated))


def has_numeric_version(path: str) -> bool:
    """Tell whether a folder of the path below the first one is a Triton version number: `digits/1/model.onnx`."""
    return any(part.isascii() and part.isdigit() for part in path.split("/")[1:-1])


def _looks_like_repository(files: list[str]) -> bool:
    return any(path.rsplit("/", 1)[-1] == REPOSITORY_CONFIG or has_numeric_version(path) for path in files)


def _matches(path: str, model_format: ModelFormat) -> bool:
    name = path.rsplit("/", 1)[-1].lower()
    if model_format in _EXACT_NAMES:
        return name == _EXACT_NAMES[model_format]
    return name.endswith(_SUFFIXES[model_format])


def _only(found: list[str], model_format: ModelFormat) -> str:
    """Choose the model file: the only one, else the one that has Triton's own file name."""
    shallow = min(path.count("/") for path in found)
    nearest = [path for path in found if path.count("/") == shallow]
    if len(nearest) == 1:
        return nearest[0]
    named = [path for path in nearest if path.rsplit("/", 1)[-1] == RENDERING[model_format].file_name]
    if len(named) == 1:
        return named[0]
    raise Invalid(
        "AmbiguousModel",
        f"The artefact holds {len(nearest)} {model_format} files ({_some(nearest)}). Name the one to serve "
        f"'{RENDERING[model_format].file_name}', or publish it alone.",
    )


def _unknown_format(files: list[str], stated: ModelFormat | None) -> str:
    if stated is not None:
        return f"spec.model.format is {stated}, but the artefact holds no such model; it holds: {_some(files)}."
    formats = ", ".join(ModelFormat)
    return f"No model was recognised among: {_some(files)}. Supported formats: {formats}."


def _some(names: list[str]) -> str:
    shown = 5  # enough to recognise the wrong artefact without filling the condition
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return (", ".join(names[:shown]) or "no files") + more
