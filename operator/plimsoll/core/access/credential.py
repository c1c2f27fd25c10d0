"""What a request says of who sends it: `Authorization: Bearer KEY` or `X-API-Key: KEY`, once.

The same names are read from HTTP's header fields and from gRPC's metadata. Only a digest leaves this module.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import Enum, auto
from typing import Final

from plimsoll.core.access.keyring import digest_of_key

AUTHORIZATION: Final = b"authorization"
API_KEY: Final = b"x-api-key"
CREDENTIAL_FIELDS: Final = frozenset({AUTHORIZATION, API_KEY})
"""Meant for the gateway: not passed on to a model server, where a model could read them."""

_BEARER: Final = re.compile(rb"[Bb][Ee][Aa][Rr][Ee][Rr] +([\x21-\x7e]+)")
_BARE: Final = re.compile(rb"[\x21-\x7e]+")


class Fault(Enum):
    """Why no key can be read."""

    NONE = auto()
    """There is none."""
    TWICE = auto()
    """There are several, and two readers could take different ones."""
    FORM = auto()
    """It is none of the two forms."""


Credential = bytes | Fault
"""The digest of the key that a request shows, or why there is none."""


def read_credential(fields: Iterable[tuple[bytes, bytes]]) -> Credential:
    """Returns what these fields show.

    Args:
        fields: Of a request, with names in lower case; others than `CREDENTIAL_FIELDS` are passed over.
    """
    shown = [(name, value) for name, value in fields if name in CREDENTIAL_FIELDS]
    if not shown:
        return Fault.NONE
    if len(shown) > 1:
        return Fault.TWICE
    name, value = shown[0]
    value = value.strip(b" \t")
    if name == AUTHORIZATION:
        match = _BEARER.fullmatch(value)
        return digest_of_key(match[1]) if match is not None else Fault.FORM
    return digest_of_key(value) if _BARE.fullmatch(value) else Fault.FORM
