"""A zip reader for hostile input: the directory is measured before the standard library reads it into memory."""

from __future__ import annotations

import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import BinaryIO, Final

from plimsoll.errors import Invalid
from plimsoll.fetch.limits import CHUNK_BYTES, MAX_ENTRIES
from plimsoll.fetch.tar_reader import EntryWriter

_END: Final = b"PK\x05\x06"
_END64: Final = b"PK\x06\x06"
_LOCATOR64: Final = b"PK\x06\x07"
_END_BYTES: Final = 22
_MAX_COMMENT: Final = 65_535
_MAX_DIRECTORY_BYTES: Final = 16 * 2**20  # 10,000 entries with the longest accepted names need less
_ENCRYPTED: Final = 0x1
_METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # the others decompress without a bound on memory


def read_zip(file: BinaryIO, writer: EntryWriter) -> None:
    """Hand every entry of a zip archive to the writer.

    Raises:
        Invalid: `CorruptModel` for a damaged archive, and what the writer raises.
    """
    check_directory(file)
    try:
        with zipfile.ZipFile(file) as archive:
            for entry in archive.infolist():
                _check(entry, writer)
                if entry.is_dir():
                    writer.folder(entry.filename)
                else:
                    writer.file(entry.filename, _content(archive, entry))
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, struct.error, ValueError) as error:
        raise damaged("it is damaged") from error


def check_directory(file: BinaryIO) -> None:
    """Refuse a directory with too many entries, from its last record alone.

    Raises:
        Invalid: `CorruptModel` when there is none, `UnsafeArchive` when it is too large.
    """
    length = file.seek(0, os.SEEK_END)
    start = max(length - _END_BYTES - _MAX_COMMENT - 20, 0)
    file.seek(start)
    tail = file.read()
    position = tail.rfind(_END)
    if position < 0 or len(tail) - position < _END_BYTES:
        raise damaged("it has no directory")
    entries, size = struct.unpack_from("<HI", tail, position + 10)
    locator = position - 20
    if locator >= 0 and tail[locator : locator + 4] == _LOCATOR64:
        (offset,) = struct.unpack_from("<Q", tail, locator + 8)
        entries, size = _large_directory(file, offset, length)
    if entries > MAX_ENTRIES or size > _MAX_DIRECTORY_BYTES:
        raise Invalid(
            "UnsafeArchive",
            f"The archive lists {entries} entries in {size} bytes; at most {MAX_ENTRIES} are accepted. "
            f"Publish fewer files.",
        )
    file.seek(0)


def damaged(what: str) -> Invalid:
    """Refuse an archive that cannot be read."""
    return Invalid("CorruptModel", f"The zip archive cannot be unpacked: {what}. Publish it again.")


def _large_directory(file: BinaryIO, offset: int, length: int) -> tuple[int, int]:
    record_bytes = 56
    if offset + record_bytes > length:
        raise damaged("its directory lies behind its end")
    file.seek(offset)
    record = file.read(record_bytes)
    if record[:4] != _END64:
        raise damaged("its directory is malformed")
    entries, size = struct.unpack_from("<QQ", record, 32)
    return entries, size


def _check(entry: zipfile.ZipInfo, writer: EntryWriter) -> None:
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise writer.refuse(entry.filename, "is a link or a device")
    if entry.flag_bits & _ENCRYPTED:
        raise writer.refuse(entry.filename, "is encrypted")
    if entry.compress_type not in _METHODS:
        raise writer.refuse(entry.filename, "is compressed with another method than deflate")


def _content(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Iterator[bytes]:
    with archive.open(entry) as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk
