"""The certificate of a gateway: what of a mounted Secret new connections are greeted with.

Each version gets contexts of its own, so a connection keeps what it began with, and sessions that were resumable under
an older version are not under a newer one.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Final

CERTIFICATE_FILE: Final = "tls.crt"
KEY_FILE: Final = "tls.key"
AUTHORITIES_FILE: Final = "ca.crt"
_CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""Of TLS 1.2: forward secrecy and authenticated encryption only. Those of TLS 1.3 all have both."""


class Application(Enum):
    """What is spoken over TLS, as ALPN names it."""

    HTTP1 = "http/1.1"
    HTTP2 = "h2"


class Unusable(Exception):  # noqa: N818 - the outcome of reading what somebody put into a Secret
    """Why what was mounted cannot be used: a sentence."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """One version of a certificate.

    Attributes:
        contexts: What connections are greeted with.
        begins_at, ends_at: Its validity, aware, in UTC.
        names: For whom it was issued, as people would read it.
    """

    contexts: Mapping[Application, ssl.SSLContext]
    begins_at: datetime
    ends_at: datetime
    names: str

    def fault_at(self, now: datetime) -> str:
        """Returns why clients refuse it at that time; empty where they do not on account of the time."""
        if now < self.begins_at:
            return f"the certificate for {self.names} is valid only from {self.begins_at.isoformat()}"
        if now >= self.ends_at:
            return f"the certificate for {self.names} expired at {self.ends_at.isoformat()}"
        return ""


def load_certificate(folder: Path, authorities: bytes | None = None) -> Certificate:
    """Returns the certificate in a folder. Reads files and takes a few milliseconds.

    Args:
        folder: With `tls.crt` (the chain, its own certificate first) and `tls.key`, both PEM.
        authorities: PEM; clients must show a certificate of one of these. None: clients need none.

    Raises:
        Unusable: What is there is no certificate with its key, or these are no authorities.
        OSError: A file cannot be read.
    """
    for name in (CERTIFICATE_FILE, KEY_FILE):
        if not (folder / name).is_file():
            raise Unusable(f"it has no entry {name}")
    contexts = {application: _context(folder, application, authorities) for application in Application}
    # Imported late: it is for gateways with TLS alone, and every namespace would pay for it twice.
    from cryptography import x509  # noqa: PLC0415

    try:
        leaf = x509.load_pem_x509_certificate((folder / CERTIFICATE_FILE).read_bytes())
        return Certificate(contexts, leaf.not_valid_before_utc, leaf.not_valid_after_utc, _names(leaf))
    except ValueError as error:
        raise Unusable(f"{CERTIFICATE_FILE} is no certificate: {error}") from error


def _context(folder: Path, application: Application, authorities: bytes | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    # A client that may begin anew within a connection can have the server compute without end.
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.set_alpn_protocols([application.value])
    try:
        context.load_cert_chain(folder / CERTIFICATE_FILE, folder / KEY_FILE, password=_no_password)
    except ssl.SSLError as error:
        raise Unusable(_why(error)) from error
    if authorities is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        try:
            context.load_verify_locations(cadata=authorities.decode("ascii"))
        except (ssl.SSLError, ValueError) as error:
            raise Unusable(f"{AUTHORITIES_FILE} has no certificates in PEM form") from error
    return context


def _no_password() -> str:
    """Refuses a key that wants a password. Without this OpenSSL would ask for it on the terminal."""
    raise Unusable(f"{KEY_FILE} is encrypted; a gateway has no password for it")


def _why(error: ssl.SSLError) -> str:
    if error.reason == "KEY_VALUES_MISMATCH":
        return f"{KEY_FILE} is not the key of {CERTIFICATE_FILE}"
    return f"{CERTIFICATE_FILE} and {KEY_FILE} are no certificate and key in PEM form ({error.reason or error})"


def _names(leaf: object) -> str:
    from cryptography import x509  # noqa: PLC0415 - as above

    assert isinstance(leaf, x509.Certificate)  # noqa: S101 - its type cannot be named where it is not imported
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return leaf.subject.rfc4514_string() or "nobody"
    return ", ".join(str(name.value) for name in names)
