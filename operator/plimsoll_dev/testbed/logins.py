"""How the in-cluster registry knows who may pull: by name and password, or by tokens, as public registries do."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding

from plimsoll_dev.cluster.pki import Authority

FOLDER = "/settings"
_SERVICE, _ISSUER = "models", "plimsoll-testbed"
_LIFETIME_S = 3600
# Clocks of machines differ; the registry refuses a token from the future.
_BACKDATED_S = 60
_P256_BYTES = 32


@dataclass(frozen=True, slots=True)
class Login:
    """Settings of the registry: environment variables, and files below `FOLDER`."""

    environment: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)


ANYBODY = Login()


def password_login(htpasswd: str) -> Login:
    """Returns basic authentication against the content of an htpasswd file (bcrypt only)."""
    environment = {
        "REGISTRY_AUTH": "htpasswd",
        "REGISTRY_AUTH_HTPASSWD_REALM": _SERVICE,
        "REGISTRY_AUTH_HTPASSWD_PATH": f"{FOLDER}/htpasswd",
    }
    return Login(environment, {"htpasswd": htpasswd})


@dataclass(frozen=True, slots=True)
class TokenIssuer:
    """Signs tokens that a registry with `login` accepts. The service that hands them out is somebody else's.

    Attributes:
        authority: Its key signs, and its certificate is what the registry trusts.
    """

    authority: Authority

    def login(self, realm: str) -> Login:
        """Returns the registry's side; `realm` is the URL that it sends clients to for a token."""
        environment = {
            "REGISTRY_AUTH": "token",
            "REGISTRY_AUTH_TOKEN_REALM": realm,
            "REGISTRY_AUTH_TOKEN_SERVICE": _SERVICE,
            "REGISTRY_AUTH_TOKEN_ISSUER": _ISSUER,
            "REGISTRY_AUTH_TOKEN_ROOTCERTBUNDLE": f"{FOLDER}/tokens-ca.crt",
        }
        return Login(environment, {"tokens-ca.crt": self._certificate(Encoding.PEM).decode()})

    def token(self, repository: str, *actions: str) -> str:
        """Returns a JSON Web Token (RFC 7519, ES256) that allows actions (`pull`, `push`) on one repository."""
        certificate = base64.b64encode(self._certificate(Encoding.DER)).decode()
        now = int(time.time())
        claims = {
            "iss": _ISSUER,
            "sub": "plimsoll",
            "aud": _SERVICE,
            "nbf": now - _BACKDATED_S,
            "exp": now + _LIFETIME_S,
            "access": [{"type": "repository", "name": repository, "actions": actions}],
        }
        signed = f"{_encoded({'typ': 'JWT', 'alg': 'ES256', 'x5c': [certificate]})}.{_encoded(claims)}"
        return f"{signed}.{_base64url(self._signature(signed.encode()))}"

    def _certificate(self, encoding: Encoding) -> bytes:
        return self.authority.certificate.public_bytes(encoding)

    def _signature(self, content: bytes) -> bytes:
        """Returns the two numbers side by side, as RFC 7518 wants them, and not as ASN.1."""
        numbers = decode_dss_signature(self.authority.key.sign(content, ec.ECDSA(hashes.SHA256())))
        return b"".join(number.to_bytes(_P256_BYTES, "big") for number in numbers)


def _encoded(part: Mapping[str, Any]) -> str:
    return _base64url(json.dumps(part).encode())


def _base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
