"""What a gateway asks pods on its own, beside the requests of users: over connections of its own, few, and bounded.

Nothing of it is recorded, takes a slot of the split or counts as outstanding. An answer that is late or long is none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

import aiohttp

from plimsoll.core.names import HTTP_PORT

AT_ONCE: Final = 16
"""Connections to all pods together; whoever comes later waits for one within the same time."""
ANSWER_S: Final = 5.0
MOST_BYTES: Final = 1 << 20
"""Of an answer."""
_JSON_LENGTH: Final = "Inference-Header-Content-Length"
_LENGTH: Final = re.compile(r"[0-9]{1,12}")


class Unanswered(Exception):  # noqa: N818 - what became of a question
    """No whole answer came in time."""


@dataclass(frozen=True, slots=True)
class Said:
    """An answer.

    Attributes:
        status: Of HTTP.
        body: All of it.
        json_bytes: How many bytes of it are JSON; None: all.
    """

    status: int
    body: bytes
    json_bytes: int | None = None


class Asides:
    """Asks pods.

    Args:
        port: Where pods speak HTTP.
        answer_s: Within how many seconds an answer has to be there.
    """

    def __init__(self, port: int = HTTP_PORT, answer_s: float = ANSWER_S) -> None:
        self._port = port
        self._timeout = aiohttp.ClientTimeout(total=answer_s)
        self._session: aiohttp.ClientSession | None = None
        self._is_closed = False

    async def ask(self, ip: str, path: str, body: bytes | None = None, json_bytes: int | None = None) -> Said:
        """Asks the pod at this address: GET, or POST where there is a body, of which so many bytes are JSON.

        Raises:
            Unanswered: No answer, or one that is too late or has more than `MOST_BYTES`.
        """
        if self._is_closed:
            raise Unanswered("the gateway ends")
        host = f"[{ip}]" if ":" in ip else ip
        headers = {} if json_bytes is None else {_JSON_LENGTH: str(json_bytes)}
        method = "GET" if body is None else "POST"
        try:
            async with self._opened().request(
                method, f"http://{host}:{self._port}{path}", data=body, headers=headers, allow_redirects=False
            ) as response:
                whole = await _bounded(response.content)
                length = response.headers.get(_JSON_LENGTH, "")
                return Said(response.status, whole, int(length) if _LENGTH.fullmatch(length) else None)
        except (aiohttp.ClientError, TimeoutError, OSError) as failure:
            raise Unanswered(str(failure) or type(failure).__name__) from failure

    async def aclose(self) -> None:
        """Ends all connections, for good."""
        self._is_closed = True
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:  # Not before there is an event loop.
            connector = aiohttp.TCPConnector(limit=AT_ONCE, keepalive_timeout=2)
            self._session = aiohttp.ClientSession(
                connector=connector,
                timeout=self._timeout,
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"Accept-Encoding": "identity"},
                auto_decompress=False,  # A few KiB could become a gigabyte before anybody counts.
            )
        return self._session


async def _bounded(content: aiohttp.StreamReader) -> bytes:
    read = bytearray()
    async for piece in content.iter_any():
        read += piece
        if len(read) > MOST_BYTES:
            raise Unanswered(f"the answer has more than {MOST_BYTES} bytes")
    return bytes(read)
