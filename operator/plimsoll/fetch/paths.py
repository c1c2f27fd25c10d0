"""Names that come from outside: checked before they become a path on this machine."""

from __future__ import annotations

from typing import Final

from plimsoll.errors import Invalid
from plimsoll.fetch.limits import MAX_ENTRIES, MAX_PATH_DEPTH, MAX_PATH_LENGTH

_MAX_PART: Final = 255  # bytes in one component, on every Linux file system


class SafeNames:
    """Hands out relative paths that stay inside one folder, each once.

    Args:
        source: What the names come from, for messages: `the archive`, `the manifest`.
    """

    def __init__(self, source: str) -> None:
        self._source = source
        self._files: set[str] = set()
        self._folders: set[str] = set()

    def file(self, name: str) -> str:
        """Admit a file's name.

        Raises:
            Invalid: `UnsafeArchive`, naming the entry.
        """
        path = self._normal(name)
        if not path:
            raise self.unsafe(name, "has no name")
        if path in self._files:
            raise self.unsafe(name, "occurs twice")
        if path in self._folders:
            raise self.unsafe(name, "is a file and a folder")
        self._files.add(path)
        self._admit_parents(name, path)
        self._bound(name)
        return path

    def folder(self, name: str) -> str:
        """Admit a folder's name; a folder may occur again; "" is the root itself."""
        path = self._normal(name)
        if path in self._files:
            raise self.unsafe(name, "is a file and a folder")
        if path:
            self._folders.add(path)
            self._admit_parents(name, path)
        self._bound(name)
        return path

    def unsafe(self, name: str, what: str) -> Invalid:
        """Refuse an entry."""
        return Invalid(
            "UnsafeArchive", f"The entry {name[:120]!r} of {self._source} {what}. Publish the model again without it."
        )

    def _admit_parents(self, name: str, path: str) -> None:
        parts = path.split("/")
        for depth in range(1, len(parts)):
            parent = "/".join(parts[:depth])
            if parent in self._files:
                raise self.unsafe(name, "lies below a file")
            self._folders.add(parent)

    def _bound(self, name: str) -> None:
        if len(self._files) + len(self._folders) > MAX_ENTRIES:
            raise self.unsafe(name, f"is one too many: at most {MAX_ENTRIES} files and folders are accepted")

    def _normal(self, name: str) -> str:
        if name.startswith("/") or "\\" in name or (len(name) > 1 and name[1] == ":"):
            raise self.unsafe(name, "is an absolute or foreign path")
        if not name.isprintable():
            raise self.unsafe(name, "has unprintable characters")
        parts = [part for part in name.split("/") if part not in ("", ".")]
        if ".." in parts:
            raise self.unsafe(name, "leads out of its folder")
        too_long = len(name.encode("utf-8", "surrogatepass")) > MAX_PATH_LENGTH or any(
            len(part.encode("utf-8", "surrogatepass")) > _MAX_PART for part in parts
        )
        if too_long or len(parts) > MAX_PATH_DEPTH:
            raise self.unsafe(name, "has a path that is too long")
        return "/".join(parts)
