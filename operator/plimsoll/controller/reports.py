"""Fetches the report of a preflight from the pod that made it.

A pod is somebody else's: it may be slow, gone, behind a network policy, or answer anything. So a fetch is short, few go
on at once, and what comes is bounded, parsed, and held against the question that was asked.
"""

from __future__ import annotations

from types import TracebackType
from typing import Self

import aiohttp
from pydantic import ValidationError

from plimsoll.api.preflight_report import PreflightReport
from plimsoll.controller.report_key import ReportKey
from plimsoll.core.actions import PullReport
from plimsoll.core.names import REPORT_PORT, url_host
from plimsoll.kube.clock import Clock

MAX_REPORT_BYTES = 900 * 1024
"""A ConfigMap holds 1 MiB with its metadata; a report has about 30 KB."""
_TIMEOUT_S = 5.0
_CONNECT_TIMEOUT_S = 2.0
_AT_ONCE = 4
"""Of 16 workers: pods that cannot be reached must not hold up everybody else's turn."""


class ReportUnavailable(Exception):  # noqa: N818 - it may come with the next attempt
    """The report did not come, or is none; the message says why."""


class Reports:
    """Fetches reports; use as an async context manager.

    Args:
        key: What requests are signed with.
        clock: Wall time for tokens.
        port: Where pods hand reports out.
        timeout_s: Longest a fetch may take.
    """

    def __init__(self, key: ReportKey, clock: Clock, port: int = REPORT_PORT, timeout_s: float = _TIMEOUT_S) -> None:
        self._key = key
        self._clock = clock
        self._port = port
        self._under_way = 0
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=timeout_s, sock_connect=_CONNECT_TIMEOUT_S),
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def fetch(self, asked: PullReport, revision: str) -> PreflightReport:
        """Returns the report about `revision` that a pod hands out.

        Raises:
            ReportUnavailable: it did not come in time, is too large, is none, or answers another question.
        """
        if self._under_way >= _AT_ONCE:
            raise ReportUnavailable(f"{_AT_ONCE} reports are being fetched already")
        self._under_way += 1
        try:
            report = _parsed(await self._body(asked))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ReportUnavailable(f"pod {asked.pod} does not answer ({type(error).__name__})") from error
        finally:
            self._under_way -= 1
        if (report.key, report.revision) != (asked.key, revision):
            raise ReportUnavailable(f"the report of pod {asked.pod} answers another question than the one asked")
        return report

    async def _body(self, asked: PullReport) -> bytes:
        # Imported late, as in report_key.py.
        from plimsoll.core.tokens import sign  # noqa: PLC0415

        token = sign(self._key.seed, asked.pod_uid, self._clock.utc_now().timestamp())
        async with self._session.get(
            f"http://{url_host(asked.ip)}:{self._port}/report",
            headers={"Authorization": f"Bearer {token}"},
            allow_redirects=False,
        ) as response:
            if response.status != 200:  # noqa: PLR2004 - HTTP
                raise ReportUnavailable(f"pod {asked.pod} answers with status {response.status}")
            body = await response.content.read(MAX_REPORT_BYTES + 1)
            while not response.content.at_eof() and len(body) <= MAX_REPORT_BYTES:
                body += await response.content.read(MAX_REPORT_BYTES + 1 - len(body))
        if len(body) > MAX_REPORT_BYTES:
            raise ReportUnavailable(f"the report of pod {asked.pod} is larger than {MAX_REPORT_BYTES // 1024} KiB")
        return body


def _parsed(body: bytes) -> PreflightReport:
    try:
        return PreflightReport.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise ReportUnavailable(f"the report cannot be read: {where}: {first['msg']}") from error
