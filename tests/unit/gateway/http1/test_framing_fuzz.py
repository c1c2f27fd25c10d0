"""Hostile bytes through our framing and through llhttp: what we accept, a strict reader cuts in the same places.

The other way round is not asked for: llhttp forgives what we refuse.
"""

from dataclasses import dataclass, field

import httptools
from hypothesis import given, settings
from hypothesis import strategies as st

from plimsoll.gateway.http1.bodies import Chunks
from plimsoll.gateway.http1.fields import CHUNKED
from plimsoll.gateway.http1.limits import Limits
from plimsoll.gateway.http1.refusals import Refused
from plimsoll.gateway.http1.request_head import RequestHead, find_end, read_request

LIMITS = Limits(line_bytes=120, head_bytes=400, fields=6, body_bytes=64)


@dataclass
class Message:
    """One request as a reader saw it."""

    method: bytes = b""
    target: bytes = b""
    fields: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""
    keep_alive: bool = True
    whole: bool = False


@dataclass
class Reader:
    """llhttp. It takes one message: a second one's bytes are given to a second reader."""

    message: Message = field(default_factory=Message)
    parser: httptools.HttpRequestParser | None = None

    def on_url(self, url: bytes) -> None:
        self.message.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.message.fields.append((name.lower(), value.strip(b" \t")))

    def on_body(self, body: bytes) -> None:
        self.message.body += body

    def on_message_complete(self) -> None:
        assert self.parser
        self.message.method = self.parser.get_method()
        self.message.keep_alive = self.parser.should_keep_alive()
        self.message.whole = True

    def read(self, data: bytes) -> Message:
        self.parser = httptools.HttpRequestParser(self)
        self.parser.feed_data(data)
        return self.message


def cut(data: bytes, pieces: list[int]) -> tuple[int, bytes, bytes]:
    """Reads the first message of `data`, which comes in pieces, as the client connection does.

    Returns:
        A status (0 where it was accepted, -1 where bytes are missing), the head, the body's bytes as they came.
    """
    bounds = [*sorted({piece for piece in pieces if 0 < piece < len(data)}), len(data)]
    try:
        end = -1
        for bound in bounds:
            end = find_end(data[:bound], LIMITS)
            if end >= 0:
                break
        if end < 0:
            return -1, b"", b""
        head = read_request(data[:end], LIMITS)
        return body_of(head, data, end, bounds)
    except Refused as refused:
        return refused.refusal.status, b"", b""


def body_of(head: RequestHead, data: bytes, end: int, bounds: list[int]) -> tuple[int, bytes, bytes]:
    if head.length != CHUNKED:
        stop = end + head.length
        return (0, data[:end], data[end:stop]) if stop <= len(data) else (-1, b"", b"")
    chunks = Chunks(LIMITS.body_bytes)
    start = end
    for bound in bounds:
        if bound > start:
            stop = chunks.end_in(data[start:bound])
            if stop >= 0:
                return 0, data[:end], data[end : start + stop]
            start = bound
    return -1, b"", b""


LINES = [
    b"POST /v2/models/digits/infer HTTP/1.1\r\n",
    b"GET /v2/health/ready HTTP/1.1\r\n",
    b"HEAD /v2 HTTP/1.1\r\n",
    b"POST /v2?a=b HTTP/1.1\r\n",
    b"POST  /v2 HTTP/1.1\r\n",
    b"POST /v2 HTTP/1.0\r\n",
    b"POST /v2\r\n",
    b"POST /" + b"a" * 120,
]
FIELDS = [
    b"Host: digits\r\n",
    b"Content-Length: 5\r\n",
    b"Content-Length: 6\r\n",
    b"content-length:0\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"transfer-encoding:chunked \t\r\n",
    b"Transfer-Encoding: gzip, chunked\r\n",
    b"Connection: close\r\n",
    b"Connection: keep-alive, x\r\n",
    b"Connection: Upgrade\r\nUpgrade: websocket\r\n",
    b"Expect: 100-continue\r\n",
    b"Transfer-Encoding:\t chunked\r\n",
    b"X: a\xff b\r\n",
    b"X:\r\n",
    b"X : a\r\n",
    b" folded\r\n",
    b"X: a\n",
    b"X: a\r",
    b"X: \x00\r\n",
    b"X: " + b"a" * 300 + b"\r\n",
]
BODIES = [
    b"hello",
    b"5\r\nhello\r\n",
    b"0\r\n\r\n",
    b"5;x\r\nhello\r\n",
    b"\r\n",
    b"0\r\nX: a\r\n\r\n",
    b"GET / HTTP/1.1\r\n",
]
LIKELY = st.builds(
    lambda line, fields, bodies: line + b"".join(fields) + b"\r\n" + b"".join(bodies),
    st.sampled_from(LINES),
    st.lists(st.sampled_from(FIELDS), max_size=6).map(lambda drawn: [FIELDS[0], *drawn]),
    st.lists(st.sampled_from(BODIES), max_size=4),
)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A likely message with a few bytes changed, put in or taken out."""
    data = bytearray(draw(LIKELY))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, max(len(data) - 1, 0)))
        new = draw(st.sampled_from([b"", b"\r", b"\n", b"\r\n", b"\x00", b" ", b"\t", b":", b";", b",", b"0", b"\x80"]))
        data[at : at + draw(st.integers(0, 2))] = new
    return bytes(data)


CUTS = st.lists(st.integers(0, 600), max_size=8)


@settings(max_examples=600)
@given(damaged(), CUTS)
def test_the_pieces_make_no_difference(data: bytes, cuts: list[int]) -> None:
    whole = cut(data, [])
    assert cut(data, cuts) == whole
    assert cut(data, list(range(len(data)))) == whole


@settings(max_examples=1200)
@given(damaged())
def test_what_we_accept_a_strict_reader_cuts_in_the_same_places(data: bytes) -> None:
    status, head, body = cut(data, [])
    if status:
        return
    ours = read_request(head, LIMITS)
    if ours.method not in {b"GET", b"HEAD", b"POST"}:
        return  # Answered with 501; llhttp has a list of methods of its own.
    # As it came in, and as it goes on: there without the fields that switch llhttp to another protocol.
    for form in {ours.forward} if b"pgrade" in head else {head, ours.forward}:
        theirs = Reader().read(form + body)
        fields = [line.split(b":", 1) for line in form.split(b"\r\n")[1:-2]]
        assert theirs.whole
        assert (theirs.method, theirs.target) == (ours.method, ours.target)
        assert theirs.fields == [(name.lower(), value.strip(b" \t")) for name, value in fields]
        assert theirs.body == (payload_of(body) if ours.length == CHUNKED else body)
    if b"pgrade" not in head:
        assert Reader().read(head + body).keep_alive == ours.keep_alive


def payload_of(body: bytes) -> bytes:
    """The data of a chunked body, read by a reader that trusts it."""
    payload = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        payload, body = payload + body[: int(size, 16)], body[int(size, 16) + 2 :]
    return payload


def test_the_strict_reader_refuses_what_shows_that_it_is_strict() -> None:
    """Guards the comparison itself: a lenient llhttp would prove nothing."""
    for fields in (b"Content-Length: 1\r\nContent-Length: 1\r\n", b"X: a\r\n b\r\nX : c\r\n"):
        try:
            Reader().read(b"GET / HTTP/1.1\r\nHost: a\r\n" + fields + b"\r\n")
        except httptools.HttpParserError:
            continue
        raise AssertionError(fields)
