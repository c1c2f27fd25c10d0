"""A folder that the kubelet keeps equal to a Secret.

The kubelet writes a new folder and then moves the link `..data` to it: whoever reads through one target of that link
reads files of one version. A folder without the link is taken as it is, by the names, sizes and times of its files.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_DATA: Final = "..data"
MOST_BYTES: Final = 4 << 20
"""Of a whole folder; a Secret has 1 MiB at most."""

Mark = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Content:
    """One version.

    Attributes:
        folder: Where its files lie. They may be gone soon.
        files: By name.
    """

    folder: Path
    files: dict[str, bytes]


class MountedFolder:
    """Reads a folder anew when it has changed.

    Args:
        path: The folder.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._mark: Mark | None = None

    def changed(self) -> Content | None:
        """Returns what is in it; None where that is what was returned before.

        Raises:
            OSError: It cannot be read, or is larger than 4 MiB. The next call tries again.
        """
        mark = self._marked()
        if mark == self._mark:
            return None
        content = self._read()
        # What changed in between is read by the next call.
        self._mark = mark
        return content

    def _marked(self) -> Mark:
        link = self._path / _DATA
        if link.is_symlink():
            return (str(link.readlink()),)
        return tuple(sorted((entry.name, *_version(entry)) for entry in os.scandir(self._path) if entry.is_file()))

    def _read(self) -> Content:
        link = self._path / _DATA
        folder = link.resolve(strict=True) if link.is_symlink() else self._path
        files: dict[str, bytes] = {}
        left = MOST_BYTES
        for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
            if entry.name.startswith("..") or not entry.is_file():
                continue
            with open(entry.path, "rb") as file:  # noqa: PTH123 - thousands of small ones
                files[entry.name] = file.read(left + 1)
            left -= len(files[entry.name])
            if left < 0:
                raise OSError(f"{self._path} has more than {MOST_BYTES} bytes.")
        return Content(folder, files)


def _version(entry: os.DirEntry[str]) -> tuple[int, int, int]:
    stat = entry.stat()
    return stat.st_mtime_ns, stat.st_size, stat.st_ino
