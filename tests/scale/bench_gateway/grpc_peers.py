"""The lightest gRPC peers that speak HTTP/2 correctly: real ones would be the bottleneck of what is measured.

They send what gRPC's C core sends: heads that are indices after the first, one DATA frame, trailers.
"""

from __future__ import annotations

import asyncio
from typing import Any

from hpack import Encoder
from tritonclient.grpc import service_pb2 as pb

from plimsoll.gateway.http2 import frames
from plimsoll.gateway.http2.frames import DATA, HEADERS, PING, SETTINGS, FrameReader, Setting

_BIG = (1 << 30) - 1
_CREDIT_AFTER = 1 << 24
_REQUEST_HEAD = [
    (":method", "POST"),
    (":scheme", "http"),
    (":path", "/inference.GRPCInferenceService/ModelInfer"),
    (":authority", "digits.vision.svc:8001"),
    ("te", "trailers"),
    ("content-type", "application/grpc"),
    ("user-agent", "grpc-python-asyncio/1.85.1 grpc-c/54.0.0 (linux; chttp2)"),
    ("grpc-accept-encoding", "identity, deflate, gzip"),
]
_ANSWER_HEAD = [(":status", "200"), ("content-type", "application/grpc"), ("grpc-accept-encoding", "identity, gzip")]
_TRAILERS = [("grpc-status", "0")]


def message(payload: bytes) -> bytes:
    request = pb.ModelInferRequest(model_name="digits", id="1", raw_input_contents=[payload])
    tensor = request.inputs.add(name="x", datatype="FP32", shape=[1, len(payload) // 4])
    assert tensor
    encoded = request.SerializeToString()
    return b"\0" + len(encoded).to_bytes(4, "big") + encoded


class Peer:
    """What both have in common."""

    def __init__(self) -> None:
        self.reader = FrameReader()
        self.encoder = Encoder()
        self.transport: Any = None
        self.received = 0
        self.out: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.opening()
        self.out.append(
            frames.settings([(Setting.INITIAL_WINDOW_SIZE, _BIG), (Setting.MAX_CONCURRENT_STREAMS, 10_000)])
        )
        self.out.append(frames.window_update(0, _BIG))
        self.write()

    def opening(self) -> None:
        pass

    def write(self) -> None:
        if self.out:
            self.transport.write(b"".join(self.out))
            self.out.clear()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, error: Exception | None) -> None: ...

    def pause_writing(self) -> None: ...

    def resume_writing(self) -> None: ...

    def data_received(self, data: bytes) -> None:
        for kind, flags, stream, payload in self.reader.feed(data):
            if kind == DATA:
                self.received += len(payload)
                if self.received > _CREDIT_AFTER:
                    self.out.append(frames.window_update(0, self.received))
                    self.received = 0
                if flags & 1:
                    self.ended(stream)
            elif kind == HEADERS:
                if flags & 1:
                    self.ended(stream)
            elif kind == SETTINGS and not flags & 1:
                self.out.append(frames.frame(SETTINGS, 1, 0))
            elif kind == PING and not flags & 1:
                self.out.append(frames.frame(PING, 1, 0, payload))
            elif kind == frames.GOAWAY:
                raise RuntimeError(f"frame {kind} {payload!r}")
        self.write()

    def ended(self, stream: int) -> None:
        raise NotImplementedError

    def chunks(self, stream: int, body: bytes, *, end: bool) -> None:
        limit = frames.MIN_FRAME_LIMIT
        for start in range(0, len(body), limit):
            last = end and start + limit >= len(body)
            self.out.append(frames.frame(DATA, int(last), stream, body[start : start + limit]))


class Pod(Peer):
    """Answers every call."""

    def __init__(self, body: bytes) -> None:
        super().__init__()
        self.body = body
        self.preface = len(frames.PREFACE)

    def data_received(self, data: bytes) -> None:
        rest, self.preface = data[self.preface :], max(self.preface - len(data), 0)
        super().data_received(rest)

    def ended(self, stream: int) -> None:
        self.out.append(frames.headers(stream, self.encoder.encode(_ANSWER_HEAD), ended=False))
        self.chunks(stream, self.body, end=False)
        self.out.append(frames.headers(stream, self.encoder.encode(_TRAILERS), ended=True))


class Caller(Peer):
    """Keeps a number of calls under way."""

    def __init__(self, body: bytes, streams: int) -> None:
        super().__init__()
        self.body = body
        self.streams = streams
        self.next = 1
        self.done = 0

    def opening(self) -> None:
        self.out.append(frames.PREFACE)

    def begin(self) -> None:
        for _ in range(self.streams):
            self.call()
        self.write()

    def call(self) -> None:
        stream = self.next
        self.next += 2
        self.out.append(frames.headers(stream, self.encoder.encode(_REQUEST_HEAD), ended=False))
        self.chunks(stream, self.body, end=True)

    def ended(self, _: int) -> None:
        self.done += 1
        self.call()
