"""A peer that sends any bytes it likes. Real peers keep to the protocol, so what breaks it has to be made by hand."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from hpack import Decoder, Encoder
from tritonclient.grpc import service_pb2 as pb

from plimsoll.gateway.http2 import frames
from plimsoll.gateway.http2.frames import FrameReader, Setting

Fields = list[tuple[str, str]]

REQUEST: Fields = [
    (":method", "POST"),
    (":scheme", "http"),
    (":path", "/inference.GRPCInferenceService/ModelInfer"),
    (":authority", "digits:8001"),
    ("te", "trailers"),
    ("content-type", "application/grpc"),
]


def message(payload: bytes = b"x", model: str = "digits") -> bytes:
    """A ModelInferRequest with gRPC's head."""
    encoded = pb.ModelInferRequest(model_name=model, raw_input_contents=[payload]).SerializeToString()
    return b"\0" + len(encoded).to_bytes(4, "big") + encoded


class Peer:
    """One end of a connection.

    Attributes:
        seen: Every frame that came.
        heads: Decoded header blocks by stream, in order.
        data: Bytes by stream.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._frames = FrameReader(frames.MAX_FRAME_LIMIT)
        self.encoder, self._decoder = Encoder(), Decoder()
        self.seen: list[frames.Frame] = []
        self.heads: dict[int, list[dict[str, str]]] = {}
        self.data: dict[int, bytes] = {}
        self.ended: set[int] = set()
        self.resets: dict[int, int] = {}
        self.goaways: list[tuple[int, int]] = []
        self.is_closed = False
        self.answers_pings = True

    def send(self, *parts: bytes) -> None:
        self._writer.write(b"".join(parts))

    async def drained(self) -> None:
        await self._writer.drain()

    def begin(self, *settings: tuple[Setting, int]) -> None:
        self.send(frames.PREFACE, frames.settings(settings))

    async def preface(self) -> bytes:
        """Reads what a client sends first."""
        return await self._reader.readexactly(len(frames.PREFACE))

    def credited(self, stream: int) -> int:
        """Bytes that the other side has granted on a stream, beyond its initial window."""
        updates = [payload for kind, _, on, payload in self.seen if (kind, on) == (frames.WINDOW_UPDATE, stream)]
        return sum(frames.read_uint(payload) for payload in updates)

    def head(self, stream: int, fields: Fields | None = None, *, ended: bool = False) -> None:
        block = self.encoder.encode(fields or REQUEST)
        self.send(frames.headers(stream, block, ended=ended))

    def body(self, stream: int, payload: bytes, *, ended: bool = True) -> None:
        self.send(frames.frame(frames.DATA, int(ended), stream, payload))

    def call(self, stream: int, *extra: tuple[str, str]) -> None:
        self.head(stream, [*REQUEST, *extra])
        self.body(stream, message())

    async def until(self, condition: Callable[[], bool], seconds: float = 5.0) -> None:
        """Reads until it holds."""
        async with asyncio.timeout(seconds):
            while not condition():
                assert not self.is_closed, f"closed; it said {self.goaways}"
                await self._read()

    async def until_closed(self, seconds: float = 5.0) -> None:
        async with asyncio.timeout(seconds):
            while not self.is_closed:
                await self._read()

    async def answer(self, stream: int, seconds: float = 5.0) -> dict[str, str]:
        """Returns the last head of a stream, which has its status."""
        await self.until(lambda: stream in self.ended or stream in self.resets, seconds)
        return self.heads[stream][-1] if stream in self.heads else {}

    async def _read(self) -> None:
        try:
            data = await self._reader.read(65536)
        except ConnectionError:
            data = b""
        if not data:
            self.is_closed = True
            return
        for kind, flags, stream, payload in self._frames.feed(data):
            self.seen.append((kind, flags, stream, payload))
            self._take(kind, flags, stream, payload)

    def _take(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == frames.HEADERS:
            self.heads.setdefault(stream, []).append(dict(self._decoder.decode(payload)))
        elif kind == frames.DATA:
            self.data[stream] = self.data.get(stream, b"") + payload
        elif kind == frames.RST_STREAM:
            self.resets[stream] = frames.read_uint(payload)
        elif kind == frames.GOAWAY:
            self.goaways.append(frames.read_goaway(payload))
        elif kind == frames.SETTINGS and not flags & frames.ACK:
            self.send(frames.frame(frames.SETTINGS, frames.ACK, 0))
        elif kind == frames.PING and not flags & frames.ACK and self.answers_pings:
            self.send(frames.frame(frames.PING, frames.ACK, 0, payload))
        if kind in {frames.HEADERS, frames.DATA} and flags & frames.END_STREAM:
            self.ended.add(stream)

    def end_sending(self) -> None:
        """Closes the connection in one direction."""
        self._writer.write_eof()

    def vanish(self) -> None:
        """Resets the connection."""
        sock = self._writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    async def close(self) -> None:
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()


@asynccontextmanager
async def client_of(port: int) -> AsyncIterator[Peer]:
    """A connection that has sent nothing."""
    peer = Peer(*await asyncio.open_connection("127.0.0.1", port))
    try:
        yield peer
    finally:
        await peer.close()


@asynccontextmanager
async def pod_that(behaves: Callable[[Peer], Awaitable[None]]) -> AsyncIterator[int]:
    """A model pod of which each connection runs a script; yields its port."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        peer = Peer(reader, writer)
        try:
            await behaves(peer)
        except (asyncio.CancelledError, TimeoutError, OSError, AssertionError, EOFError):
            pass  # the gateway's end of it is what is tested
        finally:
            tasks.discard(task)
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()
