"""What a gateway tells people about the routes it follows: `/v1/routes`, beside the paths by which it is watched.

It needs no secret and shows none. Without `?model=NAME` it counts endpoints instead of listing them: 50,000 of them
would keep requests waiting while they are written down.
"""

from __future__ import annotations

import orjson
from aiohttp import web

from plimsoll.gateway.route_book import RouteBook
from plimsoll.gateway.targets import ModelTarget, RevisionTarget, Targets
from plimsoll.kube.resources import JsonObject


class RoutesPage:
    """Answers `GET /v1/routes`.

    Args:
        boot: Identity of this process, another one after every start.
        targets: What requests are sent to.
        book: Why something is not followed.
    """

    def __init__(self, boot: str, targets: Targets, book: RouteBook) -> None:
        self._boot = boot
        self._targets = targets
        self._book = book

    def paths(self) -> list[web.AbstractRouteDef]:
        """Returns the paths it answers."""
        return [web.get("/v1/routes", self._answer)]

    async def _answer(self, request: web.Request) -> web.Response:
        name = request.query.get("model")
        if name is None:
            models = {model: self._summary(target) for model, target in sorted(self._targets.models.items())}
            return _json({"boot": self._boot, "trusted": self._book.trusted, "models": models})
        target = self._targets.models.get(name)
        if target is None:
            return _json({"error": f"This gateway follows no model {name}."}, status=404)
        return _json({**self._summary(target), "endpoints": _endpoints(target)})

    def _summary(self, target: ModelTarget) -> JsonObject:
        route = target.route
        ignored = self._book.ignored.get(route.model)
        return {
            "uid": route.uid,
            "epoch": route.epoch,
            "traffic": route.traffic.value,
            "stable": _revision(target.stable),
            "candidate": _revision(target.candidate),
            **({"diverted": target.diversion.sentence} if target.diversion else {}),
            **({"ignored": ignored} if ignored else {}),
        }


def _revision(target: RevisionTarget | None) -> JsonObject | None:
    if target is None:
        return None
    return {
        "name": target.route.name,
        "weightPermille": target.route.weight_permille,
        "endpoints": len(target.endpoints),
    }


def _endpoints(target: ModelTarget) -> list[JsonObject]:
    return [
        {
            "revision": revision.route.name,
            "pod": endpoint.endpoint.pod,
            "ip": endpoint.endpoint.ip,
            "outstanding": endpoint.outstanding,
        }
        for revision in (target.stable, target.candidate)
        if revision
        for endpoint in revision.endpoints
    ]


def _json(body: JsonObject, *, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(body), status=status, content_type="application/json")
