"""Short-lived tokens by which the controller shows a pod of ours who asks: signed with Ed25519 (RFC 8032).

A pod gets the public key with its manifest and needs nothing else: no API credentials, no shared secret. A token names
the one pod it is for, so what a pod is shown opens no other pod.

    token     = payload "." signature             both base64url without padding
    payload   = {"aud": uid of the pod, "exp": seconds since 1970}
    signature = over the payload's base64url text
"""

from __future__ import annotations

import base64
import binascii
import json

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

LIFETIME_S = 60
SKEW_S = 30
"""How far the clocks of two nodes may differ."""
SEED_BYTES = 32


def public_key(seed: bytes) -> str:
    """Returns the public key of a private one, in base64url.

    Raises:
        ValueError: `seed` has not exactly 32 bytes.
    """
    return _text(Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw())


def is_key(text: str) -> bool:
    """Tells whether this is a public key in base64url."""
    try:
        Ed25519PublicKey.from_public_bytes(_bytes(text))
    except ValueError:
        return False
    return True


def sign(seed: bytes, audience: str, now: float) -> str:
    """Returns a token for one pod.

    Args:
        seed: The private key, 32 bytes.
        audience: uid of the pod.
        now: Seconds since 1970.

    Raises:
        ValueError: `seed` has not exactly 32 bytes.
    """
    payload = _text(json.dumps({"aud": audience, "exp": int(now) + LIFETIME_S}).encode())
    return f"{payload}.{_text(Ed25519PrivateKey.from_private_bytes(seed).sign(payload.encode()))}"


def refusal(token: str, key: str, audience: str, now: float) -> str | None:
    """Returns why a token does not open this pod, None when it does.

    Args:
        token: As it came, whatever it is.
        key: The public key in base64url.
        audience: uid of this pod.
        now: Seconds since 1970.

    Raises:
        ValueError: `key` is no public key.
    """
    verifier = Ed25519PublicKey.from_public_bytes(_bytes(key))
    payload, _, signature = token.partition(".")
    try:
        verifier.verify(_bytes(signature), payload.encode())
        claims = json.loads(_bytes(payload))
        named, expires = claims["aud"], float(claims["exp"])
    except (InvalidSignature, ValueError, TypeError, KeyError):
        return "it was not signed by this pod's controller"
    if named != audience:
        return "it is for another pod"
    return None if now <= expires + SKEW_S else "it has expired"


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise ValueError(f"{text[:8]!r}... is not base64url") from error
