"""What is built under which key, and when nothing is built at all."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
from io import StringIO
from pathlib import Path

import pytest

from plimsoll.errors import Invalid
from plimsoll_dev.cluster import components
from plimsoll_dev.cluster.components import EVERYTHING, K6, KUBERNETES, PAUSE, Component, build, cache_key
from plimsoll_dev.cluster.progress import Progress

SOURCES = {"go.mod": b"module a", "go.sum": b"sums", "main.go": b"package main"}
GO = "go1.26.8\nlinux\namd64\n"
KEY = cache_key(PAUSE, SOURCES, GO)


@pytest.fixture
def progress() -> Progress:
    return Progress(StringIO())


def test_the_key_depends_on_nothing_else():
    assert cache_key(PAUSE, dict(reversed(SOURCES.items())), GO) == KEY
    assert cache_key(dataclasses.replace(PAUSE, usual="1 hour"), SOURCES, GO) == KEY
    assert re.fullmatch("[0-9a-f]{16}", KEY)


@pytest.mark.parametrize(
    ("changed", "key"),
    [
        ("go.mod", cache_key(PAUSE, SOURCES | {"go.mod": b"module b"}, GO)),
        ("go.sum", cache_key(PAUSE, SOURCES | {"go.sum": b"other"}, GO)),
        ("main.go", cache_key(PAUSE, SOURCES | {"main.go": b"package x"}, GO)),
        ("a new file", cache_key(PAUSE, SOURCES | {"more.go": b""}, GO)),
        ("Go's version", cache_key(PAUSE, SOURCES, GO.replace("26", "27"))),
        ("the architecture", cache_key(PAUSE, SOURCES, GO.replace("amd64", "arm64"))),
        ("linker flags", cache_key(dataclasses.replace(PAUSE, linker_flags="-X a=b"), SOURCES, GO)),
        ("the package", cache_key(dataclasses.replace(PAUSE, package="./cmd"), SOURCES, GO)),
        ("the programs", cache_key(dataclasses.replace(PAUSE, programs=("pause", "other")), SOURCES, GO)),
    ],
)
def test_the_key_changes_with(changed: str, key: str):
    assert key != KEY, changed


def test_bytes_cannot_move_from_one_file_to_the_next_unnoticed():
    assert cache_key(PAUSE, {"a": b"xy", "b": b"z"}, GO) != cache_key(PAUSE, {"a": b"x", "b": b"yz"}, GO)


class FakeGo:
    """Answers like Go, writes a file instead of a binary, and remembers the calls."""

    def __init__(self, *, fails: bool = False) -> None:
        self.fails = fails
        self.builds: list[list[str]] = []

    def run(self, command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        if command[1] == "env":
            return subprocess.CompletedProcess(command, 0, GO, "")
        self.builds.append(command)
        if self.fails:
            Path(command[command.index("-o") + 1]).write_text("half")
            return subprocess.CompletedProcess(command, 1, "", "main.go:3: no such package\n")
        Path(command[command.index("-o") + 1]).write_text("program")
        return subprocess.CompletedProcess(command, 0, "", "")


def fake_go(monkeypatch: pytest.MonkeyPatch, *, fails: bool = False) -> FakeGo:
    go = FakeGo(fails=fails)
    monkeypatch.setattr(components.subprocess, "run", go.run)
    return go


def test_a_component_is_built_once_and_then_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, progress: Progress):
    go = fake_go(monkeypatch)
    entry = build(KUBERNETES, tmp_path, progress)
    assert build(KUBERNETES, tmp_path, progress) == entry
    assert len(go.builds) == 1
    assert {path.name: path.read_text() for path in entry.iterdir()} == dict.fromkeys(KUBERNETES.programs, "program")


def test_the_build_does_not_depend_on_the_checkout_or_on_a_c_compiler(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, progress: Progress
):
    go = fake_go(monkeypatch)
    build(PAUSE, tmp_path, progress)
    assert {"-trimpath", "-mod=readonly", "-buildvcs=false"} <= set(go.builds[0])


def test_a_failed_build_leaves_no_entry_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, progress: Progress
):
    fake_go(monkeypatch, fails=True)
    with pytest.raises(Invalid, match=r"go build of pause ended with 1:\nmain.go:3: no such package"):
        build(PAUSE, tmp_path, progress)
    assert [path.name for path in (tmp_path / "programs").iterdir()] == ["pause.lock"]
    fake_go(monkeypatch)
    assert (build(PAUSE, tmp_path, progress) / "pause").read_text() == "program"


def test_a_build_that_was_interrupted_is_not_taken_for_a_finished_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, progress: Progress
):
    go = fake_go(monkeypatch)
    (tmp_path / "programs" / ".pause-half").mkdir(parents=True)
    (tmp_path / "programs" / ".pause-half" / "pause").write_text("half")
    assert (build(PAUSE, tmp_path, progress) / "pause").read_text() == "program"
    assert len(go.builds) == 1


def test_people_are_told_what_is_built_and_how_long_it_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, progress: Progress
):
    fake_go(monkeypatch)
    build(KUBERNETES, tmp_path, progress)
    assert isinstance(progress.stream, StringIO)
    assert "building kubernetes-1.36 with Go (usually 5 minutes on 2 cores)" in progress.stream.getvalue()


def test_without_go_the_message_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, progress: Progress
):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Invalid, match=r"Install Go 1\.26 or newer"):
        build(PAUSE, tmp_path, progress)


@pytest.mark.parametrize("component", [*EVERYTHING, K6], ids=lambda component: component.name)
def test_every_component_has_its_module_in_the_checkout(component: Component):
    names = set(components.sources_of(component))
    assert "go.mod" in names
    assert "go.sum" in names or component is PAUSE


@pytest.mark.parametrize("component", [KUBERNETES, components.OLDEST_KUBERNETES], ids=lambda component: component.name)
def test_kubernetes_and_its_staging_modules_have_one_version(component: Component):
    """A staging module of another version compiles, and fails in ways that nobody else has seen."""
    module = components.sources_of(component)["go.mod"].decode()
    (version,) = re.findall(r"k8s\.io/kubernetes v(\S+)", module)
    replaced = re.findall(r"^\t(k8s\.io/\S+) => (\S+) v(\S+)$", module, re.MULTILINE)
    assert len(replaced) > 25
    assert {staged for _, _, staged in replaced} == {f"0.{version.partition('.')[2]}"}
    assert all(name == other for name, other, _ in replaced)
    assert f"gitVersion=v{version} " in component.linker_flags
    assert json.dumps(version).startswith(f'"{component.name.partition("-")[2]}.')
