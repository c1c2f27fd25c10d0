"""Where the controller fetches the report: one HTTP port of the Job's pod, open to who holds a token for this pod."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

from plimsoll.core import tokens

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class ReportDesk:
    """Hands out one report, once there is one.

    Attributes:
        public_key: Of the controller, in base64url.
        pod_uid: Whom a token has to be for.
        now: Wall time in seconds since 1970.
        fetched: Set when the report has been handed out.
    """

    public_key: str
    pod_uid: str
    now: Callable[[], float]
    fetched: asyncio.Event = field(default_factory=asyncio.Event)
    _report: bytes = b""

    def offer(self, report: bytes) -> None:
        """From now on the pod is ready, and this JSON is what is fetched."""
        self._report = report

    @asynccontextmanager
    async def listening(self, port: int) -> AsyncIterator[int]:
        """Listens on all addresses and yields the port, which differs where 0 was asked for."""
        app = web.Application()
        app.add_routes([web.get("/readyz", self._readyz), web.get("/report", self._hand_out)])
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, port=port).start()
            yield runner.addresses[0][1]
        finally:
            await runner.cleanup()

    async def _readyz(self, _: web.Request) -> web.Response:
        if not self._report:
            return web.Response(status=503, text="the preflight is still running\n")
        return web.Response(text="ok\n")

    async def _hand_out(self, request: web.Request) -> web.Response:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        refusal = tokens.refusal(token, self.public_key, self.pod_uid, self.now())
        if refusal:
            _log.warning("report.refused", extra={"fields": {"why": refusal}})
            return web.Response(status=401, text=f"a token is needed: {refusal}\n")
        if not self._report:
            return web.Response(status=503, text="the preflight is still running\n")
        self.fetched.set()
        return web.Response(body=self._report, content_type="application/json")
