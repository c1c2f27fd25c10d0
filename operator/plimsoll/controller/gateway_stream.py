"""Reads the record stream of one gateway for as long as it goes.

A gateway's pod may be slow, gone, or behind a network policy, and whatever else listens at its address may send
anything. So silence ends a stream, a line is bounded, and the first line that is none of ours ends it too: after it
every count would be in doubt.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import aiohttp

from plimsoll.core.records.record import HEARTBEAT_S, Cut, Hello
from plimsoll.core.records.wire import MAX_LINE_BYTES, WireError, decode
from plimsoll.kube.lines import LineSplitter

_READ_BYTES = 64 * 1024
_EXCUSE_BYTES = 200


class StreamLost(Exception):  # noqa: N818 - it may come again
    """A stream ended, or never began; the message says why, as part of a sentence.

    Attributes:
        refused: A line of it was none of ours.
    """

    def __init__(self, why: str, *, refused: bool = False) -> None:
        super().__init__(why)
        self.refused = refused


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """How a stream is read.

    Attributes:
        port: Admin port of gateways.
        connect_s: Longest time to connect.
        open_s: Longest time to the first line, the connection included.
        stalled_s: A stream that has told no line for so long is dead: three heartbeats.
    """

    port: int
    connect_s: float = 2.0
    open_s: float = 5.0
    stalled_s: float = 3 * HEARTBEAT_S


def stream_session(settings: StreamSettings) -> aiohttp.ClientSession:
    """Returns a session for streams: as many as there are, each with a connection of its own."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, force_close=True),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=settings.connect_s),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,  # nobody asked for compression, and what a small body may grow to is not to be found out
        read_bufsize=_READ_BYTES,
    )


class GatewayStream:
    """One stream: open it, read it to its end, close it.

    Args:
        session: From `stream_session`.
        settings: How to read.
        told: Called with every line after the first.
    """

    def __init__(self, session: aiohttp.ClientSession, settings: StreamSettings, told: Callable[[Cut], None]) -> None:
        self._session = session
        self._settings = settings
        self._told = told
        self._splitter = LineSplitter(MAX_LINE_BYTES)
        self._waiting: deque[bytes] = deque()
        self._response: aiohttp.ClientResponse | None = None

    async def open(self, host: str, token: str) -> Hello:
        """Connects and returns the first line.

        Args:
            host: Address of the pod, as it stands in a URL.
            token: Shows who asks.

        Raises:
            StreamLost: it does not answer, refuses, or says something else.
        """
        url = f"http://{host}:{self._settings.port}/v1/records"
        try:
            with _losses(f"it did not answer within {self._settings.open_s:g} s"):
                async with asyncio.timeout(self._settings.open_s):
                    return await self._open(url, {"Authorization": f"Bearer {token}"})
        except BaseException:
            self.close()
            raise

    async def _open(self, url: str, headers: dict[str, str]) -> Hello:
        self._response = response = await self._session.get(url, headers=headers, allow_redirects=False)
        if response.status != 200:  # noqa: PLR2004 - HTTP
            raise StreamLost(await _excuse(response))
        while not self._waiting:
            await self._more(response.content)
        hello = decode(self._waiting.popleft())
        if not isinstance(hello, Hello):
            raise WireError("it comes before the greeting")
        return hello

    async def read(self) -> None:
        """Reads until it ends.

        Raises:
            StreamLost: always.
        """
        assert self._response, "open it first"  # noqa: S101 - for the type
        stalled_s, loop = self._settings.stalled_s, asyncio.get_running_loop()
        with _losses(f"no line came for {stalled_s:g} s"):
            async with asyncio.timeout(stalled_s) as deadline:
                while True:
                    if self._waiting:
                        deadline.reschedule(loop.time() + stalled_s)
                        self._take()
                    await self._more(self._response.content)

    def close(self) -> None:
        """Closes the connection."""
        if self._response:
            self._response.close()

    async def _more(self, content: aiohttp.StreamReader) -> None:
        chunk = await content.readany()
        if not chunk:
            raise StreamLost("it ended the stream")
        self._waiting.extend(self._splitter.feed(chunk))

    def _take(self) -> None:
        while self._waiting:
            cut = decode(self._waiting.popleft())
            if not isinstance(cut, Cut):
                raise WireError("it is a second greeting")
            self._told(cut)


@contextmanager
def _losses(silence: str) -> Iterator[None]:
    """Makes everything that can happen to a stream a `StreamLost`."""
    try:
        yield
    except aiohttp.ServerTimeoutError as error:
        raise StreamLost("it cannot be connected to: no answer") from error
    except TimeoutError as error:
        raise StreamLost(silence) from error
    except aiohttp.ClientConnectorError as error:
        why = error.os_error.strerror or type(error.os_error).__name__
        raise StreamLost(f"it cannot be connected to: {why}") from error
    except (aiohttp.ClientError, OSError) as error:
        raise StreamLost(f"the stream broke: {type(error).__name__}") from error
    except ValueError as error:  # of the splitter or the decoder
        raise StreamLost(f"a line of it was refused: {error}", refused=True) from error


async def _excuse(response: aiohttp.ClientResponse) -> str:
    body = await response.content.read(_EXCUSE_BYTES)
    said = " ".join(body.decode(errors="replace").split()) or "no reason given"
    return f"it answers with status {response.status}: {said}"
