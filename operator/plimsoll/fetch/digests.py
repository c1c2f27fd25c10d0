"""SHA-256 in the form registries write it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from plimsoll.errors import Invalid
from plimsoll.fetch.limits import CHUNK_BYTES

PREFIX: Final = "sha256:"


def of_bytes(data: bytes) -> str:
    """Digest a value in memory."""
    return PREFIX + hashlib.sha256(data).hexdigest()


def chunks(file: BinaryIO) -> Iterator[bytes]:
    """Read a file in pieces of constant size."""
    while chunk := file.read(CHUNK_BYTES):
        yield chunk


def of_file(path: Path) -> str:
    """Digest a file in constant memory."""
    hasher = hashlib.sha256()
    with path.open("rb") as file:
        for chunk in chunks(file):
            hasher.update(chunk)
    return PREFIX + hasher.hexdigest()


def of_folder(lines: list[str]) -> str:
    r"""Digest a folder from its lines `<sha256>  <size>  <path>\n`, in any order."""
    return of_bytes("".join(sorted(lines)).encode())


def folder_line(digest: str, size: int, path: str) -> str:
    """Describe one file of a folder."""
    return f"{digest.removeprefix(PREFIX)}  {size}  {path}\n"


def mismatch(what: str, expected: str, found: str) -> Invalid:
    """Report content that is not what was asked for."""
    return Invalid(
        "DigestMismatch",
        f"{what} has the digest {found}, but {expected} was asked for. Somebody changed the file, or spec.model names "
        f"the wrong digest; `plimsoll resolve` prints the present one.",
    )
