"""What a gateway asks pods on its own: whatever they answer is bounded, in time and in bytes."""

from __future__ import annotations

import gzip
from contextlib import aclosing

import pytest
from tests.support.scripted_http import Script, half_a_head, never, ok, reset, saying, scripted, vanish

from plimsoll.gateway.asides import MOST_BYTES, Asides, Said, Unanswered

LONG = bytes(MOST_BYTES + 1)


async def test_an_answer_comes_as_it_was_given() -> None:
    answer = ok(b"{}rest", b"Inference-Header-Content-Length: 2\r\nSet-Cookie: a=b\r\n")
    async with scripted(saying(answer)) as pod, aclosing(Asides(pod.port)) as asides:
        for _ in range(2):
            assert await asides.ask(pod.ip, "/v2/models/digits/infer", b"{}", 2) == Said(200, b"{}rest", 2)
    first, second = (asked.head.lower() for asked in pod.asked)
    assert b"inference-header-content-length: 2\r\n" in first
    assert b"cookie" not in second, "a pod cannot make us remember anything"


async def test_nothing_that_is_compressed_is_opened() -> None:
    bomb = gzip.compress(bytes(100 << 20))
    async with (
        scripted(saying(ok(bomb, b"Content-Encoding: gzip\r\n"))) as pod,
        aclosing(Asides(pod.port)) as asides,
    ):
        assert (await asides.ask(pod.ip, "/v2/models/digits/config")).body == bomb
    assert b"accept-encoding: identity\r\n" in pod.asked[0].head.lower()


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(never, id="late"),
        pytest.param(reset, id="reset"),
        pytest.param(vanish, id="closed"),
        pytest.param(half_a_head, id="half a head"),
        pytest.param(saying(b"not HTTP\r\n\r\n"), id="no HTTP"),
        pytest.param(saying(ok(LONG)), id="long"),
        pytest.param(
            saying(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n%x\r\n%s\r\n" % (len(LONG), LONG)),
            id="long, and without an end",
        ),
    ],
)
async def test_no_whole_answer_in_time_is_none(script: Script) -> None:
    async with scripted(script) as pod, aclosing(Asides(pod.port, answer_s=0.3)) as asides:
        with pytest.raises(Unanswered, match=r"."):
            await asides.ask(pod.ip, "/v2/models/digits/config")


async def test_when_it_is_closed_nothing_is_asked() -> None:
    async with scripted(saying(ok())) as pod, aclosing(Asides(pod.port)) as asides:
        await asides.ask(pod.ip, "/")
        await asides.aclose()
        with pytest.raises(Unanswered):
            await asides.ask(pod.ip, "/")
    assert len(pod.asked) == 1
