"""HTTP to the API server: one session, time limits, rate limit, bounded retries, errors as ours."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp

from plimsoll.kube.clock import SYSTEM_CLOCK, Clock
from plimsoll.kube.connection import Connection
from plimsoll.kube.errors import ApiError, Unreachable, error_from_body
from plimsoll.kube.retry import retry_wait_s
from plimsoll.kube.throttle import Throttle


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """How hard the client may try.

    Attributes:
        timeout_s: Longest a request may take from start to the last byte; watches have their own.
        connect_timeout_s: Longest to get a connection.
        qps: Sustained requests a second; a watch counts once. A guard against a loop of our own, not a pace: 50 spec
            changes a second cause about 600 requests, and the server's priority and fairness does the pacing.
        burst: Requests that may go at once after a pause.
        retries: Repeats after the first attempt.
        max_retry_wait_s: A longer Retry-After is raised to the caller instead of slept on.
        max_connections: Open connections, watches included.
        user_agent: Shown in the API server's audit log.
    """

    timeout_s: float = 30.0
    connect_timeout_s: float = 5.0
    qps: float = 1000.0
    burst: int = 1000
    retries: int = 3
    max_retry_wait_s: float = 5.0
    max_connections: int = 64
    user_agent: str = "plimsoll"


@dataclass(frozen=True, slots=True)
class Call:
    """One request. `repeatable` means that doing it twice is the same as doing it once."""

    method: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    content_type: str = "application/json"
    repeatable: bool = True
    accept: str = "application/json"


class Transport:
    """Sends calls. Safe for concurrent use within one event loop; `close` it."""

    def __init__(self, connection: Connection, settings: ClientSettings, clock: Clock = SYSTEM_CLOCK) -> None:
        self._connection = connection
        self._settings = settings
        self._clock = clock
        self._throttle = Throttle(settings.qps, settings.burst, clock)
        self._session: aiohttp.ClientSession | None = None
        self._retired: list[aiohttp.ClientSession] = []

    async def close(self) -> None:
        """Closes every connection."""
        sessions = [*self._retired, *([self._session] if self._session else [])]
        self._session, self._retired = None, []
        for session in sessions:
            await session.close()

    async def send(self, call: Call) -> bytes:
        """The body of a successful answer.

        Raises:
            ApiError: The last failure, when it is not one to repeat or was repeated often enough.
        """
        attempt = 0
        while True:
            try:
                async with self.open(call, total_s=self._settings.timeout_s) as response:
                    return await response.read()
            except ApiError as error:
                wait_s = self._wait_s(error, call, attempt)
                if wait_s is None:
                    raise
            await self._clock.sleep(wait_s)
            attempt += 1

    @asynccontextmanager
    async def open(self, call: Call, *, total_s: float) -> AsyncIterator[aiohttp.ClientResponse]:
        """One attempt; after a 401 the login is read again and the attempt made once more.

        Whatever breaks while the caller reads the answer is raised as `Unreachable` too.
        """
        await self._throttle.take()
        try:
            session = self._open_session()
            response = await self._request(session, call, total_s)
            if response.status == 401 and await self._renew(session):  # noqa: PLR2004 - HTTP
                response.release()
                response = await self._request(self._open_session(), call, total_s)
            async with response:
                if response.status >= 400:  # noqa: PLR2004 - HTTP
                    raise error_from_body(response.status, await response.read(), retry_after=_retry_after_s(response))
                yield response
        except aiohttp.ClientConnectorCertificateError as error:
            await self._renew(session)  # the cluster's CA may have been rotated
            raise _unreachable(call, error, sent=False) from error
        except aiohttp.ClientConnectorError as error:
            raise _unreachable(call, error, sent=False) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _unreachable(call, error, sent=True) from error

    async def _request(self, session: aiohttp.ClientSession, call: Call, total_s: float) -> aiohttp.ClientResponse:
        endpoint = self._connection.endpoint
        headers = {"Accept": call.accept}
        if call.body is not None:
            headers["Content-Type"] = call.content_type
        authorization = await self._connection.authorization()
        if authorization:
            headers["Authorization"] = authorization
        return await session.request(
            call.method,
            endpoint.server + call.path,
            params=call.params,
            data=call.body,
            headers=headers,
            server_hostname=endpoint.tls_server_name,
            proxy=endpoint.proxy_url,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=total_s, sock_connect=self._settings.connect_timeout_s),
        )

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            context = self._connection.endpoint.ssl_context()
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._settings.max_connections, ssl=context or True),
                # identity: a page of 500 objects is 2 MB, and inflating it costs us and the server more than the wire.
                headers={"Accept-Encoding": "identity", "User-Agent": self._settings.user_agent},
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session

    async def _renew(self, refused: aiohttp.ClientSession) -> bool:
        """Whether there is a newer login than the one that session was opened with."""
        if await self._connection.reload() and self._session:
            # Others may be in the middle of an answer on the old session: it is closed with the transport.
            self._retired.append(self._session)
            self._session = None
        return self._session is not refused

    def _wait_s(self, error: ApiError, call: Call, attempt: int) -> float | None:
        if attempt >= self._settings.retries:
            return None
        return retry_wait_s(
            error,
            attempt=attempt,
            repeatable=call.repeatable,
            longest_s=self._settings.max_retry_wait_s,
            chance=self._clock.random(),
        )


def _unreachable(call: Call, error: BaseException, *, sent: bool) -> Unreachable:
    # The class and not the text: aiohttp's texts carry addresses and errno, and a message must not vary.
    return Unreachable(f"No answer to {call.method} {call.path} ({type(error).__name__})", sent=sent)


def _retry_after_s(response: aiohttp.ClientResponse) -> float | None:
    value: Any = response.headers.get("Retry-After")
    if value is None:
        return None
    if value.isdecimal():
        return float(value)
    try:
        date = parsedate_to_datetime(value)
        now = parsedate_to_datetime(response.headers["Date"])
    except (ValueError, TypeError, KeyError):
        return None
    return max(0.0, (date - now).total_seconds())
