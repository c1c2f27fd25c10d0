"""Certificates made on the spot: an authority, and what it issues for the loopback."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

from plimsoll_dev.certificates import begun, for_authority, new_key

_NAMES = x509.SubjectAlternativeName(
    [x509.DNSName("localhost"), x509.DNSName("digits"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
)


@dataclass(frozen=True)
class Issued:
    """A certificate and its key, PEM."""

    certificate: bytes
    key: bytes

    @property
    def files(self) -> dict[str, bytes]:
        """As in a Secret of type kubernetes.io/tls."""
        return {"tls.crt": self.certificate, "tls.key": self.key}


class Authority:
    """Issues certificates."""

    def __init__(self, name: str = "authority") -> None:
        self._key = new_key()
        self._name = _name(name)
        unsigned = begun(self._name, self._name, self._key, timedelta(days=-1), timedelta(days=30))
        signed = for_authority(unsigned, None).sign(self._key, hashes.SHA256())
        self.pem = signed.public_bytes(serialization.Encoding.PEM)

    def issue(
        self,
        *,
        begins: timedelta = timedelta(hours=-1),
        ends: timedelta = timedelta(days=7),
        password: bytes | None = None,
    ) -> Issued:
        """Returns a certificate for `localhost`, `digits` and 127.0.0.1, valid from `begins` to `ends` from now on."""
        key = new_key()
        signed = (
            begun(_name("digits"), self._name, key, begins, ends)
            .add_extension(_NAMES, critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        lock = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
        return Issued(
            signed.public_bytes(serialization.Encoding.PEM),
            key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock),
        )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])
