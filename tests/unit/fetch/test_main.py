"""The process: requests, exit codes, last words, and what a restart finds."""

import errno
import json
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.support.builders import revision_of, wire_spec
from tests.support.fetching import IMPATIENT, Pod, request
from tests.support.onnx_models import linear

from plimsoll.api.v1alpha1 import ModelDeployment
from plimsoll.core.render.pod import fetch_request
from plimsoll.errors import Invalid, NotYet
from plimsoll.fetch import main as fetch_main
from plimsoll.fetch.digests import of_bytes
from plimsoll.fetch.report import MAX_MESSAGE_BYTES, KeyValueFormatter, Progress, TerminationMessage
from plimsoll.fetch.request import REQUEST_VARIABLE, FetchRequest

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"name": "Digits"}, "name:"),
        ({"name": "d" * 41}, "name:"),
        ({"version": 0}, "version:"),
        ({"digest": "sha256:short"}, "digest:"),
        ({"format": "Pickle"}, "format:"),
        ({"inputs": [{"name": "x", "dataType": "FLOAT", "dims": [1]}]}, "inputs.0.dataType:"),
        ({"inputs": [{"name": "x", "dataType": "FP32", "dims": [-2]}]}, "inputs.0.dims.0:"),
        ({"storageLimitBytes": 0}, "storageLimitBytes:"),
        ({"colour": "red"}, "colour:"),
    ],
)
def test_requests_that_cannot_be_used(change: dict[str, Any], says: str) -> None:
    with pytest.raises(Invalid) as error:
        FetchRequest.from_json(json.dumps({**request("oci://r/m", DIGEST), **change}))
    assert error.value.reason == "InvalidRequest"
    assert says in error.value.message


def test_a_whole_request() -> None:
    text = json.dumps(
        {
            "name": "digits",
            "version": 7,
            "uri": f"oci://host:5000/repo@{DIGEST}",
            "digest": DIGEST,
            "format": None,
            "inputs": [{"name": "x", "dataType": "FP32", "dims": [64]}],
            "outputs": [],
            "entry": None,
            "config": {"maxBatchSize": 8},
            "accelerator": "Nvidia",
            "gpus": 1,
            "storageLimitBytes": 10737418240,
            "renderVersion": 1,
        }
    )
    read = FetchRequest.from_json(text)
    assert (read.accelerator, read.gpus, read.input_tensors()[0].dims) == ("Nvidia", 1, (64,))


@pytest.mark.parametrize(
    "model",
    [
        {},
        {
            "format": "TorchScript",
            "inputs": [{"name": "x", "dataType": "FP32", "dims": [-1, 4]}],
            "outputs": [{"name": "y", "dataType": "BYTES", "dims": [1]}],
            "config": {"maxBatchSize": 4},
        },
        {"format": "TritonRepository", "entry": "pipe"},
    ],
    ids=["minimal", "stated", "repository"],
)
def test_what_the_controller_asks_is_understood(model: dict[str, Any]) -> None:
    owner = ModelDeployment.model_validate(
        {"metadata": {"name": "digits", "namespace": "team"}, "spec": {"model": {**wire_spec()["model"], **model}}}
    )
    asked = fetch_request(owner, revision_of(owner))
    read = FetchRequest.from_json(json.dumps(asked))
    assert (read.name, read.uri, read.digest) == ("digits", asked["uri"], asked["digest"])


def test_without_a_request(pod: Pod, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(REQUEST_VARIABLE, raising=False)
    assert fetch_main.main(pod.arguments(), IMPATIENT) == 2
    assert REQUEST_VARIABLE in pod.message()["message"]


@pytest.mark.parametrize(
    ("raised", "code", "kind", "reason"),
    [
        (Invalid("NotFound", "m"), 2, "Invalid", "NotFound"),
        (NotYet("RegistryUnavailable", "m"), 3, "NotYet", "RegistryUnavailable"),
        (RuntimeError("https://host?secret"), 1, "Error", "RuntimeError"),
        (OSError(errno.ENOSPC, "full"), 2, "Invalid", "StorageTooSmall"),
        (OSError(errno.EIO, "broken"), 1, "Error", "OSError"),
        (MemoryError(), 1, "Error", "MemoryError"),
    ],
)
def test_exit_codes_and_last_words(
    pod: Pod,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    raised: BaseException,
    code: int,
    kind: str,
    reason: str,
) -> None:
    def fail(*_: object) -> None:
        raise raised

    monkeypatch.setattr(fetch_main, "opened_source", fail)
    assert pod.fetch("pvc://claim/m", DIGEST) == code
    message = pod.message()
    assert (message["kind"], message["reason"], message["bytes"], message["progressed"]) == (kind, reason, 0, False)
    assert "secret" not in json.dumps(message)
    assert "?secret" not in capfd.readouterr().err


def test_uri_and_digest_must_agree(pod: Pod) -> None:
    assert pod.fetch("oci://r/m@sha256:" + "b" * 64, DIGEST) == 2
    assert pod.message()["reason"] == "InvalidUri"


def test_another_request_replaces_what_was_there(pod: Pod) -> None:
    source = pod.root / "source"
    source.mkdir()
    (source / "net.onnx").write_bytes(linear())
    digest = of_bytes(linear())
    assert pod.fetch("pvc://claim/net.onnx", digest) == 0
    assert pod.fetch("pvc://claim/net.onnx", digest, version=8) == 0
    assert pod.files() == ["digits/8/model.onnx", "digits/config.pbtxt"]


def test_what_a_killed_container_left_is_cleared(pod: Pod) -> None:
    source = pod.root / "source"
    source.mkdir()
    (source / "net.onnx").write_bytes(linear())
    for leftover in ("repository/half/1", ".partial/old/blobs", "probe"):
        (pod.models / leftover).mkdir(parents=True)
    (pod.models / ".fetched.json").write_text("{")
    assert pod.fetch("pvc://claim/net.onnx", of_bytes(linear())) == 0
    assert pod.files() == ["digits/7/model.onnx", "digits/config.pbtxt"]
    assert not (pod.models / ".partial").exists()


def test_long_messages_stay_json_within_the_limit(tmp_path: Path) -> None:
    message = TerminationMessage(tmp_path / "log")
    message.failed(Invalid("InvalidConfig", "ä" * 5_000), 7)
    data = (tmp_path / "log").read_bytes()
    assert len(data) <= MAX_MESSAGE_BYTES
    assert json.loads(data)["reason"] == "InvalidConfig"


def test_progress_is_told_while_it_lasts(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    progress = Progress(TerminationMessage(tmp_path / "log"), 5, lambda: now[0])
    progress.expect(1_000)
    with caplog.at_level(logging.INFO):
        for second in range(1, 8):
            now[0] = second
            progress.add(100)
    (record,) = caplog.records
    line = KeyValueFormatter().format(record)
    assert line.endswith("info download_progress bytes=500 rate_bytes_per_second=100 percent=50.0 eta_seconds=5")
    assert json.loads((tmp_path / "log").read_text()) == {
        "kind": "NotYet",
        "reason": "Fetching",
        "message": "The model was still being fetched.",
        "bytes": 500,
        "progressed": True,
    }


def test_a_start_loads_nothing_that_only_some_sources_or_the_controller_need() -> None:
    """Every model pod starts it; the first costs 0.1 s of CPU, the second twice as much."""
    spared = ("plimsoll.api.v1alpha1", "httpx", "kopf", "yaml")
    code = f"import sys, plimsoll.fetch.main; print([name for name in {spared!r} if name in sys.modules])"
    environment = {"PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
