"""The note a finished model leaves: a restarted container compares it with the files and has nothing to do."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from pathlib import Path
from typing import Any, Final

from plimsoll.fetch.request import FetchRequest

MARKER: Final = ".fetched.json"
_LAYOUT_VERSION: Final = 1  # raised when the same request is to be laid out differently


def finished(models: Path, request: FetchRequest, folders: tuple[str, ...]) -> dict[str, Any] | None:
    """Return the facts of a finished fetch of the same request when its files are untouched."""
    try:
        note = json.loads((models / MARKER).read_text())
        same = note["request"] == _fingerprint(request) and note["files"] == _files(models, folders)
        return dict(note["facts"]) if same else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_marker(models: Path, request: FetchRequest, folders: tuple[str, ...], facts: dict[str, Any]) -> None:
    """Note that a fetch is finished; written last, and whole or not at all."""
    note = {"request": _fingerprint(request), "files": _files(models, folders), "facts": facts}
    draft = models / f"{MARKER}.part"
    with draft.open("w") as file:
        json.dump(note, file)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(models / MARKER)


def _fingerprint(request: FetchRequest) -> str:
    document = request.model_dump(mode="json")
    return hashlib.sha256(json.dumps([_LAYOUT_VERSION, document], sort_keys=True).encode()).hexdigest()


def _files(models: Path, folders: tuple[str, ...]) -> list[list[Any]]:
    """List path, size and time of change; reading 50 GB again would cost minutes at every restart of a pod."""
    return [
        [path.relative_to(models).as_posix(), status.st_size, status.st_mtime_ns]
        for folder in folders
        for path, status in ((path, path.stat()) for path in sorted((models / folder).rglob("*")))
        if stat.S_ISREG(status.st_mode)
    ]
