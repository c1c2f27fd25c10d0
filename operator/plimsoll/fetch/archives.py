"""Unpack archives that nobody vouches for: every name checked, every byte counted while it is written."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO, Final, cast

from plimsoll.errors import Invalid
from plimsoll.fetch.paths import SafeNames
from plimsoll.fetch.storage import LIMIT_FIELD, disk_full
from plimsoll.fetch.tar_reader import read_tar
from plimsoll.fetch.workspace import Work
from plimsoll.fetch.zip_reader import read_zip


class ArchiveKind(StrEnum):
    """The archives that are unpacked."""

    TAR = "tar"
    TAR_GZ = "tar.gz"
    ZIP = "zip"


_SUFFIXES: Final = (
    (".tar", ArchiveKind.TAR),
    (".tar.gz", ArchiveKind.TAR_GZ),
    (".tgz", ArchiveKind.TAR_GZ),
    (".zip", ArchiveKind.ZIP),
)


def archive_kind(file_name: str) -> ArchiveKind | None:
    """Recognise an archive by its name; a TorchScript file is a zip too, and must stay one."""
    return next((kind for suffix, kind in _SUFFIXES if file_name.lower().endswith(suffix)), None)


def unpack(archive: Path, kind: ArchiveKind, names: SafeNames, work: Work) -> None:
    """Unpack an archive into the workspace's tree, then delete it.

    Raises:
        Invalid: `UnsafeArchive` naming the entry, `CorruptModel` for a damaged archive, `StorageTooSmall` for a disk
            that is full.
    """
    writer = _Writer(work, names)
    try:
        with archive.open("rb") as file:
            match kind:
                case ArchiveKind.TAR:
                    read_tar(file, writer)
                case ArchiveKind.TAR_GZ:
                    with gzip.GzipFile(fileobj=file) as plain:
                        read_tar(cast("BinaryIO", plain), writer)
                case ArchiveKind.ZIP:
                    read_zip(file, writer)
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise Invalid("CorruptModel", "The archive is damaged: it cannot be decompressed. Publish it again.") from error
    except OSError as error:
        raise disk_full(error) or error from error
    size = archive.stat().st_size
    archive.unlink()
    work.storage.freed(size)


class _Writer:
    """Writes entries below the tree."""

    def __init__(self, work: Work, names: SafeNames) -> None:
        self._work = work
        self._names = names

    def folder(self, name: str) -> None:
        (self._work.workspace.tree / self._names.folder(name)).mkdir(parents=True, exist_ok=True)

    def file(self, name: str, content: Iterable[bytes]) -> None:
        """Write a file; the limit is looked at before each piece, so that a bomb never gets its space."""
        path = self._work.workspace.tree / self._names.file(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            for chunk in self._bounded(name, content):
                file.write(chunk)

    def refuse(self, name: str, what: str) -> Invalid:
        return self._names.unsafe(name, what)

    def _bounded(self, name: str, content: Iterable[bytes]) -> Iterator[bytes]:
        for chunk in content:
            if len(chunk) > self._work.storage.remaining:
                raise self._names.unsafe(
                    name,
                    f"makes the unpacked archive larger than {LIMIT_FIELD} leaves room for; raise it if that is meant",
                )
            self._work.storage.wrote(len(chunk))
            yield chunk
