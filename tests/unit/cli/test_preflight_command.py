"""`plimsoll preflight` as people call it: words, exit codes, what goes where. Triton is played by others here."""

import asyncio
import json
import os
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.support.oip_server import Model, Tensors, serving
from tests.support.onnx_models import linear
from tests.support.preflight_reports import SAMPLES, good
from tests.unit.cli.running import Shell

from plimsoll.api.preflight_report import PhaseName, PreflightReport
from plimsoll.cli.preflight_local import server


def doubled(inputs: Tensors) -> Tensors:
    return {"y": 2 * inputs["x"]}


DOUBLES = Model(doubled, outputs=[("y", *Model(doubled).inputs[0][1:])])


@contextmanager
def triton(model: Model = DOUBLES) -> Iterator[str]:
    """A server in a thread: the command runs an event loop of its own."""
    ready = threading.Event()
    found: dict[str, Any] = {}

    async def serve() -> None:
        async with serving(model) as running:
            found["address"], found["loop"], found["end"] = running.address, asyncio.get_running_loop(), asyncio.Event()
            ready.set()
            await found["end"].wait()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    ready.wait()
    try:
        yield found["address"]
    finally:
        found["loop"].call_soon_threadsafe(found["end"].set)
        thread.join()


def program(folder: Path, script: str) -> str:
    """A program that is called as Triton is."""
    path = folder / "tritonserver"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


@pytest.fixture
def model_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "m"
    folder.mkdir()
    (folder / "model.onnx").write_bytes(linear(label=False))
    return folder


def golden_file(folder: Path, answer: float) -> None:
    values = (("x", 1), ("y", answer))
    x, y = ({"name": name, "datatype": "FP32", "shape": [1, 2], "data": [value, value]} for name, value in values)
    (folder / "golden.json").write_text(json.dumps({"cases": [{"inputs": [x], "outputs": [y]}]}))


class TestWords:
    @pytest.mark.parametrize(
        ("words", "says"),
        [
            (["--local", "{m}", "--url", "nowhere"], "--url nowhere is no address: write HOST:PORT"),
            (["--local", "{m}", "--url", "http://a:1"], "is no address"),
            (["--local", "{m}", "--reference", "a"], "--reference a is no address"),
            (["--local", "{m}", "--url", "a:1", "--triton", "x"], "leave out --triton"),
            (["--local", "{m}", "--triton-option=--grpc-port=8001"], "start one yourself and name it with --url"),
            (["--local", "{m}", "--triton-option=--model-repository=/x"], "cannot be used"),
            (["--local", "{m}", "-n", "x"], "--namespace needs NAME"),
            (["NAME", "--url", "a:1"], "--url needs --local DIR"),
            (["--local", "{m}/model.onnx"], "is not a folder"),
            (["--local", "{m}/nowhere"], "is not a folder"),
            (["--local", "{m}", "--triton", "{m}"], "is not a program. Name it with --triton PATH"),
            (["--local", "{m}", "--budget", "soon"], "--budget"),
            (["--local", "{m}", "--objective", "99=1s"], "write it like p99=200ms"),
            (["--report", "{m}/nowhere"], "Cannot be read or written"),
        ],
    )
    def test_what_cannot_be_done_is_said_with_the_way_out(
        self, shell: Shell, model_folder: Path, words: list[str], says: str
    ) -> None:
        ended = shell.run("preflight", *(word.replace("{m}", str(model_folder)) for word in words))
        assert (ended.code, ended.out) == (2, "")
        assert says in ended.err
        assert "Traceback" not in ended.err

    def test_without_a_triton_there_is_nothing_to_run(
        self, shell: Shell, model_folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PATH", "/nowhere")
        ended = shell.run("preflight", "--local", str(model_folder))
        assert ended.code == 2
        assert "tritonserver is not on PATH. Name it with --triton PATH, or a Triton that runs with --url" in ended.err

    def test_a_folder_without_a_model_is_refused(self, shell: Shell, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        ended = shell.run("preflight", "--local", str(tmp_path / "empty"), "--triton", program(tmp_path, "exit 0"))
        assert ended.code == 1
        assert "No model was recognised" in ended.err


class TestReport:
    @pytest.mark.parametrize(("name", "code"), [("good", 0), ("hostile", 1), ("rejected", 1), ("error", 2)])
    def test_a_stored_report_is_shown_and_gives_the_exit_code(self, shell: Shell, name: str, code: int) -> None:
        report = SAMPLES[name]()
        file = shell.file("report.json", report.model_dump_json(by_alias=True))
        assert shell.run("preflight", "--report", file).code == code
        again = shell.run("preflight", "--report", file, "--json", "--html", str(shell.folder / "page.html"))
        assert again.code == code
        assert PreflightReport.model_validate_json(again.out) == PreflightReport.model_validate_json(
            report.model_dump_json(by_alias=True)
        )
        assert (shell.folder / "page.html").read_text().endswith("</html>\n")

    @pytest.mark.parametrize("content", ["", "x", "[]", "{}", '{"format": 2}', "[" * 100_000])
    def test_what_is_no_report_is_no_verdict(self, shell: Shell, content: str) -> None:
        ended = shell.run("preflight", "--report", shell.file("report.json", content))
        assert (ended.code, ended.out) == (2, "")

    def test_a_page_that_cannot_be_written_takes_nothing_of_the_report_with_it(self, shell: Shell) -> None:
        file = shell.file("report.json", good().model_dump_json(by_alias=True))
        ended = shell.run("preflight", "--report", file, "--json", "--html", "/nowhere/page.html")
        assert ended.code == 2
        assert json.loads(ended.out)["outcome"] == "Passed"
        assert "/nowhere/page.html" in ended.err

    @pytest.mark.parametrize("views", [[], ["--json"]])
    def test_a_reader_that_has_seen_enough_does_not_change_the_answer(self, shell: Shell, views: list[str]) -> None:
        """`plimsoll preflight … | head -1` in a shell with pipefail."""
        file = shell.file("report.json", good().model_dump_json(by_alias=True))
        reading, writing = os.pipe()
        os.close(reading)
        with os.fdopen(writing, "wb") as output:
            words = [sys.executable, "-m", "plimsoll", "preflight", "--report", file, *views]
            ended = subprocess.run(words, stdout=output, stderr=subprocess.PIPE, check=False)
        assert (ended.returncode, ended.stderr) == (0, b"")


class TestServerThatRuns:
    def test_a_model_that_does_as_expected_passes(self, shell: Shell, model_folder: Path) -> None:
        golden_file(model_folder, answer=2)
        with triton() as address:
            ended = shell.run("preflight", "--local", str(model_folder), "--url", address, "--budget", "1s", "--json")
        report = PreflightReport.model_validate_json(ended.out)
        assert (ended.code, report.outcome) == (0, "Passed")
        assert {phase.name for phase in report.phases} == set(PhaseName)
        assert report.phases[1].reason == "AsExpected"
        assert "Golden: Passed (AsExpected)" in ended.err

    def test_one_that_does_not_is_rejected(self, shell: Shell, model_folder: Path) -> None:
        golden_file(model_folder, answer=3)
        with triton() as address:
            ended = shell.run("preflight", "--local", str(model_folder), "--url", address, "--budget", "1s")
        assert ended.code == 1
        assert "1 of 1 answers are not the expected ones" in " ".join(ended.out.split())

    def test_nobody_at_the_address_is_no_verdict(
        self, shell: Shell, model_folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("plimsoll.cli.preflight_local.request.RUNNING_DEADLINE_S", 0.3)
        with socket.create_server(("127.0.0.1", 0)) as closed:
            address = f"127.0.0.1:{closed.getsockname()[1]}"
        ended = shell.run("preflight", "--local", str(model_folder), "--url", address)
        assert ended.code == 2
        assert f"No model server answered at {address}" in " ".join(ended.out.split())


class TestServerOfOurOwn:
    @pytest.fixture(autouse=True)
    def _no_last_look(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("plimsoll.cli.preflight_local.run._LAST_LOOK_S", 0.05)

    @pytest.mark.parametrize(
        ("script", "code", "says"),
        [
            ("exit 1", 2, "Triton ended with exit code 1 before the model was ready:\nIt wrote nothing."),
            (
                "echo 'error: no option' >&2; echo more; exit 3",
                2,
                "with exit code 3 before the model was ready:\nerror:",
            ),
            ("""echo "E1 failed to load 'm' version 1"; exit 1""", 1, "failed to load 'm' version 1 (TritonEnded)"),
        ],
    )
    def test_one_that_ends_speaks_for_itself(
        self, shell: Shell, model_folder: Path, tmp_path: Path, script: str, code: int, says: str
    ) -> None:
        ended = shell.run("preflight", "--local", str(model_folder), "--triton", program(tmp_path, script))
        assert ended.code == code
        assert says in ended.err

    def test_it_listens_on_the_loopback_and_takes_further_options(self, tmp_path: Path) -> None:
        command = program(tmp_path, "printf '%s\\n' \"$@\"; exec sleep 60")
        with server.running(command, tmp_path, tmp_path, ["--log-verbose=1"], complete_config=True) as running:
            while not (lines := running.log.read_text().splitlines()) or "--log-verbose=1" not in lines:
                pass
            host, port = running.address.split(":")
        assert {f"--{kind}-address={host}" for kind in ("http", "grpc", "metrics")} <= set(lines)
        assert f"--grpc-port={port}" in lines
        assert lines[-1] == "--log-verbose=1"
        assert not [line for line in lines if "restricted" in line]

    @pytest.mark.parametrize("script", ["exec sleep 60", "trap '' TERM; sleep 60 & wait; wait"])
    def test_nothing_runs_on_afterwards(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
        monkeypatch.setattr(server, "_EXIT_TIMEOUT_S", 0.1)
        with (
            pytest.raises(KeyboardInterrupt),
            server.running(program(tmp_path, script), tmp_path, tmp_path, [], complete_config=True) as running,
        ):
            raise KeyboardInterrupt
        until = time.monotonic() + 10  # who was killed may take a moment to go
        while left := members(running.process.pid):
            assert time.monotonic() < until, left
            time.sleep(0.01)


def members(group: int) -> list[str]:
    """Processes of a group, but for zombies: whose parent is gone waits for whatever process 1 is here."""
    found = []
    for process in Path("/proc").iterdir():
        try:
            state, _, its_group = (process / "stat").read_text().rpartition(")")[2].split()[:3]
        except (OSError, ValueError):
            continue
        if int(its_group) == group and state not in "ZX":
            found.append(process.name)
    return found
