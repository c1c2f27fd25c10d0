"""Runs build tools: quiet when they succeed, and saying the end of their output when they fail."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from plimsoll.errors import Invalid
from plimsoll_dev.cluster.packages import search_path

_LINES_SHOWN = 25


def run(
    command: Sequence[str | Path], *, environment: Mapping[str, str] = os.environ, folder: Path | None = None
) -> str:
    """Standard output of a command that succeeded.

    Raises:
        Invalid: It failed; the message has the last lines it wrote.
    """
    complete = {**environment, "PATH": search_path(environment)}
    done = subprocess.run(command, env=complete, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        last = "\n".join(f"{done.stdout}\n{done.stderr}".strip().splitlines()[-_LINES_SHOWN:])
        raise Invalid("BuildFailed", f"'{' '.join(map(str, command[:3]))}' ended with {done.returncode}:\n{last}")
    return done.stdout
