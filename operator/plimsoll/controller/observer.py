"""What is observed beyond the caches: ConfigMaps that a user named are not ours, and so in none.

Requests are made only while a preflight depends on their answers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from plimsoll.controller.observe import Stores, observe
from plimsoll.controller.preflight_projection import content_digest
from plimsoll.core.gate import config_maps_needed
from plimsoll.core.snapshot import Defaults
from plimsoll.core.world import Failure, Observed
from plimsoll.kube.client import Client
from plimsoll.kube.errors import NotFound
from plimsoll.kube.resources import CONFIGMAPS, Key


class Observer:
    """Observes for one controller.

    Args:
        stores: Caches.
        defaults: The chart's defaults.
        client: Asked for what is in no cache.
        add_gateways: Adds what is known of gateways.
    """

    def __init__(
        self, stores: Stores, defaults: Defaults, client: Client, add_gateways: Callable[[Observed], Observed]
    ) -> None:
        self._stores = stores
        self._defaults = defaults
        self._client = client
        self._add_gateways = add_gateways

    async def observe(self, key: Key, failure: Failure | None) -> Observed | None:
        """As `observe`, with the versions of the ConfigMaps that a preflight under way depends on.

        Raises:
            pydantic.ValidationError: as `observe`.
            ApiError: an outage; a ConfigMap that does not exist is an answer.
        """
        observed = observe(self._stores, key, self._defaults, failure)
        if observed is None:
            return None
        observed = self._add_gateways(observed)
        names = config_maps_needed(observed)
        if not names:
            return observed
        versions = {name: await self._version(key[0], name) for name in names}
        return replace(observed, config_map_versions=versions)

    async def _version(self, namespace: str, name: str) -> str:
        try:
            return content_digest(await self._client.get(CONFIGMAPS, namespace, name))
        except NotFound:
            return ""
