"""Certificates made on the spot: an authority, and what it issues for the loopback."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

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
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(name)
        basic = x509.BasicConstraints(ca=True, path_length=None)
        usage = x509.KeyUsage(
            digital_signature=True,
            key_cert_sign=True,
            crl_sign=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )
        signed = (
            _builder(self._name, self._name, self._key, timedelta(days=-1), timedelta(days=30))
            .add_extension(basic, critical=True)
            .add_extension(usage, critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.pem = signed.public_bytes(serialization.Encoding.PEM)

    def issue(
        self,
        *,
        begins: timedelta = timedelta(hours=-1),
        ends: timedelta = timedelta(days=7),
        password: bytes | None = None,
    ) -> Issued:
        """Returns a certificate for `localhost`, `digits` and 127.0.0.1, valid from `begins` to `ends` from now on."""
        key = ec.generate_private_key(ec.SECP256R1())
        signed = (
            _builder(_name("digits"), self._name, key, begins, ends)
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


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, begins: timedelta, ends: timedelta
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + begins)
        .not_valid_after(now + ends)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
