"""How a model is recognised by the names of its files."""

from pathlib import Path

import pytest

from plimsoll.api.vocabulary import ModelFormat
from plimsoll.core.triton.formats import (
    FORMAT_SUPPORT,
    RENDERING,
    Detected,
    RefusedFormat,
    Support,
    detect_format,
)
from plimsoll.errors import Invalid

ONNX, REPOSITORY = ModelFormat.ONNX, ModelFormat.TRITON_REPOSITORY


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["model.onnx"], Detected(ONNX, "model.onnx")),
        (["digits-2.ONNX", "README.md"], Detected(ONNX, "digits-2.ONNX")),
        (["package/model.onnx", "package/model.onnx.data"], Detected(ONNX, "package/model.onnx")),
        (["model.onnx", "other.onnx"], Detected(ONNX, "model.onnx")),
        (["model.onnx", "parts/inner.onnx"], Detected(ONNX, "model.onnx")),
        (["model.onnx", "vectorizer.pkl"], Detected(ONNX, "model.onnx")),
        (["model.pt"], Detected(ModelFormat.TORCHSCRIPT, "model.pt")),
        (["net.pth"], Detected(ModelFormat.TORCHSCRIPT, "net.pth")),
        (["m/saved_model.pb", "m/variables/variables.index"], Detected(ModelFormat.SAVED_MODEL, "m/saved_model.pb")),
        (["model.plan"], Detected(ModelFormat.TENSORRT, "model.plan")),
        (["x.engine"], Detected(ModelFormat.TENSORRT, "x.engine")),
        (["ir.xml", "ir.bin"], Detected(ModelFormat.OPENVINO, "ir.xml")),
        (["model.py", "weights.bin"], Detected(ModelFormat.PYTHON, "model.py")),
        (["digits/config.pbtxt", "digits/1/model.onnx"], Detected(REPOSITORY, "")),
        (["config.pbtxt", "1/model.onnx"], Detected(REPOSITORY, "")),
        (["digits/3/model.onnx"], Detected(REPOSITORY, "")),
        (["pre/config.pbtxt", "pre/1/model.py", "net/1/model.onnx"], Detected(REPOSITORY, "")),
    ],
)
def test_recognised(files: list[str], expected: Detected) -> None:
    assert detect_format(files) == expected


@pytest.mark.parametrize(
    ("files", "stated", "reason", "says"),
    [
        (["model.pkl"], None, "PickleRefused", "skl2onnx"),
        (["clf.joblib"], None, "PickleRefused", "torch.onnx.export"),
        (["MODEL.PICKLE"], None, "PickleRefused", "MODEL.PICKLE"),
        (["a.onnx", "b.onnx"], None, "AmbiguousModel", "a.onnx, b.onnx"),
        (["model.safetensors"], None, "UnknownFormat", "model.safetensors"),
        ([], None, "UnknownFormat", "no files"),
        ([f"{number}.bin" for number in range(9)], None, "UnknownFormat", "and 4 more"),
        (["model.pt"], ONNX, "UnknownFormat", "spec.model.format is Onnx"),
        (["model.pkl"], ONNX, "PickleRefused", "model.pkl"),
    ],
)
def test_refused(files: list[str], stated: ModelFormat | None, reason: str, says: str) -> None:
    with pytest.raises(Invalid) as error:
        detect_format(files, stated)
    assert error.value.reason == reason
    assert says in error.value.message


def test_the_stated_format_wins() -> None:
    assert detect_format(["model.onnx", "model.py"], ModelFormat.PYTHON) == Detected(ModelFormat.PYTHON, "model.py")


def test_every_format_says_how_far_it_is_supported() -> None:
    assert set(FORMAT_SUPPORT) == {*ModelFormat, *RefusedFormat}
    assert {kind for kind, support in FORMAT_SUPPORT.items() if support is Support.PROVEN} == {ONNX, REPOSITORY}
    assert set(RENDERING) == set(ModelFormat) - {REPOSITORY}


# What the rows of README.md's table say of each degree of support, and its names for the formats.
SAYS = {
    "served by a real Triton": Support.PROVEN,
    "not loaded here": Support.RENDERED_ONLY,
    "refused:": Support.REFUSED,
}
NAMES: dict[str, ModelFormat | RefusedFormat] = {
    **{model_format.value.lower(): model_format for model_format in ModelFormat},
    "triton repository": REPOSITORY,
    "triton repositories": REPOSITORY,
    "pickle": RefusedFormat.PICKLE,
    "joblib": RefusedFormat.PICKLE,
}


def readme_support() -> dict[ModelFormat | RefusedFormat, Support]:
    """Read the rows whose first cell begins with the name of a format."""
    found: dict[ModelFormat | RefusedFormat, Support] = {}
    for line in (Path(__file__).parents[3] / "README.md").read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        named = [NAMES.get(name.strip().lower()) for name in cells[0].partition(" from ")[0].split(",")]
        for model_format in named if line.startswith("|") else ():
            if model_format is not None:
                (found[model_format],) = (support for text, support in SAYS.items() if text in cells[1])
    return found


def test_the_readme_claims_no_more_than_is_proven_and_hides_no_limit() -> None:
    claimed = readme_support()
    assert claimed == {kind: FORMAT_SUPPORT[kind] for kind in claimed}
    assert {*claimed, REPOSITORY} == set(FORMAT_SUPPORT)
