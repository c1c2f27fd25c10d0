"""Whose fault a 5xx is, and what follows: the client's own is told as 400 and tried nowhere else."""

import asyncio
import json
from collections.abc import Callable

import pytest
from tests.support.http_gateway import gateway, infer, until
from tests.support.scripted_http import Asked, Script, half_an_answer, ok, saying, scripted

from plimsoll.core.records.outcome import Outcome
from plimsoll.gateway.http1.limits import Limits
from plimsoll.gateway.http1.outcomes import READ_BYTES

UNREADABLE = "failed to parse the request JSON buffer: Missing a name for object member. at 1"
FULL = "[request id: <id_unknown>] Exceeds maximum queue size"
RAISED = "Failed to process the request(s) for model 'digits_0', message: MemoryError"


def error(status: str, message: str) -> bytes:
    body = json.dumps({"error": message}).encode()
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n" % (status.encode(), len(body)) + body


def in_chunks(status: str, body: bytes) -> bytes:
    """As Triton's `generate` says what went wrong after it had accepted the request."""
    head = b"HTTP/1.1 %s\r\nTransfer-Encoding: chunked\r\n\r\n" % status.encode()
    return head + b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"


def in_pieces(answer: bytes) -> Script:
    """Sends the head, half of the body and the other half apart, and keeps the connection."""
    cut = answer.index(b"\r\n\r\n") + 4

    async def script(asked: Asked) -> None:
        await asked.read_body()
        for piece in (answer[:cut], answer[cut : cut + 9], answer[cut + 9 :]):
            asked.writer.write(piece)
            await asked.writer.drain()
            await asyncio.sleep(0.02)

    return script


CLIENTS = error("500 Internal Server Error", UNREADABLE)
OVERLOAD = error("503 Service Unavailable", FULL)
SERVERS = error("500 Internal Server Error", RAISED)


LATE = in_chunks("400 Bad Request", b'data: {"error":"Request timeout expired"}\n\n')
RAISED_LATER = in_chunks("400 Bad Request", b'{"error":"%s"}' % RAISED.encode())


@pytest.mark.parametrize("spoken", [saying, in_pieces])
@pytest.mark.parametrize(
    ("said", "status", "outcome"),
    [
        (LATE, 400, Outcome.SHED),
        (RAISED_LATER, 400, Outcome.SERVER_FAULT),
        (CLIENTS, 400, Outcome.CLIENT_FAULT),
        (OVERLOAD, 503, Outcome.SHED),
        (SERVERS, 500, Outcome.SERVER_FAULT),
    ],
)
async def test_the_sentence_tells_whose_fault_it_is(
    spoken: Callable[[bytes], Script], said: bytes, status: int, outcome: Outcome
) -> None:
    async with scripted(spoken(said)) as server, gateway(port=server.port) as subject:
        subject.route([server.ip])
        client = await subject.connect()
        for _ in range(2):
            answer = await client.ask(infer())
            assert (answer.status, answer.body) == (status, said.partition(b"\r\n\r\n")[2])
            assert answer.field("x-plimsoll-revision") == "r1"
        client.close()
        assert subject.records["r1"].outcomes == [outcome] * 2
        assert (server.opened, subject.outstanding) == (1, 0)


async def test_a_request_that_the_candidate_cannot_read_stable_cannot_either() -> None:
    async with (
        scripted(saying(ok())) as stable,
        scripted(saying(CLIENTS), "127.0.0.3", stable.port) as candidate,
        gateway(port=stable.port) as subject,
    ):
        subject.route([stable.ip], [candidate.ip], weight=1000)
        answer = await subject.ask(infer())
        assert (answer.status, answer.field("x-plimsoll-revision")) == (400, "r2")
        assert (subject.records["r2"].outcomes, stable.asked) == ([Outcome.CLIENT_FAULT], [])


@pytest.mark.parametrize("spoken", [saying, in_pieces])
@pytest.mark.parametrize(
    ("said", "outcome"),
    [(OVERLOAD, Outcome.SHED), (SERVERS, Outcome.SERVER_FAULT), (RAISED_LATER, Outcome.SERVER_FAULT)],
)
async def test_a_candidate_with_a_full_queue_costs_nobody_an_answer(
    spoken: Callable[[bytes], Script], said: bytes, outcome: Outcome
) -> None:
    async with (
        scripted(saying(ok())) as stable,
        scripted(spoken(said), "127.0.0.3", stable.port) as candidate,
        gateway(port=stable.port) as subject,
    ):
        subject.route([stable.ip], [candidate.ip], weight=1000)
        for _ in range(2):
            answer = await subject.ask(infer())
            assert (answer.status, answer.field("x-plimsoll-attempt")) == (200, "2")
        record = subject.records["r2"]
        assert (record.outcomes, record.rescues) == ([outcome] * 2, 2)
        assert (candidate.opened, subject.outstanding) == (1, 0)


async def test_an_error_that_breaks_off_in_its_sentence_is_a_broken_answer() -> None:
    cut = OVERLOAD.index(b"\r\n\r\n") + 9
    async with (
        scripted(half_an_answer(OVERLOAD[:cut])) as bad,
        scripted(saying(ok()), "127.0.0.3", bad.port) as good,
        gateway(port=bad.port) as subject,
    ):
        subject.route([bad.ip, good.ip])
        assert [(await subject.ask(infer())).status for _ in range(2)] == [200, 200]
        assert sorted(subject.records["r1"].outcomes) == [Outcome.SUCCEEDED, Outcome.BROKEN]


async def test_an_error_whose_sentence_does_not_come_is_a_timeout() -> None:
    async def stop(asked: Asked) -> None:
        await asked.read_body()
        asked.writer.write(OVERLOAD[:-5])
        await asked.reader.read()

    limits = Limits(response_s=0.3, sweep_s=0.05)
    async with scripted(stop) as server, gateway(limits, port=server.port) as subject:
        subject.route([server.ip])
        assert (await subject.ask(infer())).status == 504
        assert subject.records["r1"].outcomes == [Outcome.TIMED_OUT]


async def test_a_client_that_leaves_while_the_sentence_comes() -> None:
    async def stop(asked: Asked) -> None:
        await asked.read_body()
        asked.writer.write(OVERLOAD[:-5])
        await asked.reader.read()

    async with scripted(stop) as server, gateway(port=server.port) as subject:
        subject.route([server.ip])
        client = await subject.connect()
        client.writer.write(infer())
        await until(lambda: bool(server.asked))
        await asyncio.sleep(0.1)
        client.close()
        await until(lambda: bool(subject.records["r1"].ends))
        assert (subject.records["r1"].outcomes, subject.outstanding) == ([Outcome.CANCELLED], 0)


LONG = error("500 Internal Server Error", UNREADABLE + "x" * READ_BYTES)
CHUNKED = in_chunks("500 Internal Server Error", b'{"error":"%s"}' % (UNREADABLE.encode() + b"x" * READ_BYTES))


@pytest.mark.parametrize("spoken", [saying, in_pieces])
@pytest.mark.parametrize("said", [LONG, CHUNKED])
async def test_a_long_error_is_judged_by_its_status(spoken: Callable[[bytes], Script], said: bytes) -> None:
    async with scripted(spoken(said)) as server, gateway(port=server.port) as subject:
        subject.route([server.ip])
        answer = await subject.ask(infer())
        assert (answer.status, answer.body) == (500, said.partition(b"\r\n\r\n")[2])
        assert subject.records["r1"].outcomes == [Outcome.SERVER_FAULT]


@pytest.mark.parametrize("said", [LONG, CHUNKED])
async def test_a_long_error_of_the_candidate_is_not_waited_for(said: bytes) -> None:
    async with (
        scripted(saying(ok())) as stable,
        scripted(in_pieces(said), "127.0.0.3", stable.port) as candidate,
        gateway(port=stable.port) as subject,
    ):
        subject.route([stable.ip], [candidate.ip], weight=1000)
        assert (await subject.ask(infer())).field("x-plimsoll-attempt") == "2"
        assert subject.records["r2"].ends == [(Outcome.SERVER_FAULT, "pod-3")]
        assert subject.outstanding == 0
