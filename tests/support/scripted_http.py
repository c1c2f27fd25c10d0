"""A model server's HTTP side that behaves as a test says.

A fake, because what is tested here is what a healthy server never does: it closes in mid-answer, answers with half a
head, accepts and never answers, takes no byte. The calls of a real Triton are in test_real_triton.py.
"""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field

Script = Callable[["Asked"], Awaitable[None]]


@dataclass
class Asked:
    """One request that has come in, and the connection to answer it on.

    Attributes:
        head, body: As they came; `body` only where the script read it.
        number: Of the request on this server, from 0.
    """

    head: bytes
    number: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    body: bytes = b""

    async def read_body(self) -> bytes:
        """Reads the request's body."""
        length = re.search(rb"\r\ncontent-length: *(\d+)", self.head, re.IGNORECASE)
        if length:
            self.body = await self.reader.readexactly(int(length[1]))
        elif b"chunked" in self.head.lower():
            while not self.body.endswith(b"\r\n0\r\n\r\n") and self.body != b"0\r\n\r\n":
                self.body += await self.reader.readexactly(1)
        return self.body

    def reset(self) -> None:
        """Breaks the connection off with a reset instead of an end."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


@dataclass
class Scripted:
    """A running server: where it is, and what it was asked, in order."""

    ip: str
    port: int
    asked: list[Asked] = field(default_factory=list)
    opened: int = 0
    open: set[asyncio.StreamWriter] = field(default_factory=set)

    def close_idle(self) -> None:
        """Closes all its connections, as a server does whose keep-alive time is over."""
        for writer in self.open:
            writer.close()


def ok(body: bytes = b"{}", head: bytes = b"") -> bytes:
    """Returns an ordinary answer."""
    return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n" % len(body) + head + b"\r\n" + body


def saying(answer: bytes) -> Script:
    """Reads each request and gives always the same answer."""

    async def script(asked: Asked) -> None:
        await asked.read_body()
        asked.writer.write(answer)

    return script


async def vanish(asked: Asked) -> None:
    """Closes instead of answering."""
    await asked.read_body()
    asked.writer.close()


async def reset(asked: Asked) -> None:
    """Resets instead of answering."""
    await asked.read_body()
    asked.reset()


async def half_a_head(asked: Asked) -> None:
    """Closes within the head of its answer."""
    await asked.read_body()
    asked.writer.write(ok()[:20])
    await asked.writer.drain()
    asked.writer.close()


async def never(asked: Asked) -> None:
    """Never answers."""
    await asked.reader.read()


def half_an_answer(*pieces: bytes) -> Script:
    """Sends these pieces, one after a while, and closes."""

    async def script(asked: Asked) -> None:
        await asked.read_body()
        for piece in pieces:
            asked.writer.write(piece)
            await asked.writer.drain()
            await asyncio.sleep(0.05)
        asked.writer.close()

    return script


@contextmanager
def deaf(ip: str) -> Iterator[int]:
    """A port whose queue of connections is full: one more is neither accepted nor refused."""
    with socket.socket() as listening, ExitStack() as stack:
        listening.bind((ip, 0))
        listening.listen(0)
        for _ in range(3):
            filling = stack.enter_context(socket.socket())
            filling.setblocking(False)
            filling.connect_ex(listening.getsockname())
        yield listening.getsockname()[1]


@asynccontextmanager
async def scripted(script: Script, ip: str = "127.0.0.2", port: int = 0) -> AsyncIterator[Scripted]:
    """Serves while the context lasts; the connection goes on after the script unless that closed it."""
    running = Scripted(ip, port)
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        tasks.add(task)
        running.opened += 1
        running.open.add(writer)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                asked = Asked(head, len(running.asked), reader, writer)
                running.asked.append(asked)
                await script(asked)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # The client has gone, or the test is over.
        finally:
            tasks.discard(task)
            running.open.discard(writer)
            writer.close()

    server = await asyncio.start_server(serve, ip, port, limit=1 << 20)
    running.port = server.sockets[0].getsockname()[1]
    try:
        yield running
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)
