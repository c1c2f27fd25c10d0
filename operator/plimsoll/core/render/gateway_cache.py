"""How a gateway's pods come to the store that gateways share.

Secrets are mounted whole, as those of guards are, and may be missing: nothing depends on a cache, so no gateway waits
for its credentials. The kubelet brings them when they are there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from plimsoll.core.fleet.observed import SharedCache
from plimsoll.core.render.manifest import Manifest

_LOGIN: Final = ("cache-login", "/etc/plimsoll-cache-login")
_AUTHORITIES: Final = ("cache-ca", "/etc/plimsoll-cache-ca")
_MODE: Final = 0o440


def cache_config(cache: SharedCache) -> dict[str, Any]:
    """Returns what the configuration file says of the store; nothing where there is none."""
    if not cache.url:
        return {}
    redis = {"url": cache.url}
    if cache.secret:
        redis |= {"secret": cache.secret, "folder": _LOGIN[1]}
    if cache.ca_secret:
        redis |= {"caSecret": cache.ca_secret, "caFolder": _AUTHORITIES[1]}
    return {"redis": redis}


def cache_volumes(cache: SharedCache) -> list[Manifest]:
    """Returns the volumes."""
    return [
        {"name": name, "secret": {"secretName": secret, "defaultMode": _MODE, "optional": True}}
        for name, _, secret in _secrets(cache)
    ]


def cache_mounts(cache: SharedCache) -> list[Manifest]:
    """Returns where the gateway finds them."""
    return [{"name": name, "mountPath": folder, "readOnly": True} for name, folder, _ in _secrets(cache)]


def _secrets(cache: SharedCache) -> Iterator[tuple[str, str, str]]:
    for place, secret in ((_LOGIN, cache.secret), (_AUTHORITIES, cache.ca_secret)):
        if cache.url and secret:
            yield (*place, secret)
