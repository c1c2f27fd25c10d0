"""What every certificate made here has in common, for the workshop's cluster and for tests.

ECDSA P-256 throughout: an RSA key takes up to a second to make.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec


def new_key() -> ec.EllipticCurvePrivateKey:
    """Makes a private key."""
    return ec.generate_private_key(ec.SECP256R1())


def begun(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, begins: timedelta, ends: timedelta
) -> x509.CertificateBuilder:
    """Returns a certificate that has yet to get its extensions and to be signed.

    Args:
        subject: Whose it is.
        issuer: Who will sign it.
        key: The subject's.
        begins: When it becomes valid, from now on.
        ends: When it is no longer.
    """
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


def for_authority(builder: x509.CertificateBuilder, path_length: int | None) -> x509.CertificateBuilder:
    """Lets it sign others.

    Args:
        builder: It.
        path_length: Authorities that may follow below it; None for any number.
    """
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
    basic = x509.BasicConstraints(ca=True, path_length=path_length)
    return builder.add_extension(basic, critical=True).add_extension(usage, critical=True)
