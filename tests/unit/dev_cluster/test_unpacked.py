"""Programs are those of the machine, and where it lacks them, those of Debian's packages."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from plimsoll.errors import Invalid
from plimsoll_dev.cluster import unpacked
from plimsoll_dev.cluster.progress import Progress
from plimsoll_dev.cluster.unpacked import Program, programs

QUIET = Progress(io.StringIO())


def test_what_is_on_the_path_is_taken_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "wrk"
    program.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert programs({"wrk": "wrk"}, QUIET) == {"wrk": Program(program)}


def test_what_is_missing_is_unpacked_with_its_libraries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    def unpack(packages: list[str], _: Progress) -> Path:
        asked.append(packages)
        for file in ("usr/bin/plimsoll-load", "usr/lib/arch/libload.so.1"):
            (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / file).touch()
        return tmp_path

    monkeypatch.setattr(unpacked, "_unpacked", unpack)
    (found,) = programs({"plimsoll-load": "load-tools"}, QUIET).values()
    assert asked == [["load-tools"]]
    assert found.path == tmp_path / "usr/bin/plimsoll-load"
    assert found.environment == {"LD_LIBRARY_PATH": str(tmp_path / "usr/lib/arch")}


def test_a_package_without_the_program_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacked, "_unpacked", lambda *_: tmp_path)
    with pytest.raises(Invalid, match="plimsoll-load"):
        programs({"plimsoll-load": "load-tools"}, QUIET)


def test_without_apt_it_is_said_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacked.shutil, "which", lambda *_, **__: None)
    with pytest.raises(Invalid, match="load-tools"):
        programs({"plimsoll-load": "load-tools"}, QUIET)
