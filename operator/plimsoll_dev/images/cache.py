"""A cache whose entries are named by what went into them. An entry is complete or absent, and never edited."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from plimsoll_dev.cluster.progress import Progress

KEY_LENGTH = 16


def content_key(facts: Sequence[str], files: Mapping[str, bytes]) -> str:
    """A hash of facts in their order and of files by name; no two different inputs are written the same way."""
    digest = hashlib.sha256()
    parts = [fact.encode() for fact in facts]
    for name in sorted(files):
        parts += [name.encode(), files[name]]
    for part in [str(len(facts)).encode(), *parts]:
        digest.update(f"{len(part)}:".encode() + part)
    return digest.hexdigest()[:KEY_LENGTH]


def files_below(root: Path, paths: Sequence[str]) -> Mapping[str, bytes]:
    """The content of files, and of all files in folders, by their path relative to `root`.

    Left out is what tools leave behind and git ignores: compiled Python, and whatever is in hidden folders.
    """
    found: dict[str, bytes] = {}
    for path in paths:
        start = root / path
        for file in [start] if start.is_file() else sorted(start.rglob("*")):
            name = file.relative_to(root)
            if file.is_file() and not any(part == "__pycache__" or part.startswith(".") for part in name.parts):
                found[name.as_posix()] = file.read_bytes()
    return found


def obtain(entry: Path, make: Callable[[Path], None], progress: Progress) -> Path:
    """`entry`, made now by `make(unfinished path)` if it is absent; marked as used for `prune`.

    One process makes an entry of a folder at a time; others wait and find it.
    """
    if not entry.exists():
        entry.parent.mkdir(parents=True, exist_ok=True)
        with exclusively(entry.parent, progress):
            if not entry.exists():
                _make(entry, make)
    entry.touch()
    return entry


@contextmanager
def exclusively(folder: Path, progress: Progress) -> Iterator[None]:
    """Hold the lock of a cache folder, saying so when another process has it."""
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress.say(f"  ... another process is building in {folder.name}: waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def prune(folder: Path, pattern: str, keep: int) -> None:
    """Delete all but the `keep` most recently used entries that match, and what interrupted processes left.

    Call it with the folder's lock held: without it, what another process is making would look interrupted.
    """
    entries = sorted(folder.glob(pattern), key=lambda entry: entry.stat().st_mtime, reverse=True)
    for entry in [*entries[keep:], *folder.glob(".unfinished-*")]:
        _delete(entry)


def _make(entry: Path, make: Callable[[Path], None]) -> None:
    work = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=entry.parent))
    try:
        make(work / entry.name)
        (work / entry.name).rename(entry)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _delete(entry: Path) -> None:
    if entry.is_dir() and not entry.is_symlink():
        shutil.rmtree(entry, ignore_errors=True)
    else:
        entry.unlink(missing_ok=True)
