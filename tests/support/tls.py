"""Doors with TLS for gateways in this process, and the clients that come through them."""

from __future__ import annotations

import ssl
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.authority import Authority, Issued

from plimsoll.gateway.tls import Application, Certificate, load_certificate
from plimsoll.gateway.tls_door import Arrival, Bounds, TlsDoor

AUTHORITY = Authority()


def certificate_of(issued: Issued, authorities: bytes | None = None) -> Certificate:
    """Loads a certificate as a gateway does."""
    with tempfile.TemporaryDirectory() as folder:
        for name, content in issued.files.items():
            (Path(folder) / name).write_bytes(content)
        return load_certificate(Path(folder), authorities)


@dataclass
class Entry:
    """A door, the certificate behind it, which may be replaced, and who came."""

    door: TlsDoor
    certificate: Certificate
    arrivals: Counter[Arrival] = field(default_factory=Counter)


def entry(
    application: Application,
    *,
    turned_away: bytes | None = b"",
    bounds: Bounds | None = None,
    authorities: bytes | None = None,
    issued: Issued | None = None,
) -> Entry:
    """Makes a door."""
    made: Entry

    def context() -> ssl.SSLContext:
        return made.certificate.contexts[application]

    def noted(arrival: Arrival) -> None:
        made.arrivals[arrival] += 1

    door = TlsDoor(context, turned_away, noted, bounds)
    made = Entry(door, certificate_of(issued or AUTHORITY.issue(), authorities))
    return made


def client_context(change: Callable[[ssl.SSLContext], Any] | None = None, own: Issued | None = None) -> ssl.SSLContext:
    """Returns what a client trusts, and shows where it has a certificate of its own."""
    context = ssl.create_default_context(cadata=AUTHORITY.pem.decode())
    if own is not None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "both.pem"
            path.write_bytes(own.certificate + own.key)
            context.load_cert_chain(path)
    if change is not None:
        change(context)
    return context
