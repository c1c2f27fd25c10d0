"""Where a store is that gateways share: `redis://HOST:PORT/DATABASE`, or `rediss://` with TLS."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_FORM: Final = re.compile(
    r"(?P<scheme>rediss?)://(?P<host>[A-Za-z0-9](?:[-A-Za-z0-9.]{0,251}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]{2,45}\])"
    r"(?::(?P<port>[0-9]{1,5}))?(?:/(?P<database>[0-9]{1,5})?)?"
)
_PORT: Final = 6379
_MOST_PORT: Final = 65_535


@dataclass(frozen=True, slots=True)
class RemoteAddress:
    """One store.

    Attributes:
        host: Name or address.
        port: Its port.
        database: Number of the database.
        tls: Connections are wrapped in TLS.
    """

    host: str
    port: int
    database: int
    tls: bool


def address_of(url: str) -> RemoteAddress:
    """Returns what a URL says.

    Raises:
        ValueError: It is no such URL. The message does not repeat it: it might hold a password.
    """
    found = _FORM.fullmatch(url)
    port = int(found["port"] or _PORT) if found else 0
    if found is None or not 0 < port <= _MOST_PORT:
        raise ValueError(
            "must be redis://HOST:PORT or rediss://HOST:PORT, perhaps with /DATABASE; "
            "the user and the password come from a Secret"
        )
    database = int(found["database"] or 0)
    return RemoteAddress(found["host"].strip("[]"), port, database, tls=found["scheme"] == "rediss")
