"""How a gateway's pods get the Secrets by which they guard themselves.

They are mounted whole, because the kubelet follows a Secret's changes only then. No gateway may read Secrets from the
API server: those that its pods mount are all it sees.
"""

from __future__ import annotations

from typing import Any, Final

from plimsoll.core.fleet.observed import Guarding
from plimsoll.core.render.manifest import Manifest

_FOLDERS: Final = {
    "tls": "/etc/plimsoll-tls",
    "client-ca": "/etc/plimsoll-client-ca",
    "keys": "/etc/plimsoll-keys",
}
_MODE: Final = 0o440
"""For the pod's group, as which it runs, and for nobody else."""


def guard_config(guarding: Guarding) -> dict[str, Any]:
    """Returns what the configuration file says of guards; nothing where there are none."""
    config: dict[str, Any] = {}
    if guarding.tls_secret:
        config["tls"] = {"secret": guarding.tls_secret, "folder": _FOLDERS["tls"]}
        if guarding.client_ca_secret:
            config["tls"]["clientFolder"] = _FOLDERS["client-ca"]
        if guarding.plain_text:
            config["tls"]["plainText"] = True
    if guarding.key_secret:
        config["keys"] = {"secret": guarding.key_secret, "folder": _FOLDERS["keys"]}
    return config


def guard_volumes(guarding: Guarding) -> list[Manifest]:
    """Returns the volumes. A pod whose Secret does not exist waits for it, and says so in its events."""
    return [
        {"name": name, "secret": {"secretName": secret, "defaultMode": _MODE}} for name, secret in _secrets(guarding)
    ]


def guard_mounts(guarding: Guarding) -> list[Manifest]:
    """Returns where the gateway finds them."""
    return [{"name": name, "mountPath": _FOLDERS[name], "readOnly": True} for name, _ in _secrets(guarding)]


def _secrets(guarding: Guarding) -> list[tuple[str, str]]:
    secrets = (
        ("tls", guarding.tls_secret),
        ("client-ca", guarding.client_ca_secret),
        ("keys", guarding.key_secret),
    )
    return [(name, secret) for name, secret in secrets if secret]
