"""What is observed beyond the caches: ConfigMaps that a user named are not ours, and so in none.

Requests are made only while a preflight depends on their answers.
"""

from __future__ import annotations

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
    """

    def __init__(self, stores: Stores, defaults: Defaults, client: Client) -> None:
        self._stores = stores
        self._defaults = defaults
        self._client = client

    async def observe(self, key: Key, failure: Failure | None) -> Observed | None:
        """As `observe`, with the versions of the ConfigMaps that a preflight under way depends on.

        Raises:
            pydantic.ValidationError: as `observe`.
            ApiError: an outage; a ConfigMap that does not exist is an answer.
        """
        observed = observe(self._stores, key, self._defaults, failure)
        names = config_maps_needed(observed) if observed else ()
        if observed is None or not names:
            return observed
        versions = {name: await self._version(key[0], name) for name in names}
        return replace(observed, config_map_versions=versions)

    async def _version(self, namespace: str, name: str) -> str:
        try:
            return content_digest(await self._client.get(CONFIGMAPS, namespace, name))
        except NotFound:
            return ""
