"""Models in a PersistentVolumeClaim (`pvc://`): copied, since the pod that serves does not mount the claim."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from plimsoll.errors import Invalid, NotYet
from plimsoll.fetch import digests
from plimsoll.fetch.archives import archive_kind, unpack
from plimsoll.fetch.paths import SafeNames
from plimsoll.fetch.references import ClaimReference
from plimsoll.fetch.storage import disk_full
from plimsoll.fetch.workspace import Work


class ClaimSource:
    """One file or folder of a mounted claim.

    Args:
        mount: Where the claim is mounted.
        reference: What to take from it.
        digest: Of the file's content, or of the folder's list of files.
    """

    def __init__(self, mount: Path, reference: ClaimReference, digest: str) -> None:
        self._mount = mount.resolve()
        self._reference = reference
        self._digest = digest

    def fetch(self, work: Work) -> int:
        """Copy the file or folder, then compare what was copied with the digest."""
        source = self._mount / self._reference.path
        try:
            if not source.exists():
                raise Invalid(
                    "NotFound",
                    f"The claim '{self._reference.claim}' holds no '{self._reference.path}'. Correct spec.model.uri.",
                )
            return self._copy(source, work)
        except OSError as error:
            full = disk_full(error)
            if full:
                raise full from error
            raise NotYet(
                "ClaimUnavailable",
                f"The claim '{self._reference.claim}' cannot be read ({error.strerror}). Fetching is tried again.",
            ) from error

    def _copy(self, source: Path, work: Work) -> int:
        folder = source.is_dir()
        files = dict(self._files(source)) if folder else {source.name: self._inside(source)}
        total = sum(path.stat().st_size for path in files.values())
        work.progress.expect(total)
        work.storage.require(total)
        copied = {name: _copy_file(path, work.workspace.tree / name, work) for name, path in files.items()}
        found = digests.of_folder([digests.folder_line(*what, name) for name, what in copied.items()])
        if not folder:
            found = copied[source.name][0]
        if found != self._digest:
            raise digests.mismatch(f"'{self._reference.path}' of '{self._reference.claim}'", self._digest, found)
        kind = archive_kind(source.name) if not folder else None
        if kind is not None:
            archive = (work.workspace.tree / source.name).rename(work.workspace.blobs / "archive")
            unpack(archive, kind, SafeNames("the archive"), work)
        return total

    def _files(self, folder: Path) -> Iterator[tuple[str, Path]]:
        """Yield the files of a folder; links to folders are not followed, links to files must stay in the claim."""
        names = SafeNames(f"the claim '{self._reference.claim}'")
        for parent, _, children in os.walk(self._inside(folder), onerror=_raise):
            for child in children:
                path = Path(parent, child)
                name = names.file(path.relative_to(folder.resolve()).as_posix())
                yield name, self._inside(path)

    def _inside(self, path: Path) -> Path:
        real = path.resolve(strict=True)
        if not real.is_relative_to(self._mount) or not (real.is_file() or real.is_dir()):
            raise Invalid(
                "UnsafeArchive",
                f"'{path.relative_to(self._mount) if path.is_relative_to(self._mount) else path.name}' of the claim "
                f"'{self._reference.claim}' leads out of the claim, or is no file.",
            )
        return real


def _raise(error: OSError) -> None:
    raise error


def _copy_file(source: Path, target: Path, work: Work) -> tuple[str, int]:
    """Copy one file and return the digest and size of what was written."""
    hasher = hashlib.sha256()
    target.parent.mkdir(parents=True, exist_ok=True)
    with source.open("rb") as read, target.open("xb") as written:
        for chunk in digests.chunks(read):
            work.storage.wrote(len(chunk))
            written.write(chunk)
            hasher.update(chunk)
            work.progress.add(len(chunk))
        return digests.PREFIX + hasher.hexdigest(), written.tell()
