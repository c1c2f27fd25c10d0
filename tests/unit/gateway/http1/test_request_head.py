"""What is accepted as the head of a request, and what is refused with which status."""

import pytest

from plimsoll.gateway.http1.addressing import Call
from plimsoll.gateway.http1.fields import CHUNKED
from plimsoll.gateway.http1.limits import Limits
from plimsoll.gateway.http1.refusals import Reason, Refusal, Refused
from plimsoll.gateway.http1.request_head import RequestHead, find_end, read_request

LIMITS = Limits(line_bytes=200, head_bytes=1000, fields=5, body_bytes=1 << 20)
INFER = b"POST /v2/models/digits/infer HTTP/1.1\r\nHost: digits\r\n"


def read(*lines: bytes, start: bytes = INFER) -> RequestHead:
    return read_request(start + b"".join(line + b"\r\n" for line in lines) + b"\r\n", LIMITS)


def refused(head: bytes) -> tuple[int, Reason]:
    with pytest.raises(Refused) as caught:
        read_request(head, LIMITS)
    refusal = caught.value.refusal
    assert refusal.sentence.endswith(".")
    return refusal.status, refusal.reason


SMUGGLING = {
    "two lengths that differ": b"Content-Length: 5\r\nContent-Length: 6\r\n",
    "two lengths that agree": b"Content-Length: 5\r\nContent-Length: 5\r\n",
    "a list of lengths": b"Content-Length: 5, 5\r\n",
    "a length with a sign": b"Content-Length: +5\r\n",
    "a length with an underscore": b"Content-Length: 1_0\r\n",
    "a hexadecimal length": b"Content-Length: 0x5\r\n",
    "an empty length": b"Content-Length:\r\n",
    "a length of twenty digits": b"Content-Length: 18446744073709551617\r\n",
    "a length in other digits": "Content-Length: \u0665\r\n".encode(),
    "length and chunks": b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
    "chunks and length": b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
    "another coding": b"Transfer-Encoding: gzip\r\n",
    "chunked and another coding": b"Transfer-Encoding: gzip, chunked\r\n",
    "identity": b"Transfer-Encoding: identity\r\n",
    "chunked, nearly": b"Transfer-Encoding: xchunked\r\n",
    "chunked with a parameter": b"Transfer-Encoding: chunked;q=1\r\n",
    "chunked twice in one field": b"Transfer-Encoding: chunked, chunked\r\n",
    "chunked in two fields": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
    "chunked behind a vertical tab": b"Transfer-Encoding: \x0bchunked\r\n",
    "chunked and a space": b"Transfer-Encoding: chunked \r\n",
    "space before the colon": b"Content-Length : 5\r\n",
    "tab before the colon": b"Transfer-Encoding\t: chunked\r\n",
    "a folded field": b"X: a\r\n b\r\n",
    "a field folded with a tab": b"X: a\r\n\tb\r\n",
    "a folded transfer encoding": b"Transfer-Encoding:\r\n chunked\r\n",
    "a bare LF": b"X: a\nContent-Length: 5\r\n",
    "a bare CR": b"X: a\rContent-Length: 5\r\n",
    "CR CR LF": b"X: a\r\r\nContent-Length: 5\r\n",
    "NUL in a value": b"X: a\x00b\r\n",
    "NUL in a name": b"X\x00: a\r\n",
    "a control character in a value": b"X: a\x1fb\r\n",
    "DEL in a value": b"X: a\x7f\r\n",
    "a name with a space": b"Content Length: 5\r\n",
    "a name beyond ASCII": b"X\xe9: a\r\n",
    "a name in brackets": b"(X): a\r\n",
    "no name": b": a\r\n",
    "no colon": b"X\r\n",
    "a second host": b"Host: other\r\n",
    "a second expectation": b"Expect: 100-continue\r\nExpect: 100-continue\r\n",
    "Connection takes the length off": b"Connection: content-length\r\nContent-Length: 5\r\n",
    "Connection takes the host off": b"Connection: Host\r\n",
    "Connection takes the tensors' length off": b"Connection: close, Inference-Header-Content-Length\r\n",
    "Connection is no list of names": b"Connection: close;x\r\n",
}


@pytest.mark.parametrize("fields", SMUGGLING.values(), ids=SMUGGLING.keys())
def test_a_message_that_two_readers_may_cut_differently_is_refused(fields: bytes) -> None:
    assert refused(INFER + fields + b"\r\n") == (400, Reason.MALFORMED)


LINES = {
    b"POST /v2 HTTP/1.0": 505,
    b"POST /v2 HTTP/2.0": 505,
    b"PRI * HTTP/2.0": 505,
    b"POST /v2 HTTP/1.2": 505,
    b"POST /v2 HTTP/1.10": 400,
    b"POST /v2 http/1.1": 400,
    b"POST /v2 HTTP/1.1 ": 400,
    b"POST  /v2 HTTP/1.1": 400,
    b" POST /v2 HTTP/1.1": 400,
    b"POST\t/v2 HTTP/1.1": 400,
    b"POST /v2": 400,
    b"/v2 HTTP/1.1": 400,
    b"PO ST /v2 HTTP/1.1": 400,
    b"POST /v2\x00 HTTP/1.1": 400,
    b"POST /v\xc3\xa9 HTTP/1.1": 400,
    b"POST http://digits/v2 HTTP/1.1": 400,
    b"CONNECT digits:80 HTTP/1.1": 400,
    b"OPTIONS * HTTP/1.1": 400,
    b"": 400,
    b"POST /" + b"a" * 200 + b" HTTP/1.1": 414,
}


@pytest.mark.parametrize(("line", "status"), LINES.items(), ids=map(repr, LINES))
def test_request_lines_that_are_refused(line: bytes, status: int) -> None:
    assert refused(line + b"\r\nHost: digits\r\n\r\n")[0] == status


@pytest.mark.parametrize("host", [b"", b"Host: a b\r\n", b"Host: a@b\r\n", b"Host: a/b\r\n", b"Host: a,b\r\n"])
def test_a_request_needs_one_plain_host(host: bytes) -> None:
    assert refused(b"GET /v2/models/digits HTTP/1.1\r\n" + host + b"\r\n") == (400, Reason.MALFORMED)


@pytest.mark.parametrize("host", [b"digits", b"digits.vision.svc:8000", b"10.0.0.1:80", b"[fd00::1]:8000", b""])
def test_hosts_that_are_accepted(host: bytes) -> None:
    assert read(start=b"GET /v2/models/digits HTTP/1.1\r\nhost:" + host + b"\r\n").call == Call("digits", infers=False)


def test_sizes_that_are_refused() -> None:
    assert refused(INFER + b"Content-Length: 1048577\r\n\r\n") == (413, Reason.BODY_TOO_LARGE)
    assert refused(INFER + b"X: a\r\n" * 5 + b"\r\n") == (431, Reason.HEAD_TOO_LARGE)
    with pytest.raises(Refused) as caught:
        find_end(INFER + b"X: " + b"a" * 1000 + b"\r\n\r\n", LIMITS)
    assert caught.value.refusal.status == 431


def test_a_plain_head_passes_byte_for_byte() -> None:
    head = INFER + b"X-Odd:  \t two  words\xe9 \r\ncontent-length: 12\r\n\r\n"
    assert read_request(head, LIMITS) == RequestHead(
        call=Call("digits", infers=True, has_tensors=True),
        method=b"POST",
        target=b"/v2/models/digits/infer",
        length=12,
        keep_alive=True,
        expects=False,
        wants_candidate=False,
        timeout_s=None,
        forward=head,
        as_received=True,
    )


HOP_BY_HOP = [
    b"Connection: keep-alive\r\nKeep-Alive: timeout=5\r\n",
    b"TE: trailers\r\nTrailer: X\r\n",
    b"Upgrade: h2c\r\nHTTP2-Settings: AAA\r\nConnection: Upgrade, HTTP2-Settings\r\n",
    b"Proxy-Connection: keep-alive\r\n",
    b"Connection: X-Hop\r\nx-hop: 1\r\n",
    b"Expect: 100-continue\r\n",
]


@pytest.mark.parametrize("fields", HOP_BY_HOP)
def test_what_concerns_this_connection_alone_is_not_passed_on(fields: bytes) -> None:
    head = read_request(INFER + b"A: 1\r\n" + fields + b"\r\n", LIMITS)
    assert (head.forward, head.as_received) == (INFER + b"A: 1\r\n\r\n", False)


def test_lengths() -> None:
    assert read().length == 0
    assert read(b"content-length: 0007").length == 7
    assert read(b"TRANSFER-ENCODING: Chunked").length == CHUNKED


def test_keep_alive() -> None:
    assert read().keep_alive
    assert read(b"connection: keep-alive").keep_alive
    assert not read(b"Connection: Close").keep_alive
    assert not read(b"Connection: te", b"Connection: close").keep_alive


def test_an_expectation_counts_where_there_is_a_body() -> None:
    assert read(b"Expect: 100-Continue", b"Content-Length: 5").expects
    assert not read(b"Expect: 100-continue").expects
    assert read(b"Content-Length: 5", b"Expect: the-best").call == Refusal(
        417, Reason.EXPECTATION, "The one expectation that can be met is 100-continue."
    )


def test_the_candidate_is_asked_for_with_true() -> None:
    assert read(b"X-Plimsoll-Candidate: TRUE").wants_candidate
    assert not read(b"X-Plimsoll-Candidate: 1").wants_candidate


@pytest.mark.parametrize("method", [b"PUT", b"DELETE", b"OPTIONS", b"TRACE", b"BREW", b"get"])
def test_other_methods_are_refused_and_the_connection_goes_on(method: bytes) -> None:
    call = read(start=method + b" /v2/models/digits HTTP/1.1\r\nHost: digits\r\n").call
    assert isinstance(call, Refusal)
    assert call.status == 501


@pytest.mark.parametrize(
    ("fields", "timeout_s"),
    [
        (b"", None),
        (b"X-Plimsoll-Timeout-Ms: 250\r\n", 0.25),
        (b"x-plimsoll-timeout-ms:  0999999999\r\n", 999999.999),
        (b"X-Envoy-Expected-Rq-Timeout-Ms: 15000\r\n", 15.0),
        (b"X-Envoy-Expected-Rq-Timeout-Ms: 0\r\n", None),
        (b"X-Envoy-Expected-Rq-Timeout-Ms: soon\r\n", None),
        (b"X-Plimsoll-Timeout-Ms: 250\r\nX-Envoy-Expected-Rq-Timeout-Ms: 100\r\n", 0.1),
        (b"X-Plimsoll-Timeout-Ms: 250\r\nX-Envoy-Expected-Rq-Timeout-Ms: 0\r\n", 0.25),
    ],
)
def test_the_time_that_is_granted(fields: bytes, timeout_s: float | None) -> None:
    head = read_request(INFER + fields + b"\r\n", LIMITS)
    assert isinstance(head.call, Call)
    assert head.timeout_s == timeout_s
    assert fields in head.forward


@pytest.mark.parametrize("value", [b"", b"0", b"-1", b"1.5", b"1s", b"1000000000"])
def test_a_time_that_is_none(value: bytes) -> None:
    head = read_request(INFER + b"X-Plimsoll-Timeout-Ms: %s\r\n\r\n" % value, LIMITS)
    assert isinstance(head.call, Refusal)
    assert head.call.status == 400
