"""`python -m plimsoll_dev.generate [--check]`: writes what is generated, or tells what is out of date."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

from plimsoll_dev.generate.outputs import ROOT, generated_files

COMMAND = "python -m plimsoll_dev.generate"


def main(arguments: list[str] | None = None) -> int:
    """Writes every generated file, or with --check returns 1 when one differs from what would be written."""
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; end with 1 when a file is out of date")
    options = parser.parse_args(arguments)
    files = generated_files(ROOT)
    outdated = outdated_files(ROOT, files)
    if options.check:
        for path in outdated:
            print(f"{path} is out of date")
        if outdated:
            print(f"Run `{COMMAND}` and commit what it changes.")
        return 1 if outdated else 0
    for path in outdated:
        (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / path).write_text(files[path], encoding="utf-8")
        print(f"wrote {path}")
    return 0


def outdated_files(root: Path, files: Mapping[str, str]) -> list[str]:
    """Returns the paths, relative to `root`, whose content differs from `files` or which do not exist."""
    return [path for path, text in files.items() if _content(root / path) != text]


def _content(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None


if __name__ == "__main__":
    sys.exit(main())
