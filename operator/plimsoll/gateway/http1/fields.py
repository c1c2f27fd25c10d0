"""The header fields of a head, read strictly: one form is accepted, whatever else other readers would forgive.

What is refused here is what two readers may take for different messages (RFC 9112 §5 and §11.2): folded lines, a bare
LF or CR, white space before the colon, other bytes than a token's in a name, control characters.
"""

from __future__ import annotations

import re
from typing import Final

from plimsoll.gateway.http1.refusals import Reason, Refusal, Refused, malformed

END: Final = b"\r\n\r\n"
CHUNKED: Final = -1
"""A body's length that its chunks will say."""
UNSAID: Final = -2
"""A body's length that the head does not say."""

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
_FIELD = re.compile(rb"(" + _TOKEN + rb"):[ \t]*+([\t\x20-\x7e\x80-\xff]*+)\r\n")
_FIELDS = re.compile(rb"(?:" + _TOKEN + rb":[\t\x20-\x7e\x80-\xff]*+\r\n)*+")
_TOKENS = re.compile(_TOKEN)
_LENGTH = re.compile(rb"[0-9]{1,18}")
_BARE_LINE_END = re.compile(rb"(?<!\r)\n|\r(?!\n)")
_MAY_REPEAT = frozenset({b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"upgrade"})

HOP_BY_HOP: Final = frozenset({b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"upgrade"})
"""Concern one connection, and are not passed on (RFC 9110 §7.6.1). Transfer-Encoding is not among them, because chunks
pass as they are."""
_FRAMING = frozenset({b"content-length", b"transfer-encoding", b"connection"})
READ_FROM_ANSWERS: Final = _FRAMING | HOP_BY_HOP
READ_FROM_REQUESTS: Final = READ_FROM_ANSWERS | {b"host", b"expect"}
_NEVER_NOMINATED = READ_FROM_REQUESTS - HOP_BY_HOP | {
    b"content-type",
    b"content-encoding",
    b"inference-header-content-length",
}
"""A client that could have these taken off by naming them in `Connection` would change the message behind us."""

Found = dict[bytes, bytes]
"""Values by name in lower case, of the fields that were asked for."""


def read_fields(head: bytes, start: int, most: int, wanted: frozenset[bytes]) -> Found:
    """Reads the fields of a whole head from the offset `start`, and returns those whose names are `wanted`.

    Raises:
        Refused: They are malformed, more than `most`, or one that may stand once stands twice.
    """
    end = len(head) - 2
    if _FIELDS.fullmatch(head, start, end) is None:
        raise malformed(_fault(head[start:end]))
    fields: list[tuple[bytes, bytes]] = _FIELD.findall(head, start, end)
    if len(fields) > most:
        raise Refused(Refusal(431, Reason.HEAD_TOO_LARGE, f"A head may have {most} fields; this one has more."))
    found: Found = {}
    for name, value in fields:
        key = name.lower()
        if key in wanted:
            if key in found:
                if key not in _MAY_REPEAT:
                    raise malformed(f"The field {key.decode()} stands twice; send it once.")
                value = found[key] + b"," + value  # noqa: PLW2901 - one list in two lines
            # A trailing space hides `chunked` from some readers, so there it is a fault.
            found[key] = value if key == b"transfer-encoding" else value.rstrip(b" \t")
    return found


def body_length(found: Found) -> int:
    """Returns the length in bytes that the fields say, `CHUNKED` or `UNSAID`.

    Raises:
        Refused: They contradict each other or say it in another form than digits or exactly `chunked`.
    """
    length = found.get(b"content-length")
    if b"transfer-encoding" in found:
        if length is not None:
            raise malformed("Content-Length and Transfer-Encoding exclude each other; send one.")
        if found[b"transfer-encoding"].lower() != b"chunked":
            raise malformed("The one accepted Transfer-Encoding is chunked.")
        return CHUNKED
    if length is None:
        return UNSAID
    if _LENGTH.fullmatch(length) is None:
        raise malformed("Content-Length has to be a decimal number.")
    return int(length)


def passed_on(head: bytes, start: int, found: Found, dropped: frozenset[bytes]) -> bytes:
    """Returns a head without the fields named in `dropped` and those that its `Connection` names.

    Raises:
        Refused: `Connection` names a field that says where the message ends or what it means, or is no list of names.
    """
    nominated = {name.strip(b" \t").lower() for name in found.get(b"connection", b"").split(b",")} - {b""}
    if not all(_TOKENS.fullmatch(name) for name in nominated) or nominated & _NEVER_NOMINATED:
        raise malformed("Connection has to be a list of names, and of none that describes the message.")
    dropped |= nominated
    if dropped.isdisjoint(found) and not nominated - {b"close"}:
        return head
    lines = head[start:-4].split(b"\r\n") if len(head) > start + 2 else []
    kept = [line + b"\r\n" for line in lines if line.partition(b":")[0].lower() not in dropped]
    return b"".join([head[:start], *kept, b"\r\n"])


def keeps_alive(found: Found) -> bool:
    """Tells whether the connection may be used again after this message (HTTP/1.1)."""
    connection = found.get(b"connection")
    return connection is None or b"close" not in [option.strip(b" \t") for option in connection.lower().split(b",")]


def bare_line_end(head: bytes) -> bool:
    """Tells whether a LF stands without its CR. A CR at the very end may yet get its LF."""
    found = _BARE_LINE_END.search(head)
    return found is not None and not (found.end() == len(head) and found[0] == b"\r")


def _fault(fields: bytes) -> str:
    if bare_line_end(fields):
        return "A line of the head ends with a bare CR or LF; lines end with CR LF."
    if fields[:1] in {b" ", b"\t"} or re.search(rb"\r\n[ \t]", fields):
        return "A header field is folded over several lines; write it in one."
    return "A header line is not NAME: VALUE with a valid name and no control characters."
