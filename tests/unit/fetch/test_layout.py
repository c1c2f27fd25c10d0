"""From an artefact's files to a repository, for every format; the files come from a claim."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from tests.support.fetching import Pod
from tests.support.onnx_models import linear

from plimsoll.fetch.digests import folder_line, of_bytes, of_folder

ONNX = linear()
STATED = {
    "inputs": [{"name": "x", "dataType": "FP32", "dims": [4]}],
    "outputs": [{"name": "y", "dataType": "FP32", "dims": [3]}],
}


def torch_archive(*members: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for member in members:
            archive.writestr(member, b"x")
    return buffer.getvalue()


SCRIPTED = torch_archive("net/data.pkl", "net/constants.pkl", "net/code/__torch__.py")
PICKLED_WEIGHTS = torch_archive("net/data.pkl", "net/data/0")


def fetch(pod: Pod, files: dict[str, bytes], **request: Any) -> int:
    for name, content in files.items():
        path = pod.root / "source" / "m" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    digest = of_folder([folder_line(of_bytes(content), len(content), name) for name, content in files.items()])
    return pod.fetch("pvc://claim/m", digest, **request)


@pytest.mark.parametrize(
    ("files", "request_", "format_", "expected"),
    [
        ({"net.onnx": ONNX}, {}, "Onnx", ["model.onnx"]),
        ({"net.onnx": ONNX, "golden.json": b""}, {"golden": True}, "Onnx", ["model.onnx"]),
        ({"p/net.onnx": ONNX, "p/labels.txt": b"a", "README": b"r"}, {}, "Onnx", ["labels.txt", "model.onnx"]),
        ({"net.pt": SCRIPTED}, STATED, "TorchScript", ["model.pt"]),
        (
            {"saved_model.pb": b"x", "variables/variables.index": b"x"},
            STATED,
            "SavedModel",
            ["model.savedmodel/saved_model.pb", "model.savedmodel/variables/variables.index"],
        ),
        ({"net.engine": b"x"}, {**STATED, "accelerator": "Nvidia", "gpus": 1}, "TensorRT", ["model.plan"]),
        ({"ir.xml": b"<xml/>", "ir.bin": b"x"}, STATED, "OpenVINO", ["model.bin", "model.xml"]),
        ({"model.py": b"x", "lib/a.py": b"x"}, STATED, "Python", ["lib/a.py", "model.py"]),
    ],
)
def test_each_format(
    pod: Pod, files: dict[str, bytes], request_: dict[str, Any], format_: str, expected: list[str]
) -> None:
    if request_.pop("golden", None):
        tensor = {"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [1, 2, 3, 4]}
        files = {**files, "golden.json": json.dumps({"cases": [{"inputs": [tensor]}]}).encode()}
    assert fetch(pod, files, **request_) == 0, pod.message()
    assert pod.files() == [*(f"digits/7/{name}" for name in expected), "digits/config.pbtxt"]
    assert pod.message()["format"] == format_
    assert sorted(path.name for path in (pod.models / "probe").iterdir()) == [
        "liveness.py",
        "request.bin",
        "request.json",
        "warmup.py",
    ]


TENSOR = {"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [1, 2, 3, 4]}
GOLDEN = json.dumps({"cases": [{"inputs": [TENSOR]}]}).encode()


@pytest.mark.parametrize(
    ("files", "kept"),
    [
        ({"net.onnx": ONNX}, {}),
        ({"net.onnx": ONNX, "golden.json": GOLDEN}, {"golden.json": GOLDEN}),
        ({"p/net.onnx": ONNX, "p/golden.json": GOLDEN}, {"golden.json": GOLDEN}),
        ({"net.onnx": ONNX, "dataset.json": b"{}"}, {"dataset.json": b"{}"}),
        ({"p/net.onnx": ONNX, "p/dataset.json": b"inner", "dataset.json": b"outer"}, {"dataset.json": b"outer"}),
        (
            {"m/1/model.onnx": ONNX, "m/config.pbtxt": b'backend: "onnxruntime"', "m/dataset.json": b"{}"},
            {"dataset.json": b"{}"},
        ),
    ],
)
def test_what_is_about_the_model_is_kept_beside_it_for_the_preflight(
    pod: Pod, files: dict[str, bytes], kept: dict[str, bytes]
) -> None:
    stated = {"format": "TritonRepository"} if any(name.endswith("pbtxt") for name in files) else {}
    assert fetch(pod, files, **stated) == 0, pod.message()
    assert {path.name: path.read_bytes() for path in (pod.models / "artefact").iterdir()} == kept
    assert not [name for name in pod.files() if name.endswith(".json")]


@pytest.mark.parametrize(
    ("files", "request_", "reason", "says"),
    [
        ({"model.pkl": b"x"}, {}, "PickleRefused", "runs whatever code it holds"),
        ({"net.pt": PICKLED_WEIGHTS}, STATED, "PickleRefused", "'net.pt' is a Python pickle"),
        ({"net.pt": b"\x80\x02rest"}, STATED, "PickleRefused", "torch.onnx.export"),
        ({"model.onnx": b"\x80\x04rest"}, {}, "PickleRefused", "'model.onnx' is a Python pickle"),
        ({"net.pt": b"neither"}, STATED, "CorruptModel", "neither a TorchScript archive"),
        ({"net.pt": SCRIPTED[:-30]}, STATED, "CorruptModel", "Publish it again"),
        ({"net.pt": SCRIPTED}, {}, "InputsMissing", "spec.model.inputs"),
        ({"model.onnx": b"garbage"}, {}, "CorruptModel", "ONNX file"),
        ({"ir.xml": b"x"}, STATED, "CorruptModel", "lacks its weights 'ir.bin'"),
        ({"net.plan": b"x"}, STATED, "AcceleratorRequired", "spec.runtime.accelerator"),
        (
            {"model.onnx": ONNX},
            {"inputs": [{"name": "x", "dataType": "FP32", "dims": [5]}]},
            "InputsMismatch",
            "stated as FP32 [5], but the model file has FP32 [4]",
        ),
        ({"model.onnx": ONNX}, {"config": {"maxBatchSise": 1}}, "InvalidConfig", "spec.model.config.maxBatchSise"),
        ({"model.onnx": ONNX, "golden.json": b"{"}, {}, "GoldenMismatch", "is not JSON"),
        ({"model.onnx": ONNX, "golden.json": b"[" * 100_000}, {}, "GoldenMismatch", "is not JSON"),
        ({"model.onnx": ONNX, "golden.json": b"{}"}, {}, "GoldenMismatch", "at least one case"),
        ({"model.onnx": ONNX}, {"format": "Python"}, "UnknownFormat", "spec.model.format is Python"),
        ({"a/config.pbtxt": b"", "b/config.pbtxt": b""}, {}, "EntryMissing", "spec.model.entry (a, b)"),
        ({"a/config.pbtxt": b'backend: "x"'}, {}, "UnknownFormat", "set spec.model.format to TritonRepository"),
        ({"a/1/model.onnx": b""}, {}, "UnknownFormat", "set spec.model.format to TritonRepository"),
        ({"a/config.pbtxt": b"name: {"}, {}, "CorruptModel", "config.pbtxt"),
        ({"a/config.pbtxt": b"\xff\xfe"}, {}, "CorruptModel", "not UTF-8"),
    ],
)
def test_refused(pod: Pod, files: dict[str, bytes], request_: dict[str, Any], reason: str, says: str) -> None:
    assert fetch(pod, files, **request_) == 2
    message = pod.message()
    assert (message["reason"], says in message["message"]) == (reason, True), message
    assert not pod.repository.exists()


def test_a_repository_serves_its_newest_version_under_the_revisions_number(pod: Pod) -> None:
    files = {
        "net/config.pbtxt": b'name: "net" max_batch_size: 8',
        "net/2/model.onnx": b"old",
        "net/10/model.onnx": b"new",
        "net/labels.txt": b"a",
        "pre/1/model.py": b"x",
        "pipe/config.pbtxt": b'name: "pipe" platform: "ensemble"',
    }
    assert fetch(pod, files, entry="net", format="TritonRepository") == 0, pod.message()
    assert pod.files() == [
        "digits/7/model.onnx",
        "digits/config.pbtxt",
        "digits/labels.txt",
        "pipe/config.pbtxt",
        "pre/1/model.py",
    ]
    assert (pod.repository / "digits/7/model.onnx").read_bytes() == b"new"
    assert (pod.repository / "digits/config.pbtxt").read_text() == 'name: "digits" max_batch_size: 8'
    assert (pod.repository / "pipe/1").is_dir()


def test_an_ensemble_gets_the_version_folder_an_artefact_cannot_carry(pod: Pod) -> None:
    assert fetch(pod, {"pipe/config.pbtxt": b'platform: "ensemble"'}, format="TritonRepository") == 0
    assert (pod.repository / "digits/7").is_dir()


def test_a_repository_of_one_model_without_a_folder(pod: Pod) -> None:
    assert fetch(pod, {"config.pbtxt": b"", "1/model.onnx": ONNX}, format="TritonRepository") == 0
    assert pod.files() == ["digits/7/model.onnx", "digits/config.pbtxt"]


def test_weights_beside_the_graph_are_demanded_and_kept(pod: Pod, tmp_path: Path) -> None:
    import onnx  # noqa: PLC0415 - only here

    made = onnx.load_from_string(ONNX)
    onnx.save(made, tmp_path / "net.onnx", save_as_external_data=True, location="net.bin", size_threshold=0)
    files = {name: (tmp_path / name).read_bytes() for name in ("net.onnx", "net.bin")}
    assert fetch(pod, {"net.onnx": files["net.onnx"]}) == 2
    assert "'net.bin'" in pod.message()["message"]
    assert fetch(pod, files) == 0
    assert pod.files() == ["digits/7/model.onnx", "digits/7/net.bin", "digits/config.pbtxt"]
