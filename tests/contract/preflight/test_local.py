"""`plimsoll preflight --local` with a Triton that it starts: from a folder to an exit code, and nothing runs on."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.onnx_models import linear
from tests.support.planted_models import plant

from plimsoll.api.preflight_report import PreflightReport
from plimsoll_dev.images.build import CHECKOUT
from plimsoll_dev.images.local_triton import triton_folder

pytestmark = [pytest.mark.triton, pytest.mark.xdist_group("measuring")]  # one at a time: they share two cores


@pytest.fixture
def words(tmp_path: Path) -> Iterator[list[str]]:
    """The command for the model in `tmp_path/model`, with a Triton that knows our ONNX backend."""
    backends = tmp_path / "backends"
    backends.mkdir()
    (backends / "python").symlink_to(triton_folder() / "backends" / "python")
    (backends / "onnxruntime").symlink_to(CHECKOUT / "operator/triton-cpu/onnxruntime")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.onnx").write_bytes(linear())
    triton = triton_folder() / "bin" / "tritonserver"
    return [
        *(sys.executable, "-m", "plimsoll", "preflight", "--local", str(tmp_path / "model"), "--json"),
        *("--triton", str(triton), f"--triton-option=--backend-directory={backends}", "--budget", "3s"),
    ]


def golden_file(folder: Path, answer: list[float]) -> None:
    x = {"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [0, 0, 0, 0]}
    y = {"name": "y", "datatype": "FP32", "shape": [1, 3], "data": answer}
    (folder / "golden.json").write_text(json.dumps({"cases": [{"inputs": [x], "outputs": [y]}]}))


@pytest.mark.parametrize(
    ("answer", "code", "reason"), [([1, 1, 1], 0, "AsExpected"), ([1, 1, 2], 1, "UnexpectedAnswers")]
)
def test_a_folder_becomes_a_verdict(
    tmp_path: Path, words: list[str], answer: list[float], code: int, reason: str
) -> None:
    golden_file(tmp_path / "model", answer)
    ended = subprocess.run(words, capture_output=True, check=False)
    assert ended.returncode == code, ended.stderr.decode()
    report = PreflightReport.model_validate_json(ended.stdout)
    assert report.phases[1].reason == reason
    assert left_over(words) == []


def test_a_model_that_triton_does_not_load_is_refused_in_tritons_words(tmp_path: Path, words: list[str]) -> None:
    model = tmp_path / "model" / "model.onnx"
    model.write_bytes(model.read_bytes().replace(b"Gemm", b"Gemn"))
    ended = subprocess.run(words, capture_output=True, check=False)
    assert ended.returncode == 1, ended.stderr.decode()
    assert b"failed to load 'model'" in ended.stderr
    assert b"Gemn" in ended.stderr
    assert left_over(words) == []


def test_a_server_that_dies_is_named_with_the_end_of_its_log(tmp_path: Path, words: list[str]) -> None:
    (tmp_path / "model" / "model.onnx").unlink()
    plant(tmp_path / "model", "crashing")
    ended = subprocess.run([*words, "--model", "crashing"], capture_output=True, check=False)
    assert ended.returncode == 1, ended.stderr.decode()
    report = PreflightReport.model_validate_json(ended.stdout)
    assert report.reason == "ServerDied"
    assert "died at a batch of 64: Stub process 'crashing_0_0' is not healthy. Look at its log" in report.message
    assert b"Triton's log ends with:" in ended.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("when", [b"Load: begins", b"Load: Passed"])
def test_interrupted_it_leaves_nothing_behind(words: list[str], when: bytes, number: signal.Signals) -> None:
    # Who was started in the background by a shell ignores SIGINT, and so do all its children.
    process = subprocess.Popen(
        ["env", "--default-signal=INT", *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    with process.stderr as progress:
        assert any(when in line for line in progress)
        process.send_signal(number)
        assert process.wait(timeout=60) == 128 + number
    assert left_over(words) == []


def left_over(words: list[str]) -> list[str]:
    """What still runs for the folder of backends that only this test has, stubs of the server included."""
    mark = words[-3].rpartition("=")[2].encode()
    ours = []
    for process in Path("/proc").iterdir():
        try:
            if process.name.isdecimal() and int(process.name) != os.getpid():
                command = (process / "cmdline").read_bytes()
                ours += [process.name] if mark in command else []
        except OSError:
            pass  # it ended meanwhile
    return ours
