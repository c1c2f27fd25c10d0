"""Entries are complete or absent."""

import io
import os
from pathlib import Path

import pytest

from plimsoll_dev.cluster.progress import Progress
from plimsoll_dev.images.cache import obtain, prune

QUIET = Progress(io.StringIO())


def test_an_entry_is_made_once(tmp_path: Path) -> None:
    made: list[Path] = []

    def make(unfinished: Path) -> None:
        made.append(unfinished)
        unfinished.write_text("content")

    entries = [obtain(tmp_path / "kind" / "key", make, QUIET) for _ in range(2)]
    assert entries == [tmp_path / "kind" / "key"] * 2
    assert len(made) == 1
    assert entries[0].read_text() == "content"


def test_an_interrupted_one_leaves_nothing(tmp_path: Path) -> None:
    def interrupted(unfinished: Path) -> None:
        unfinished.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        obtain(tmp_path / "key", interrupted, QUIET)
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_a_folder_can_be_an_entry(tmp_path: Path) -> None:
    entry = obtain(tmp_path / "key", lambda unfinished: (unfinished / "bin").mkdir(parents=True), QUIET)
    assert [path.name for path in entry.iterdir()] == ["bin"]


def test_the_least_recently_used_go_and_what_a_killed_process_left(tmp_path: Path) -> None:
    for age, name in enumerate(["a.tar", "b.tar", "c.tar"]):
        (tmp_path / name).write_text(name)
        os.utime(tmp_path / name, (1000 - age, 1000 - age))
    (tmp_path / "other").write_text("")
    (tmp_path / ".unfinished-x").mkdir()
    obtain(tmp_path / "c.tar", lambda _: pytest.fail("it is there"), QUIET)  # used now, so newest
    prune(tmp_path, "*.tar", keep=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tar", "c.tar", "other"]
