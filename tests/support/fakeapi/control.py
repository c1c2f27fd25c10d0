"""The fake's own routes, for tests and benchmarks in another process. Never counted as requests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
from aiohttp import web

if TYPE_CHECKING:
    from tests.support.fakeapi.faults import Asked, Where
    from tests.support.fakeapi.server import FakeApi

PREFIX = "/_fake"


def add_control_routes(app: web.Application, api: FakeApi) -> None:
    """`GET counters`; `POST reset`, `compact`, `cut-watches`, `clear-faults`, `faults`, `terminate`."""

    async def counters(_: web.Request) -> web.Response:
        return web.json_response(api.counters.snapshot())

    async def reset(_: web.Request) -> web.Response:
        api.counters.reset()
        return web.json_response({})

    async def compact(_: web.Request) -> web.Response:
        api.compact()
        return web.json_response({})

    async def cut_watches(_: web.Request) -> web.Response:
        api.watches.cut()
        return web.json_response({})

    async def clear_faults(_: web.Request) -> web.Response:
        api.faults.clear()
        return web.json_response({})

    async def faults(request: web.Request) -> web.Response:
        given = orjson.loads(await request.read())
        api.faults.fail(
            given["status"],
            times=given.get("times", 1),
            retry_after=given.get("retryAfter"),
            where=_where(given.get("verb"), given.get("kind")),
        )
        return web.json_response({})

    async def terminate(request: web.Request) -> web.Response:
        api.cluster.terminating.add(orjson.loads(await request.read())["namespace"])
        return web.json_response({})

    app.router.add_get(f"{PREFIX}/counters", counters)
    for name, handler in {
        "reset": reset,
        "compact": compact,
        "cut-watches": cut_watches,
        "clear-faults": clear_faults,
        "faults": faults,
        "terminate": terminate,
    }.items():
        app.router.add_post(f"{PREFIX}/{name}", handler)


def _where(verb: str | None, kind: str | None) -> Where:
    def matches(asked: Asked) -> bool:
        return verb in {None, asked.verb} and kind in {None, asked.kind}

    return matches
