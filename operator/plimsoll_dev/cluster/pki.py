"""Certificates for a cluster that lives for days on one machine: one authority for Kubernetes, one for etcd.

Two authorities, because etcd accepts every certificate of its own: with a shared one a node's certificate would read
all Secrets. ECDSA P-256 keys: an RSA key takes up to a second to make.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from plimsoll_dev.certificates import begun, for_authority, new_key

LIFETIME = timedelta(days=365)
# Clocks of sandboxes jump backwards; a certificate from "the future" stops every component.
BACKDATED = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Pair:
    """A private key and its certificate as PEM files."""

    key: Path
    certificate: Path


@dataclass(frozen=True, slots=True)
class Authority:
    """Signs certificates; its files are `<folder>/<name>.key` and `.crt`."""

    folder: Path
    name: str
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def pair(self) -> Pair:
        """The authority's own files."""
        return _paths(self.folder, self.name)

    def issue(self, name: str, *, common_name: str, organization: str = "", hosts: Sequence[str] = ()) -> Pair:
        """Writes a certificate for a client and, with `hosts` (names or addresses), also for a server."""
        key = new_key()
        builder = _builder(_subject(common_name, organization), self.certificate.subject, key)
        usages = [ExtendedKeyUsageOID.CLIENT_AUTH]
        if hosts:
            usages.append(ExtendedKeyUsageOID.SERVER_AUTH)
            builder = builder.add_extension(x509.SubjectAlternativeName([_host(h) for h in hosts]), critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        # Python 3.13 refuses a certificate that does not name its authority's key.
        builder = builder.add_extension(_issuer_key(self.certificate), critical=False)
        return _write(_paths(self.folder, name), key, builder.sign(self.key, hashes.SHA256()))


def create_authority(folder: Path, name: str) -> Authority:
    """Makes a new authority and writes its files."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = new_key()
    subject = _subject(f"plimsoll-{name}", "")
    certificate = for_authority(_builder(subject, subject, key), 0).sign(key, hashes.SHA256())
    _write(_paths(folder, name), key, certificate)
    return Authority(folder, name, key, certificate)


def create_token_key(folder: Path) -> Pair:
    """Makes the key that signs service account tokens; the second file is the public key."""
    key = new_key()
    pair = Pair(folder / "tokens.key", folder / "tokens.pub")
    _write_secret(pair.key, _private_bytes(key))
    public = serialization.PublicFormat.SubjectPublicKeyInfo
    pair.certificate.write_bytes(key.public_key().public_bytes(serialization.Encoding.PEM, public))
    return pair


def _paths(folder: Path, name: str) -> Pair:
    return Pair(folder / f"{name}.key", folder / f"{name}.crt")


def _subject(common_name: str, organization: str) -> x509.Name:
    names = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    if organization:
        names.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    return x509.Name(names)


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    return begun(subject, issuer, key, -BACKDATED, LIFETIME)


def _issuer_key(authority: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    identifier = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)


def _host(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _private_bytes(key: ec.EllipticCurvePrivateKey) -> bytes:
    encoding, private = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(encoding, private, serialization.NoEncryption())


def _write(pair: Pair, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> Pair:
    _write_secret(pair.key, _private_bytes(key))
    pair.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return pair


def _write_secret(path: Path, content: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(content)
