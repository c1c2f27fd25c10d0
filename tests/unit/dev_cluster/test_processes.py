"""Processes are found again, and never confused with others."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from plimsoll_dev.cluster.processes import Identity, Process, current_boot, end, identify, strays


@pytest.fixture
def sleeper(tmp_path: Path):
    process = Process("sleeper", ["sleep", "300"], tmp_path / "logs" / "sleeper.log", tmp_path / "run" / "sleeper.json")
    yield process
    process.stop(grace_s=5)


def start(process: Process) -> Identity:
    return process.start({"PATH": os.environ["PATH"]})


def test_a_started_process_is_found_by_its_record(sleeper: Process):
    identity = start(sleeper)
    assert dataclasses.replace(sleeper).running() == identity
    assert identity.command == ["sleep", "300"]
    assert identity.boot == current_boot()


def test_it_has_a_session_of_its_own(sleeper: Process):
    assert os.getsid(start(sleeper).pid) != os.getsid(0)


def test_one_that_was_killed_does_not_run_and_can_be_started_again(sleeper: Process):
    first = start(sleeper)
    os.kill(first.pid, signal.SIGKILL)
    end(first, grace_s=5)
    assert sleeper.running() is None
    assert start(sleeper).started >= first.started


def test_stop_ends_it_and_forgets_it(sleeper: Process):
    identity = start(sleeper)
    sleeper.stop(grace_s=5)
    assert identify(identity.pid) is None
    assert not sleeper.record.exists()
    sleeper.stop(grace_s=5)


@pytest.mark.parametrize(
    "recorded",
    [{"boot": "another boot"}, {"started": 1}, {"command": ["kubelet"]}],
    ids=["recorded before a restart of the machine", "the id was used again", "another program"],
)
def test_a_process_that_differs_from_its_record_is_not_ours_and_survives(sleeper: Process, recorded: dict[str, object]):
    stranger = subprocess.Popen(["sleep", "300"])
    try:
        identity = identify(stranger.pid)
        assert identity is not None
        sleeper.record.parent.mkdir()
        sleeper.record.write_text(json.dumps(dataclasses.asdict(identity) | recorded))
        assert sleeper.running() is None
        sleeper.stop(grace_s=5)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_one_that_ignores_the_request_to_end_is_killed(tmp_path: Path):
    script = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('x', flush=True); time.sleep(300)"
    )
    log = tmp_path / "stubborn.log"
    stubborn = Process("stubborn", [sys.executable, "-c", script], log, tmp_path / "stubborn.json")
    identity = start(stubborn)
    while not log.read_text():
        assert stubborn.running()
    stubborn.stop(grace_s=0.1)
    assert identify(identity.pid) is None


def test_a_wrapper_script_is_recorded_as_what_it_became(tmp_path: Path):
    script = tmp_path / "wrapper"
    script.write_text("#!/bin/sh\nexec sleep 300\n")
    script.chmod(0o755)
    wrapped = Process("wrapped", [str(script)], tmp_path / "log", tmp_path / "record")
    assert start(wrapped).command == ["sleep", "300"]
    assert wrapped.running() is not None
    wrapped.stop(grace_s=5)


def test_a_program_that_does_not_exist_is_an_error_at_once(tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        start(Process("none", [str(tmp_path / "none")], tmp_path / "log", tmp_path / "record"))


def test_strays_are_found_by_program_and_path(sleeper: Process, tmp_path: Path):
    """A person who reads our log with `tail` is not a stray."""
    marked = Process("sh", ["sh", "-c", "sleep 300; true", str(tmp_path)], sleeper.log, tmp_path / "sh.json")
    identity = start(marked)
    try:
        while len(found := list(strays({"sh"}, str(tmp_path)))) > 1:
            pass  # the shell's child is a shell too until it is `sleep`
        assert found == [identity]
        assert list(strays({"tail"}, str(tmp_path))) == []
        assert list(strays({"sh"}, str(tmp_path / "other"))) == []
    finally:
        os.killpg(identity.pid, signal.SIGKILL)
        marked.stop(grace_s=5)


def test_the_end_of_the_log_is_short(sleeper: Process):
    assert sleeper.last_lines() == "(no log)"
    sleeper.log.parent.mkdir()
    sleeper.log.write_text("".join(f"{n}" + "x" * 1000 + "\n" for n in range(20)))
    lines = sleeper.last_lines().splitlines()
    assert [line[:2] for line in lines] == ["15", "16", "17", "18", "19"]
    assert max(map(len, lines)) == 300
