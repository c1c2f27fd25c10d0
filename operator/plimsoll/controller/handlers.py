"""Where things start: kopf says that a ModelDeployment has changed, and its key is queued. Nothing else happens here.

No create, update, resume, delete, timer or daemon handler may ever be added: with kopf's memory switched off it would
see a creation at every event. An architecture test holds this.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import kopf

from plimsoll.api.base import GROUP, VERSION
from plimsoll.api.crd import PLURAL
from plimsoll.kube.connection import Connection
from plimsoll.kube.resources import Key


def build_registry(
    queue: Callable[[Key], None], login: Callable[[], Awaitable[kopf.ConnectionInfo]]
) -> kopf.OperatorRegistry:
    """Returns the handlers.

    Args:
        queue: Called with the key of every ModelDeployment that changed.
        login: Says where the API server is, as our own client knows it, so that both always watch the same cluster.
    """
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry)
    async def log_in(**_: Any) -> kopf.ConnectionInfo:
        return await login()

    @kopf.on.event(GROUP, VERSION, PLURAL, registry=registry, when=_is_news)
    async def changed(namespace: str | None, name: str | None, **_: Any) -> None:
        if namespace and name:
            queue((namespace, name))

    return registry


def _is_news(type: str | None, **_: Any) -> bool:  # noqa: A002 - kopf's
    """The first list has no type; our own caches queue everything they find in theirs.

    A filter, because running the handler for each of 5,000 listed objects took a twelfth of a warm start.
    """
    return type is not None


async def connection_info(connection: Connection) -> kopf.ConnectionInfo:
    """Returns our own connection as kopf wants it; asked again by kopf after a refusal."""
    await connection.reload()
    endpoint = connection.endpoint
    scheme, _, token = (await connection.authorization() or "").partition(" ")
    return kopf.ConnectionInfo(
        server=endpoint.server,
        ca_path=endpoint.ca_path,
        insecure=endpoint.insecure,
        certificate_path=endpoint.certificate_path,
        private_key_path=endpoint.private_key_path,
        proxy_url=endpoint.proxy_url,
        scheme=scheme or None,
        token=token or None,
    )
