"""Header blocks (RFC 7541): read through the `hpack` library, once while they repeat; written without state.

Two observations make this cheap. A gRPC client sends the same head again and again, as indices into a table that no
longer changes: such a block means the same as the last time. And a head that is written without ever using the table is
a constant, which can be kept together with what was read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final, Generic, TypeVar

from hpack import Decoder, HPACKError
from hpack.table import HeaderTable
from typing_extensions import override

from plimsoll.gateway.http2.violations import ConnectionFailure, ErrorCode

Field = tuple[bytes, bytes]
Meaning = TypeVar("Meaning")

NO_TABLE: Final = b"\x20"
"""Says that the writer's table has size 0; leads the first block of a connection, and is right whatever the peer's
SETTINGS_HEADER_TABLE_SIZE is or becomes (RFC 7541, section 4.2)."""

MAX_FIELDS: Final = 256
_KEPT: Final = 64
_KEPT_BYTES: Final = 4096
"""Of one head that is remembered, as it came and decoded: a client can have a connection remember 0.5 MB."""

_PER_CONNECTION: Final = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"}
)
_NAME: Final = re.compile(rb":?[!#$%&'*+\-.^_`|~0-9a-z]+")
_FORBIDDEN_IN_VALUES: Final = re.compile(rb"[\x00\r\n]")


class Malformed(Exception):  # noqa: N818 - RFC 9113 calls such a message so
    """A head that means nothing: an error of its stream (RFC 9113, section 8.1.1)."""


class _WatchedTable(HeaderTable):
    """A table that tells whether it changed."""

    changes = 0

    @override
    def add(self, name: bytes, value: bytes) -> None:
        self.changes += 1
        super().add(name, value)

    def state(self) -> tuple[int, int, int]:
        """Returns what differs after any change: additions, the size, and entries that a change of size drops."""
        return self.changes, self.maxsize, len(self.dynamic_entries)


class HeaderReader(Generic[Meaning]):
    """Reads the blocks of one direction of one connection.

    Args:
        meaning_of: Makes of the fields what its user wants to know. May raise `Malformed`.
        list_limit: Bytes of a decoded list that are accepted, each field counted with 32 more.
    """

    __slots__ = ("_decoder", "_known", "_meaning_of", "_table")

    def __init__(self, meaning_of: Callable[[list[Field]], Meaning], list_limit: int) -> None:
        self._meaning_of = meaning_of
        self._table = _WatchedTable()
        self._decoder = Decoder(list_limit)
        self._decoder.header_table = self._table
        self._known: dict[bytes, Meaning] = {}

    def read(self, block: bytes) -> Meaning:
        """Returns what a block means.

        Raises:
            ConnectionFailure: It cannot be decoded or is too long, so the table is no longer the peer's.
            Malformed: It was decoded, and is not a head.
        """
        known = self._known.get(block)
        if known is not None:
            return known
        fields, changed = self._decode(block)
        meaning = self._meaning_of(fields)
        size = len(block) + sum(len(name) + len(value) for name, value in fields)
        if not changed and size <= _KEPT_BYTES:
            if len(self._known) >= _KEPT:
                self._known.clear()
            self._known[block] = meaning
        return meaning

    def skip(self, block: bytes) -> None:
        """Follows what a block does to the table, whatever it means.

        Raises:
            ConnectionFailure: As for `read`.
        """
        self._decode(block)

    def _decode(self, block: bytes) -> tuple[list[Field], bool]:
        """Returns the fields, and whether the table changed."""
        before = self._table.state()
        try:
            fields: list[Field] = list(self._decoder.decode(block, raw=True))
        except HPACKError as error:
            raise ConnectionFailure(
                ErrorCode.COMPRESSION_ERROR, f"A header block is not acceptable: {error}."
            ) from error
        changed = self._table.state() != before
        if changed:
            self._known.clear()
        return fields, changed


def checked(fields: list[Field]) -> None:
    """Refuses what no head may have (RFC 9113, sections 8.2 and 8.3).

    Raises:
        Malformed: A name or value with characters it cannot have, a field of HTTP/1.1's connections, a pseudo-field
            that stands behind others or twice, or more than 256 fields.
    """
    if len(fields) > MAX_FIELDS:
        raise Malformed(f"more than {MAX_FIELDS} fields")
    pseudo: set[bytes] = set()
    others = False
    for name, value in fields:
        if not _NAME.fullmatch(name) or _FORBIDDEN_IN_VALUES.search(value):
            raise Malformed("characters that a field cannot have")
        if name in _PER_CONNECTION or (name == b"te" and value != b"trailers"):
            raise Malformed("a field of HTTP/1.1")
        if not name.startswith(b":"):
            others = True
        elif others or name in pseudo:
            raise Malformed("a misplaced pseudo-field")
        else:
            pseudo.add(name)


def encode(fields: Iterable[Field]) -> bytes:
    """Returns a block that touches no table: static entries, and literals that are not indexed."""
    block = bytearray()
    for name, value in fields:
        index, values = HeaderTable.STATIC_TABLE_MAPPING.get(name, (0, {}))
        same = values.get(value)
        if same is not None:
            _integer(block, same, 7, 0x80)
            continue
        _integer(block, index, 4, 0)
        if not index:
            _integer(block, len(name), 7, 0)
            block += name
        _integer(block, len(value), 7, 0)
        block += value
    return bytes(block)


def _integer(block: bytearray, value: int, prefix_bits: int, first: int) -> None:
    """Appends an integer as in RFC 7541, section 5.1; `first` are the bits before its prefix."""
    most = (1 << prefix_bits) - 1
    if value < most:
        block.append(first | value)
        return
    block.append(first | most)
    value -= most
    while value >= 0x80:  # noqa: PLR2004 - the continuation bit
        block.append(value & 0x7F | 0x80)
        value >>= 7
    block.append(value)
