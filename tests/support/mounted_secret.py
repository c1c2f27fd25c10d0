"""A Secret as the kubelet mounts it: files behind a link that moves when all of them have been written."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Mapping
from pathlib import Path

_versions = itertools.count(1)


def mount(folder: Path, files: Mapping[str, bytes]) -> None:
    """Writes a new version and moves the link to it; the old version goes."""
    folder.mkdir(exist_ok=True)
    data, version = folder / "..data", folder / f"..2026_{next(_versions)}"
    before = data.resolve() if data.is_symlink() else None
    version.mkdir()
    for name, content in files.items():
        (version / name).write_bytes(content)
        visible = folder / name
        if not visible.is_symlink():
            visible.symlink_to(Path("..data") / name)
    fresh = folder / "..data_tmp"
    fresh.symlink_to(version.name)
    fresh.replace(data)
    for visible in folder.iterdir():
        if not visible.name.startswith("..") and visible.name not in files:
            visible.unlink()
    if before is not None:
        shutil.rmtree(before)
