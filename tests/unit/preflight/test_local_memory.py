"""The memory of a server on this machine: all processes that descend from it, and no others."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from plimsoll.errors import PlimsollError
from plimsoll.preflight.memory import LocalProcesses


def process(proc: Path, number: int, parent: int, kilobytes: int, name: str = "x") -> None:
    folder = proc / str(number)
    folder.mkdir()
    (folder / "stat").write_text(f"{number} ({name}) S {parent} 1 1 0 -1")
    (folder / "smaps_rollup").write_text(f"Rss: {kilobytes} kB\n")


async def test_descendants_count_whatever_their_names(tmp_path: Path) -> None:
    process(tmp_path, 5, 1, 1000)
    process(tmp_path, 9, 5, 10, name="stub) S 1 (")
    process(tmp_path, 7, 9, 1)
    process(tmp_path, 6, 1, 4000)
    assert await LocalProcesses(5, proc=tmp_path).read() == {"host": 1011 * 1024}


async def test_a_server_that_ended_is_no_server_of_zero_bytes(tmp_path: Path) -> None:
    process(tmp_path, 6, 1, 4000)
    with pytest.raises(PlimsollError, match="Process 5 has no memory"):
        await LocalProcesses(5, proc=tmp_path).read()


async def test_real_processes() -> None:
    grow = "import sys; kept = b'x' * (50 << 20); print(flush=True); sys.stdin.read()"
    reader = LocalProcesses(os.getpid())
    before = (await reader.read())["host"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", grow], **pipes) as child:  # noqa: ASYNC220 - nothing else runs
        assert child.stdout is not None
        child.stdout.readline()
        grown = (await reader.read())["host"]
        child.communicate()
    assert grown - before > 50 << 20
