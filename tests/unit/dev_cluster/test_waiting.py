"""What is asked before a cluster counts as running, and what people read while they wait."""

from __future__ import annotations

import os
import struct
from io import StringIO
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from plimsoll.errors import NotYet
from plimsoll_dev.cluster import dns
from plimsoll_dev.cluster.addresses import AddressPlan
from plimsoll_dev.cluster.commands import CONTROL, WORKERS
from plimsoll_dev.cluster.kubectl import Kubectl
from plimsoll_dev.cluster.processes import Process
from plimsoll_dev.cluster.progress import Progress
from plimsoll_dev.cluster.readiness import Check, checks, wait_for

ALL = checks(Kubectl("kubectl", Path("/k"), "c"), AddressPlan(IPv4Network("10.244.0.0/16")))


def test_every_process_is_needed_by_some_check():
    assert {name for check in ALL for name in check.needs} == {*CONTROL, *WORKERS}


def test_the_api_server_comes_first():
    assert ALL[0].sentence == "the API server (/readyz)"


@pytest.fixture
def sleeper(tmp_path: Path):
    process = Process("sleeper", ["sleep", "300"], tmp_path / "sleeper.log", tmp_path / "sleeper.json")
    yield process
    process.stop(grace_s=5)


def test_a_wait_ends_with_the_log_when_its_process_does_not_run(sleeper: Process, progress_log: Progress):
    sleeper.log.write_text("bind: address already in use\n")
    with pytest.raises(NotYet, match=r"sleeper ended\. The end of .*:\nbind: address already in use") as ended:
        wait_for(Check(("sleeper",), "a thing", lambda: False), {"sleeper": sleeper}, progress_log, 60)
    assert ended.value.reason == "Ended"


def test_a_wait_that_takes_too_long_says_for_what(sleeper: Process, progress_log: Progress):
    sleeper.start({"PATH": os.environ["PATH"]})
    with pytest.raises(NotYet, match=r"Waited 0 s for a thing\. The end of") as late:
        wait_for(Check(("sleeper",), "a thing", lambda: False), {"sleeper": sleeper}, progress_log, 0)
    assert late.value.reason == "TimedOut"


def test_a_wait_that_succeeds_is_one_line(progress_log: Progress):
    answers = iter([False, True])
    progress_log.wait("a thing", lambda: next(answers), timeout_s=60)
    assert isinstance(progress_log.stream, StringIO)
    assert progress_log.stream.getvalue() == "  ok  a thing (0 s)\n"


def test_a_terminal_sees_what_is_waited_for():
    class Terminal(StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    answers = iter([False, True])
    Progress(stream).wait("a thing", lambda: next(answers), timeout_s=60)
    assert "waiting for a thing (0 s)" in stream.getvalue()


@pytest.mark.parametrize(("answer", "ready"), [("ok", True), ("ok\n", True), ("[-]etcd failed", False), ("", False)])
def test_the_api_server_is_ready_only_when_it_says_so(tmp_path: Path, answer: str, *, ready: bool):
    program = tmp_path / "kubectl"
    program.write_text(f"#!/bin/sh\nprintf '%s' '{answer}'\n")
    program.chmod(0o755)
    assert Kubectl(program, Path("/k"), "c").ready() is ready


def test_a_failing_kubectl_is_no_answer(tmp_path: Path):
    assert not Kubectl("false", tmp_path, "c").ready()


def test_a_question_for_a_name():
    header, name = struct.pack(">6H", 7, 0x0100, 1, 0, 0, 0), b"\x01a\x02bc\x00"
    assert dns.question("a.bc.", 7) == dns.question("a.bc", 7) == header + name + b"\x00\x01\x00\x01"


@pytest.mark.parametrize(
    ("case", "response", "expected"),
    [
        ("an answer", struct.pack(">6H", 7, 0x8180, 1, 1, 0, 0), True),
        ("no such name", struct.pack(">6H", 7, 0x8183, 1, 0, 0, 0), False),
        ("a server that is not ready", struct.pack(">6H", 7, 0x8182, 1, 0, 0, 0), False),
        ("a name without addresses", struct.pack(">6H", 7, 0x8180, 1, 0, 0, 0), False),
        ("somebody else's answer", struct.pack(">6H", 8, 0x8180, 1, 1, 0, 0), False),
        ("our own question", struct.pack(">6H", 7, 0x0100, 1, 1, 0, 0), False),
        ("too short", b"\x00\x07", False),
    ],
)
def test_responses(case: str, response: bytes, *, expected: bool):
    assert dns.answers(response, 7) is expected, case
