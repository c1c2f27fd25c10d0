"""The repository as its files."""

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
OPERATOR = ROOT / "operator"
PACKAGE = OPERATOR / "plimsoll"


@cache
def tracked_files() -> tuple[Path, ...]:
    """Every file that belongs to the repository and is there."""
    done = subprocess.run(
        ["git", "ls-files", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return tuple(path for name in done.stdout.split("\0") if name and (path := ROOT / name).is_file())


def python_files(folder: Path = ROOT) -> Iterator[Path]:
    yield from (path for path in tracked_files() if path.suffix == ".py" and path.is_relative_to(folder))


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))
