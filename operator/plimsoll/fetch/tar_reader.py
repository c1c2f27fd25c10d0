"""A tar reader for hostile input.

The standard library's reader trusts sizes in extended headers and can be made to read gigabytes into memory; this one
reads regular files and folders in ustar, GNU and pax form, and refuses everything else by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final, Protocol

from plimsoll.errors import Invalid
from plimsoll.fetch.limits import CHUNK_BYTES

_BLOCK: Final = 512
_MAX_EXTENSION: Final = 64 * 1024  # bytes of one long name or pax header: paths are at most 1,024
_MAX_EXTENSIONS: Final = 4  # in front of one entry
_KINDS: Final = {
    b"1": "is a hard link",
    b"2": "is a symbolic link",
    b"3": "is a device",
    b"4": "is a device",
    b"6": "is a pipe",
    b"S": "is a sparse file",
}


class EntryWriter(Protocol):
    """Takes the entries of an archive in turn."""

    def folder(self, name: str) -> None:
        """Make a folder."""

    def file(self, name: str, content: Iterable[bytes]) -> None:
        """Write a file; reads all of `content`."""

    def refuse(self, name: str, what: str) -> Invalid:
        """Make the error that refuses an entry."""
        ...


@dataclass(slots=True)
class _Pending:
    """What extended headers say about the next entry."""

    path: str | None = None
    size: int | None = None
    extensions: int = 0


def read_tar(file: BinaryIO, writer: EntryWriter) -> None:
    """Hand every entry of a tar stream to the writer.

    Raises:
        Invalid: `CorruptModel` for a damaged stream, and what the writer raises.
    """
    pending = _Pending()
    while (header := _header(file)) is not None:
        kind = header[156:157]
        size = _number(header[124:136])
        if kind in (b"x", b"g", b"L"):
            _extend(pending, kind, _extension(file, size, pending))
            continue
        name = pending.path if pending.path is not None else _name(header)
        size = size if pending.size is None else pending.size
        pending = _Pending()
        if kind == b"5" or (kind in (b"0", b"\0") and name.endswith("/")):
            writer.folder(name)
        elif kind in (b"0", b"\0", b"7"):
            writer.file(name, _content(file, size))
            _exactly(file, -size % _BLOCK)
        else:
            raise writer.refuse(name, _KINDS.get(kind, "is neither a file nor a folder"))


def _header(file: BinaryIO) -> bytes | None:
    """Read a header; None at the end, which is a block of zeros or the end of the file between entries."""
    block = file.read(_BLOCK)
    if not block or block == bytes(_BLOCK):
        return None
    if len(block) != _BLOCK:
        raise _damaged("it ends in the middle of a header")
    total = sum(block[:148]) + 8 * ord(" ") + sum(block[156:])
    if _number(block[148:156]) != total:
        raise _damaged("the checksum of a header is wrong")
    return block


def _extension(file: BinaryIO, size: int, pending: _Pending) -> bytes:
    pending.extensions += 1
    if size > _MAX_EXTENSION or pending.extensions > _MAX_EXTENSIONS:
        raise _damaged(f"an extended header is larger than {_MAX_EXTENSION} bytes, or they do not end")
    data = _exactly(file, size)
    _exactly(file, -size % _BLOCK)
    return data


def _extend(pending: _Pending, kind: bytes, data: bytes) -> None:
    if kind == b"L":
        pending.path = _text(data)
        return
    if kind == b"g":
        return  # defaults for all entries: time stamps and comments, nothing that is kept
    for key, value in _records(data):
        if key.startswith("GNU.sparse"):
            raise _damaged("it holds a sparse file")
        if key == "path":
            pending.path = value
        if key == "size":
            if not (value.isascii() and value.isdigit()) or len(value) > len(str(2**63)):
                raise _damaged("an extended header holds a size that is no number")
            pending.size = int(value)


def _records(data: bytes) -> Iterator[tuple[str, str]]:
    r"""Yield `key, value` of the records `<length> <key>=<value>\n`."""
    position = 0
    while position < len(data):
        digits, space, _ = data[position : position + 8].partition(b" ")
        length = int(digits) if digits.isdigit() else 0
        record = data[position + len(digits) + 1 : position + length]
        key, equals, value = record.removesuffix(b"\n").partition(b"=")
        if not space or not equals or length <= len(digits) + 1 or position + length > len(data):
            raise _damaged("an extended header is malformed")
        yield _text(key), _text(value)
        position += length


def _content(file: BinaryIO, size: int) -> Iterator[bytes]:
    while size:
        chunk = file.read(min(size, CHUNK_BYTES))
        if not chunk:
            raise _damaged("it ends in the middle of a file")
        size -= len(chunk)
        yield chunk


def _exactly(file: BinaryIO, size: int) -> bytes:
    return b"".join(_content(file, size))


def _number(field: bytes) -> int:
    """Read an octal number, or GNU's binary form for what octal cannot hold."""
    if field[:1] == b"\x80":
        return int.from_bytes(field[1:], "big")
    digits = field.strip(b" \0")
    if not digits:
        return 0
    if not digits.isdigit() or b"8" in digits or b"9" in digits:
        raise _damaged("a header holds a size that is no number")
    return int(digits, 8)


def _name(header: bytes) -> str:
    name = _text(header[:100])
    if header[257:263] == b"ustar\0":  # GNU's own form keeps other things in the prefix's place
        prefix = _text(header[345:500])
        return f"{prefix}/{name}" if prefix else name
    return name


def _text(data: bytes) -> str:
    return data.split(b"\0", 1)[0].decode("utf-8", "replace")


def _damaged(what: str) -> Invalid:
    return Invalid("CorruptModel", f"The archive cannot be unpacked: {what}. Publish it again as a plain tar archive.")
